'use strict'

// postgres, which prepares and pipelines by itself.

const { randomUUID } = require('node:crypto')
const postgres = require('postgres')
const { RowTable } = require('../data.js')
const { POOL_SIZE, VALUES } = require('./index.js')
const { STATEMENTS } = require('./statements.js')

/** @typedef {import('./index.js').Place} Place */

const PREPARED = { prepare: true }

/** @param {Place} place */
async function open({ postgresUrl }) {
  const sql = postgres(postgresUrl, { max: POOL_SIZE, max_lifetime: null })
  return {
    /** @param {string} id */
    async validate(id) {
      return (await sql.unsafe(STATEMENTS.validate, [id], PREPARED))[0] ?? null
    },
    /** @param {string} id */
    async extend(id) {
      return (await sql.unsafe(STATEMENTS.extend, [id], PREPARED)).count === 1
    },
    async create() {
      const values = [randomUUID(), VALUES.username, VALUES.user_id]
      return (await sql.unsafe(STATEMENTS.create, values, PREPARED))[0].sess_id
    },
    /** @param {string} id */
    async destroy(id) {
      return (await sql.unsafe(STATEMENTS.destroy, [id], PREPARED)).count === 1
    },
    close: () => sql.end()
  }
}

module.exports = {
  name: 'postgres',
  server: 'postgres',
  packages: ['postgres'],
  /** @param {Place} place */
  data: place => new RowTable(place),
  open
}
