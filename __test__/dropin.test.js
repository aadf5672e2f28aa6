'use strict'

// The README of pg-sess as tests: what it shows runs here as it stands there, with the package's name replaced.

const assert = require('node:assert/strict')
const { randomUUID } = require('node:crypto')
const { describe, test } = require('node:test')
const { startGate } = require('./support/gate.js')
const { useDatabase } = require('./support/place.js')
const { runModule, runScript } = require('./support/script.js')

const pgSess = require('pg-sess-rs').default

const database = useDatabase('dropin')

const FUNCTIONS = ['init', 'createSession', 'validateSession', 'extendSession', 'destroySession']
const FIELDS = [
  { field: 'username', datatype: 'VARCHAR(255)' },
  { field: 'user_id', datatype: 'INT' }
]
const VALUES = [
  { field: 'username', value: 'Alice' },
  { field: 'user_id', value: 1 }
]
const TWO_WEEKS = 14 * 24 * 60 * 60 * 1000

describe('importing', () => {
  test('require gives the functions, directly and as default', () => {
    const whole = require('pg-sess-rs')

    for (const name of FUNCTIONS) {
      assert.equal(typeof whole[name], 'function', name)
      assert.equal(whole.default[name], whole[name], name)
    }
  })

  test('an ES module gets the same functions by name and as default', async () => {
    const { code, stderr } = await runModule(`
      import { createRequire } from 'node:module'
      import assert from 'node:assert/strict'
      import pgSess, { connect, ${FUNCTIONS.join(', ')} } from 'pg-sess-rs'
      const whole = createRequire(process.cwd() + '/').call(null, 'pg-sess-rs')
      const named = { connect, ${FUNCTIONS.join(', ')} }
      for (const [name, value] of Object.entries(named)) {
        assert.equal(value, whole[name])
        assert.equal(pgSess[name], value)
      }
    `)

    assert.equal(stderr, '')
    assert.equal(code, 0)
  })
})

describe('as the README shows it', () => {
  test('init need not be awaited before a session is created, validated, extended and destroyed', async t => {
    const { pgp, db } = await start(t)
    const SLENGTH = 60_000

    const initialised = pgSess.init(pgp, db, FIELDS, SLENGTH)
    const SINFO = pgSess.createSession(pgp, db, VALUES)
    const SID = (await SINFO).sess_id
    const isValidSession = await pgSess.validateSession(pgp, db, SID)
    const extended = await pgSess.extendSession(pgp, db, SID)
    const destroyed = await pgSess.destroySession(pgp, db, SID)
    const afterwards = await pgSess.validateSession(pgp, db, SID)

    assert.equal(isValidSession.sess_id, SID)
    assert.equal(isValidSession.username, 'Alice')
    assert.equal(isValidSession.user_id, 1)
    assert.deepEqual([extended, destroyed, afterwards], [true, true, null])
    await (await initialised).close()
  })

  test('isValidSession is truthy for a session and its fields guard a route, as in the example', async t => {
    const { pgp, db } = await startInitialised(t)
    const { sess_id } = await pgSess.createSession(pgp, db, VALUES)
    const guard = async (sess_id, user_id) => {
      const [next, redirect] = [() => 'next', to => `redirect ${to}`]
      const status = code => ({ json: ({ message }) => `${code} ${message}` })
      const res = { redirect, status }
      const isValidSession = await pgSess.validateSession(pgp, db, sess_id)
      if (isValidSession) {
        if (isValidSession.user_id === user_id) {
          return next()
        } else {
          return res.status(401).json({ message: 'Unauthorized.' })
        }
      } else {
        return res.redirect('/login')
      }
    }

    assert.equal(await guard(sess_id, 1), 'next')
    assert.equal(await guard(sess_id, 2), '401 Unauthorized.')
    assert.equal(await guard('b5b3f1b0-4f3c-4f7e-9f65-1f4d0f3a4c11', 1), 'redirect /login')
    assert.equal(await guard(undefined, 1), 'redirect /login')
  })

  test('the table is the one it draws, with the fields behind', async t => {
    const { place } = await startInitialised(t)

    const columns = await place.query(
      `SELECT column_name AS name, data_type AS type, character_maximum_length AS length, is_nullable AS nullable,
              column_default AS preset
       FROM information_schema.columns WHERE table_name = 'sess' AND table_schema = current_schema()
       ORDER BY ordinal_position`
    )
    const constraints = await place.query(
      `SELECT contype::text AS type, pg_get_constraintdef(oid) AS definition FROM pg_constraint
       WHERE conrelid = 'sess'::regclass AND contype <> 'n'`
    )

    const plain = { length: null, nullable: 'NO', preset: null }
    const time = 'timestamp without time zone'
    assert.deepEqual(columns, [
      { name: 'sess_id', type: 'uuid', ...plain },
      { name: 'sess_creation_date', type: time, ...plain },
      { name: 'sess_last_updated', type: time, ...plain },
      { name: 'sess_expiration', type: time, ...plain },
      { name: 'username', type: 'character varying', length: 255, nullable: 'YES', preset: null },
      { name: 'user_id', type: 'integer', length: null, nullable: 'YES', preset: null }
    ])
    assert.deepEqual(constraints, [{ type: 'p', definition: 'PRIMARY KEY (sess_id)' }])
  })

  test('without SLENGTH a session lives two weeks, from creation and from each extension', async t => {
    const { pgp, db, place } = await startInitialised(t)
    const { sess_id } = await pgSess.createSession(pgp, db, VALUES)
    const lengths = `SELECT extract(epoch FROM sess_expiration - sess_creation_date)::float8 * 1000 AS created,
      extract(epoch FROM sess_expiration - sess_last_updated)::float8 * 1000 AS updated FROM sess`

    const [atFirst] = await place.query(lengths)
    await place.ageSession(sess_id, '13 days 23 hours')
    await pgSess.extendSession(pgp, db, sess_id)
    const [extended] = await place.query(lengths)

    assert.deepEqual(atFirst, { created: TWO_WEEKS, updated: TWO_WEEKS })
    assert.equal(extended.updated, TWO_WEEKS)
    assert.ok(extended.created > TWO_WEEKS)
  })

  test('SLENGTH is the length in ms', async t => {
    const { pgp, db, place } = await startInitialised(t, FIELDS, 90_061_001)
    await pgSess.createSession(pgp, db, VALUES)

    const [{ seconds }] = await place.query(
      'SELECT extract(epoch FROM sess_expiration - sess_creation_date)::text::float8 AS seconds FROM sess'
    )

    assert.equal(seconds, 90_061.001)
  })

  test('sess_id is a v4 UUID, another one each time', async t => {
    const { pgp, db } = await startInitialised(t)

    const rows = await Promise.all(Array.from({ length: 200 }, () => pgSess.createSession(pgp, db, VALUES)))

    assert.equal(new Set(rows.map(row => row.sess_id)).size, 200)
    for (const { sess_id } of rows)
      assert.match(sess_id, /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/)
  })

  test('FIELDS may be objects', async t => {
    const { pgp, db } = await startInitialised(t, { username: 'VARCHAR(255)', user_id: 'INT' })

    const { sess_id } = await pgSess.createSession(pgp, db, { username: 'Alice', user_id: 1 })

    const { username, user_id } = await pgSess.validateSession(pgp, db, sess_id)
    assert.deepEqual({ username, user_id }, { username: 'Alice', user_id: 1 })
  })

  test('FIELDS may be empty', async t => {
    const { pgp, db } = await startInitialised(t, [])

    const row = await pgSess.createSession(pgp, db, [])

    assert.deepEqual(Object.keys(row), ['sess_id', 'sess_creation_date', 'sess_last_updated', 'sess_expiration'])
    assert.deepEqual(await pgSess.validateSession(pgp, db, row.sess_id), row)
  })

  test('a plain field name is folded to lower case, as PostgreSQL folds it, and found in any case', async t => {
    const { pgp, db, place } = await startInitialised(t, [{ field: 'userId', datatype: 'INT' }])

    const rows = []
    for (const field of ['userId', 'userid', 'USERID']) {
      rows.push(await pgSess.createSession(pgp, db, [{ field, value: 1 }]))
    }

    for (const row of rows) assert.deepEqual([row.userid, 'userId' in row], [1, false])
    assert.deepEqual(await place.query('SELECT DISTINCT userid FROM sess'), [{ userid: 1 }])
  })
})

describe('init', () => {
  test('resolves to the sessions of the database', async t => {
    const { pgp, db, sessions } = await startInitialised(t)

    const { sess_id } = await sessions.create({ user_id: 1 })

    assert.equal((await pgSess.validateSession(pgp, db, sess_id)).user_id, 1)
  })

  test('takes an object of options in place of SLENGTH', async t => {
    const options = { sessionLength: 60_000, tableName: 'My Sessions' }
    const { pgp, db, place } = await startInitialised(t, FIELDS, options)

    const row = await pgSess.createSession(pgp, db, VALUES)

    assert.equal(row.sess_expiration - row.sess_creation_date, 60_000)
    assert.deepEqual(await place.query('SELECT user_id FROM "My Sessions"'), [{ user_id: 1 }])
  })

  test('called again keeps the sessions there are', async t => {
    const { pgp, db, place } = await startInitialised(t)
    const { sess_id } = await pgSess.createSession(pgp, db, VALUES)

    await place.closing(pgSess.init(pgp, db, FIELDS))

    assert.equal((await pgSess.validateSession(pgp, db, sess_id)).user_id, 1)
  })

  test('called again adds a new field and touches no row', async t => {
    const { pgp, db, place } = await startInitialised(t)
    const { sess_id } = await pgSess.createSession(pgp, db, VALUES)
    const before = await place.query('SELECT xmin, ctid, * FROM sess')

    await place.closing(pgSess.init(pgp, db, [...FIELDS, { field: 'theme', datatype: 'TEXT' }]))

    assert.deepEqual(
      await place.query('SELECT xmin, ctid, * FROM sess'),
      before.map(row => ({ ...row, theme: null }))
    )
    assert.equal((await pgSess.validateSession(pgp, db, sess_id)).theme, null)
    const added = await pgSess.createSession(pgp, db, [{ field: 'theme', value: 'dark' }])
    assert.equal(added.theme, 'dark')
  })

  test('called again with a new length lets sessions live that long from then on', async t => {
    const { pgp, db, place } = await startInitialised(t)

    await place.closing(pgSess.init(pgp, db, FIELDS, 5_000))

    const row = await pgSess.createSession(pgp, db, VALUES)
    assert.equal(row.sess_expiration - row.sess_creation_date, 5_000)
  })

  test('makes calls wait that come before it is done', async t => {
    const { pgp, db, place } = await start(t)

    const opening = place.closing(pgSess.init(pgp, db, FIELDS))
    const rows = await Promise.all(Array.from({ length: 20 }, () => pgSess.createSession(pgp, db, VALUES)))

    assert.equal(rows.length, 20)
    await opening
  })

  test('that failed is made up for by the next call, once the database is there', async t => {
    const place = await database.emptySchema(t)
    const gate = await startGate(place)
    const { pgp, db } = place.pgPromise({ connection: gate.url })

    await assert.rejects(pgSess.init(pgp, db, FIELDS), { code: 'ECONNREFUSED', syscall: 'connect', port: gate.port })
    await assert.rejects(pgSess.validateSession(pgp, db, randomUUID()), { code: 'ECONNREFUSED' })
    await gate.open()
    const row = await pgSess.createSession(pgp, db, VALUES)

    assert.deepEqual(await pgSess.validateSession(pgp, db, row.sess_id), row)
  })

  test('that failed with nobody waiting for it is reported to onError, once', async t => {
    const place = await database.emptySchema(t)
    const gate = await startGate(place)
    const { pgp, db } = place.pgPromise({ connection: gate.url })
    const errors = []

    pgSess.init(pgp, db, FIELDS, { onError: error => errors.push(error) })
    await assert.rejects(pgSess.createSession(pgp, db, VALUES), { code: 'ECONNREFUSED' })
    await gate.open()
    await pgSess.createSession(pgp, db, VALUES)

    assert.deepEqual(
      errors.map(error => error.code),
      ['ECONNREFUSED']
    )
  })

  test('that failed with nobody waiting for it is a warning and does not end the program', async t => {
    const place = await database.emptySchema(t)
    const gate = await startGate(place)
    const script = `
      pgSess.init(pgp, db, { user_id: 'INT' })
      await assert.rejects(pgSess.createSession(pgp, db, { user_id: 1 }), { code: 'ECONNREFUSED' })
      console.log('alive')
    `

    const { code, stdout, stderr } = await runScript(script, { url: gate.url })

    assert.equal(stdout, 'alive\n')
    assert.match(stderr, /ECONNREFUSED/)
    assert.doesNotMatch(stderr, /unhandled/i)
    assert.equal(code, 0)
  })

  test('with a mistake in it ends the program even if nobody waits for it, so that it is seen', async t => {
    const { url } = await database.emptySchema(t)

    const outcomes = await Promise.all(
      ["pgSess.init(pgp, db, 'user_id INT')", "pgSess.init(pgp, db, { user_id: 'INT, evil INT' })"].map(script =>
        runScript(script, { url })
      )
    )

    for (const { code, stderr } of outcomes) {
      assert.match(stderr, /TypeError: .*user_id/)
      assert.equal(code, 1)
    }
  })

  test('with a mistake in it leaves the sessions of an earlier init as they were', async t => {
    const { pgp, db } = await startInitialised(t)
    const { sess_id } = await pgSess.createSession(pgp, db, VALUES)

    await assert.rejects(pgSess.init(pgp, db, { user_id: 'INT, evil INT' }), TypeError)

    assert.equal((await pgSess.validateSession(pgp, db, sess_id)).user_id, 1)
    assert.equal((await db.tx(tx => pgSess.validateSession(pgp, tx, sess_id))).user_id, 1)
  })

  for (const [name, connection] of [
    ['a pool', place => place.pool()],
    ['a config object', place => Object.freeze(place.config())]
  ]) {
    test(`leaves ${name} of the caller as it was, also when its sessions are closed`, async t => {
      const place = await database.emptySchema(t)
      const db = connection(place)
      const before = Object.keys(db)

      const sessions = await pgSess.init(null, db, FIELDS)
      await pgSess.createSession(null, db, VALUES)
      await sessions.close()

      assert.deepEqual(Object.keys(db), before)
      if (db.query) assert.equal((await db.query('SELECT 1 AS one')).rows[0].one, 1)
    })
  }
})

describe('without init', () => {
  for (const [name, open] of [
    ['a pg-promise database', place => place.pgPromise()],
    ['a pool', place => ({ pgp: null, db: place.pool() })],
    ['a connection string', place => ({ pgp: null, db: place.url })],
    ['a config object', place => ({ pgp: null, db: place.config() })]
  ]) {
    test(`a call with ${name} says that init comes first`, async t => {
      const { pgp, db } = open(await database.emptySchema(t))
      const expected = { code: 'PGSESS_NOT_INITIALISED', message: /never initialised.*init\(pgp, db, FIELDS\)/ }

      await assert.rejects(pgSess.createSession(pgp, db, VALUES), expected)
      await assert.rejects(pgSess.validateSession(pgp, db, randomUUID()), expected)
      await assert.rejects(pgSess.extendSession(pgp, db, randomUUID()), expected)
      await assert.rejects(pgSess.destroySession(pgp, db, randomUUID()), expected)
    })
  }

  test('another database of the same program is no substitute', async t => {
    const { place } = await startInitialised(t)
    const other = place.pgPromise()

    await assert.rejects(pgSess.createSession(other.pgp, other.db, VALUES), { code: 'PGSESS_NOT_INITIALISED' })
  })
})

async function start(t) {
  const place = await database.emptySchema(t)
  return { place, ...place.pgPromise() }
}

async function startInitialised(t, fields = FIELDS, length = undefined) {
  const { place, pgp, db } = await start(t)
  const sessions = await place.closing(pgSess.init(pgp, db, fields, length))
  return { place, pgp, db, sessions }
}
