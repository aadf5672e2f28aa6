'use strict'

// A process of ours that does what it is told, seen from the process that tells it. The other end is orders.js.

const { fork } = require('node:child_process')
const { once } = require('node:events')
const path = require('node:path')

class Child {
  #process
  #name
  /** @type {{ resolve(value: any): void, reject(error: Error): void }[]} */
  #waiting = []

  /**
   * @param {string} file in this folder
   * @param {string} name for messages
   */
  constructor(file, name) {
    this.#name = name
    this.#process = fork(path.join(__dirname, file), [], {
      // For measuring memory, see worker.js.
      execArgv: ['--expose-gc'],
      env: { ...process.env, NODE_ENV: 'production' },
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc']
    })
    this.#process.on('message', message => this.#hear(/** @type {any} */ (message)))
    this.#process.once('exit', (code, signal) => this.#giveUp(`ended early: ${signal ?? code}`))
  }

  /**
   * @param {string} order
   * @param {object} [details]
   * @returns {Promise<any>} the answer; the answers come in the order of the orders
   */
  ask(order, details = {}) {
    return new Promise((resolve, reject) => {
      if (!this.#process.connected) throw new Error(`${this.#name} is gone`)
      this.#waiting.push({ resolve, reject })
      this.#process.send({ order, details })
    })
  }

  /** Ends it at once, whatever it does. */
  async kill() {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const gone = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await gone
  }

  /** Lets it clean up and end, which it does when the channel closes. */
  async end() {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const gone = once(this.#process, 'exit')
    if (this.#process.connected) this.#process.disconnect()
    await gone
  }

  /** @param {{ answer?: unknown, error?: string }} message */
  #hear({ answer, error }) {
    const call = this.#waiting.shift()
    if (error === undefined) call?.resolve(answer)
    else call?.reject(new Error(`${this.#name}: ${error}`))
  }

  /** @param {string} reason */
  #giveUp(reason) {
    for (const { reject } of this.#waiting.splice(0)) reject(new Error(`${this.#name} ${reason}`))
  }
}

exports.Child = Child
