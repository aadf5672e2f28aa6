'use strict'

// This package, through the functions of pg-sess, as a program that moves over calls them.

const pgp = require('pg-promise')()
const pgSess = require('pg-sess-rs')
const { RowTable } = require('../data.js')
const { FIELDS, POOL_SIZE, VALUES } = require('./index.js')

/** @typedef {import('./index.js').Place} Place */

const VALUE_LIST = Object.entries(VALUES).map(([field, value]) => ({ field, value }))

/** @param {Place} place */
async function open({ postgresUrl }) {
  const db = pgp({ connectionString: postgresUrl, max: POOL_SIZE })
  const sessions = await pgSess.init(pgp, db, FIELDS)
  return {
    /** @param {string} id */
    validate: id => pgSess.validateSession(pgp, db, id),
    /** @param {string} id */
    extend: id => pgSess.extendSession(pgp, db, id),
    create: async () => (await pgSess.createSession(pgp, db, VALUE_LIST)).sess_id,
    /** @param {string} id */
    destroy: id => pgSess.destroySession(pgp, db, id),
    async close() {
      await sessions.close()
      await db.$pool.end()
    }
  }
}

module.exports = {
  name: 'pg-sess-rs drop-in',
  server: 'postgres',
  packages: ['pg-promise'],
  /** @param {Place} place */
  data: place => new RowTable(place),
  open
}
