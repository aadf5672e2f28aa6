'use strict'

// What all doors for requests share: their options, and how a request gets its sessions. HTTP only: whether a session is
// live, and for how long, is for Sessions to say.

const { isDate } = require('node:util/types')
const { describe } = require('../errors.js')
const { isObject } = require('../options.js')
const { Sessions } = require('../sessions.js')
const { SessionCookie } = require('./cookie.js')
const { RequestSessions } = require('./request-sessions.js')
const { unavailable } = require('./unavailable.js')

/** @typedef {import('./request-sessions.js').Exchange} Exchange */

const ON_ERROR = ['next', 'anonymous']
const OWN_OPTIONS = ['rolling', 'onError']

class Door {
  #sessions
  #cookie
  #onError
  #extending

  /**
   * @param {unknown} sessions
   * @param {unknown} options
   * @param {string} httpsHint how the framework is told that a proxy in front of it speaks https
   */
  constructor(sessions, options, httpsHint) {
    const checked = checkSessions(sessions)
    const { rolling, onError, ...others } = checkOptions(options, [...OWN_OPTIONS, ...SessionCookie.options])
    if (rolling !== undefined && typeof rolling !== 'boolean') {
      throw new TypeError(`options.rolling: expected true or false, got ${describe(rolling)}`)
    }
    if (onError !== undefined && !ON_ERROR.includes(String(onError))) {
      throw new TypeError(`options.onError: expected "next" or "anonymous", got ${describe(onError)}`)
    }
    this.#sessions = checked
    this.#onError = onError
    this.#cookie = new SessionCookie(others, httpsHint)
    this.#extending = extending(rolling ? Sessions.extendInterval(checked) : undefined)
  }

  /**
   * Whether the request has been here before. One of other sessions has not: it would pass for one of these.
   *
   * @param {unknown} own what the request has
   */
  hasOpened(own) {
    return RequestSessions.isOf(own, this.#sessions)
  }

  /** @param {Exchange} exchange */
  open(exchange) {
    return new RequestSessions(this.#sessions, this.#cookie, exchange)
  }

  /**
   * Reads the session that the request came with.
   *
   * @param {RequestSessions} own
   * @returns {Promise<void> | undefined} nothing if the request has no cookie; rejects if the app has to answer with 503
   */
  load(own) {
    return RequestSessions.load(own, this.#extending)?.catch(error => {
      if (this.#onError !== 'anonymous') throw unavailable(error)
      Sessions.report(this.#sessions, error)
    })
  }
}

/**
 * @param {number} [interval] how often requests extend their sessions, in ms; never if absent
 * @returns {import('./request-sessions.js').Extending}
 */
function extending(interval) {
  return { isAlwaysDue: interval === 0, isDue: interval === undefined ? () => false : dueAfter(interval) }
}

/**
 * Whether it is worth a statement to extend a session. The core has the last say; this only saves asking it.
 *
 * @param {number} interval in ms
 */
function dueAfter(interval) {
  return (/** @type {{ sess_last_updated?: unknown }} */ { sess_last_updated: last }) =>
    !isDate(last) || Date.now() - last.getTime() >= interval
}

/**
 * @param {unknown} options
 * @param {string[]} known
 */
function checkOptions(options, known) {
  const given = checkObject(options)
  for (const name of Object.keys(given)) {
    if (known.includes(name)) continue
    throw new TypeError(`options: unknown option ${JSON.stringify(name)}; known are ${known.join(', ')}`)
  }
  return given
}

/** @param {unknown} options */
function checkObject(options) {
  if (isObject(options)) return options
  throw new TypeError(`options: expected an object, got ${describe(options)}`)
}

/** @param {unknown} sessions */
function checkSessions(sessions) {
  if (sessions instanceof Sessions) return sessions
  throw new TypeError(`sessions: expected what connect() or init() resolves to, got ${describe(sessions)}`)
}

exports.Door = Door
exports.checkObject = checkObject
exports.checkOptions = checkOptions
exports.checkSessions = checkSessions
