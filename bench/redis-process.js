'use strict'

// Owns redis-server, so that it is gone whenever the process that wanted it is. Nothing is written to disk: Redis at its
// fastest.

const { spawn } = require('node:child_process')
const os = require('node:os')
const { freePort } = require('../scripts/free-port.js')
const { obey } = require('./orders.js')

const HOST = '127.0.0.1'
const READY = /Ready to accept connections/
const VERSION = /Redis version=([^,\s]+)/
/** One for each contestant. */
const DATABASES = 64

/** @type {import('node:child_process').ChildProcess | undefined} */
let server

async function start() {
  const port = await freePort(HOST)
  const settings = ['--port', String(port), '--bind', HOST, '--save', '', '--appendonly', 'no', '--dir', os.tmpdir()]
  // In a session of its own, where Ctrl-C does not reach it before the clients are gone.
  const child = spawn('redis-server', [...settings, '--databases', String(DATABASES)], {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit']
  })
  server = child
  const log = await untilReady(child)
  return { url: `redis://${HOST}:${port}`, pid: child.pid, version: VERSION.exec(log)?.[1] ?? 'unknown' }
}

/**
 * @param {import('node:child_process').ChildProcessByStdio<null, import('node:stream').Readable, null>} child
 * @returns {Promise<string>} what it said
 */
function untilReady(child) {
  return new Promise((resolve, reject) => {
    let log = ''
    child.stdout.on('data', chunk => {
      log = (log + chunk).slice(-4000)
      if (READY.test(log)) resolve(log)
    })
    child.once('error', reject)
    child.once('exit', () => reject(new Error(`redis-server did not start:\n${log}`)))
  })
}

obey({ start }, () => server?.kill('SIGKILL'))
