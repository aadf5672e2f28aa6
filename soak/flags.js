'use strict'

// What the command line asks for.

const { parseArgs } = require('node:util')

/**
 * @typedef {object} Flags
 * @property {number} seconds
 * @property {number} seed
 * @property {number} processes
 * @property {number} growth the most that a process may grow, in MB
 * @property {boolean} spoil
 * @property {boolean} help
 */

const USAGE = `usage: npm run soak [-- flag…]

Mixed traffic from several processes while the server and the network fail, on a PostgreSQL of its own; at the end
everything that was acknowledged is looked at. Ends with 1 if anything was lost, came back, hung or leaked.

  --seconds <number>     how long, 60 by default
  --seed <number>        choose the same faults and calls again; each run prints its own
  --processes <number>   programs at work, 3 by default
  --growth <MB>          the most that a process may grow, 30 by default
  --spoil                undo what was acknowledged, too: to see that it is noticed`

/** @type {import('node:util').ParseArgsConfig['options']} */
const OPTIONS = {
  seconds: { type: 'string', default: '60' },
  seed: { type: 'string' },
  processes: { type: 'string', default: '3' },
  growth: { type: 'string', default: '30' },
  spoil: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false }
}

/**
 * @param {string[]} args
 * @returns {Flags}
 * @throws for a flag that does not exist or makes no sense
 */
function readFlags(args) {
  const values = /** @type {Record<string, any>} */ (parseArgs({ args, options: OPTIONS }).values)
  return {
    seconds: count('seconds', values.seconds),
    seed: count('seed', values.seed ?? String(1 + Math.floor(Math.random() * 2 ** 31))),
    processes: count('processes', values.processes),
    growth: count('growth', values.growth),
    spoil: values.spoil,
    help: values.help
  }
}

/**
 * @param {string} flag
 * @param {string} text
 */
function count(flag, text) {
  const number = Number(text)
  if (Number.isInteger(number) && number > 0) return number
  throw new Error(`--${flag}: expected a whole number greater than 0, got ${text}`)
}

module.exports = { USAGE, readFlags }
