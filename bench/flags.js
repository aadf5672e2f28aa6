'use strict'

// What the command line asks for.

const { parseArgs } = require('node:util')
const { KEYS } = require('./contestants/index.js')
const { FULL, MEASUREMENTS, QUICK } = require('./plan.js')

/** @typedef {import('./plan.js').Plan} Plan */

/**
 * @typedef {object} Flags
 * @property {Plan} plan
 * @property {string[]} [contestants] keys; all if absent
 * @property {string[]} also files of further contestants
 * @property {boolean} check
 * @property {boolean} save
 * @property {boolean} help
 * @property {string} [json]
 * @property {string} [svg]
 */

const USAGE = `usage: npm run bench [-- flag…]

Measures sessions against what one would use instead, on a PostgreSQL and a Redis of its own, and prints ratios first.
Takes some 20 minutes on two cores; close other programs.

  --quick                  under a minute, to see that everything works: its figures are noise
  --only <names>           of ${MEASUREMENTS.join(', ')}
  --contestants <names>    of ${KEYS.join(', ')}
  --also <file>            one more contestant, a module like those; may be repeated
  --in-flight <numbers>    calls in flight, for example 1,64
  --rounds <number>        how often each contestant has its turn
  --check                  exit with 1 if a ratio is under 0.7 of its goal
  --save                   write bench/RESULTS.md, bench/results.json and bench/chart.svg; only a full run may
  --json <file>            write everything measured
  --svg <file>             draw the chart`

/** @type {import('node:util').ParseArgsConfig['options']} */
const OPTIONS = {
  quick: { type: 'boolean', default: false },
  only: { type: 'string' },
  contestants: { type: 'string' },
  also: { type: 'string', multiple: true, default: [] },
  'in-flight': { type: 'string' },
  rounds: { type: 'string' },
  check: { type: 'boolean', default: false },
  save: { type: 'boolean', default: false },
  json: { type: 'string' },
  svg: { type: 'string' },
  help: { type: 'boolean', short: 'h', default: false }
}

/**
 * @param {string[]} args
 * @returns {Flags}
 * @throws for a flag that does not exist or makes no sense
 */
function readFlags(args) {
  const values = /** @type {Record<string, any>} */ (parseArgs({ args, options: OPTIONS }).values)
  const plan = toPlan(values)
  if (values.save && !plan.isFull) {
    throw new Error('--save publishes figures, so it goes with no flag that changes what is run')
  }
  return {
    plan,
    contestants: values.contestants === undefined ? undefined : names(values.contestants, '--contestants', KEYS),
    also: values.also,
    check: values.check,
    save: values.save,
    help: values.help,
    json: values.json,
    svg: values.svg
  }
}

/**
 * @param {Record<string, any>} values
 * @returns {Plan}
 */
function toPlan({ quick, only, contestants, also, 'in-flight': inFlight, rounds }) {
  const plan = { ...(quick ? QUICK : FULL) }
  if (only !== undefined) plan.measurements = names(only, '--only', MEASUREMENTS)
  if (inFlight !== undefined) plan.inFlight = list(inFlight).map(text => count(text, '--in-flight'))
  if (rounds !== undefined) {
    plan.rounds = count(rounds, '--rounds')
    plan.apps = { ...plan.apps, rounds: plan.rounds }
  }
  const isFull = !quick && also.length === 0 && [only, contestants, inFlight, rounds].every(flag => flag === undefined)
  return { ...plan, isFull }
}

/** @param {string} text */
function list(text) {
  return text.split(',').map(part => part.trim())
}

/**
 * @param {string} text
 * @param {string} flag
 * @param {string[]} known
 */
function names(text, flag, known) {
  const all = list(text)
  const unknown = all.find(name => !known.includes(name))
  if (unknown !== undefined) throw new Error(`${flag}: "${unknown}" is none of ${known.join(', ')}`)
  return all
}

/**
 * @param {string} text
 * @param {string} flag
 */
function count(text, flag) {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new Error(`${flag}: "${text}" is not a number from 1 to 999999`)
  return Number(text)
}

module.exports = { readFlags, USAGE }
