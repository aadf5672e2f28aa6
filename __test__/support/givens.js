'use strict'

// What a piece of code in the documents takes for granted. `<!-- given: sessions, req -->` before a block names them.

const { ADDRESS } = require('./documents.js')

/** Statements of an ES module, for blocks of js and ts; in this order. @type {{ [name: string]: string }} */
const CODE = {
  require: `
    import { createRequire } from 'node:module'
    const require = createRequire(import.meta.url)`,
  secret: "const secret = 'kept in the environment'",
  connect: "import { connect } from 'pg-sess-rs'",
  url: `const url = '${ADDRESS}'`,
  sessions: `
    import given from 'pg-sess-rs'
    const sessions = await given.connect('${ADDRESS}', { fields: { user_id: 'INT', device: 'TEXT', role: 'TEXT' } })`,
  store: `
    import session from 'express-session'
    import storeOf from 'pg-sess-rs/express-session'
    const store = new (storeOf(session))({ conString: '${ADDRESS}', createTableIfMissing: true })
    const sid = 'an id'`,
  req: `
    const { sess_id: cookie } = await sessions.create({ user_id: 1, device: 'phone' })
    const req = Object({ cookies: { sid: cookie }, body: { handle: sessions.handle(cookie) }, user: { id: 1 } })`,
  res: 'const res = Object({ cookie() {}, clearCookie() {}, redirect() {}, status: () => res, send() {} })',
  app: `
    import express from 'express'
    const app = express()`,
  server: `
    import { createServer } from 'node:http'
    const server = createServer().listen(0)`,
  checkPassword: 'const checkPassword = async (...given) => ({ id: 1, role: "admin", given })'
}

/** Statements of SQL, for blocks of sql and sh. @type {{ [name: string]: string }} */
const TABLES = {
  users: 'CREATE TABLE users (id int PRIMARY KEY)',
  log_ins: 'CREATE TABLE log_ins (user_id int)',
  sess: `
    CREATE TABLE sess (sess_id uuid PRIMARY KEY, sess_creation_date timestamp NOT NULL,
      sess_last_updated timestamp NOT NULL, sess_expiration timestamp NOT NULL, user_id int NOT NULL)`,
  sess_ids: `
    CREATE TABLE sess_ids (old_id uuid PRIMARY KEY, new_id uuid NOT NULL, issued timestamptz NOT NULL,
      grace_end timestamptz NOT NULL, sealed_id bytea)`,
  app_user: 'CREATE ROLE app_user',
  session: 'CREATE TABLE session (sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)'
}

/** Files, for blocks of sh. @type {{ [name: string]: string }} */
const FILES = {
  'sessions.json': JSON.stringify({ connection: ADDRESS, fields: { user_id: 'INT NOT NULL' } })
}

/**
 * @param {string} note such as `given: sessions, req`
 * @returns {{ code: string, tables: string[], files: [name: string, text: string][] }}
 */
function givens(note) {
  const [, list = ''] = /given: ([^;]*)/.exec(note) ?? []
  const names = list.split(', ').filter(Boolean)
  for (const name of names) {
    if (![CODE, TABLES, FILES].some(known => Object.hasOwn(known, name))) throw new Error(`given: ${name} is unknown`)
  }
  return {
    code: pick(CODE, names)
      .map(([, text]) => text)
      .join('\n'),
    tables: pick(TABLES, names).map(([, text]) => text),
    files: pick(FILES, names)
  }
}

/**
 * @param {{ [name: string]: string }} known
 * @param {string[]} names
 */
function pick(known, names) {
  return Object.entries(known).filter(([name]) => names.includes(name))
}

module.exports = { givens }
