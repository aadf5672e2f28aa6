'use strict'

// One turn: some calls always in flight for some time, and what they cost this process.

const { performance } = require('node:perf_hooks')
const { percentile } = require('./stats.js')

/**
 * @typedef {object} Turn
 * @property {number} calls
 * @property {number} ms
 * @property {number} loopMs how long the event loop was busy
 * @property {number} cpuMs of all threads of the process
 * @property {number} p50 latency in ms
 * @property {number} p99
 */

/** With many calls in flight, looking at the clock for each of them would be measured as well. */
const CALLS_A_SAMPLE = 7
const SAMPLE_ALL_UP_TO = 4

/**
 * @param {() => Promise<unknown> | undefined} call undefined: there is nothing left to call
 * @param {number} inFlight
 * @param {number} ms
 * @returns {Promise<Turn>}
 */
async function measure(call, inFlight, ms) {
  const lanes = new Lanes(call, inFlight > SAMPLE_ALL_UP_TO ? CALLS_A_SAMPLE : 1)
  const loop = performance.eventLoopUtilization()
  const cpu = process.cpuUsage()
  const begin = performance.now()
  await lanes.run(inFlight, ms)
  const duration = performance.now() - begin
  const { user, system } = process.cpuUsage(cpu)
  const loopMs = performance.eventLoopUtilization(loop).active
  return { calls: lanes.calls, ms: duration, loopMs, cpuMs: (user + system) / 1000, ...lanes.latencies() }
}

/** Calls side by side; in each lane the next begins when the one before has its answer. */
class Lanes {
  calls = 0
  #call
  #callsASample
  #isOver = false
  /** @type {number[]} */
  #samples = []

  /**
   * @param {() => Promise<unknown> | undefined} call
   * @param {number} callsASample
   */
  constructor(call, callsASample) {
    this.#call = call
    this.#callsASample = callsASample
  }

  /**
   * @param {number} count
   * @param {number} ms
   */
  async run(count, ms) {
    const timer = setTimeout(() => {
      this.#isOver = true
    }, ms)
    await Promise.all(Array.from({ length: count }, () => this.#lane()))
    clearTimeout(timer)
  }

  latencies() {
    const sorted = this.#samples.sort((a, b) => a - b)
    return { p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99) }
  }

  async #lane() {
    while (!this.#isOver) {
      const isSample = this.calls % this.#callsASample === 0
      const begin = isSample ? performance.now() : 0
      const answer = this.#call()
      if (answer === undefined) return
      this.calls++
      await answer
      if (isSample) this.#samples.push(performance.now() - begin)
    }
  }
}

module.exports = { measure }
