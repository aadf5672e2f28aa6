'use strict'

// The demo: the middleware, with all of a user's devices on one page, and live figures beside them.

const path = require('node:path')
const express = require('express')
const { connect } = require('pg-sess-rs')
const { requireSession, sessionMiddleware } = require('pg-sess-rs/express')
const { deviceOf } = require('./device.js')
const { Figures } = require('./figures.js')
const { Load } = require('./load.js')
const page = require('./page.js')

const USERS = ['Ada', 'Grace']
const SECOND = 1000
const MINUTE = 60 * SECOND

/** @param {string} url of the database, postgres://… */
async function createDevicesApp(url) {
  const sessions = await connect(url, {
    fields: { user_name: 'VARCHAR(40) NOT NULL', device: 'TEXT NOT NULL' },
    tableName: 'devices',
    sessionLength: 10 * MINUTE,
    refreshInterval: 30 * SECOND // short, so that one can watch it
  })
  const load = new Load(sessions, { user_name: 'A visitor', device: 'traffic' })
  const figures = new Figures(sessions, load)

  const app = express()
  app.use((_req, res, next) => {
    res.set('Content-Security-Policy', "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'")
    next()
  })
  app.use(express.static(path.join(__dirname, 'public')), express.urlencoded())
  app.use(sessionMiddleware(sessions))

  app.get('/login', (req, res) => {
    res.send(page.logIn(USERS, 'ended' in req.query ? 'This device was signed out, or its time was over.' : ''))
  })

  app.post('/login', async (req, res) => {
    const name = USERS.find(user => user === req.body?.user)
    if (name === undefined) return res.status(400).send(page.logIn(USERS, 'Please choose one of the two.'))
    await req.sessions.create({ user_name: name, device: deviceOf(req.headers['user-agent']) })
    res.redirect(303, '/')
  })

  // Whatever comes after this guard needs a session.
  app.use(requireSession({ redirect: '/login' }))

  app.get('/', async (req, res) => {
    const devices = await req.sessions.list({ user_name: req.session?.user_name })
    res.set('Cache-Control', 'no-store')
    res.send(page.devices(req.session, devices, req.sessions.handle()))
  })

  app.post('/extend', async (req, res) => {
    await req.sessions.extend()
    res.redirect(303, '/')
  })

  app.post('/refresh', async (req, res) => {
    await req.sessions.refresh()
    res.redirect(303, '/')
  })

  app.post('/end', async (req, res) => {
    await req.sessions.destroyAll({ user_name: req.session?.user_name }, { only: String(req.body?.handle) })
    res.redirect(303, '/')
  })

  app.post('/end-others', async (req, res) => {
    await req.sessions.destroyAll({ user_name: req.session?.user_name }, { except: req.session?.sess_id })
    res.redirect(303, '/')
  })

  app.post('/logout', async (req, res) => {
    await req.sessions.destroy()
    res.redirect(303, '/login')
  })

  app.post('/load', (_req, res) => {
    load.start()
    res.redirect(303, '/')
  })

  app.get('/figures', (_req, res) => {
    if (res.destroyed) return // the browser left while its session was looked up
    res.set({ 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
    res.flushHeaders()
    const stop = figures.watch(figure => res.write(`data: ${JSON.stringify(figure)}\n\n`))
    res.on('close', stop)
  })

  app.use(fail)

  async function close() {
    figures.stop()
    await load.stop()
    await sessions.close()
  }
  return { app, close }
}

/**
 * @param {any} error
 * @param {import('express').Request} _req
 * @param {import('express').Response} res
 * @param {import('express').NextFunction} next
 */
function fail(error, _req, res, next) {
  console.error(`${error.message}${error.cause ? `: ${error.cause.message}` : ''}`)
  if (res.headersSent) return next(error)
  const { status = 500 } = error
  res.status(status).send(page.failed(status === 503))
}

module.exports = { createDevicesApp }
