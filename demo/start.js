'use strict'

// Starts PostgreSQL and an app, and stops both: on Ctrl-C, or after one walk through the app with --once.

const { once } = require('node:events')
const { createServer } = require('node:http')
const { testServer } = require('../scripts/postgres.js')
const { createApp } = require('./app.js')
const { createDevicesApp } = require('./devices/app.js')
const { walk } = require('./walk.js')

const USAGE = `usage: npm run demo [-- --small | --once]

Starts PostgreSQL and a web app with a user's devices and live figures, and prints the app's address. Ctrl-C stops both.

  --small              the README's example instead
  --once               walk through that one over HTTP, print each step and the rows of the table, and end
  PGSESS_TEST_URL      use this running server, which then has a table devices or sess, and start none`

/** @type {{ [choice: string]: (url: string) => Promise<void> }} */
const CHOICES = {
  '': serveDevices,
  '--small': url => serve(createApp(url), untilStopped),
  '--once': url => serve(createApp(url), address => walk(address, url))
}

/** @param {(url: string) => Promise<void>} run */
async function demo(run) {
  const postgres = await testServer()
  console.log(`The database is ${postgres.name}.`)
  try {
    await run(postgres.url)
  } finally {
    await postgres.stop()
  }
}

/** @param {string} url of the database */
async function serveDevices(url) {
  const { app, close } = await createDevicesApp(url)
  try {
    await serve(app, untilStopped)
  } finally {
    await close()
  }
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
async function main([choice = '', ...others]) {
  if (others.length === 0 && Object.hasOwn(CHOICES, choice)) return demo(CHOICES[choice])
  const asked = ['--help', '-h'].includes(choice)
  console[asked ? 'log' : 'error'](USAGE)
  process.exitCode = asked ? 0 : 2
}

main(process.argv.slice(2)).catch(error => {
  console.error(error.message)
  process.exitCode = 1
})
