'use strict'

const { createClient } = require('redis')

/**
 * A client that fails where Redis is gone: to wait for it to come back would look like a slow call.
 *
 * @param {string} url
 */
async function openRedis(url) {
  const client = createClient({ url, socket: { reconnectStrategy: false } })
  // Each call rejects by itself; without a listener the event would end the process.
  client.on('error', () => {})
  await client.connect()
  return client
}

module.exports = { openRedis }
