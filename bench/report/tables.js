'use strict'

// The report as tables, whatever they are written in. Ratios come first: they say the same on other machines.

const { COOKIES_ONLY } = require('../apps.js')
const { EXPRESS_SESSION, doors } = require('../doors/index.js')
const { median } = require('../stats.js')

/** @typedef {import('../goals.js').Verdict} Verdict */
/** @typedef {import('../results.js').Metric} Metric */
/** @typedef {import('../results.js').Results} Results */

/** @typedef {{ title: string, header: string[], rows: string[][] }} Table the first column names the row */

const OURS = 'sessions'
const NOTHING = '–'

/**
 * @param {Results} results
 * @param {Verdict[]} verdicts
 * @returns {Table[]}
 */
function tables(results, verdicts) {
  const operations = [...new Set(results.calls.map(({ operation }) => operation))]
  return [
    goalTable(verdicts),
    ...operations.map(operation => ratioTable(results, operation)),
    ...results.plan.apps.crowds.flatMap(crowd => appTable(results, crowd)),
    ...memoryTable(results),
    ...operations.flatMap(operation => figureTables(results, operation))
  ]
}

/** @param {Verdict[]} verdicts */
function goalTable(verdicts) {
  const rows = verdicts.map(({ text, wanted, measured, isReached }) => {
    if (measured === undefined) return [text, NOTHING, wanted, 'not measured']
    return [text, fixed(measured), wanted, isReached ? 'reached' : 'NOT REACHED']
  })
  return { title: 'Goals', header: ['', 'measured', 'goal', ''], rows }
}

/**
 * @param {Results} results
 * @param {string} operation
 * @returns {Table}
 */
function ratioTable(results, operation) {
  const ours = results.contestants.find(({ key }) => key === OURS) ?? results.contestants[0]
  const title = `${operation}: how many times the calls a second of each has ${ours.name}`
  return byInFlight(results, operation, title, (contestant, inFlight) => {
    const ratio = results.ratio({ operation, inFlight, metric: 'rate' }, ours.key, contestant)
    return ratio === undefined ? NOTHING : fixed(ratio)
  })
}

/**
 * @param {Results} results
 * @param {string} operation
 * @returns {Table[]}
 */
function figureTables(results, operation) {
  /** @type {[string, Metric, (values: number[]) => string][]} */
  const figures = [
    ['calls a second, and how far the rounds are apart', 'rate', withSpread],
    ['latency in ms, median', 'p50', values => fixed(median(values))],
    ['latency in ms, 99 of 100 are shorter', 'p99', values => fixed(median(values))],
    ['event loop, µs a call', 'loop', values => fixed(median(values))],
    ['CPU of the process with all its threads, µs a call', 'cpu', values => fixed(median(values))],
    ['CPU of the server, µs a call', 'server', values => fixed(median(values))]
  ]
  return figures.map(([title, metric, format]) =>
    byInFlight(results, operation, `${operation}: ${title}`, (contestant, inFlight) => {
      const values = results.values({ operation, inFlight, metric }, contestant)
      return values === undefined || values.some(Number.isNaN) ? NOTHING : format(values)
    })
  )
}

/**
 * @param {Results} results
 * @param {string} operation
 * @param {string} title
 * @param {(contestant: string, inFlight: number) => string} cell
 * @returns {Table}
 */
function byInFlight(results, operation, title, cell) {
  const measured = results.calls.filter(series => series.operation === operation)
  const inFlight = [...new Set(measured.map(series => series.inFlight))]
  const rows = results.contestants.map(({ key, name }) => [name, ...inFlight.map(number => cell(key, number))])
  return { title, header: ['in flight', ...inFlight.map(String)], rows }
}

/**
 * @param {Results} results
 * @param {import('../plan.js').Crowd} crowd
 * @returns {Table[]}
 */
function appTable(results, { processes, connections }) {
  const measured = results.apps.filter(series => series.processes === processes)
  if (measured.length === 0) return []
  const rivals = [COOKIES_ONLY, 'pg-promise', EXPRESS_SESSION]
  const figures = ['requests/s', 'p50 ms', 'p99 ms', 'CPU µs a request']
  const header = ['the guard', ...rivals.map(rival => `of ${nameOf(results, rival)}`), ...figures]
  const rows = measured.map(({ app, turns }) => [
    nameOf(results, app),
    ...rivals.map(rival => share(results.appRatio(app, rival, processes))),
    withSpread(turns.map(({ rate }) => rate)),
    fixed(median(turns.map(({ p50 }) => p50))),
    fixed(median(turns.map(({ p99 }) => p99))),
    fixed(results.appCpu(app, processes))
  ])
  const among = processes === 1 ? 'one process' : `${processes} processes, one a core`
  return [{ title: `Express 5 apps, ${among}, ${connections} connections`, header, rows }]
}

/**
 * @param {Results} results
 * @param {string} app
 */
function nameOf(results, app) {
  return [...results.contestants, ...doors()].find(({ key }) => key === app)?.name ?? app
}

/**
 * @param {Results} results
 * @returns {Table[]}
 */
function memoryTable(results) {
  if (results.memory.length === 0) return []
  const rows = results.memory.map(({ contestant, grown, after }) => [
    results.contestants.find(({ key }) => key === contestant)?.name ?? contestant,
    fixed(grown / 1e6),
    fixed(after / 1e6)
  ])
  const { calls, inFlight } = results.plan.memory
  const title = `Resident memory, ${calls} validations after warm-up, ${inFlight} in flight`
  return [{ title, header: ['', 'grown by MB', 'then MB'], rows }]
}

/** @param {number | undefined} ratio */
function share(ratio) {
  return ratio === undefined ? NOTHING : fixed(ratio)
}

/** @param {number[]} values */
function withSpread(values) {
  const middle = median(values)
  const spread = (Math.max(...values) - Math.min(...values)) / 2 / middle
  const whole = Math.round(middle).toLocaleString('en-US')
  return values.length > 1 ? `${whole} ±${Math.round(spread * 100)} %` : whole
}

/**
 * Two digits behind the point, more for what is smaller than that.
 *
 * @param {number} value
 */
function fixed(value) {
  return value !== 0 && Math.abs(value) < 0.1 ? value.toPrecision(2) : value.toFixed(2)
}

module.exports = { tables }
