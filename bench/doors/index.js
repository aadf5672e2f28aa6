'use strict'

// Express apps whose sessions are a middleware's business: this package's doors to Express and what they compare with.
// Each works on the table of a contestant, whose sessions are filled in already.

const path = require('node:path')

/** @typedef {import('../contestants/index.js').Place} Place */

/**
 * A module in this folder.
 *
 * @typedef {object} Door
 * @property {string} key
 * @property {string} name for people
 * @property {string} table the key of the contestant whose table it uses
 * @property {(id: string) => string} cookie of a session
 * @property {(place: Place) => Promise<Guard>} open
 */

/**
 * @typedef {object} Guard
 * @property {import('express').RequestHandler[]} handlers that let nobody through who has no session
 * @property {() => unknown} close
 */

/** @typedef {Door & { file: string }} OpenableDoor */

/** The door that is no door of ours. */
const EXPRESS_SESSION = 'express-session-connect-pg-simple'
const KEYS = ['middleware', EXPRESS_SESSION, 'express-session-store']

/** @returns {OpenableDoor[]} */
function doors() {
  const files = KEYS.map(key => path.join(__dirname, `${key}.js`))
  return files.map(file => ({ ...require(file), file }))
}

module.exports = { EXPRESS_SESSION, doors }
