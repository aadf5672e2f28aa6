'use strict'

// update: changes the named fields of a live session and nothing else, for each of the calls that travel together.

const assert = require('node:assert/strict')
const { randomUUID } = require('node:crypto')
const { describe, test } = require('node:test')
const pgSess = require('pg-sess-rs')
const { useDatabase } = require('./support/place.js')

const database = useDatabase('update')

const FIELDS = {
  user_id: 'INT',
  user_name: 'VARCHAR(12)',
  roles: 'TEXT[]',
  theme: "TEXT NOT NULL DEFAULT 'light'",
  cart: 'JSONB',
  bytes: 'BYTEA'
}
const ALICE = { user_id: 1, user_name: 'Alice', roles: ['admin'], theme: 'dark', cart: { items: [1] }, bytes: null }

/** @type {[string, object][]} */
const ROADS = [
  ['connect', {}],
  ['plain ids', { hashIds: false }],
  ['without batches', { batch: false }],
  ['without prepared statements', { prepare: false }]
]

for (const [name, options] of ROADS) {
  describe(`update, ${name}`, () => {
    test('changes the named fields and nothing else, and resolves to the row', async t => {
      const { sessions, place } = await start(t, options)
      const row = await sessions.create(ALICE)
      await place.ageSession(row.sess_id, '5 minutes')
      const before = await sessions.validate(row.sess_id)

      const changed = await sessions.update(row.sess_id, { theme: 'light', cart: [1, { a: 2 }], user_name: null })

      assert.deepEqual(changed, { ...before, theme: 'light', cart: [1, { a: 2 }], user_name: null })
      assert.deepEqual(await sessions.validate(row.sess_id), changed)
    })

    test('with nothing to change gives the row', async t => {
      const { sessions } = await start(t, options)
      const row = await sessions.create(ALICE)

      assert.deepEqual(await sessions.update(row.sess_id, {}), row)
      assert.deepEqual(await sessions.update(row.sess_id, { theme: undefined }), row)
      assert.equal(await sessions.update(randomUUID(), {}), null)
    })

    test('of what is no live session is null, whatever the reason', async t => {
      const { sessions, place } = await start(t, options)
      const [expired, destroyed] = await Promise.all([sessions.create(ALICE), sessions.create(ALICE)])
      await place.ageSession(expired.sess_id, '15 days')
      await sessions.destroy(destroyed.sess_id)

      const sids = [expired.sess_id, destroyed.sess_id, randomUUID(), 'me', undefined]
      const answers = await Promise.all(sids.map(sid => sessions.update(sid, { theme: 'blue' })))

      assert.deepEqual(answers, Array(5).fill(null))
      assert.deepEqual(await place.query('SELECT theme FROM sess'), [{ theme: 'dark' }])
    })

    test('of different fields at the same time: all survive', async t => {
      const { sessions } = await start(t, options)
      const { sess_id } = await sessions.create({})

      await Promise.all(Object.entries(ALICE).map(([field, value]) => sessions.update(sess_id, { [field]: value })))

      const {
        sess_id: _,
        sess_creation_date,
        sess_last_updated,
        sess_expiration,
        ...fields
      } = await sessions.validate(sess_id)
      assert.deepEqual(fields, ALICE)
    })

    test('fails alone where PostgreSQL refuses its value', async t => {
      const { sessions } = await start(t, options)
      const rows = await Promise.all([1, 2, 3, 4, 5].map(user_id => sessions.create({ user_id })))
      const values = [
        { user_name: 'Bob' },
        { user_name: 'more than twelve characters' },
        { theme: null },
        { user_id: 'one' },
        { cart: { fine: true } }
      ]

      const outcomes = await Promise.allSettled(rows.map((row, at) => sessions.update(row.sess_id, values[at])))

      assert.deepEqual(
        outcomes.map(({ reason }) => reason?.code),
        [undefined, '22001', '23502', '22P02', undefined]
      )
      assert.equal(outcomes[0].value.user_name, 'Bob')
      assert.deepEqual(outcomes[4].value.cart, { fine: true })
    })

    test('of a field that does not exist names it, and those there are', async t => {
      const { sessions } = await start(t, options)

      for (const sid of [randomUUID(), 'me']) {
        await assert.rejects(sessions.update(sid, { thema: 'dark' }), error => {
          assert.match(error.message, /unknown field "thema"; this table has user_id, user_name, roles, theme/)
          return error instanceof TypeError
        })
      }
      await assert.rejects(sessions.update(randomUUID(), undefined), { name: 'TypeError' })
    })
  })
}

test('updates of one field of one session that travel together count in their order', async t => {
  const { sessions } = await start(t)
  const { sess_id } = await sessions.create({})

  for (let round = 0; round < 20; round++) {
    const all = [1, 2, 3, 4].map(n => sessions.update(sess_id, { user_id: 10 * round + n }))
    const rows = await Promise.all(all)

    assert.deepEqual(
      rows.map(row => row.user_id),
      [1, 2, 3, 4].map(n => 10 * round + n)
    )
  }
})

test('a value that is refused fails also if a later update of the same session would cover it', async t => {
  const { sessions } = await start(t)
  const { sess_id } = await sessions.create({})

  const outcomes = await Promise.allSettled([{ user_id: 'one' }, { user_id: 2 }].map(v => sessions.update(sess_id, v)))

  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['rejected', 'fulfilled']
  )
})

test('updates travel together, whatever fields they change', async t => {
  const { sessions } = await start(t, { maxConnections: 1 })
  const rows = await Promise.all(Array.from({ length: 120 }, (_, user_id) => sessions.create({ user_id })))
  const before = sessions.stats().batches

  const changes = [{ theme: 'a' }, { user_name: 'b' }, { cart: { c: 1 }, theme: 'd' }, { bytes: Buffer.from([1]) }]
  const changed = await Promise.all(rows.map((row, at) => sessions.update(row.sess_id, changes[at % 4])))

  for (const [at, row] of changed.entries()) assert.deepEqual(row, { ...rows[at], ...changes[at % 4] })
  assert.ok(sessions.stats().batches - before < 10)
})

test('a session that somebody holds does not hold the updates of others', async t => {
  const { sessions, place } = await start(t)
  const rows = await Promise.all([1, 2, 3].map(user_id => sessions.create({ user_id })))
  const client = await place.client()
  await client.query('BEGIN')
  await client.query('SELECT 1 FROM sess WHERE user_id = 1 FOR UPDATE')

  const [held, ...others] = rows.map(row => sessions.update(row.sess_id, { theme: 'blue' }))

  for (const row of await Promise.all(others)) assert.equal(row.theme, 'blue')
  await client.query("UPDATE sess SET user_name = 'Bob' WHERE user_id = 1")
  await client.query('COMMIT')
  const { user_name, theme } = await held
  assert.deepEqual({ user_name, theme }, { user_name: 'Bob', theme: 'blue' })
})

test('works with a domain, a partitioned table, timestamptz columns and odd names', async t => {
  const place = await database.emptySchema(t)
  await place.query(`
    CREATE DOMAIN positive AS int CHECK (VALUE > 0);
    CREATE TABLE "My ""Table""" (sess_id uuid PRIMARY KEY, sess_creation_date timestamptz NOT NULL,
      sess_last_updated timestamptz NOT NULL, sess_expiration timestamptz NOT NULL, "a ""b""" positive, id int, s int)
      PARTITION BY HASH (sess_id);
    CREATE TABLE part_0 PARTITION OF "My ""Table""" FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE part_1 PARTITION OF "My ""Table""" FOR VALUES WITH (MODULUS 2, REMAINDER 1)`)
  const fields = { 'a "b"': 'positive', id: 'INT', s: 'INT' }
  const sessions = await place.sessions({ fields, tableName: 'My "Table"' })
  const rows = await Promise.all([1, 2, 3, 4].map(id => sessions.create({ id, 'a "b"': id })))

  const changes = [{ 'a "b"': 7 }, { id: 8 }, { s: 9 }, { 'a "b"': -1 }]
  const outcomes = await Promise.allSettled(rows.map((row, at) => sessions.update(row.sess_id, changes[at])))

  for (const at of [0, 1, 2]) assert.deepEqual(outcomes[at].value, { ...rows[at], ...changes[at] })
  assert.equal(outcomes[3].reason.code, '23514')
})

test('runs through a database that the caller wants to see every statement of', async t => {
  const place = await database.emptySchema(t)
  const queries = []
  const { pgp, db } = place.pgPromise({ options: { query: ({ query }) => queries.push(query.text ?? query) } })
  const sessions = await place.closing(pgSess.init(pgp, db, FIELDS, { hashIds: true }))
  const row = await pgSess.createSession(pgp, db, ALICE)

  const changed = await sessions.update(row.sess_id, { theme: 'blue', cart: [1] })

  assert.deepEqual(changed, { ...row, theme: 'blue', cart: [1] })
  assert.deepEqual(await sessions.update(row.sess_id, {}), changed)
  assert.equal(await sessions.update('me', { theme: 'red' }), null)
  assert.ok(queries.some(text => text.includes('UPDATE')))
})

/**
 * @param {import('node:test').TestContext} t
 * @param {object} [options]
 */
async function start(t, options) {
  const place = await database.emptySchema(t)
  return { place, sessions: await place.sessions({ fields: FIELDS, ...options }) }
}
