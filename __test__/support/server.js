'use strict'

// A fresh database for each test that wants one, on the server of PGSESS_TEST_URL, else on one started for this process.

const { randomBytes } = require('node:crypto')
const { Client } = require('pg')
const { testServer } = require('../../scripts/postgres.js')

/** @type {ReturnType<typeof testServer> | undefined} */
let server

/**
 * @param {string} [name] the beginning of its name, for someone who reads the server's log
 * @returns {Promise<{ url: string, drop(): Promise<void> }>} `drop` also ends the connections that are still open
 */
async function createDatabase(name = 'test') {
  server ??= testServer()
  const { url } = await server
  const database = `${name}_${randomBytes(6).toString('hex')}`
  await withClient(url, client => client.query(`CREATE DATABASE ${client.escapeIdentifier(database)}`))
  const address = new URL(url)
  address.pathname = `/${encodeURIComponent(database)}`
  return { url: address.href, drop: () => withClient(url, client => dropDatabase(client, database)) }
}

/**
 * @param {Client} client
 * @param {string} database
 */
async function dropDatabase(client, database) {
  const name = client.escapeIdentifier(database)
  const { rows } = await client.query("SELECT current_setting('server_version_num')::int >= 130000 AS has_force")
  if (!rows[0].has_force) {
    await client.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [database])
  }
  await client.query(`DROP DATABASE IF EXISTS ${name} ${rows[0].has_force ? 'WITH (FORCE)' : ''}`)
}

/**
 * @param {string} url
 * @param {(client: Client) => Promise<unknown>} use
 */
async function withClient(url, use) {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    await use(client)
  } finally {
    await client.end()
  }
}

module.exports = { createDatabase }
