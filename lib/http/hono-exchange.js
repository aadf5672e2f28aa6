'use strict'

// A request and its answer in Hono: the answer is an object, which is written to once the handlers are done.

const { lineOf } = require('./cookie.js')

/** @typedef {import('./request-sessions.js').Row} Row */

class HonoExchange {
  #c
  #isHttps
  /** @type {(() => void) | undefined} */
  #write
  isSent = false
  isFinal = false

  /**
   * @param {any} c
   * @param {() => unknown} isHttps
   */
  constructor(c, isHttps) {
    this.#c = c
    this.#isHttps = isHttps
  }

  /** @returns {unknown} */
  get cookieHeader() {
    return this.#c.req.header('Cookie')
  }

  get isHttps() {
    return Boolean(this.#isHttps())
  }

  /** @returns {Row | null} */
  get session() {
    return this.#c.get('session')
  }

  set session(row) {
    this.#c.set('session', row)
  }

  /** @param {() => void} write */
  whenSent(write) {
    this.#write = write
  }

  /** The handlers are done: what comes later, while a body is streamed, is too late. */
  send() {
    this.#write?.()
    this.isSent = true
  }

  /** @param {import('./cookie.js').Cookie} cookie */
  write(cookie) {
    this.#c.header('Set-Cookie', lineOf(cookie), { append: true })
    if (!this.#c.res.headers.has('Cache-Control')) this.#c.header('Cache-Control', 'no-store')
  }
}

exports.HonoExchange = HonoExchange
