'use strict'

// The only file that sees the addon. Calls of one turn of the event loop cross to Rust together, in one call an
// operation; outcomes come back in one call a batch, and the promises are settled here.

const { setInterval } = require('node:timers')
const { Core: NativeCore, StoreCore: NativeStoreCore } = require('../native/binding.js')
const { toError } = require('./errors.js')
const { toBeTraced } = require('./traced.js')

/**
 * @typedef {import('./errors.js').Failure} Failure
 * @typedef {import('./errors.js').ErrorClasses} ErrorClasses
 * @typedef {(outcome: any, sid: string, answer: number) => unknown} Decode turns an outcome into the value that the
 *   caller gets; `answer` is the same for all outcomes that came at once
 * @typedef {{ resolve: (value: any) => void, reject: (error: unknown) => void, decode: Decode, sid: string }} Call
 */

/** How many failures of the caller's own functions are kept for the calls that failed by them. */
const KEPT_FAILURES = 64
/** As in native/binding.d.ts, whose `const enum` has no value for a file that is not compiled. */
const Operation = /** @type {const} */ ({ validate: 0, extend: 1, destroy: 2 })
const ID_LENGTH = 36
const LISTED_ID = /^[0-9a-fA-F-]{36}$/
/** The longest period that a timer takes, in ms. */
const LONGEST_PERIOD = 2 ** 31 - 1

/** Keeps the program alive while calls are under way; the addon's own handle never does. */
const keeper = setInterval(() => {}, LONGEST_PERIOD).unref()
let callsUnderWay = 0

/** @param {number} change in the number of calls under way */
function countCalls(change) {
  const before = callsUnderWay
  callsUnderWay += change
  if (before === 0 && callsUnderWay > 0) keeper.ref()
  if (before > 0 && callsUnderWay === 0) keeper.unref()
}

/** Calls on their way, by number. Holds nothing of the addon, so that an abandoned core can be collected. */
class Waiting {
  /** @type {Map<number, Call>} */
  #calls = new Map()
  #next = 0
  /** How many answers have come. */
  #received = 0
  #classes
  #questions

  /**
   * @param {ErrorClasses} classes
   * @param {Questions} questions
   */
  constructor(classes, questions) {
    this.#classes = classes
    this.#questions = questions
  }

  /**
   * Keeps the calls until their outcomes come.
   *
   * @param {Call[]} calls
   * @returns {number} the first call's number; the others follow
   */
  add(calls) {
    countCalls(calls.length)
    const first = this.#next
    for (const call of calls) this.#calls.set(this.#next++, call)
    return first
  }

  /**
   * Settles the calls of a batch, or answers a question.
   *
   * @param {string} message as src/node/packed.rs packs outcomes, and src/node/questions.rs questions
   */
  receive(message) {
    const packed = JSON.parse(message)
    if (typeof packed[0] === 'string') {
      this.#questions.answer(packed[0] === 'password' ? 'password' : 'identity', packed[1], packed[2])
      return
    }
    this.#received++
    for (let at = 1; at < packed.length; at += 2) this.#settle(packed[at], packed[at + 1], packed[0])
  }

  /**
   * Rejects calls that never left.
   *
   * @param {number} first
   * @param {number} count
   * @param {unknown} error
   */
  fail(first, count, error) {
    for (let number = first; number < first + count; number++) this.#take(number)?.reject(error)
  }

  /** @param {number} number */
  #take(number) {
    const call = this.#calls.get(number)
    if (this.#calls.delete(number)) countCalls(-1)
    return call
  }

  /**
   * @param {number} number
   * @param {any} outcome
   * @param {Failure[]} failures
   */
  #settle(number, outcome, failures) {
    const call = this.#take(number)
    if (call === undefined) return
    if (outcome?.failed !== undefined) {
      const failure = failures[outcome.failed]
      call.reject(this.#questions.thrown(failure) ?? toBeTraced(toError(failure, this.#classes)))
      return
    }
    try {
      call.resolve(call.decode(outcome, call.sid, this.#received))
    } catch (error) {
      // A type parser of the user threw: its own call fails, its neighbours do not.
      call.reject(error)
    }
  }
}

/**
 * Answers what the core asks while it makes a connection. Holds the addon weakly, for the same reason.
 */
class Questions {
  #answers
  /** What the caller's own functions threw, by question: those who wait get the very error. @type {Map<number, unknown>} */
  #failures = new Map()
  /** @type {WeakRef<NativeCore | NativeStoreCore> | undefined} */
  native

  /** @param {import('./connection.js').Answers} answers */
  constructor(answers) {
    this.#answers = answers
  }

  /**
   * @param {'password' | 'identity'} question
   * @param {number} number
   * @param {string} detail
   */
  async answer(question, number, detail) {
    try {
      const value = await this.#answers[question](detail)
      this.native?.deref()?.answer(number, value ?? undefined, undefined)
    } catch (error) {
      this.#keep(number, error)
      this.native?.deref()?.answer(number, undefined, String(error))
    }
  }

  /**
   * What was thrown while answering.
   *
   * @param {Failure | undefined} failure
   */
  thrown(failure) {
    return failure?.kind === 'caller' ? this.#failures.get(Number(failure.question)) : undefined
  }

  /**
   * @param {number} number
   * @param {unknown} error
   */
  #keep(number, error) {
    this.#failures.set(number, error)
    const [oldest] = this.#failures.keys()
    if (this.#failures.size > KEPT_FAILURES) this.#failures.delete(oldest)
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
   * @param {import('./connection.js').Answers} answers
   */
  constructor(settings, fields, options, classes, answers) {
    const questions = new Questions(answers)
    const waiting = new Waiting(classes, questions)
    this.#waiting = waiting
    this.#native = new NativeCore(settings, fields, options, message => waiting.receive(message))
    questions.native = new WeakRef(this.#native)
  }

  /**
   * @param {keyof typeof Operation} operation
   * @param {unknown} sid
   * @param {unknown} missing what "no session" is for this operation
   * @param {Decode} decode
   * @returns {Promise<any>}
   */
  ask(operation, sid, missing, decode) {
    const id = this.#listedId(sid)
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
    // The calls of this turn were made before.
    this.#flush()
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
   * The id as it is written everywhere, or `null` if it is none.
   *
   * @param {unknown} sid
   * @returns {string | null}
   */
  readId(sid) {
    if (typeof sid !== 'string') return null
    // In braces or without hyphens an id is longer or shorter, but not by more than this.
    return sid.length >= ID_LENGTH - 4 && sid.length <= ID_LENGTH + 2 ? this.#native.canonicalId(sid) : null
  }

  /**
   * The same for a list of ids, where asking the core for each would cost too much: 36 characters that look like an id
   * go as they are, and the core finds out later whether they are one.
   *
   * Only these: ids lie side by side in the list without a separator, so one that grew (`İ` is two characters in lower
   * case) would give its neighbours' places to others.
   *
   * @param {unknown} sid
   * @returns {string | null}
   */
  #listedId(sid) {
    return typeof sid === 'string' && LISTED_ID.test(sid) ? sid.toLowerCase() : this.readId(sid)
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
exports.NativeStoreCore = NativeStoreCore
exports.Questions = Questions
exports.Waiting = Waiting
