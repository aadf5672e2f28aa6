'use strict'

// The calls of a Store, as express-session calls it: with a callback, and with a session that has a cookie.
// https://github.com/expressjs/session#session-store-implementation

const { randomUUID } = require('node:crypto')
const session = require('express-session')
const { LENGTH_MS, VALUES } = require('./index.js')

/** @typedef {(error: unknown, found?: object | null) => void} Answer */

/**
 * @typedef {object} Store
 * @property {(id: string, answer: Answer) => void} get
 * @property {(id: string, session: any, answer: Answer) => void} set
 * @property {(id: string, session: any, answer: Answer) => void} touch
 * @property {(id: string, answer: Answer) => void} destroy
 */

/** @param {{ username: string, user_id: number }} values */
function toSession(values) {
  // The typings know no constructor of Cookie; express-session's own documentation does.
  return { cookie: new /** @type {any} */ (session.Cookie)({ maxAge: LENGTH_MS }), ...values }
}

/** @param {Store} store */
function storeCalls(store) {
  const known = toSession(VALUES)
  return {
    /** @param {string} id */
    validate: async id => (await promise(answer => store.get(id, answer))) ?? null,
    /** @param {string} id */
    async extend(id) {
      known.cookie.maxAge = LENGTH_MS
      await promise(answer => store.touch(id, known, answer))
      return true
    },
    async create() {
      const id = randomUUID()
      await promise(answer => store.set(id, toSession(VALUES), answer))
      return id
    },
    /** @param {string} id */
    async destroy(id) {
      await promise(answer => store.destroy(id, answer))
      return true
    }
  }
}

/**
 * @param {(answer: Answer) => void} ask
 * @returns {Promise<object | null | undefined>}
 */
function promise(ask) {
  return new Promise((resolve, reject) => ask((error, found) => (error ? reject(error) : resolve(found))))
}

module.exports = { storeCalls, toSession }
