'use strict'

// No more live sessions of one user than the limit, whoever creates them and how.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const pgPromise = require('pg-promise')
const { createSession, init } = require('../index.js')
const { useDatabase } = require('./support/place.js')
const { startRival } = require('./support/rival.js')

const database = useDatabase('max_sessions')
const FIELDS = { user_id: 'INT', device: 'TEXT' }
const LIMIT = { maxSessions: { by: 'user_id', limit: 3 } }

/**
 * @param {any} t
 * @param {object} [options]
 */
async function start(t, options) {
  const place = await database.emptySchema(t)
  return { place, sessions: await place.sessions({ fields: FIELDS, ...LIMIT, ...options }) }
}

/**
 * @param {any} sessions
 * @param {unknown} user_id
 */
async function devices(sessions, user_id = 1) {
  return (await sessions.list({ user_id })).map(row => row.device)
}

for (const [name, options] of [
  ['in batches', {}],
  ['call by call', { batch: false }],
  ['unprepared', { prepare: false }],
  ['on one connection', { maxConnections: 1 }]
]) {
  test(`one more ends the oldest: ${name}`, async t => {
    const { sessions } = await start(t, options)

    for (const device of ['a', 'b', 'c', 'd', 'e']) await sessions.create({ user_id: 1, device })
    await sessions.create({ user_id: 2, device: 'x' })

    assert.deepEqual(await devices(sessions), ['e', 'd', 'c'])
    assert.deepEqual(await devices(sessions, 2), ['x'])
  })

  test(`of many created at once, the latest calls survive: ${name}`, async t => {
    const { sessions } = await start(t, { ...options, maxSessions: { by: 'user_id', limit: 3 } })

    const rows = await Promise.all(
      Array.from({ length: 60 }, (_, at) => sessions.create({ user_id: at % 2, device: `${at}` }))
    )

    assert.deepEqual(
      rows.map(row => row.device),
      Array.from({ length: 60 }, (_, at) => `${at}`)
    )
    for (const user of [0, 1]) {
      const left = await devices(sessions, user)
      assert.equal(left.length, 3)
      // One by one they may overtake each other.
      const latest = [54 + user, 56 + user, 58 + user].map(String)
      if (options.batch !== false) assert.deepEqual(left.sort(), latest)
    }
  })

  test(`a value that is refused hurts nobody else: ${name}`, async t => {
    const { place, sessions } = await start(t, { ...options, fields: { ...FIELDS, device: 'VARCHAR(3)' } })
    const values = [1, 'one', 1, 2, 2 ** 40, 2].map(user_id => ({ user_id, device: 'x' }))
    values.push({ user_id: 3, device: 'too long' })

    const outcomes = await Promise.allSettled(values.map(one => sessions.create(one)))

    assert.deepEqual(
      outcomes.map(outcome => outcome.reason?.code ?? 'created'),
      ['created', '22P02', 'created', 'created', '22003', 'created', '22001']
    )
    assert.equal((await place.query('SELECT FROM sess')).length, 4)
    assert.ok(await sessions.create({ user_id: 1 }), 'and the connections are sound')
  })
}

test('NULL is not limited, and neither is what has expired counted', async t => {
  const { place, sessions } = await start(t)
  for (let n = 0; n < 5; n++) await sessions.create({ user_id: n % 2 ? null : undefined })
  const rows = []
  for (const device of ['a', 'b', 'c']) rows.push(await sessions.create({ user_id: 1, device }))
  await place.ageSession(rows[1].sess_id, '20 days')
  await sessions.create({ user_id: 1, device: 'd' })

  assert.equal((await sessions.list({ user_id: null })).length, 5)
  assert.deepEqual(await devices(sessions), ['d', 'c', 'a'])
})

test('a DEFAULT is limited like a value that was given', async t => {
  const { sessions } = await start(t, { fields: { user_id: 'INT DEFAULT 7', device: 'TEXT' } })

  await Promise.all(Array.from({ length: 20 }, () => sessions.create({})))

  assert.equal((await sessions.list({ user_id: 7 })).length, 3)
})

test('values that are equal count together, however they are written', async t => {
  const place = await database.emptySchema(t)
  const fields = { account: 'NUMERIC', roles: 'TEXT[]' }
  const sessions = await place.sessions({ fields, maxSessions: { by: 'account', limit: 1 } })

  const written = ['1', '1.0', '1.00', 1, '01.000']
  await Promise.all(written.map(account => sessions.create({ account })))

  assert.equal((await sessions.list({ account: 1 })).length, 1)
  const byRoles = await place.sessions({ fields, tableName: 'other', maxSessions: { by: 'roles', limit: 2 } })
  for (let n = 0; n < 4; n++) await byRoles.create({ roles: ['a', 'b'] })
  assert.equal((await byRoles.list({}, { all: true })).length, 2)
})

test('30 creates at once from three processes: never more than the limit, and the newest survive', async t => {
  const { place, sessions } = await start(t)
  const rivals = await Promise.all([1, 2, 3].map(() => startRival(place, { fields: FIELDS, ...LIMIT })))
  const creates = Array.from({ length: 10 }, () => ['create', { user_id: 1 }])
  let most = 0
  let isOver = false
  const watching = (async () => {
    while (!isOver) {
      const [{ count }] = await place.query('SELECT count(*)::int FROM sess WHERE user_id = 1')
      most = Math.max(most, count)
    }
  })()

  for (let round = 0; round < 30; round++) {
    const outcomes = (await Promise.all(rivals.map(rival => rival.work(creates)))).flat()
    assert.deepEqual(
      outcomes.filter(outcome => outcome.failed !== undefined),
      []
    )
    const made = outcomes.map(({ value }) => value.sess_creation_date.getTime()).sort((one, other) => other - one)
    const left = (await sessions.list({ user_id: 1 })).map(row => row.sess_creation_date.getTime())
    assert.deepEqual(left, made.slice(0, 3))
  }

  isOver = true
  await watching
  assert.equal(most, 3)
})

test('an index is made when it is asked for, once', async t => {
  const place = await database.emptySchema(t)
  const name = 'x'.repeat(63)
  const options = { fields: FIELDS, tableName: name, maxSessions: { by: 'user_id', limit: 3, index: true } }
  const indexes = () =>
    place.query(`SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema() AND indexdef LIKE '%(user_id)'`)

  await Promise.all(Array.from({ length: 5 }, () => place.sessions(options)))
  assert.equal((await indexes()).length, 1)
  await place.sessions({ ...options, tableName: 'without', maxSessions: { by: 'user_id', limit: 3 } })
  assert.equal((await indexes()).length, 1)

  const told = []
  await place.sessions({ ...options, tableName: 'without', createTable: false, onError: error => told.push(error) })
  assert.match(told[0].message, /"user_id", which maxSessions asks for/)
  await place.sessions({ ...options, tableName: 'without' })
  assert.equal((await indexes()).length, 2)
})

test('a limit that cannot be is refused', async t => {
  const place = await database.emptySchema(t)
  const refused = (maxSessions, error) =>
    assert.rejects(place.sessions({ fields: { user_id: 'INT', cart: 'JSON' }, maxSessions }), error)

  await refused(5, { name: 'TypeError', message: /maxSessions: .*the number 5/ })
  await refused({ by: 'user_id' }, { name: 'TypeError', message: /maxSessions\.limit/ })
  await refused({ by: 'user_id', limit: 0 }, { name: 'RangeError', message: /maxSessions\.limit/ })
  await refused({ by: 7, limit: 1 }, { name: 'TypeError', message: /maxSessions\.by/ })
  await refused({ by: 'user_id', limit: 1, idnex: true }, { name: 'TypeError', message: /"idnex"/ })
  await refused({ by: 'user', limit: 1 }, { name: 'TypeError', message: /maxSessions\.by.*"user".*"user_id"/ })
  await refused({ by: 'cart', limit: 1 }, { code: 'PGSESS_TABLE', message: /maxSessions\.by.*json/ })
})

test('a hash-partitioned table with timestamptz columns and a DOMAIN keeps to it', async t => {
  const place = await database.emptySchema(t)
  await place.query(`CREATE DOMAIN account AS varchar(20) CHECK (value <> '')`)
  await place.query(`
    CREATE TABLE sess (sess_id uuid PRIMARY KEY, sess_creation_date timestamptz NOT NULL,
      sess_last_updated timestamptz NOT NULL, sess_expiration timestamptz NOT NULL, by_account account)
    PARTITION BY HASH (sess_id)`)
  for (const part of [0, 1]) {
    await place.query(`CREATE TABLE part_${part} PARTITION OF sess FOR VALUES WITH (MODULUS 2, REMAINDER ${part})`)
  }
  const maxSessions = { by: 'by_account', limit: 2, index: true }
  const sessions = await place.sessions({ fields: { by_account: 'account' }, maxSessions })

  await Promise.all(Array.from({ length: 20 }, () => sessions.create({ by_account: 'ann' })))
  const outcomes = await Promise.allSettled([
    sessions.create({ by_account: '' }),
    sessions.create({ by_account: 'bob' })
  ])

  assert.equal((await sessions.list({ by_account: 'ann' })).length, 2)
  assert.deepEqual(
    outcomes.map(outcome => outcome.reason?.code),
    ['23514', undefined]
  )
})

test('a transaction of the caller that rolls back ends nobody', async t => {
  const place = await database.emptySchema(t)
  const { pgp, db } = place.pgPromise()
  const sessions = await place.closing(init(pgp, db, { userId: 'INT' }, { maxSessions: { by: 'userId', limit: 1 } }))
  const { sess_id } = await createSession(pgp, db, { userId: 1 })

  await assert.rejects(
    db.tx(async tx => {
      await createSession(pgp, tx, { userId: 1 })
      assert.equal((await tx.any('SELECT FROM sess')).length, 1)
      throw new Error('no')
    }),
    { message: 'no' }
  )
  assert.ok(await sessions.validate(sess_id))

  await db.tx(tx => createSession(pgp, tx, { userId: 1 }))
  assert.equal(await sessions.validate(sess_id), null)
  const { TransactionMode, isolationLevel } = pgPromise.txMode
  const mode = new TransactionMode({ tiLevel: isolationLevel.repeatableRead })
  await assert.rejects(
    db.tx({ mode }, tx => createSession(pgp, tx, { userId: 1 })),
    { message: /repeatable read/ }
  )
})

test('without a transaction of their own, tasks, connections and watched databases get one', async t => {
  const place = await database.emptyDatabase(t)
  const options = { maxSessions: { by: 'user_id', limit: 1 } }
  const { pgp, db } = place.pgPromise()
  await place.closing(init(pgp, db, FIELDS, options))
  const create = (/** @type {any} */ caller) => createSession(pgp, caller, { user_id: 1 })
  const roads = [() => db.task(create), () => create(db)]

  const watched = place.pgPromise({ options: { query: () => {} }, dc: 'watched' })
  await place.closing(init(watched.pgp, watched.db, FIELDS, options))
  roads.push(() => createSession(watched.pgp, watched.db, { user_id: 1 }))
  for (let n = 0; n < 5; n++) {
    const rows = await Promise.all(roads.flatMap(road => [road(), road()]))
    assert.ok(rows.every(row => row.user_id === 1))
    assert.equal((await place.query('SELECT FROM sess')).length, 1)
  }
})

test('a client of pg gets a transaction, unless one is open', async t => {
  const place = await database.emptyDatabase(t)
  const pool = place.pool()
  await place.closing(init(null, pool, FIELDS, { maxSessions: { by: 'user_id', limit: 1 } }))
  const client = await pool.connect()
  place.defer(() => client.release(true))
  const count = async () => (await place.query('SELECT FROM sess')).length

  for (let n = 0; n < 3; n++) await createSession(null, client, { user_id: 1 })
  assert.equal(await count(), 1)
  await client.query('BEGIN')
  await createSession(null, client, { user_id: 1 })
  await createSession(null, client, { user_id: 2 })
  assert.equal(await count(), 1)
  await client.query('COMMIT')
  assert.equal(await count(), 2)
})
