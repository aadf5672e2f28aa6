'use strict'

// The app that the tests of the middleware talk to, on each thing that it works with.

const { createServer } = require('node:http')
const express = require('express')
const express4 = require('express4')
const { sessionMiddleware } = require('../../express.js')
const { serve } = require('./browser.js')

/** @typedef {(req: any, res: any) => unknown} Handler */
/** @typedef {{ [route: string]: Handler | Function[] }} Routes `GET /path` or `POST /path` */

const FIELDS = { user_id: 'INT NOT NULL', role: 'TEXT', cart: 'JSONB' }

/** What an app says of its session. @type {Handler} */
function me(req, res) {
  res.json(req.session === null ? null : { user_id: req.session.user_id, role: req.session.role })
}

/** @type {Routes} */
const ROUTES = {
  'GET /': me,
  'POST /login': async (req, res) => {
    const { user_id, role } = req.body
    const row = await req.sessions.create({ user_id, role })
    res.json({ isOwn: row === req.session })
  },
  'POST /logout': async (req, res) => res.json(await req.sessions.destroy()),
  'POST /extend': async (req, res) => res.json(await req.sessions.extend())
}

/**
 * An app of Express with the middleware. Errors are answered with what they are.
 *
 * @param {any} framework
 * @param {any} sessions
 * @param {object} [options]
 * @param {Routes} [routes]
 */
function app(framework, sessions, options, routes = {}) {
  const made = framework()
  made.set('trust proxy', true)
  made.use(framework.json(), sessionMiddleware(sessions, options))
  for (const [route, handlers] of Object.entries({ ...ROUTES, ...routes })) {
    const [method, path] = route.split(' ')
    made[method.toLowerCase()](path, ...[handlers].flat().map(caught))
  }
  made.use((/** @type {any} */ error, /** @type {any} */ _req, /** @type {any} */ res, /** @type {any} */ next) => {
    if (res.headersSent) return next(error)
    const { message, status, code } = error
    res.status(status ?? 500).json({ message, status, code, cause: error.cause?.code })
  })
  return made
}

/**
 * As everybody writes it for Express 4.
 *
 * @param {Function} handler
 */
function caught(handler) {
  return async (/** @type {any} */ req, /** @type {any} */ res, /** @type {any} */ next) => {
    try {
      await handler(req, res, next)
    } catch (error) {
      next(error)
    }
  }
}

/**
 * @param {import('node:test').TestContext} t
 * @param {import('./place.js').Place} place
 * @param {{ framework?: any, options?: object, routes?: Routes, sessionOptions?: object }} [choices]
 */
async function start(t, place, { framework = express, options, routes, sessionOptions } = {}) {
  const sessions = await place.sessions({ fields: FIELDS, ...sessionOptions })
  const origin = await serve(t, app(framework, sessions, options, routes))
  return { sessions, origin }
}

exports.app = app
exports.createServer = createServer
exports.express = express
exports.express4 = express4
exports.FIELDS = FIELDS
exports.start = start
