'use strict'

// Starts PostgreSQL and the app, and stops both: on Ctrl-C, or after one walk through the app with --once.

const { once } = require('node:events')
const { createServer } = require('node:http')
const { testServer } = require('../scripts/postgres.js')
const { createApp } = require('./app.js')
const { createDevicesApp } = require('./devices/app.js')
const { walk } = require('./walk.js')

const USAGE = `usage: npm run demo [-- --once | --devices]

Starts PostgreSQL and a small web app, and prints the app's address. Ctrl-C stops both.

  --devices            the larger app: two users, all their devices, live figures
  --once               walk through the app over HTTP, print each step and the rows of the table, and end
  PGSESS_TEST_URL      use this running server, which then has a table sess, and start none`

/** @param {string | undefined} choice */
async function demo(choice) {
  const postgres = await testServer()
  console.log(`The database is ${postgres.name}.`)
  try {
    if (choice === '--devices') await serveDevices(postgres.url)
    else await serve(createApp(postgres.url), address => (choice ? walk(address, postgres.url) : untilStopped(address)))
  } finally {
    await postgres.stop()
  }
}

/** @param {string} url of the database */
async function serveDevices(url) {
  const { app, close } = await createDevicesApp(url)
  await serve(app, untilStopped)
  await close()
}

/**
 * @param {import('node:http').RequestListener} app
 * @param {(address: string) => Promise<void>} use
 */
async function serve(app, use) {
  const server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  const address = `http://127.0.0.1:${port}`
  try {
    await use(address)
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
  const [choice, ...others] = args
  if (others.length === 0 && [undefined, '--once', '--devices'].includes(choice)) return demo(choice)
  const asked = ['--help', '-h'].includes(choice)
  console[asked ? 'log' : 'error'](USAGE)
  process.exitCode = asked ? 0 : 2
}

main(process.argv.slice(2)).catch(error => {
  console.error(error.message)
  process.exitCode = 1
})
