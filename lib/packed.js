'use strict'

// Reads the outcomes of a batch, which src/node/packed.rs writes into one string: numbers in digits of seven bits, one
// a character, which cost less to read than JSON's, then the texts as one JSON array.

/** The first character of such a string. */
const TAG = 'B'
/** What came of a call. */
const Kind = /** @type {const} */ ({ nothing: 0, yes: 1, no: 2, row: 3, newRow: 4, failure: 5, rows: 6 })
const BASE = 128
/** How many digits the numbers have. */
const OFFSET_DIGITS = 5
const COUNT_DIGITS = 3
const GROUP_DIGITS = 4
const MEMBER_DIGITS = 2
const FAILURE_DIGITS = 3
const DAY_DIGITS = 4
const MICROSECOND_DIGITS = 6
/** Days are counted from here, so that none is negative; the first and the last stand for the infinities. */
const FIRST_DAY = -(BASE ** DAY_DIGITS) / 2
const LAST_DAY = BASE ** DAY_DIGITS - 1

/** How many have been read. */
let answers = 0

/** The outcomes of a batch, read from front to back. */
class Answer {
  /** Tells it from others. */
  serial = answers++
  /** How many outcomes there are. */
  count
  #message
  #at = TAG.length
  /** @type {any[]} */
  #texts
  #textsAt = 0

  /** @param {string} message */
  constructor(message) {
    this.#message = message
    const offset = this.#number(OFFSET_DIGITS)
    this.count = this.#number(COUNT_DIGITS)
    this.#texts = offset < message.length ? JSON.parse(message.slice(offset)) : []
  }

  /** @param {string} message */
  static isIn(message) {
    return message[0] === TAG
  }

  /** The first part of a call's number. */
  group() {
    return this.#number(GROUP_DIGITS)
  }

  /** The second part. */
  member() {
    return this.#number(MEMBER_DIGITS)
  }

  /** One of {@link Kind}. */
  kind() {
    return this.#number(1)
  }

  /** How many rows a list has. */
  rows() {
    return this.#number(COUNT_DIGITS)
  }

  /** Days since 1970. Infinite if the time is. */
  day() {
    const day = this.#number(DAY_DIGITS)
    if (day === 0) return -Infinity
    return day === LAST_DAY ? Infinity : day + FIRST_DAY
  }

  /** The time of the day. */
  microseconds() {
    return this.#number(MICROSECOND_DIGITS)
  }

  /**
   * What went wrong. All failures stand behind the texts.
   *
   * @returns {import('./errors.js').Failure}
   */
  failure() {
    return this.#texts[this.#texts.length - 1][this.#number(FAILURE_DIGITS)]
  }

  /**
   * The next text.
   *
   * @returns {string}
   */
  text() {
    return this.#texts[this.#textsAt++]
  }

  /**
   * The next texts, all at once: whoever reads them may fail, and the next outcome's texts begin behind them.
   *
   * @param {number} count
   * @returns {number} where they begin, for {@link textAt}
   */
  skipTexts(count) {
    const first = this.#textsAt
    this.#textsAt += count
    return first
  }

  /**
   * @param {number} place
   * @returns {string | null}
   */
  textAt(place) {
    return this.#texts[place]
  }

  /** @param {number} digits */
  #number(digits) {
    const message = this.#message
    const end = this.#at + digits
    let value = 0
    for (let at = this.#at; at < end; at++) value = value * BASE + message.charCodeAt(at)
    this.#at = end
    return value
  }
}

exports.Answer = Answer
exports.Kind = Kind
