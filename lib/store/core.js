'use strict'

// The core of one Store: the calls of one turn cross to Rust together, as one JSON text; the outcomes come back as those
// of Sessions do.

const { NativeStoreCore, Questions, Waiting } = require('../native.js')

/**
 * @typedef {import('../native.js').Call} Waiter
 * @typedef {{ [statement: string]: string }} Statements for a connection of the caller
 */

class StoreCore {
  #native
  #waiting
  /** Calls of this turn. @type {Waiter[]} */
  #calls = []
  /** @type {string[]} */
  #payloads = []

  /**
   * @param {import('../../native/binding.js').ConnectionSettings} settings
   * @param {import('../../native/binding.js').GivenStoreOptions} options
   * @param {import('../errors.js').ErrorClasses} classes
   * @param {import('../connection.js').Answers} answers
   */
  constructor(settings, options, classes, answers) {
    const questions = new Questions(answers)
    const waiting = new Waiting(classes, questions)
    this.#waiting = waiting
    this.#native = new NativeStoreCore(settings, options, message => waiting.receive(message))
    questions.native = new WeakRef(this.#native)
  }

  /**
   * @param {unknown[]} call as src/node/store.rs reads it
   * @returns {Promise<any>}
   */
  call(call) {
    const payload = JSON.stringify(call)
    return new Promise((resolve, reject) => {
      this.#payloads.push(payload)
      const waiting = this.#calls.push({ resolve, reject, decode: outcome => outcome, sid: '' })
      if (waiting === 1) queueMicrotask(() => this.#flush())
    })
  }

  /** @returns {Promise<Statements>} */
  setUp() {
    return this.#single(number => this.#native.setUp(number))
  }

  /** @returns {Promise<unknown>} */
  close() {
    // The calls of this turn were made before.
    this.#flush()
    return this.#single(number => this.#native.close(number))
  }

  facts() {
    return this.#native.facts()
  }

  stats() {
    return this.#native.stats()
  }

  /**
   * The id as the table holds it.
   *
   * @param {string} sid
   */
  key(sid) {
    return this.#native.key(sid)
  }

  #flush() {
    const [calls, payloads] = [this.#calls, this.#payloads]
    if (calls.length === 0) return
    this.#calls = []
    this.#payloads = []
    this.#send(calls, first => this.#native.submit(first, `[${payloads.join()}]`))
  }

  /**
   * @param {(number: number) => void} send
   * @returns {Promise<any>}
   */
  #single(send) {
    return new Promise((resolve, reject) => {
      this.#send([{ resolve, reject, decode: outcome => outcome, sid: '' }], send)
    })
  }

  /**
   * @param {Waiter[]} calls
   * @param {(first: number) => void} send
   */
  #send(calls, send) {
    const first = this.#waiting.add(calls)
    try {
      send(first)
    } catch (error) {
      this.#waiting.fail(first, calls.length, error)
    }
  }
}

exports.StoreCore = StoreCore
