'use strict'

// The calls of whatever has the `query` of `pg`, with named statements, which it prepares once per connection.

const { randomUUID } = require('node:crypto')
const { VALUES } = require('./index.js')
const { STATEMENTS } = require('./statements.js')

/** @typedef {(config: { name: string, text: string, values: unknown[] }) => Promise<import('pg').QueryResult>} Query */

/** @param {Query} query */
function pgCalls(query) {
  return {
    /** @param {string} id */
    async validate(id) {
      return (await query({ name: 'validate', text: STATEMENTS.validate, values: [id] })).rows[0] ?? null
    },
    /** @param {string} id */
    async extend(id) {
      return (await query({ name: 'extend', text: STATEMENTS.extend, values: [id] })).rowCount === 1
    },
    async create() {
      const values = [randomUUID(), VALUES.username, VALUES.user_id]
      return (await query({ name: 'create', text: STATEMENTS.create, values })).rows[0].sess_id
    },
    /** @param {string} id */
    async destroy(id) {
      return (await query({ name: 'destroy', text: STATEMENTS.destroy, values: [id] })).rowCount === 1
    }
  }
}

module.exports = { pgCalls }
