'use strict'

// Connections to the servers. They may go away at any moment, on Ctrl-C: then each call rejects by itself, and without
// a listener the event would end the process.

const { Client } = require('pg')
const { createClient } = require('redis')

/** @param {string} url */
async function openPostgres(url) {
  const client = new Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  return client
}

/**
 * A client that fails where Redis is gone: to wait for it to come back would look like a slow call.
 *
 * @param {string} url
 */
async function openRedis(url) {
  const client = createClient({ url, socket: { reconnectStrategy: false } })
  client.on('error', () => {})
  await client.connect()
  return client
}

module.exports = { openPostgres, openRedis }
