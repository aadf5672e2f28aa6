'use strict'

// One Express app in a process of its own: it lets through who has a session.

const { once } = require('node:events')
const { createServer } = require('node:http')
const cookieParser = require('cookie-parser')
const express = require('express')
const { obey } = require('./orders.js')

/** @typedef {import('./contestants/index.js').Calls} Calls */
/** @typedef {import('./contestants/index.js').Place} Place */

const HOST = '127.0.0.1'

/** @type {{ close: () => unknown } | undefined} */
let opened
/** @type {import('node:http').Server} */
let server

/** @param {{ file?: string, place?: Place }} details no file: cookies only */
async function start({ file, place }) {
  if (file !== undefined) opened = await require(file).open(place)
  const app = express()
  app.use(handlers(opened))
  app.get('/', (_req, res) => res.send('hello'))
  server = createServer(app).listen(0, HOST)
  await once(server, 'listening')
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  return { url: `http://${HOST}:${port}/` }
}

/**
 * @param {any} opened a contestant's calls, or a door's handlers
 * @returns {any[]}
 */
function handlers(opened) {
  if (opened?.handlers) return opened.handlers
  return opened ? [cookieParser(), guard(opened)] : [cookieParser()]
}

/**
 * @param {Calls} calls
 * @returns {(req: any, res: any, next: () => void) => Promise<void>}
 */
function guard({ validate }) {
  return async (req, res, next) => {
    const session = await validate(req.cookies.sess_id)
    if (session === null) return res.status(401).send('no session')
    res.locals.session = session
    next()
  }
}

/** @returns {number} ms that all threads of this process have run */
function cpu() {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

async function close() {
  server.closeAllConnections()
  server.close()
  await opened?.close()
}

obey({ start, cpu, close })
