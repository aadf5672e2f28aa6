'use strict'

// A database of pg-promise, with what its root object was told: pg-promise and we do the same side by side.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const { inspect } = require('node:util')
const pg = require('pg')
const pgPromise = require('pg-promise')
const { connect, createSession, init, validateSession } = require('../index.js')
const { byUs, open, outcome } = require('./support/attempts.js')
const { useLogins } = require('./support/logins.js')

const server = useLogins()

const NO_SESSION = '0f8fad5b-d9cb-469f-a165-70867728950e'

describe('a database of pg-promise', () => {
  test('connects as it would: a string, an object, a pool’s options', async t => {
    const password = server.PASSWORD
    const url = `postgres://scram:${encodeURIComponent(password)}@127.0.0.1:${server.port}/app?application_name=x`
    for (const cn of [url, { connectionString: url }, server.config({ user: 'scram', password })]) {
      const { db } = openPgPromise(t, { cn })

      assert.deepEqual(await byUs(db), (await db.one('SELECT public.facts()')).facts)
    }
  })

  test('is neither used, nor changed, nor ended', async t => {
    const { db } = openPgPromise(t)
    const before = describeDeeply(db.$pool.options)

    await byUs(db)

    assert.deepEqual(describeDeeply(db.$pool.options), before)
    assert.equal(db.$pool.totalCount, 0)
    assert.equal((await db.one('SELECT 1 AS one')).one, 1)
  })

  test('that was ended rejects in its own words', async t => {
    const { db } = openPgPromise(t)
    await db.$pool.end()
    const words = await outcome(() => db.any('SELECT 1'))

    assert.deepEqual(await outcome(() => byUs(db)), words)
  })

  test('that is ended later rejects the functions in its own words', async t => {
    const { pgp, db } = openPgPromise(t)
    const sessions = await init(pgp, db, { facts: 'JSONB' }, { tableName: 'reached', schemaName: 'public' })
    t.after(() => sessions.close())
    await db.$pool.end()
    const words = await outcome(() => db.any('SELECT 1'))

    assert.deepEqual(await outcome(() => createSession(pgp, db, {})), words)
    assert.deepEqual(await outcome(() => validateSession(pgp, db, NO_SESSION)), words)
  })

  test('with types of its own: a session’s fields are read with them', async t => {
    const types = { getTypeParser: () => (/** @type {string} */ text) => `parsed ${text}` }
    const { db } = openPgPromise(t, { cn: server.config({ types }) })

    assert.match(await byUs(db), /^parsed \{/)
  })

  /** @type {[schema: any, dc?: any][]} */
  const SCHEMAS = [
    [undefined],
    [''],
    ['tenant'],
    ['Odd "name"'],
    [[]],
    [['tenant']],
    [['tenant', 'public']],
    [['tenant', '', null, 5, 'public']],
    [() => 'tenant'],
    [() => ['tenant', 'public']],
    [() => undefined],
    [(/** @type {any} */ dc) => dc.schema, { schema: 'tenant' }],
    [
      /** @this {any} */ function () {
        return this.schema
      },
      { schema: 'tenant' }
    ]
  ]
  for (const [schema, dc] of SCHEMAS) {
    test(`with the option schema ${typeof schema === 'function' ? schema : JSON.stringify(schema)}`, async t => {
      const { db } = openPgPromise(t, { options: { schema }, dc })

      const { path } = await db.one(`SELECT current_setting('search_path') AS path`)
      assert.equal((await byUs(db)).search_path, path)
    })
  }

  test('keeps its table in the schema that it leads to', async t => {
    const { db: admin } = openPgPromise(t)
    await admin.none('CREATE SCHEMA tenant')
    const { db } = openPgPromise(t, { options: { schema: 'tenant' } })

    const sessions = await connect(db, { fields: { user_id: 'INT' } })
    t.after(() => sessions.close())
    await sessions.create({ user_id: 1 })

    assert.equal((await admin.one('SELECT user_id FROM tenant.sess')).user_id, 1)
  })

  test('lets its handlers see and change what is sent and what comes back', async t => {
    /** @type {string[]} */
    const seen = []
    const { db } = openPgPromise(t, {
      options: {
        connect: () => seen.push('connect'),
        query: (/** @type {any} */ { query }) => seen.push(query.text ?? query),
        receive: (/** @type {any} */ { data }) => {
          for (const row of data) row.facts = 'received'
        }
      }
    })
    const sessions = await start(t, db)

    const row = await sessions.create({})

    assert.equal(row.facts, 'received')
    assert.equal((await sessions.validate(row.sess_id)).facts, 'received')
    assert.equal(seen[0], 'connect')
    assert.ok(
      seen.some(text => text.includes('INSERT INTO')) && seen.some(text => text.includes('SELECT')),
      seen.join()
    )
  })

  test('whose pool changes each new connection: its own connections are used', async t => {
    const { db } = openPgPromise(t)
    db.$pool.on('connect', (/** @type {any} */ client) => client.query("SET work_mem = '6MB'"))

    assert.equal((await byUs(db)).work_mem, '6MB')
  })

  test('rejects with what its query handler throws', async t => {
    const refusal = new Error('not on Sundays')
    const { db } = openPgPromise(t, {
      options: {
        query: () => {
          throw refusal
        }
      }
    })
    const sessions = await start(t, db)

    await assert.rejects(sessions.validate(NO_SESSION), error => error === refusal)
  })

  test('takes the defaults of its copy of pg', async t => {
    const pgp = pgPromise({ noWarnings: true })
    const { defaults } = pgp.pg
    const before = { ...defaults }
    t.after(() => Object.assign(defaults, before))
    Object.assign(defaults, server.config())
    const { db } = openPgPromise(t, { cn: {}, pgp })

    assert.notEqual(defaults, pg.defaults)

    assert.deepEqual(await byUs(db), (await db.one('SELECT public.facts()')).facts)
  })

  test('formats values itself, or lets pg do it: a session is the same', async t => {
    const { db } = openPgPromise(t, { options: { pgFormatting: true } })

    assert.equal((await byUs(db)).database, 'app')
  })
})

/**
 * @param {{ after(hook: () => unknown): void }} t
 * @param {{ cn?: any, options?: object, dc?: unknown, pgp?: any }} [settings]
 */
function openPgPromise(t, { cn = server.config(), options, dc, pgp } = {}) {
  const root = pgp ?? pgPromise({ noWarnings: true, ...options })
  const db = root(cn, dc)
  t.after(() => db.$pool.ending || db.$pool.end())
  return { pgp: root, db }
}

/**
 * @param {{ after(hook: () => unknown): void }} t
 * @param {any} connection
 */
async function start(t, connection) {
  const sessions = await open(connection)
  t.after(() => sessions.close())
  return sessions
}

/**
 * Everything that can be read of it, hidden members and functions too.
 *
 * @param {unknown} value
 */
function describeDeeply(value) {
  return inspect(value, { showHidden: true, depth: null })
}
