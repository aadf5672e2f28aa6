'use strict'

// What the sessions do, second by second. Measures only while somebody watches.

const { performance } = require('node:perf_hooks')

const SECOND = 1000

/** @typedef {{ calls: number, batch: number, loop: number, visitors: number }} Figure what the last second was like */

class Figures {
  #sessions
  #load
  /** @type {Set<(figure: Figure) => void>} */
  #watchers = new Set()
  /** @type {NodeJS.Timeout | undefined} */
  #timer

  /**
   * @param {{ stats(): { calls: number, batches: number } }} sessions
   * @param {{ visitors: number }} load
   */
  constructor(sessions, load) {
    this.#sessions = sessions
    this.#load = load
  }

  /**
   * @param {(figure: Figure) => void} watcher
   * @returns {() => void} ends it
   */
  watch(watcher) {
    this.#watchers.add(watcher)
    this.#timer ??= this.#start()
    return () => {
      this.#watchers.delete(watcher)
      if (this.#watchers.size === 0) this.stop()
    }
  }

  stop() {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #start() {
    let last = this.#look()
    return setInterval(() => {
      const now = this.#look()
      const figure = { ...between(last, now), visitors: this.#load.visitors }
      last = now
      for (const watcher of this.#watchers) watcher(figure)
    }, SECOND)
  }

  #look() {
    return { stats: this.#sessions.stats(), loop: performance.eventLoopUtilization(), time: performance.now() }
  }
}

/** @typedef {{ stats: { calls: number, batches: number }, loop: import('node:perf_hooks').EventLoopUtilization, time: number }} Look */

/**
 * Calls a second, calls a batch, and the share of the time that the event loop was at work.
 *
 * @param {Look} last
 * @param {Look} now
 */
function between(last, now) {
  const calls = now.stats.calls - last.stats.calls
  const batches = now.stats.batches - last.stats.batches
  return {
    calls: Math.round((calls * SECOND) / (now.time - last.time)),
    batch: batches === 0 ? 0 : calls / batches,
    loop: performance.eventLoopUtilization(now.loop, last.loop).utilization
  }
}

module.exports = { Figures }
