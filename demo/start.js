'use strict'

// Starts PostgreSQL and the app, and stops both: on Ctrl-C, or after one walk through the app with --once.

const { once } = require('node:events')
const { createServer } = require('node:http')
const { testServer } = require('../scripts/postgres.js')
const { createApp } = require('./app.js')
const { walk } = require('./walk.js')

const USAGE = `usage: npm run demo [-- --once]

Starts PostgreSQL and a small web app, and prints the app's address. Ctrl-C stops both.

  --once               walk through the app over HTTP, print each step and the rows of the table, and end
  PGSESS_TEST_URL      use this running server, which then has a table sess, and start none`

/** @param {boolean} isOnce */
async function demo(isOnce) {
  const postgres = await testServer()
  console.log(`The database is ${postgres.name}.`)
  try {
    await serve(postgres.url, isOnce)
  } finally {
    await postgres.stop()
  }
}

/**
 * @param {string} url of the database
 * @param {boolean} isOnce
 */
async function serve(url, isOnce) {
  const server = createServer(createApp(url)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  const address = `http://127.0.0.1:${port}`
  try {
    if (isOnce) await walk(address, url)
    else await untilStopped(address)
  } finally {
    server.close()
    server.closeAllConnections()
  }
}

/** @param {string} address */
async function untilStopped(address) {
  console.log(`The app is at ${address}\nCtrl-C stops both.`)
  await new Promise(resolve => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, resolve)
  })
  console.log('\nStopping.')
}

/** @param {string[]} args */
async function main(args) {
  const unknown = args.filter(arg => arg !== '--once')
  if (unknown.length === 0) return demo(args.length > 0)
  const asked = ['--help', '-h'].includes(unknown[0])
  console[asked ? 'log' : 'error'](USAGE)
  process.exitCode = asked ? 0 : 2
}

main(process.argv.slice(2)).catch(error => {
  console.error(error.message)
  process.exitCode = 1
})
