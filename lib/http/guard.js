'use strict'

// Whether a request may go on, and what it is answered if not. Sends nothing.

const { STATUS_CODES } = require('node:http')
const { describe } = require('../errors.js')
const { isObject } = require('../options.js')
const { toCondition } = require('./condition.js')
const { checkOptions } = require('./door.js')
const { RequestSessions } = require('./request-sessions.js')
const { unavailable } = require('./unavailable.js')

/**
 * @typedef {import('./request-sessions.js').Row} Row
 * @typedef {{ status: number, headers: Record<string, string>, body: string }} Refusal
 * @typedef {{ method: string, sessions: unknown, session: Row | null, request: any }} Guarded `request`: for the app's own
 *   function
 */

const OPTIONS = ['redirect', 'status', 'where']

class Guard {
  #redirect
  #status
  #fits
  #missing

  /**
   * @param {unknown} options
   * @param {string} missing what has to come before it
   */
  constructor(options, missing) {
    const { redirect, status = 401, where } = checkOptions(options, OPTIONS)
    if (redirect !== undefined && typeof redirect !== 'string' && typeof redirect !== 'function') {
      throw new TypeError(`options.redirect: expected a URL or a function of the request, got ${describe(redirect)}`)
    }
    if (typeof status !== 'number') throw new TypeError(`options.status: expected a status, got ${describe(status)}`)
    if (!Number.isInteger(status) || status < 400 || status > 599) {
      throw new RangeError(`options.status: expected a status from 400 to 599, got ${describe(status)}`)
    }
    this.#redirect = redirect
    this.#status = status
    this.#fits = toCondition(where)
    this.#missing = missing
  }

  /**
   * @param {Guarded} guarded
   * @returns {Promise<Refusal | undefined>} nothing: it may go on
   */
  async judge(guarded) {
    try {
      return await this.#judge(guarded)
    } catch (reason) {
      // No error at all, and some words, tell a router to go on.
      throw isObject(reason)
        ? reason
        : new Error('requireSession: where or redirect failed with what is no error', { cause: reason })
    }
  }

  /**
   * @param {Guarded} guarded
   * @returns {Promise<Refusal | undefined>}
   */
  async #judge({ method, sessions, session, request }) {
    if (!(sessions instanceof RequestSessions)) {
      throw new Error(`requireSession: ${this.#missing} has to come before it`)
    }
    const failure = RequestSessions.failure(sessions)
    // Nobody knows whether there is a session, so this is not the place to say that there is none.
    if (failure !== undefined) throw unavailable(failure)
    // The app may have put something else in the place of null.
    if (!session) return this.#refuse(method, request)
    return (await this.#fits(session)) ? undefined : plain(403)
  }

  /**
   * @param {string} method
   * @param {any} request
   * @returns {Refusal}
   */
  #refuse(method, request) {
    if (this.#redirect === undefined) return plain(this.#status)
    // After a POST, the browser has to GET the other page.
    const status = ['GET', 'HEAD'].includes(method) ? 302 : 303
    const location = typeof this.#redirect === 'function' ? this.#redirect(request) : this.#redirect
    return { status, headers: { 'Cache-Control': 'no-store', Location: location }, body: '' }
  }
}

/**
 * @param {number} status
 * @returns {Refusal}
 */
function plain(status) {
  const headers = { 'Cache-Control': 'no-store', 'Content-Type': 'text/plain; charset=utf-8' }
  return { status, headers, body: STATUS_CODES[status] ?? String(status) }
}

exports.Guard = Guard
