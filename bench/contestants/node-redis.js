'use strict'

// node-redis, which pipelines by itself: sessions as JSON, the way one writes it by hand.

const { randomUUID } = require('node:crypto')
const { RedisKeys } = require('../data.js')
const { openRedis } = require('../clients.js')
const { LENGTH_MS, VALUES } = require('./index.js')

/** @typedef {import('./index.js').Place} Place */

const PREFIX = 'sess:'
const EXPIRE_SECONDS = LENGTH_MS / 1000
const EXPIRING = { expiration: { type: /** @type {const} */ ('EX'), value: EXPIRE_SECONDS } }

/** @param {Place} place */
async function open({ redisUrl }) {
  const client = await openRedis(redisUrl)
  return {
    /** @param {string} id */
    async validate(id) {
      const text = await client.get(PREFIX + id)
      return text === null ? null : JSON.parse(text)
    },
    /** @param {string} id */
    extend: async id => (await client.expire(PREFIX + id, EXPIRE_SECONDS)) === 1,
    async create() {
      const id = randomUUID()
      await client.set(PREFIX + id, toText(VALUES), EXPIRING)
      return id
    },
    /** @param {string} id */
    destroy: async id => (await client.del(PREFIX + id)) === 1,
    close: () => client.close()
  }
}

/** @param {{ username: string, user_id: number }} values */
function toText(values) {
  const now = Date.now()
  return JSON.stringify({
    sess_creation_date: new Date(now),
    sess_last_updated: new Date(now),
    sess_expiration: new Date(now + LENGTH_MS),
    ...values
  })
}

module.exports = {
  name: 'node-redis',
  server: 'redis',
  packages: ['redis'],
  /** @param {Place} place */
  data: ({ redisUrl }) => new RedisKeys(redisUrl, PREFIX, toText),
  open
}
