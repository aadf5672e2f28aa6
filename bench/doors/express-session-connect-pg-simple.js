'use strict'

// express-session over connect-pg-simple.

const session = require('express-session')
const { Pool } = require('pg')
const PgStore = require('connect-pg-simple')(session)
const { POOL_SIZE } = require('../contestants/index.js')
const { cookie, handlers } = require('./express-session.js')

/** @param {import('./index.js').Place} place */
async function open({ postgresUrl }) {
  const pool = new Pool({ connectionString: postgresUrl, max: POOL_SIZE, idleTimeoutMillis: 0 })
  const store = new PgStore({ pool, pruneSessionInterval: false })
  return {
    handlers: handlers(store),
    async close() {
      await store.close()
      await pool.end()
    }
  }
}

module.exports = {
  key: 'express-session-connect-pg-simple',
  name: 'express-session + connect-pg-simple',
  table: 'connect-pg-simple',
  cookie,
  open
}
