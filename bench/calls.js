'use strict'

// The operations, one number of calls in flight after the other. In each round every contestant has one turn, so that
// whatever slows the machine down for a while slows all of them.

/** @typedef {import('./contender.js').Contender} Contender */
/** @typedef {import('./contender.js').Turn} Turn */
/** @typedef {import('./plan.js').Plan} Plan */

/** @typedef {{ operation: string, inFlight: number, contestant: string, turns: Turn[] }} CallSeries one turn a round */

/**
 * @param {Contender[]} contenders
 * @param {string} operation
 * @param {number} inFlight
 * @param {Plan} plan
 * @returns {Promise<CallSeries[]>}
 */
async function measureCalls(contenders, operation, inFlight, plan) {
  for (const contender of contenders) await contender.turn(operation, inFlight, plan.warmUpMs)
  const series = contenders.map(({ key }) => ({
    operation,
    inFlight,
    contestant: key,
    turns: /** @type {Turn[]} */ ([])
  }))
  for (let round = 0; round < plan.rounds; round++) {
    for (const at of order(contenders.length, round)) {
      series[at].turns.push(await contenders[at].turn(operation, inFlight, plan.turnMs))
    }
  }
  return series
}

/**
 * Somebody else begins in each round, and so somebody else comes after the one who leaves most to be written to disk.
 *
 * @param {number} count
 * @param {number} round
 */
function order(count, round) {
  return Array.from({ length: count }, (_, at) => (at + round) % count)
}

module.exports = { measureCalls, order }
