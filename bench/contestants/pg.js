'use strict'

// pg, through its pool.

const { Pool } = require('pg')
const { RowTable } = require('../data.js')
const { POOL_SIZE } = require('./index.js')
const { pgCalls } = require('./pg-calls.js')

/** @typedef {import('./index.js').Place} Place */

/** @param {Place} place */
async function open({ postgresUrl }) {
  const pool = new Pool({ connectionString: postgresUrl, max: POOL_SIZE, idleTimeoutMillis: 0 })
  return { ...pgCalls(config => pool.query(config)), close: () => pool.end() }
}

module.exports = {
  name: 'pg',
  server: 'postgres',
  packages: ['pg'],
  /** @param {Place} place */
  data: place => new RowTable(place),
  open
}
