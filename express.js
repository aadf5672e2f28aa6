'use strict'

// The middleware for Express, Connect and plain node:http. Described in express.d.ts.

const { Door } = require('./lib/http/door.js')
const { Guard } = require('./lib/http/guard.js')
const { NodeExchange } = require('./lib/http/node-exchange.js')
const { SessionReader } = require('./lib/http/reader.js')

/** @typedef {(error?: unknown) => void} Next */

const HTTPS_HINT = 'behind a proxy, Express has to know: app.set("trust proxy", …)'

/**
 * @param {unknown} sessions
 * @param {unknown} [options]
 */
function sessionMiddleware(sessions, options = {}) {
  const door = new Door(sessions, options, HTTPS_HINT)

  /**
   * @param {any} req
   * @param {any} res
   * @param {Next} next
   */
  return function session(req, res, next) {
    if (door.hasOpened(req.sessions)) return next()
    if (req.session !== undefined) {
      return next(
        new Error('req.session is taken: pg-sess-rs/express does not go together with another session middleware')
      )
    }
    const own = door.open(new NodeExchange(req, res, req, isHttps))
    req.sessions = own
    const loading = door.load(own)
    if (loading === undefined) return next()
    // On a turn of its own, so that what a handler throws is not taken for a failure of ours.
    loading.then(
      () => process.nextTick(next),
      error => process.nextTick(next, error)
    )
  }
}

/** @param {unknown} [options] */
function requireSession(options = {}) {
  const rule = new Guard(options, 'sessionMiddleware')

  /**
   * @param {any} req
   * @param {any} res
   * @param {Next} next
   */
  return async function guard(req, res, next) {
    try {
      const { method, sessions, session } = req
      const refusal = await rule.judge({ method, sessions, session, request: req })
      if (refusal !== undefined) return refuse(res, refusal)
    } catch (error) {
      return next(error)
    }
    next()
  }
}

/**
 * @param {unknown} sessions
 * @param {unknown} [options]
 */
function sessionReader(sessions, options = {}) {
  const reader = new SessionReader(sessions, options)
  return (/** @type {any} */ req) => reader.read({ cookieHeader: req.headers.cookie, isHttps: Boolean(isHttps(req)) })
}

/**
 * Whether a request came over https, as Express has it (`trust proxy` included), else as the socket has it.
 *
 * @param {any} req
 */
function isHttps(req) {
  return req.secure ?? req.socket?.encrypted
}

/**
 * @param {any} res
 * @param {import('./lib/http/guard.js').Refusal} refusal
 */
function refuse(res, { status, headers, body }) {
  res.statusCode = status
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value)
  res.end(body)
}

exports.requireSession = requireSession
exports.sessionMiddleware = sessionMiddleware
exports.sessionReader = sessionReader
