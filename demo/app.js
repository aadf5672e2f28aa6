'use strict'

const cookieParser = require('cookie-parser')
const express = require('express')
const pgp = require('pg-promise')()
const pgSess = require('pg-sess-rs').default
const page = require('./page.js')

const SLENGTH = 10 * 60 * 1000 // a session ends ten minutes after it was last extended
const FIELDS = [{ field: 'user_name', datatype: 'VARCHAR(40) NOT NULL' }]
/** @type {import('express').CookieOptions} */
const COOKIE = { httpOnly: true, sameSite: 'lax', secure: process.env.NODE_ENV === 'production', maxAge: SLENGTH }

/** @param {string} url of the database, postgres://… */
function createApp(url) {
  const db = pgp(url)
  pgSess.init(pgp, db, FIELDS, SLENGTH) // no need to wait: the calls below do

  const app = express()
  app.use(cookieParser(), express.urlencoded())

  app.get('/login', (_req, res) => res.send(page.logIn()))

  app.post('/login', async (req, res) => {
    const name = String(req.body?.name ?? '').trim()
    if (!/^[^\p{Cc}]{1,40}$/u.test(name)) return res.status(400).send(page.logIn('Please give 1 to 40 letters.'))
    await pgSess.destroySession(pgp, db, req.cookies.sess_id) // each log-in begins a session of its own
    const session = await pgSess.createSession(pgp, db, [{ field: 'user_name', value: name }])
    res.cookie('sess_id', session.sess_id, COOKIE).redirect(303, '/')
  })

  // Whatever comes after this guard needs a session.
  app.use(async (req, res, next) => {
    const session = await pgSess.validateSession(pgp, db, req.cookies.sess_id)
    if (!session) return res.redirect(303, '/login')
    res.locals.session = session
    res.set('Cache-Control', 'no-store')
    next()
  })

  app.get('/', (_req, res) => res.send(page.session(res.locals.session)))

  app.post('/extend', async (req, res) => {
    const isLive = await pgSess.extendSession(pgp, db, req.cookies.sess_id)
    if (isLive) res.cookie('sess_id', req.cookies.sess_id, COOKIE) // the browser's clock starts again, too
    res.redirect(303, '/')
  })

  app.post('/logout', async (req, res) => {
    await pgSess.destroySession(pgp, db, req.cookies.sess_id)
    res.clearCookie('sess_id').redirect(303, '/login')
  })

  return app
}

module.exports = { createApp }
