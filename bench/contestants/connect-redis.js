'use strict'

// connect-redis, the Store of express-session for Redis.

const { RedisStore } = require('connect-redis')
const { RedisKeys } = require('../data.js')
const { openRedis } = require('../clients.js')
const { storeCalls, toSession } = require('./store-calls.js')

/** @typedef {import('./index.js').Place} Place */

const PREFIX = 'sess:'

/** @param {Place} place */
async function open({ redisUrl }) {
  const client = await openRedis(redisUrl)
  return { ...storeCalls(new RedisStore({ client, prefix: PREFIX })), close: () => client.close() }
}

module.exports = {
  name: 'connect-redis',
  server: 'redis',
  packages: ['connect-redis', 'express-session'],
  /** @param {Place} place */
  data: ({ redisUrl }) => new RedisKeys(redisUrl, PREFIX, values => JSON.stringify(toSession(values))),
  open
}
