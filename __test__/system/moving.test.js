'use strict'

// The diff in docs/moving-from-connect-pg-simple.md: the app before it, after it, and before it once more, on one table.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const express = require('express')
const passport = require('passport')
const LocalStrategy = require('passport-local')
const { Browser, serve } = require('../support/browser.js')
const { useDatabase } = require('../support/place.js')

const GUIDE = path.join(__dirname, '../../docs/moving-from-connect-pg-simple.md')

const database = useDatabase('moving')

passport.use(new LocalStrategy((name, password, done) => done(null, password === 'right' && { name })))
passport.serializeUser((user, done) => done(null, /** @type {any} */ (user).name))
passport.deserializeUser((name, done) => done(null, { name: String(name) }))

test('an app passes its tests before, after and on the way back, and nobody is logged out', async t => {
  const place = await database.emptySchema(t)
  /** @type {Browser | undefined} */
  let stays
  for (const side of ['-', '+', '-']) {
    const origin = await serve(t, start(place, program(side)))
    await passesItsTests(origin)
    stays = await comesBack(origin, stays)
  }

  assert.deepEqual((await stays?.get('/'))?.json().cart, [0, 1, 2])
})

/**
 * The app as the guide shows it on one side of its diff.
 *
 * @param {string} side
 */
function program(side) {
  const [, diff] = /```diff\n(.*?)^```$/ms.exec(fs.readFileSync(GUIDE, 'utf8')) ?? []
  const lines = String(diff).split('\n')
  assert.equal(lines.filter(line => line.startsWith(side)).length, 1, 'one line changes')
  return lines.filter(line => !/^[-+]/.test(line) || line.startsWith(side)).map(line => line.slice(1))
}

/**
 * Runs it, and adds what the guide leaves out.
 *
 * @param {import('../support/place.js').Place} place
 * @param {string[]} lines
 */
function start(place, lines) {
  const run = new Function('require', 'process', `${lines.join('\n')}\nreturn { app, pool }`)
  const { app, pool } = run(require, { env: { DATABASE_URL: place.url, COOKIE_SECRET: 'hush' } })
  let close = () => {}
  place.defer(async () => {
    await close()
    await pool.end()
  })
  app.use(express.json(), (req, _res, next) => {
    close = () => req.sessionStore.close()
    next()
  })
  app.post('/login', passport.authenticate('local', { failureRedirect: '/', failureFlash: 'no such user' }), answer)
  app.post('/cart', (req, res) => {
    req.session.cart = [...(req.session.cart ?? []), req.body.item]
    answer(req, res)
  })
  app.post('/empty', (req, res, next) => req.session.regenerate(error => (error ? next(error) : answer(req, res))))
  app.post('/logout', (req, res, next) => req.logout(error => (error ? next(error) : answer(req, res))))
  app.get('/', answer)
  return app
}

/**
 * @param {any} req
 * @param {any} res
 */
function answer(req, res) {
  res.json({ user: req.user?.name ?? null, cart: req.session.cart ?? [], errors: req.flash('error') })
}

/** @param {string} origin */
async function passesItsTests(origin) {
  const browser = new Browser(origin)
  await browser.post('/login', { username: 'ann', password: 'wrong' })
  assert.deepEqual((await browser.get('/')).json(), { user: null, cart: [], errors: ['no such user'] })
  const guest = browser.cookies.get('connect.sid')

  await browser.post('/login', { username: 'ann', password: 'right' })
  assert.notEqual(browser.cookies.get('connect.sid'), guest)
  await browser.post('/cart', { item: 'a' })
  await browser.post('/cart', { item: 'b' })
  assert.deepEqual((await browser.get('/')).json(), { user: 'ann', cart: ['a', 'b'], errors: [] })

  await browser.post('/empty')
  assert.deepEqual((await browser.get('/')).json(), { user: null, cart: [], errors: [] })
  await browser.post('/login', { username: 'ann', password: 'right' })
  await browser.post('/logout')
  assert.equal((await browser.get('/')).json().user, null)
}

/**
 * Somebody who logged in at the first app and never again.
 *
 * @param {string} origin
 * @param {Browser} [before]
 */
async function comesBack(origin, before) {
  const browser = new Browser(origin)
  if (before) browser.cookies = before.cookies
  else await browser.post('/login', { username: 'bob', password: 'right' })

  const { user, cart } = (await browser.get('/')).json()
  assert.equal(user, 'bob')
  await browser.post('/cart', { item: cart.length })
  return browser
}
