'use strict'

// The middleware for Koa. Described in koa.d.ts.

const { Door } = require('./lib/http/door.js')
const { Guard } = require('./lib/http/guard.js')
const { NodeExchange } = require('./lib/http/node-exchange.js')

/** @typedef {() => Promise<unknown>} Next */

const HTTPS_HINT = 'behind a proxy, Koa has to know: app.proxy = true'

/**
 * @param {unknown} sessions
 * @param {unknown} [options]
 */
function sessionMiddleware(sessions, options = {}) {
  const door = new Door(sessions, options, HTTPS_HINT)

  /**
   * @param {any} ctx
   * @param {Next} next
   */
  return async function session(ctx, next) {
    if (door.hasOpened(ctx.sessions)) return next()
    if (ctx.session !== undefined) {
      throw new Error('ctx.session is taken: pg-sess-rs/koa does not go together with another session middleware')
    }
    const own = door.open(new NodeExchange(ctx.req, ctx.res, ctx, isHttps))
    ctx.sessions = own
    await door.load(own)
    return next()
  }
}

/** @param {unknown} [options] */
function requireSession(options = {}) {
  const rule = new Guard(options, 'sessionMiddleware')

  /**
   * @param {any} ctx
   * @param {Next} next
   */
  return async function guard(ctx, next) {
    const { method, sessions, session } = ctx
    const refusal = await rule.judge({ method, sessions, session, request: ctx })
    if (refusal === undefined) return next()
    ctx.status = refusal.status
    ctx.set(refusal.headers)
    ctx.body = refusal.body
  }
}

/**
 * As Koa has it, `app.proxy` included.
 *
 * @param {any} ctx
 */
function isHttps(ctx) {
  return ctx.secure
}

exports.requireSession = requireSession
exports.sessionMiddleware = sessionMiddleware
