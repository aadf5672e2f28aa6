'use strict'

// What has to be reached, as ratios within one run: server and programs on the same two cores, over loopback TCP.

const { EXPRESS_SESSION } = require('./doors/index.js')
const { FULL } = require('./plan.js')

/** @typedef {import('./results.js').Results} Results */

/**
 * @typedef {object} Goal
 * @property {string} text what is compared
 * @property {number} [atLeast]
 * @property {number} [atMost]
 * @property {(results: Results) => number | undefined} measured undefined: this run does not tell
 */

/** @typedef {{ text: string, wanted: string, measured?: number, share?: number, isReached?: boolean }} Verdict */

/** Under this share of a goal, `--check` fails. */
const CHECKED_SHARE = 0.7

/** @type {[string, number, Record<string, number>][]} operation, calls in flight, least ratio of calls a second */
const RATES = [
  ['validate', 1, { 'pg-promise': 1.5, postgres: 1.15, 'node-redis': 0.55 }],
  ['validate', 16, { 'pg-promise': 5, postgres: 3.2, 'node-redis': 0.6 }],
  ['validate', 64, { 'pg-promise': 12, postgres: 8, 'node-redis': 0.8 }],
  ['validate', 256, { 'pg-promise': 19, postgres: 16, 'node-redis': 1 }],
  ['validate', 1024, { 'pg-promise': 24, postgres: 9, 'node-redis': 1.2 }],
  ['extend', 1, { 'pg-promise': 1.1, postgres: 1 }],
  ['extend', 64, { 'pg-promise': 9, postgres: 6 }],
  ['extend', 256, { 'pg-promise': 14, postgres: 11 }],
  ['create', 1, { 'pg-promise': 1.1, postgres: 1 }],
  ['create', 64, { 'pg-promise': 8, postgres: 5 }]
]

/** Event-loop time a call, validate with 64 in flight: the largest ratio. */
const LOOP = { 'pg-promise': 1 / 25, postgres: 1 / 16, 'node-redis': 1 }

/** What the drop-in door keeps of the speed of `Sessions`. */
const DROP_IN = 0.9
const DROP_IN_AT = [
  ['validate', 1],
  ['validate', 64],
  ['validate', 1024],
  ['extend', 64]
]

/** Where one process is busy, Express is most of the work; where all cores are, the server's work counts, too. */
const [ONE, ALL] = FULL.apps.crowds
/** @type {[string, string, number, import('./plan.js').Crowd][]} Express apps: ours, another, least ratio of requests a second */
const APPS = [
  ['drop-in', 'cookies only', 0.75, ONE],
  ['drop-in', 'pg-promise', 1.7, ONE],
  ['middleware', 'cookies only', 0.9, ALL],
  ['middleware', EXPRESS_SESSION, 4, ALL],
  ['express-session-store', EXPRESS_SESSION, 1.8, ALL]
]

const GROWTH_MB = 20
const GROWTH_CALLS = 200_000

/** @returns {Goal[]} */
function goals() {
  return [
    ...RATES.flatMap(([operation, inFlight, rivals]) =>
      Object.entries(rivals).map(([rival, atLeast]) => rateGoal(operation, inFlight, 'sessions', rival, atLeast))
    ),
    ...Object.entries(LOOP).map(([rival, atMost]) => loopGoal(rival, atMost)),
    ...DROP_IN_AT.map(([operation, inFlight]) =>
      rateGoal(String(operation), Number(inFlight), 'drop-in', 'sessions', DROP_IN)
    ),
    ...APPS.map(([ours, rival, atLeast, crowd]) => appGoal(ours, rival, atLeast, crowd)),
    growthGoal('sessions'),
    growthGoal('drop-in')
  ]
}

/**
 * @param {string} operation
 * @param {number} inFlight
 * @param {string} ours
 * @param {string} rival
 * @param {number} atLeast
 * @returns {Goal}
 */
function rateGoal(operation, inFlight, ours, rival, atLeast) {
  return {
    text: `${operation}, ${inFlight} in flight: ${ours} to ${rival}, calls a second`,
    atLeast,
    measured: results => results.ratio({ operation, inFlight, metric: 'rate' }, ours, rival)
  }
}

/**
 * @param {string} rival
 * @param {number} atMost
 * @returns {Goal}
 */
function loopGoal(rival, atMost) {
  return {
    text: `validate, 64 in flight: sessions to ${rival}, event-loop time a call`,
    atMost,
    measured: results => results.ratio({ operation: 'validate', inFlight: 64, metric: 'loop' }, 'sessions', rival)
  }
}

/**
 * @param {string} ours
 * @param {string} rival
 * @param {number} atLeast
 * @param {import('./plan.js').Crowd} crowd
 * @returns {Goal}
 */
function appGoal(ours, rival, atLeast, { processes, connections }) {
  return {
    text: `Express 5 app, ${processes} × ${connections / processes} connections: ${ours} to ${rival}, requests a second`,
    atLeast,
    measured: results => results.appRatio(ours, rival, processes)
  }
}

/**
 * @param {string} ours
 * @returns {Goal}
 */
function growthGoal(ours) {
  return {
    text: `${GROWTH_CALLS} validations after warm-up: growth of ${ours} in MB`,
    atMost: GROWTH_MB,
    measured: results => results.growth(ours, GROWTH_CALLS)
  }
}

/**
 * @param {Results} results
 * @returns {Verdict[]}
 */
function judge(results) {
  return goals().map(goal => verdict(goal, goal.measured(results)))
}

/**
 * @param {Goal} goal
 * @param {number | undefined} measured
 * @returns {Verdict}
 */
function verdict({ text, atLeast, atMost }, measured) {
  const wanted = atLeast === undefined ? `≤ ${short(Number(atMost))}` : `≥ ${short(atLeast)}`
  if (measured === undefined) return { text, wanted }
  const isReached = atLeast === undefined ? measured <= Number(atMost) : measured >= atLeast
  const share = atLeast === undefined ? Number(atMost) / measured : measured / atLeast
  return { text, wanted, measured, share: isReached ? Math.max(1, share) : share, isReached }
}

/** @param {number} value */
function short(value) {
  return String(Number(value.toPrecision(3)))
}

/**
 * @param {Verdict[]} verdicts
 * @returns {string[]} why `--check` fails; empty if it does not
 */
function failures(verdicts) {
  if (verdicts.every(({ share }) => share === undefined)) return ['no goal was measured']
  return verdicts
    .filter(({ share }) => share !== undefined && share < CHECKED_SHARE)
    .map(({ text, wanted, measured }) => `${text}: ${short(Number(measured))}, goal ${wanted}`)
}

module.exports = { failures, judge }
