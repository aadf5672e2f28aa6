'use strict'

// What has to be undone, also after a failure or Ctrl-C.

const { constants } = require('node:os')

/** @type {NodeJS.Signals[]} */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP']

class Cleanup {
  /** @type {(() => unknown)[]} */
  #steps = []
  /** @type {Promise<void> | undefined} */
  #running
  /** Whether a signal ends us: then errors are only its consequences. */
  isInterrupted = false

  constructor() {
    for (const signal of SIGNALS) process.once(signal, () => this.#interrupt(signal))
  }

  /** @param {() => unknown} step taken before all steps that were added earlier */
  add(step) {
    this.#steps.unshift(step)
  }

  /** @returns {Promise<void>} */
  run() {
    this.#running ??= this.#takeSteps()
    return this.#running
  }

  async #takeSteps() {
    for (let step = this.#steps.shift(); step !== undefined; step = this.#steps.shift()) {
      try {
        await step()
      } catch (error) {
        console.error('while cleaning up:', error)
      }
    }
  }

  /** @param {NodeJS.Signals} signal */
  async #interrupt(signal) {
    this.isInterrupted = true
    console.error(`\n${signal}: stopping the servers`)
    await this.run()
    process.exit(128 + constants.signals[signal])
  }
}

exports.Cleanup = Cleanup
