'use strict'

// pg at its fastest: clients that do not wait for an answer before the next question. Its pool cannot do that, so we
// take turns by hand. https://node-postgres.com/apis/client

const { Client } = require('pg')
const { RowTable } = require('../data.js')
const { POOL_SIZE } = require('./index.js')
const { pgCalls } = require('./pg-calls.js')

/** @typedef {import('./index.js').Place} Place */

/** @param {Place} place */
async function open({ postgresUrl }) {
  const settings = /** @type {import('pg').ClientConfig} */ ({ connectionString: postgresUrl, pipeline: true })
  const clients = Array.from({ length: POOL_SIZE }, () => new Client(settings))
  await Promise.all(clients.map(client => client.connect()))
  let turn = 0
  return {
    ...pgCalls(config => clients[turn++ % POOL_SIZE].query(config)),
    close: () => Promise.all(clients.map(client => client.end()))
  }
}

module.exports = {
  name: 'pg, pipelined',
  server: 'postgres',
  packages: ['pg'],
  /** @param {Place} place */
  data: place => new RowTable(place),
  open
}
