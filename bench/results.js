'use strict'

// All that was measured, and the questions that goals, tables and chart ask about it.

const { median, sum } = require('./stats.js')

/** @typedef {import('./apps.js').AppSeries} AppSeries */
/** @typedef {import('./calls.js').CallSeries} CallSeries */
/** @typedef {import('./contender.js').Turn} Turn */
/** @typedef {import('./machine.js').Machine} Machine */
/** @typedef {import('./plan.js').Plan} Plan */

/** @typedef {{ contestant: string, calls: number, grown: number, after: number }} Memory in bytes */
/** @typedef {keyof typeof METRICS} Metric */

/** What one turn says. Times a call are in µs, latencies in ms. */
const METRICS = {
  rate: (/** @type {Turn} */ { calls, ms }) => (calls / ms) * 1000,
  loop: (/** @type {Turn} */ { loopMs, calls }) => (loopMs / calls) * 1000,
  cpu: (/** @type {Turn} */ { cpuMs, calls }) => (cpuMs / calls) * 1000,
  server: (/** @type {Turn} */ { serverMs = Number.NaN, calls }) => (serverMs / calls) * 1000,
  p50: (/** @type {Turn} */ { p50 }) => p50,
  p99: (/** @type {Turn} */ { p99 }) => p99
}

class Results {
  /** @type {CallSeries[]} */
  calls = []
  /** @type {AppSeries[]} */
  apps = []
  /** @type {Memory[]} */
  memory = []
  /** What could not be measured, and why. @type {string[]} */
  leftOut = []

  /**
   * @param {Plan} plan
   * @param {Machine} machine
   * @param {{ key: string, name: string }[]} contestants
   */
  constructor(plan, machine, contestants) {
    this.plan = plan
    this.machine = machine
    this.contestants = contestants.map(({ key, name }) => ({ key, name }))
  }

  /**
   * @param {{ operation: string, inFlight: number, metric: Metric }} what
   * @param {string} contestant
   * @returns {number[] | undefined} one value a round
   */
  values({ operation, inFlight, metric }, contestant) {
    const found = this.calls.find(
      series => series.operation === operation && series.inFlight === inFlight && series.contestant === contestant
    )
    return found?.turns.map(METRICS[metric])
  }

  /**
   * @param {{ operation: string, inFlight: number, metric: Metric }} what
   * @param {string} ours
   * @param {string} rival
   * @returns {number | undefined}
   */
  ratio(what, ours, rival) {
    return medianRatio(this.values(what, ours), this.values(what, rival))
  }

  /**
   * @param {string} app
   * @param {number} processes
   * @returns {number[] | undefined} requests a second, one value a round
   */
  appRates(app, processes) {
    return this.#appTurns(app, processes)?.map(({ rate }) => rate)
  }

  /**
   * @param {string} ours
   * @param {string} rival
   * @param {number} processes
   * @returns {number | undefined}
   */
  appRatio(ours, rival, processes) {
    return medianRatio(this.appRates(ours, processes), this.appRates(rival, processes))
  }

  /**
   * @param {string} app
   * @param {number} processes
   */
  #appTurns(app, processes) {
    return this.apps.find(series => series.app === app && series.processes === processes)?.turns
  }

  /**
   * @param {string} app
   * @param {number} processes
   * @returns {number} µs of the app's processes a request
   */
  appCpu(app, processes) {
    const turns = this.#appTurns(app, processes) ?? []
    return (sum(turns.map(({ cpuMs }) => cpuMs)) / sum(turns.map(({ requests }) => requests))) * 1000
  }

  /**
   * @param {string} contestant
   * @param {number} calls
   * @returns {number | undefined} MB that so many validations after warm-up added
   */
  growth(contestant, calls) {
    const found = this.memory.find(memory => memory.contestant === contestant && memory.calls === calls)
    return found && found.grown / 1e6
  }
}

/**
 * Within each round, since the machine may be slower in one round than in another.
 *
 * @param {number[]} [ours]
 * @param {number[]} [theirs]
 * @returns {number | undefined}
 */
function medianRatio(ours, theirs) {
  return ours && theirs && median(ours.map((value, round) => value / theirs[round]))
}

exports.Results = Results
