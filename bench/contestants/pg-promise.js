'use strict'

// pg-promise, with prepared statements.

const { randomUUID } = require('node:crypto')
const pgp = require('pg-promise')()
const { RowTable } = require('../data.js')
const { POOL_SIZE, VALUES } = require('./index.js')
const { STATEMENTS } = require('./statements.js')

/** @typedef {import('./index.js').Place} Place */

/** @param {Place} place */
async function open({ postgresUrl }) {
  const db = pgp({ connectionString: postgresUrl, max: POOL_SIZE, idleTimeoutMillis: 0 })
  return {
    /** @param {string} id */
    validate: id => db.oneOrNone({ name: 'validate', text: STATEMENTS.validate, values: [id] }),
    /** @param {string} id */
    extend: id => db.result({ name: 'extend', text: STATEMENTS.extend, values: [id] }, undefined, isOne),
    async create() {
      const values = [randomUUID(), VALUES.username, VALUES.user_id]
      return (await db.one({ name: 'create', text: STATEMENTS.create, values })).sess_id
    },
    /** @param {string} id */
    destroy: id => db.result({ name: 'destroy', text: STATEMENTS.destroy, values: [id] }, undefined, isOne),
    close: () => db.$pool.end()
  }
}

/** @param {{ rowCount: number }} result */
function isOne({ rowCount }) {
  return rowCount === 1
}

module.exports = {
  name: 'pg-promise',
  server: 'postgres',
  packages: ['pg-promise'],
  /** @param {Place} place */
  data: place => new RowTable(place),
  open
}
