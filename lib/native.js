'use strict'

// The only file that sees the addon. Calls of one turn of the event loop cross to Rust together, in one call an
// operation; outcomes come back in one call a batch, and the promises are settled here.

const { setInterval } = require('node:timers')
const { Core: NativeCore } = require('../native/binding.js')
const { toError } = require('./errors.js')

/**
 * @typedef {import('./errors.js').Failure} Failure
 * @typedef {import('./errors.js').ErrorClasses} ErrorClasses
 * @typedef {{ failed: number }} FailedOutcome
 * @typedef {(outcome: any, sid: string) => unknown} Decode turns an outcome into the value that the caller gets
 * @typedef {{ resolve: (value: any) => void, reject: (error: unknown) => void, decode: Decode, sid: string }} Call
 */

/** As in native/binding.d.ts, whose `const enum` has no value for a file that is not compiled. */
const Operation = /** @type {const} */ ({ validate: 0, extend: 1, destroy: 2 })
const ID_LENGTH = 36
/** The longest period that a timer takes, in ms. */
const LONGEST_PERIOD = 2 ** 31 - 1

/** Calls on their way, by number. Holds nothing of the addon, so that an abandoned core can be collected. */
class Waiting {
  /** @type {Map<number, Call>} */
  #calls = new Map()
  #next = 0
  /** Keeps the program alive while calls are under way; the addon's own handle never does. */
  #keeper = setInterval(() => {}, LONGEST_PERIOD).unref()
  #classes

  /** @param {ErrorClasses} classes */
  constructor(classes) {
    this.#classes = classes
  }

  /**
   * Keeps the calls until their outcomes come.
   *
   * @param {Call[]} calls
   * @returns {number} the first call's number; the others follow
   */
  add(calls) {
    if (this.#calls.size === 0) this.#keeper.ref()
    const first = this.#next
    for (const call of calls) this.#calls.set(this.#next++, call)
    return first
  }

  /**
   * Settles the calls of a batch.
   *
   * @param {string} message as src/node/packed.rs packs it
   */
  receive(message) {
    const packed = JSON.parse(message)
    for (let at = 1; at < packed.length; at += 2) this.#settle(packed[at], packed[at + 1], packed[0])
    if (this.#calls.size === 0) this.#keeper.unref()
  }

  /**
   * Rejects calls that never left.
   *
   * @param {number} first
   * @param {number} count
   * @param {unknown} error
   */
  fail(first, count, error) {
    for (let number = first; number < first + count; number++) {
      this.#calls.get(number)?.reject(error)
      this.#calls.delete(number)
    }
    if (this.#calls.size === 0) this.#keeper.unref()
  }

  /**
   * @param {number} number
   * @param {any} outcome
   * @param {Failure[]} failures
   */
  #settle(number, outcome, failures) {
    const call = this.#calls.get(number)
    if (call === undefined) return
    this.#calls.delete(number)
    if (outcome?.failed !== undefined) {
      call.reject(toError(failures[outcome.failed], this.#classes))
      return
    }
    try {
      call.resolve(call.decode(outcome, call.sid))
    } catch (error) {
      // A type parser of the user threw: its own call fails, its neighbours do not.
      call.reject(error)
    }
  }
}

/** The core of one `Sessions`. */
class Core {
  #native
  #waiting
  /** Calls of this turn, by operation. @type {[Call[], Call[], Call[]]} */
  #idCalls = [[], [], []]
  /** @type {Call[]} */
  #creates = []
  /** @type {string[]} */
  #createPayloads = []
  #flushing = false

  /**
   * @param {import('../native/binding.js').ConnectionSettings} settings
   * @param {import('../native/binding.js').Field[]} fields
   * @param {import('../native/binding.js').SessionsOptions} options
   * @param {ErrorClasses} classes
   */
  constructor(settings, fields, options, classes) {
    const waiting = new Waiting(classes)
    this.#waiting = waiting
    this.#native = new NativeCore(settings, fields, options, message => waiting.receive(message))
  }

  /**
   * @param {keyof typeof Operation} operation
   * @param {unknown} sid
   * @param {unknown} missing what "no session" is for this operation
   * @param {Decode} decode
   * @returns {Promise<any>}
   */
  ask(operation, sid, missing, decode) {
    const id = this.readId(sid)
    if (id === null) return Promise.resolve(missing)
    return new Promise((resolve, reject) => {
      this.#idCalls[Operation[operation]].push({ resolve, reject, decode, sid: id })
      this.#flushSoon()
    })
  }

  /**
   * @param {number[]} given places of the given fields, ascending
   * @param {(string | null | { hex: string })[]} values
   * @param {Decode} decode
   * @returns {Promise<any>}
   */
  create(given, values, decode) {
    const payload = JSON.stringify([given, values])
    return new Promise((resolve, reject) => {
      this.#creates.push({ resolve, reject, decode, sid: '' })
      this.#createPayloads.push(payload)
      this.#flushSoon()
    })
  }

  /** @returns {Promise<any>} the description of the table, see src/node/packed.rs */
  setUp() {
    return this.#single(number => this.#native.setUp(number))
  }

  /** @returns {Promise<unknown>} */
  close() {
    return this.#single(number => this.#native.close(number))
  }

  stats() {
    return this.#native.stats()
  }

  newId() {
    return this.#native.newId()
  }

  /** @param {number[]} given */
  createStatement(given) {
    return this.#native.createStatement(given)
  }

  /**
   * The id in 36 characters, or `null` if it cannot be one. Whether 36 characters are an id is for the core to say.
   *
   * @param {unknown} sid
   * @returns {string | null}
   */
  readId(sid) {
    if (typeof sid !== 'string') return null
    if (sid.length === ID_LENGTH) return sid.toLowerCase()
    // Without hyphens, or in braces: forms that PostgreSQL takes, too.
    return sid.length >= 32 && sid.length <= ID_LENGTH + 2 ? this.#native.canonicalId(sid) : null
  }

  /** @param {(number: number) => void} send */
  #single(send) {
    return new Promise((resolve, reject) => {
      const number = this.#waiting.add([{ resolve, reject, decode: outcome => outcome, sid: '' }])
      this.#guard(number, 1, () => send(number))
    })
  }

  #flushSoon() {
    if (this.#flushing) return
    this.#flushing = true
    queueMicrotask(() => this.#flush())
  }

  #flush() {
    this.#flushing = false
    for (const operation of Object.values(Operation)) this.#flushIds(operation)
    if (this.#creates.length > 0) this.#flushCreates()
  }

  /** @param {0 | 1 | 2} operation */
  #flushIds(operation) {
    const calls = this.#idCalls[operation]
    if (calls.length === 0) return
    this.#idCalls[operation] = []
    const first = this.#waiting.add(calls)
    let ids = ''
    for (const call of calls) ids += call.sid
    this.#guard(first, calls.length, () => this.#native.submitIds(operation, first, calls.length, ids))
  }

  #flushCreates() {
    const calls = this.#creates
    const payloads = this.#createPayloads
    this.#creates = []
    this.#createPayloads = []
    const first = this.#waiting.add(calls)
    this.#guard(first, calls.length, () => this.#native.submitCreates(first, `[${payloads.join()}]`))
  }

  /**
   * @param {number} first
   * @param {number} count
   * @param {() => void} send
   */
  #guard(first, count, send) {
    try {
      send()
    } catch (error) {
      this.#waiting.fail(first, count, error)
    }
  }
}

exports.Core = Core
