'use strict'

// express-session over pg-sess-rs/express-session, on connect-pg-simple's table.

const session = require('express-session')
const PgStore = require('pg-sess-rs/express-session')(session)
const { cookie, handlers } = require('./express-session.js')

/** @param {import('./index.js').Place} place */
async function open({ postgresUrl }) {
  const store = new PgStore({ conString: postgresUrl, pruneSessionInterval: false })
  return { handlers: handlers(store), close: () => store.close() }
}

module.exports = {
  key: 'express-session-store',
  name: 'express-session + pg-sess-rs/express-session',
  table: 'connect-pg-simple',
  cookie,
  open
}
