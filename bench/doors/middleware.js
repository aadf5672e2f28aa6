'use strict'

// pg-sess-rs/express on the typed table.

const { connect } = require('pg-sess-rs')
const { requireSession, sessionMiddleware } = require('pg-sess-rs/express')
const { FIELDS } = require('../contestants/index.js')

const COOKIE = 'sess_id'

/** @param {import('./index.js').Place} place */
async function open({ postgresUrl }) {
  const sessions = await connect(postgresUrl, { fields: FIELDS, hashIds: false, pruneInterval: false })
  return {
    handlers: [sessionMiddleware(sessions, { name: COOKIE }), requireSession()],
    close: () => sessions.close()
  }
}

module.exports = {
  key: 'middleware',
  name: 'pg-sess-rs/express',
  table: 'sessions',
  /** @param {string} id */
  cookie: id => `${COOKIE}=${id}`,
  open
}
