'use strict'

// This package, through connect().

const { connect } = require('pg-sess-rs')
const { RowTable } = require('../data.js')
const { FIELDS, VALUES } = require('./index.js')

/** @typedef {import('./index.js').Place} Place */

/** @param {Place} place */
async function open({ postgresUrl }) {
  // The rows are filled in with the ids themselves, as for all others.
  const sessions = await connect(postgresUrl, { fields: FIELDS, hashIds: false })
  return {
    /** @param {string} id */
    validate: id => sessions.validate(id),
    /** @param {string} id */
    extend: id => sessions.extend(id),
    create: async () => (await sessions.create(VALUES)).sess_id,
    /** @param {string} id */
    destroy: id => sessions.destroy(id),
    close: () => sessions.close()
  }
}

module.exports = {
  name: 'pg-sess-rs Sessions',
  server: 'postgres',
  packages: [],
  /** @param {Place} place */
  data: place => new RowTable(place),
  open
}
