'use strict'

// connect-pg-simple, the Store of express-session for PostgreSQL.

const session = require('express-session')
const { Pool } = require('pg')
const PgStore = require('connect-pg-simple')(session)
const { StoreTable } = require('../data.js')
const { POOL_SIZE } = require('./index.js')
const { storeCalls, toSession } = require('./store-calls.js')

/** @typedef {import('./index.js').Place} Place */

/** @param {Place} place */
async function open({ postgresUrl }) {
  const pool = new Pool({ connectionString: postgresUrl, max: POOL_SIZE, idleTimeoutMillis: 0 })
  const store = new PgStore({ pool, pruneSessionInterval: false })
  return {
    ...storeCalls(store),
    async close() {
      await store.close()
      await pool.end()
    }
  }
}

module.exports = {
  name: 'connect-pg-simple',
  server: 'postgres',
  packages: ['connect-pg-simple', 'express-session'],
  /** @param {Place} place */
  data: place => new StoreTable(place, toSession),
  open
}
