'use strict'

// For Next.js: over what its `cookies()` gives. Described in next.d.ts.

const { describe, withCode } = require('./lib/errors.js')
const { Door, checkObject } = require('./lib/http/door.js')
const { NextExchange, headerOf } = require('./lib/http/next-exchange.js')
const { SessionReader } = require('./lib/http/reader.js')

/** Those that a reader, which writes no cookie, has no use for. */
const WRITING = ['rolling', 'onError']

/**
 * @param {unknown} sessions
 * @param {any} [options]
 */
function nextSessions(sessions, options = {}) {
  // There is no request to ask, and `next dev` is the one that is often reached over http.
  const { cookies, secure = process.env.NODE_ENV !== 'development', ...others } = checkObject(options)
  if (typeof cookies !== 'function') {
    throw new TypeError(`options.cookies: expected cookies of next/headers, got ${describe(cookies)}`)
  }
  if (typeof secure !== 'boolean') {
    throw new TypeError(`options.secure: expected true or false, got ${describe(secure)}`)
  }
  const door = new Door(sessions, { ...others, secure }, '')
  const ofReader = Object.fromEntries(Object.entries(others).filter(([name]) => !WRITING.includes(name)))
  const reader = new SessionReader(sessions, { ...ofReader, secure })

  return {
    async open() {
      const store = await cookies()
      if (isReadOnly(store)) throw readOnly()
      const exchange = new NextExchange(store, secure)
      const own = door.open(exchange)
      await door.load(own)
      return withSession(own, exchange)
    },

    async read() {
      return reader.read({ cookieHeader: headerOf(await cookies()), isHttps: secure })
    }
  }
}

/**
 * In a page that is being rendered, Next gives a store whose methods for writing are one and the same, which throws. To
 * find that out only when the id is replaced would be too late: the browser would be left with the old one.
 *
 * @param {any} store
 */
function isReadOnly(store) {
  return store.set === store.delete
}

function readOnly() {
  const message =
    'open: a page that is being rendered can set no cookie; use read() there, and open() in a route handler or a server action'
  return withCode(new Error(message), 'PGSESS_HEADERS_SENT')
}

/**
 * @param {import('./lib/http/request-sessions.js').RequestSessions} own
 * @param {NextExchange} exchange
 */
function withSession(own, exchange) {
  return Object.defineProperty(own, 'session', { get: () => exchange.session, enumerable: true })
}

exports.nextSessions = nextSessions
