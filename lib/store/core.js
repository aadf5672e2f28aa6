'use strict'

// The core of one Store: the calls of one turn cross to Rust together, as one JSON text; the outcomes come back as those
// of Sessions do.

const { Group, MAX_GROUP, NativeStoreCore, Questions, Waiting } = require('../native.js')

/** @typedef {{ [statement: string]: string }} Statements for a connection of the caller */

/** Reads an outcome that is one text. @type {any} */
const TEXTS = { read: (/** @type {import('../packed.js').Answer} */ answer) => answer.textAt(answer.skipTexts(1)) }

class StoreCore {
  #native
  #waiting
  /** Calls of this turn. */
  #calls = new Group()
  /** @type {string[]} */
  #payloads = []

  /**
   * @param {import('../../native/binding.js').ConnectionSettings} settings
   * @param {import('../../native/binding.js').GivenStoreOptions} options
   * @param {import('../errors.js').ErrorClasses} classes
   * @param {import('../connection.js').Answers} answers
   * @param {(error: Error, table: string) => void} report takes an error to which no call belongs
   */
  constructor(settings, options, classes, answers, report) {
    const questions = new Questions(answers)
    const waiting = new Waiting(classes, questions, { report, changed: () => {} })
    waiting.reader = TEXTS
    this.#waiting = waiting
    this.#native = new NativeStoreCore(settings, options, message => waiting.receive(message))
    questions.native = new WeakRef(this.#native)
  }

  /**
   * @param {unknown[]} call as src/node/store.rs reads it; one about one session begins with a word and its id
   * @returns {Promise<any>}
   */
  call(call) {
    this.#payloads.push(JSON.stringify(call))
    const [, sid] = call
    const outcome = this.#calls.add(typeof sid === 'string' ? sid : '')
    if (this.#calls.open === 1) queueMicrotask(() => this.#flush())
    else if (this.#calls.open === MAX_GROUP) this.#flush()
    return outcome
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
    if (calls.open === 0) return
    this.#calls = new Group()
    this.#payloads = []
    this.#send(calls, first => this.#native.submit(first, `[${payloads.join()}]`))
  }

  /** @param {(number: number) => void} send */
  #single(send) {
    const group = new Group()
    const outcome = group.add('')
    this.#send(group, send)
    return outcome
  }

  /**
   * @param {Group} group
   * @param {(first: number) => void} send
   */
  #send(group, send) {
    const { open } = group
    const first = this.#waiting.add(group)
    try {
      send(first)
    } catch (error) {
      this.#waiting.fail(first, open, error)
    }
  }
}

exports.StoreCore = StoreCore
