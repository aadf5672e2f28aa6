'use strict'

/** @typedef {import('../results.js').Results} Results */

/**
 * What a figure means nothing without.
 *
 * @param {Results} results
 * @returns {[string, string][]}
 */
function facts({ machine, plan, leftOut }) {
  const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`)
  const rounds = `medians of ${plan.rounds} × ${plan.turnMs} ms; ${plan.sessions} sessions`
  /** @type {[string, string][]} */
  const all = [
    ['date', machine.date],
    ['machine', `${machine.computer}; servers and programs share it, over loopback TCP`],
    ['system', machine.system],
    ['pg-sess-rs', machine.addon],
    ['with', versions.join(', ')],
    ['measured', plan.isFull ? rounds : `${rounds}; NOT A FULL RUN`]
  ]
  return [...all, ...leftOut.map(line => /** @type {[string, string]} */ (['NOT MEASURED', line]))]
}

module.exports = { facts }
