'use strict'

// A request and its answer where the framework stands on node:http: the cookie is written when the headers go out, by
// whatever means the app sends them.

// @ts-expect-error -- it has no typings
const onHeaders = require('on-headers')
const { lineOf } = require('./cookie.js')

/** @typedef {import('./request-sessions.js').Row} Row */

class NodeExchange {
  #req
  #res
  #holder
  #isHttps
  #isListening = false
  isFinal = false

  /**
   * @param {any} req
   * @param {any} res
   * @param {any} holder what has the property `session`
   * @param {(holder: any) => unknown} isHttps what the framework says
   */
  constructor(req, res, holder, isHttps) {
    this.#req = req
    this.#res = res
    this.#holder = holder
    this.#isHttps = isHttps
  }

  /** @returns {unknown} */
  get cookieHeader() {
    return this.#req.headers.cookie
  }

  get isHttps() {
    return Boolean(this.#isHttps(this.#holder))
  }

  get isSent() {
    return Boolean(this.#res.headersSent)
  }

  /** @returns {Row | null} */
  get session() {
    return this.#holder.session
  }

  set session(row) {
    this.#holder.session = row
  }

  /** @param {() => void} write */
  whenSent(write) {
    if (this.#isListening) return
    this.#isListening = true
    onHeaders(this.#res, write)
  }

  /** @param {import('./cookie.js').Cookie} cookie */
  write(cookie) {
    const others = this.#res.getHeader('Set-Cookie') ?? []
    this.#res.setHeader('Set-Cookie', [...(Array.isArray(others) ? others : [String(others)]), lineOf(cookie)])
    // Not hasHeader: Socket.IO's answer to an upgrade has none.
    if (this.#res.getHeader('Cache-Control') === undefined) this.#res.setHeader('Cache-Control', 'no-store')
  }
}

exports.NodeExchange = NodeExchange
