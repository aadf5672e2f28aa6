'use strict'

// Stores for express-session, ours and the one it takes the place of, and what tests do with either.

const session = require('express-session')
const connectPgSimple = require('connect-pg-simple')
const connectPgStore = require('../../express-session.js')

/** @typedef {import('./place.js').Place} Place */
/** @typedef {(place: Place, options?: object) => any} OpenStore */

const Ours = connectPgStore(session)
const Theirs = connectPgSimple(session)

/**
 * @param {any} Store
 * @returns {OpenStore}
 */
function opening(Store) {
  return (place, options) => {
    const store = new Store({ conString: place.url, createTableIfMissing: true, ...options })
    place.defer(() => store.close())
    return store
  }
}

/**
 * A method of a store as a promise of all that its callback gets after the error.
 *
 * @param {any} store
 * @param {string} method
 * @param {...unknown} args
 * @returns {Promise<any[]>}
 */
function called(store, method, ...args) {
  return new Promise((resolve, reject) => {
    store[method](...args, (/** @type {unknown} */ error, /** @type {unknown[]} */ ...results) => {
      if (error) reject(error)
      else resolve(results)
    })
  })
}

/**
 * The data of a session as `get` gives it.
 *
 * @param {any} store
 * @param {string} sid
 */
async function load(store, sid) {
  const [data] = await called(store, 'get', sid)
  return data
}

/**
 * A session's data with a cookie that ends in so many ms; without a number, with the browser.
 *
 * @param {object} data
 * @param {number} [maxAge]
 */
function sessionOf(data, maxAge) {
  const expires = maxAge === undefined ? null : new Date(Date.now() + maxAge)
  return { cookie: { originalMaxAge: maxAge ?? null, expires, httpOnly: true, path: '/' }, ...data }
}

exports.called = called
exports.load = load
exports.openOurs = opening(Ours)
exports.openTheirs = opening(Theirs)
exports.sessionOf = sessionOf
