'use strict'

// The middleware for Hono on Node.js. Described in hono.d.ts.

const { describe } = require('./lib/errors.js')
const { Door, checkObject } = require('./lib/http/door.js')
const { Guard } = require('./lib/http/guard.js')
const { HonoExchange } = require('./lib/http/hono-exchange.js')

/** @typedef {() => Promise<void>} Next */

const HTTPS_HINT = 'behind a proxy, say how to tell: the option isHttps'

/**
 * @param {unknown} sessions
 * @param {unknown} [options]
 */
function sessionMiddleware(sessions, options = {}) {
  const { isHttps = overHttps, ...others } = checkObject(options)
  if (typeof isHttps !== 'function') {
    throw new TypeError(`options.isHttps: expected a function of the context, got ${describe(isHttps)}`)
  }
  const door = new Door(sessions, others, HTTPS_HINT)

  /**
   * @param {any} c
   * @param {Next} next
   */
  return async function session(c, next) {
    if (door.hasOpened(c.get('sessions'))) return next()
    if (c.get('session') !== undefined) {
      throw new Error('session is taken: pg-sess-rs/hono does not go together with another session middleware')
    }
    const exchange = new HonoExchange(c, () => isHttps(c))
    const own = door.open(exchange)
    c.set('sessions', own)
    await asHono(() => door.load(own))
    await next()
    exchange.send()
  }
}

/** @param {unknown} [options] */
function requireSession(options = {}) {
  const rule = new Guard(options, 'sessionMiddleware')

  /**
   * @param {any} c
   * @param {Next} next
   */
  return async function guard(c, next) {
    const guarded = { method: c.req.method, sessions: c.get('sessions'), session: c.get('session'), request: c }
    const refusal = await asHono(() => rule.judge(guarded))
    if (refusal === undefined) return next()
    const { status, headers, body } = refusal
    return c.body(body, status, headers)
  }
}

/**
 * An error that Hono, which knows no `status`, answers by itself with 503.
 *
 * @template T
 * @param {() => T} work
 * @returns {Promise<Awaited<T>>}
 */
async function asHono(work) {
  try {
    return await work()
  } catch (/** @type {any} */ error) {
    if (error?.status !== 503) throw error
    const headers = { 'Cache-Control': 'no-store' }
    const getResponse = () => new Response('Service Unavailable', { status: 503, headers })
    throw Object.assign(error, { getResponse })
  }
}

/** @param {any} c */
function overHttps(c) {
  return c.req.url.startsWith('https:')
}

exports.requireSession = requireSession
exports.sessionMiddleware = sessionMiddleware
