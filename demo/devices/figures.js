'use strict'

// What the sessions do, second by second. Measures only while somebody watches.

const { performance } = require('node:perf_hooks')

const SECOND = 1000

/** @typedef {{ calls: number, batch: number, loop: number }} Figure calls a second; calls a batch; share of the event loop */

class Figures {
  #sessions
  /** @type {Set<(figure: Figure) => void>} */
  #watchers = new Set()
  /** @type {NodeJS.Timeout | undefined} */
  #timer

  /** @param {{ stats(): { calls: number, batches: number } }} sessions */
  constructor(sessions) {
    this.#sessions = sessions
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
    let stats = this.#sessions.stats()
    let loop = performance.eventLoopUtilization()
    let time = performance.now()
    return setInterval(() => {
      const now = { stats: this.#sessions.stats(), loop: performance.eventLoopUtilization(), time: performance.now() }
      const [calls, batches] = [now.stats.calls - stats.calls, now.stats.batches - stats.batches]
      const figure = {
        calls: Math.round((calls * SECOND) / (now.time - time)),
        batch: batches === 0 ? 0 : calls / batches,
        loop: performance.eventLoopUtilization(now.loop, loop).utilization
      }
      stats = now.stats
      loop = now.loop
      time = now.time
      for (const watcher of this.#watchers) watcher(figure)
    }, SECOND)
  }
}

module.exports = { Figures }
