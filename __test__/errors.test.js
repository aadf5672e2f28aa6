'use strict'

// What users catch: the server's errors as pg gives them, those of the network as Node gives them.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const pg = require('pg')
const pgPromise = require('pg-promise')
const { connect, createSession, init } = require('../index.js')
const { attempts, byUs, factsOf, open } = require('./support/attempts.js')
const { GOODBYE, authentication, errorResponse, startImpostor } = require('./support/impostor.js')
const { useLogins } = require('./support/logins.js')

const server = useLogins()

const NO_SESSION = '0f8fad5b-d9cb-469f-a165-70867728950e'
/** What depends on the statement's text. */
const OF_THE_STATEMENT = ['length', 'position', 'where', 'stack']

const FIELDS = {
  id: 'INT UNIQUE',
  owner: 'INT REFERENCES owners',
  needed: 'TEXT NOT NULL',
  short: 'VARCHAR(3)',
  small: 'SMALLINT CHECK (small > 0)',
  exact: 'NUMERIC(3, 1)',
  flag: 'BOOLEAN',
  token: 'UUID',
  day: 'DATE',
  data: 'JSONB',
  list: 'INT[]',
  even: 'even',
  mood: 'mood',
  guarded: 'TEXT'
}
const TABLE = `
CREATE TABLE owners (id INT PRIMARY KEY);
CREATE DOMAIN even AS INT CONSTRAINT is_even CHECK (VALUE % 2 = 0);
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  RAISE EXCEPTION 'guarded' USING ERRCODE = 'P0042', DETAIL = 'in detail', HINT = 'do not', COLUMN = 'guarded',
    CONSTRAINT = 'a constraint', DATATYPE = 'a type', TABLE = 'a table', SCHEMA = 'a schema';
END $$;
`
const TRIGGER = `
CREATE TRIGGER guard BEFORE INSERT ON sess FOR EACH ROW WHEN (NEW.guarded IS NOT NULL) EXECUTE FUNCTION guard();
`

/** @type {[code: string, values: object][]} */
const REFUSED = [
  ['23505', { id: 1 }],
  ['23502', { needed: null }],
  ['23503', { owner: 5 }],
  ['23514', { small: -1 }],
  ['23514', { even: 3 }],
  ['22001', { short: 'four' }],
  ['22003', { exact: 100 }],
  ['22003', { small: 40_000 }],
  ['22P02', { id: 'one' }],
  ['22P02', { id: 1.5 }],
  ['22P02', { flag: 'perhaps' }],
  ['22P02', { token: 'x' }],
  ['22P02', { data: '{' }],
  ['22P02', { list: 'x' }],
  ['22P02', { mood: 'so so' }],
  ['22007', { day: 'someday' }],
  ['22008', { day: '2024-02-30' }],
  ['22021', { guarded: '\0' }],
  ['P0042', { guarded: 'x' }]
]

describe('an error of the server', () => {
  for (const [code, values] of REFUSED) {
    test(`${code} for ${JSON.stringify(values)}: as pg`, async t => {
      const { client, sessions } = await startSessions(t)
      const given = { needed: 'x', ...values }
      await sessions.create({ id: 1, needed: 'x' })

      const theirs = await failure(insert(client, given))
      const ours = await failure(sessions.create(given))

      assert.equal(theirs.code, code)
      assert.deepEqual(facts(ours), facts(theirs))
      assertShape(ours, theirs)
    })
  }

  /** @type {[code: string, spoil: string][]} */
  const SPOILT = [
    ['42P01', 'DROP TABLE sess'],
    ['42501', 'REVOKE ALL ON sess FROM without'],
    ['57014', 'ALTER TABLE sess ALTER needed SET DEFAULT pg_sleep(5)::text']
  ]
  for (const [code, spoil] of SPOILT) {
    test(`${code} after ${spoil}: as pg`, async t => {
      const { client, sessions, admin } = await startSessions(t, {
        user: 'without',
        host: server.socketDir,
        statement_timeout: 300
      })
      await admin.query(spoil)
      const given = code === '57014' ? {} : { needed: 'x' }

      const theirs = await failure(insert(client, given))
      const ours = await failure(sessions.create(given))

      assert.equal(theirs.code, code)
      assert.deepEqual(facts(ours), facts(theirs))
      assertShape(ours, theirs)
    })
  }

  test('is of the class of the caller’s copy of pg', async t => {
    const pgp = pgPromise({ noWarnings: true })
    const { admin } = await startSessions(t)
    await admin.query('INSERT INTO owners VALUES (1)')
    const db = pgp(server.config({ options: '-c search_path=errors' }))
    t.after(() => db.$pool.end())
    const sessions = await init(pgp, db, { id: 'INT', needed: 'TEXT' })
    t.after(() => sessions.close())

    const error = await failure(createSession(pgp, db, { needed: null }))

    assert.equal(error.code, '23502')
    assert.ok(error instanceof pgp.pg.DatabaseError)
    assert.ok(!(error instanceof pgp.errors.QueryResultError))
  })
})

describe('an error of the network', () => {
  test('of a server that has stopped, until it is back', async t => {
    const sessions = await start(t)
    await sessions.create({})

    await server.stop()
    const { pg: theirs } = await attempts(server.config())
    const error = await failure(sessions.validate(NO_SESSION))
    await server.start()

    assert.equal(error.code, 'ECONNREFUSED')
    assert.deepEqual({ failed: factsOf(error) }, theirs)
    assert.equal(await sessions.validate(NO_SESSION), null)
  })
})

/** What a server may do instead of answering. @type {[name: string, answers: any[], options?: any][]} */
const REFUSALS = [
  ['hangs up', [GOODBYE]],
  ['hangs up when asked for TLS', [GOODBYE], { ssl: true }],
  ['refuses TLS', ['N'], { ssl: true }],
  ['answers a request for TLS with an error', [errorResponse({ S: 'FATAL', C: '0A000', M: 'no' })], { ssl: true }],
  ['answers a request for TLS with nonsense', ['?'], { ssl: true }],
  ['hangs up in the TLS handshake', ['S', GOODBYE], { ssl: true }],
  ['refuses', [errorResponse({ S: 'FATAL', V: 'FATAL', C: '53300', M: 'too many', H: 'come again', R: 'x' })]],
  ['refuses the password', [authentication(3), errorResponse({ S: 'FATAL', V: 'FATAL', C: '28P01', M: 'no' })]],
  ['hangs up at the password', [authentication(3), GOODBYE]],
  ['hangs up in SCRAM', [authentication(10, 'SCRAM-SHA-256\0\0'), GOODBYE]],
  ['hangs up before it is ready', [[authentication(0), GOODBYE]]],
  ['hangs up in the middle of a message', [[Buffer.from('R\0\0'), GOODBYE]]]
]

describe('a server that says no: as pg', () => {
  for (const [name, answers, options] of REFUSALS) {
    test(name, async t => {
      const { port } = await startImpostor(t, ...answers)
      const config = { host: '127.0.0.1', port, user: 'u', database: 'd', password: 'p', ...options }

      const { pg: theirs, ours } = await attempts(config)

      assert.ok('failed' in theirs)
      assert.deepEqual(ours, theirs)
    })
  }
})
/** What a server may fail to say. @type {[name: string, answers: (string | Buffer)[], options?: any][]} */
const SILENCES = [
  ['at all', []],
  ['whether it speaks TLS', [], { ssl: true }],
  ['its part of the TLS handshake', ['S'], { ssl: true }],
  ['its part of the TLS handshake, begun at once', [], { ssl: true, sslnegotiation: 'direct' }],
  ['the rest of a message', ['R\0\0']],
  ['what it wants', [Buffer.from('R\0\0\0\x0c')]],
  ['whether it takes the password', [authentication(3)]],
  ['its part of SCRAM', [authentication(10, 'SCRAM-SHA-256\0\0')]],
  ['that it is ready', [authentication(0)]]
]

describe('the time to wait', () => {
  for (const [name, answers, options] of SILENCES) {
    test(`ends when a server does not say ${name}`, async t => {
      const { port } = await startImpostor(t, ...answers)
      const config = { host: '127.0.0.1', port, user: 'u', database: 'd', password: 'p', ...options }

      for (const limit of [{ connectTimeout: 200 }, undefined]) {
        const start = Date.now()
        const connecting = byUs(limit ? config : { ...config, connectionTimeoutMillis: 200 }, limit)
        await assert.rejects(connecting, { code: 'PGSESS_TIMEOUT', step: 'connecting' })
        assert.ok(Date.now() - start < 2000, `${Date.now() - start} ms`)
      }
    })
  }

  test('is never longer for an answer than the query_timeout of the connection', async t => {
    const sessions = await open(server.config({ query_timeout: 200 }))
    t.after(() => sessions.close())
    const client = await connected(t, server.config())
    await client.query('BEGIN; LOCK TABLE public.reached')
    const start = Date.now()

    await assert.rejects(sessions.validate(NO_SESSION), { code: 'PGSESS_TIMEOUT', step: 'waiting for the answer' })
    assert.ok(Date.now() - start < 2000, `${Date.now() - start} ms`)
  })

  test('ends when the password does not come', async () => {
    const config = server.config({ user: 'scram', password: () => new Promise(() => {}) })

    await assert.rejects(byUs(config, { connectTimeout: 200 }), { code: 'PGSESS_TIMEOUT', step: 'connecting' })
  })
})

/**
 * Sessions over a table that refuses much, and a client of pg that meets the same table.
 *
 * @param {{ after(hook: () => unknown): void }} t
 * @param {object} [more]
 */
async function startSessions(t, more) {
  const config = server.config({ options: '-c search_path=errors' })
  const admin = await connected(t, config)
  await admin.query(`DROP SCHEMA IF EXISTS errors CASCADE; CREATE SCHEMA errors; ${TABLE}`)
  await (await connect(config, { fields: FIELDS })).close()
  await admin.query(`${TRIGGER} GRANT USAGE ON SCHEMA errors TO without; GRANT ALL ON sess, owners TO without`)
  const own = { ...config, ...more }
  const sessions = await connect(own, { fields: FIELDS })
  t.after(() => sessions.close())
  return { admin, sessions, client: await connected(t, own) }
}

/**
 * @param {{ after(hook: () => unknown): void }} t
 * @param {object} config
 */
async function connected(t, config) {
  const client = new pg.Client(config)
  await client.connect()
  t.after(() => client.end())
  return client
}

/**
 * The same session, by pg.
 *
 * @param {pg.Client} client
 * @param {{ [field: string]: unknown }} values
 */
function insert(client, values) {
  const names = ['sess_id', 'sess_creation_date', 'sess_last_updated', 'sess_expiration', ...Object.keys(values)]
  const parameters = Object.keys(values).map((_, at) => `$${at + 1}`)
  return client.query({
    text: `INSERT INTO errors.sess (${names}) VALUES (${[`'${NO_SESSION}'`, 'now()', 'now()', 'now()', ...parameters]})`,
    values: Object.values(values)
  })
}

/** @param {Promise<unknown>} promise */
async function failure(promise) {
  return promise.then(assert.fail, (/** @type {any} */ error) => error)
}

/** @param {any} error */
function facts(error) {
  const names = Object.getOwnPropertyNames(error).filter(name => !OF_THE_STATEMENT.includes(name))
  return Object.fromEntries(names.map(name => [name, withoutId(error[name])]))
}

/**
 * A new session has an id of its own, which pg's row has not.
 *
 * @param {unknown} value
 */
function withoutId(value) {
  return typeof value === 'string' ? value.replace(/Failing row contains \(.*/, 'Failing row contains …') : value
}

/**
 * @param {any} ours
 * @param {any} theirs
 */
function assertShape(ours, theirs) {
  assert.equal(ours.constructor, theirs.constructor)
  assert.deepEqual(Object.keys(ours).sort(), Object.keys(theirs).sort())
  assert.equal(String(ours), String(theirs))
  assert.equal(typeof ours.length, 'number')
}

/**
 * @param {{ after(hook: () => unknown): void }} t
 */
async function start(t) {
  const sessions = await open(server.config())
  t.after(() => sessions.close())
  return sessions
}
