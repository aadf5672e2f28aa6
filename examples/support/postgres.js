'use strict'

// PostgreSQL as an administrator starts it: initdb, pg_basebackup, postgres.

const fs = require('node:fs')
const path = require('node:path')
const { Client } = require('pg')
const { findBinaries } = require('../../scripts/postgres-binaries.js')
const { Lacking } = require('./stage.js')

/**
 * @typedef {InstanceType<typeof import('./stage.js').Stage>} Stage
 * @typedef {import('./stage.js').Program} Program
 * @typedef {{ name: string, port: number, url: string, data: string, program: Program }} Server
 */

const DATABASE = 'postgres'

/**
 * The folder of PostgreSQL's programs.
 *
 * @param {string[]} needed
 */
function binaries(...needed) {
  const bin = findBinaries()
  const missing = needed.filter(name => !fs.existsSync(path.join(bin, name)))
  if (missing.length === 0) return bin
  throw new Lacking(`${bin} has no ${missing.join(', ')}: install PostgreSQL (Debian, Ubuntu: apt install postgresql)`)
}

/**
 * @param {Stage} stage
 * @param {string} name
 * @param {{ [setting: string]: string | number }} [settings] of postgresql.conf
 * @returns {Promise<Server>}
 */
async function newServer(stage, name, settings = {}) {
  const data = stage.path(name)
  await stage.run(path.join(binaries(), 'initdb'), [
    '-D',
    data,
    '-U',
    'postgres',
    '-A',
    'trust',
    '-E',
    'UTF8',
    '--no-sync'
  ])
  return startServer(stage, name, settings)
}

/**
 * A copy of a running server, which goes on following it.
 *
 * @param {Stage} stage
 * @param {string} name
 * @param {Server} primary
 * @param {{ [setting: string]: string | number }} [settings]
 * @returns {Promise<Server>}
 */
async function newStandby(stage, name, primary, settings = {}) {
  // `--write-recovery-conf` writes the primary's address and `standby.signal`; the name is what the primary's
  // synchronous_standby_names knows the standby by.
  const from = `host=${stage.host} port=${primary.port} user=postgres application_name=${name}`
  await stage.run(path.join(binaries('pg_basebackup'), 'pg_basebackup'), [
    ...['-D', stage.path(name), '-d', from, '--write-recovery-conf', '--checkpoint=fast', '--no-sync']
  ])
  return startServer(stage, name, settings)
}

/**
 * @param {Stage} stage
 * @param {string} name
 * @param {{ [setting: string]: string | number }} settings
 * @returns {Promise<Server>}
 */
async function startServer(stage, name, settings) {
  const [data, port] = [stage.path(name), await stage.port()]
  const all = { listen_addresses: stage.host, unix_socket_directories: stage.folder, port, ...settings }
  const args = Object.entries(all).flatMap(([setting, value]) => ['-c', `${setting}=${value}`])
  const program = stage.start(name, path.join(binaries(), 'postgres'), ['-D', data, ...args])
  const url = `postgres://postgres@${stage.host}:${port}/${DATABASE}`
  await stage.until(`${name} accepts connections`, async () => Boolean(await ask(url, 'SELECT 1')), [program])
  return { name, port, url, data, program }
}

/**
 * One statement on a connection of its own.
 *
 * @param {string} url
 * @param {string} sql
 * @param {unknown[]} [values]
 * @returns {Promise<any[]>}
 */
async function ask(url, sql, values) {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5000 })
  // What ends the connection also fails the query.
  client.on('error', () => {})
  await client.connect()
  try {
    const result = await client.query(sql, values)
    return [result].flat().at(-1)?.rows ?? []
  } finally {
    await client.end()
  }
}

module.exports = { ask, binaries, newServer, newStandby }
