'use strict'

// The middleware for Express, Connect and plain node:http. Described in express.d.ts. HTTP only: whether a session is
// live, and for how long, is for Sessions to say.

const { STATUS_CODES } = require('node:http')
const { isDate } = require('node:util/types')
const { describe } = require('./lib/errors.js')
const { SessionCookie } = require('./lib/express/cookie.js')
const { RequestSessions, unavailable } = require('./lib/express/request-sessions.js')
const { toCondition } = require('./lib/express/condition.js')
const { isObject } = require('./lib/options.js')
const { Sessions } = require('./lib/sessions.js')

/** @typedef {(error?: unknown) => void} Next */

const ON_ERROR = ['next', 'anonymous']
const GUARD_OPTIONS = ['redirect', 'status', 'where']
const OWN_OPTIONS = ['rolling', 'onError']

/**
 * @param {unknown} sessions
 * @param {unknown} [options]
 */
function sessionMiddleware(sessions, options = {}) {
  if (!isSessions(sessions)) {
    throw new TypeError(`sessions: expected what connect() or init() resolves to, got ${describe(sessions)}`)
  }
  const { rolling, onError, ...others } = checkOptions(options, [...OWN_OPTIONS, ...SessionCookie.options])
  if (rolling !== undefined && typeof rolling !== 'boolean') {
    throw new TypeError(`options.rolling: expected true or false, got ${describe(rolling)}`)
  }
  if (onError !== undefined && !ON_ERROR.includes(String(onError))) {
    throw new TypeError(`options.onError: expected "next" or "anonymous", got ${describe(onError)}`)
  }
  const cookie = new SessionCookie(others)
  const isDue = rolling ? dueAfter(Sessions.extendInterval(sessions)) : () => false

  /**
   * @param {any} req
   * @param {any} res
   * @param {Next} next
   */
  return function session(req, res, next) {
    if (req.sessions instanceof RequestSessions) return next()
    if (req.session !== undefined) {
      return next(
        new Error('req.session is taken: pg-sess-rs/express does not go together with another session middleware')
      )
    }
    const own = new RequestSessions(sessions, cookie, req, res)
    req.sessions = own
    const loading = RequestSessions.load(own, isDue)
    if (loading === undefined) return next()
    // On a turn of its own, so that what a handler throws is not taken for a failure of ours.
    loading.then(
      () => process.nextTick(next),
      error => {
        if (onError !== 'anonymous') return process.nextTick(next, unavailable(error))
        Sessions.report(sessions, error)
        process.nextTick(next)
      }
    )
  }
}

/** @param {unknown} [options] */
function requireSession(options = {}) {
  const { redirect, status = 401, where } = checkOptions(options, GUARD_OPTIONS)
  if (redirect !== undefined && typeof redirect !== 'string' && typeof redirect !== 'function') {
    throw new TypeError(`options.redirect: expected a URL or a function of the request, got ${describe(redirect)}`)
  }
  if (typeof status !== 'number') throw new TypeError(`options.status: expected a status, got ${describe(status)}`)
  if (!Number.isInteger(status) || status < 400 || status > 599) {
    throw new RangeError(`options.status: expected a status from 400 to 599, got ${describe(status)}`)
  }
  const fits = toCondition(where)

  /**
   * @param {any} req
   * @param {any} res
   * @param {Next} next
   */
  return async function guard(req, res, next) {
    try {
      if (!(req.sessions instanceof RequestSessions)) {
        throw new Error('requireSession: sessionMiddleware has to come before it')
      }
      const failure = RequestSessions.failure(req.sessions)
      // Nobody knows whether there is a session, so this is not the place to say that there is none.
      if (failure !== undefined) throw unavailable(failure)
      if (req.session === null) return refuse(req, res, status, redirect)
      if (!(await fits(req.session))) return refuse(req, res, 403, undefined)
    } catch (error) {
      return next(error)
    }
    next()
  }
}

/**
 * @param {any} req
 * @param {any} res
 * @param {number} status
 * @param {any} redirect
 */
function refuse(req, res, status, redirect) {
  res.setHeader('Cache-Control', 'no-store')
  if (redirect === undefined) {
    res.statusCode = status
    res.setHeader('Content-Type', 'text/plain; charset=utf-8')
    return res.end(STATUS_CODES[status] ?? String(status))
  }
  // After a POST, the browser has to GET the other page.
  res.statusCode = ['GET', 'HEAD'].includes(req.method) ? 302 : 303
  res.setHeader('Location', typeof redirect === 'function' ? redirect(req) : redirect)
  res.end()
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
  if (!isObject(options)) throw new TypeError(`options: expected an object, got ${describe(options)}`)
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue
    throw new TypeError(`options: unknown option ${JSON.stringify(name)}; known are ${known.join(', ')}`)
  }
  return options
}

/**
 * @param {unknown} value
 * @returns {value is Sessions}
 */
function isSessions(value) {
  return value instanceof Sessions
}

exports.requireSession = requireSession
exports.sessionMiddleware = sessionMiddleware
