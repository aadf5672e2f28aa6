'use strict'

// express-session with the settings that its documentation recommends, over one Store or another. As it comes, it
// writes the new expiry at the end of each request.

const session = require('express-session')
const { sign } = require('cookie-signature')
const { LENGTH_MS } = require('../contestants/index.js')

const SECRET = 'only for measuring'

/** @param {string} id */
const cookie = id => `connect.sid=${encodeURIComponent(`s:${sign(id, SECRET)}`)}`

/**
 * @param {import('express-session').Store} store
 * @returns {import('express').RequestHandler[]}
 */
function handlers(store) {
  const maxAge = LENGTH_MS
  return [session({ store, secret: SECRET, resave: false, saveUninitialized: false, cookie: { maxAge } }), requireUser]
}

/** @type {import('express').RequestHandler} */
function requireUser(req, res, next) {
  if (/** @type {any} */ (req.session).user_id === undefined) return void res.status(401).send('no session')
  next()
}

module.exports = { cookie, handlers }
