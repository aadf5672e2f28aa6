'use strict'

// Rows of expired sessions: how they go, and whom they do not disturb.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const { init } = require('../index.js')
const { eventually } = require('./support/eventually.js')
const { useDatabase } = require('./support/place.js')
const { startProxy } = require('./support/proxy.js')
const { runScript } = require('./support/script.js')

const database = useDatabase('prune')
const COLUMNS = `sess_id uuid PRIMARY KEY, sess_creation_date TYPE NOT NULL, sess_last_updated TYPE NOT NULL,
  sess_expiration TYPE NOT NULL, user_id int`

/** @type {[string, (place: any) => Promise<any>][]} */
const TABLES = [
  ['a table of our own', async () => {}],
  ['timestamptz columns', place => place.query(`CREATE TABLE sess (${COLUMNS.replaceAll('TYPE', 'timestamptz')})`)],
  [
    'a hash-partitioned table',
    async place => {
      await place.query(`CREATE TABLE sess (${COLUMNS.replaceAll('TYPE', 'timestamp')}) PARTITION BY HASH (sess_id)`)
      for (const part of [0, 1, 2]) {
        await place.query(`CREATE TABLE part_${part} PARTITION OF sess FOR VALUES WITH (MODULUS 3, REMAINDER ${part})`)
      }
    }
  ]
]

/**
 * Puts in sessions of which every second has expired.
 *
 * @param {any} place
 * @param {number} count
 * @param {string} [table]
 */
async function fill(place, count, table = 'sess') {
  await place.query(
    `INSERT INTO ${table} (sess_id, sess_creation_date, sess_last_updated, sess_expiration, user_id)
     SELECT md5(random()::text || n)::uuid, now, now, now + CASE n % 2 WHEN 0 THEN -1 ELSE 1 END * interval '1 hour', n
     FROM generate_series(1, $1::int) AS n, (SELECT now() AT TIME ZONE 'UTC' AS now) AS clock`,
    [count]
  )
}

/** @param {any} place */
async function counts(place, table = 'sess') {
  const [counted] = await place.query(
    `SELECT count(*)::int AS all, count(*) FILTER (WHERE user_id % 2 = 0)::int AS expired FROM ${table}`
  )
  return counted
}

for (const [name, make] of TABLES) {
  test(`prune removes what has expired and nothing else: ${name}`, async t => {
    const place = await database.emptySchema(t)
    await place.query(`SET TIME ZONE 'UTC'`)
    await make(place)
    const sessions = await place.sessions({ fields: { user_id: 'INT' }, pruneInterval: false })
    await fill(place, 12_000)

    assert.equal(await sessions.prune(), 6_000)

    assert.deepEqual(await counts(place), { all: 6_000, expired: 0 })
    assert.equal(sessions.stats().pruned, 6_000)
    assert.equal(await sessions.prune(), 0)
  })
}

test('a long way to the server makes no smaller pieces', async t => {
  const place = await database.emptySchema(t)
  const proxy = await startProxy(t, place.url)
  const sessions = await place.sessions({ fields: { user_id: 'INT' }, pruneInterval: false }, proxy.url)
  // Ten rows a block.
  await place.query('ALTER TABLE sess SET (fillfactor = 10)')
  await fill(place, 3_000)
  proxy.state.delay = 10
  const { batches } = sessions.stats()

  assert.equal(await sessions.prune(), 1_500)

  assert.ok(sessions.stats().batches - batches < 60, `${sessions.stats().batches - batches} pieces for 300 blocks`)
})

test('a table with an odd name, in a schema, unprepared, on one connection', async t => {
  const place = await database.emptySchema(t)
  await place.query('CREATE SCHEMA "o\'dd \\ ""schema"')
  place.defer(() => place.query('DROP SCHEMA "o\'dd \\ ""schema" CASCADE'))
  const [tableName, schemaName] = ["sess'ions \\n", 'o\'dd \\ "schema']
  const options = { fields: { user_id: 'INT' }, pruneInterval: false, tableName, schemaName }
  const sessions = await place.sessions({ ...options, maxConnections: 1, prepare: false })
  await fill(place, 100, '"o\'dd \\ ""schema"."sess\'ions \\n"')

  assert.equal(await sessions.prune(), 50)
})

test('it happens by itself, and in one process at a time', async t => {
  const place = await database.emptySchema(t)
  const options = { fields: { user_id: 'INT' }, pruneInterval: 100 }
  const all = await Promise.all([1, 2, 3].map(() => place.sessions(options)))
  await fill(place, 4_000)

  await eventually(
    () => counts(place),
    ({ expired }) => expired === 0
  )

  assert.deepEqual(await counts(place), { all: 2_000, expired: 0 })
  const pruned = all.map(sessions => sessions.stats().pruned)
  assert.equal(
    pruned.reduce((sum, one) => sum + one),
    2_000
  )
})

test('whose turn it is not waits, and then does the rest', async t => {
  const place = await database.emptySchema(t)
  const options = { fields: { user_id: 'INT' }, pruneInterval: false }
  const [one, other] = [await place.sessions(options), await place.sessions(options)]
  await fill(place, 20_000)

  const removed = await Promise.all([one.prune(), other.prune()])

  assert.equal(removed[0] + removed[1], 10_000)
  assert.deepEqual(await counts(place), { all: 10_000, expired: 0 })
})

test('a row that somebody holds is left for another time', async t => {
  const place = await database.emptySchema(t)
  const sessions = await place.sessions({ fields: { user_id: 'INT' }, pruneInterval: false, queryTimeout: 1000 })
  await fill(place, 1_000)
  const holder = await place.client()
  await holder.query('BEGIN')
  await holder.query('SELECT FROM sess WHERE user_id <= 900 FOR UPDATE')

  assert.equal(await sessions.prune(), 50)
  await holder.query('COMMIT')
  assert.equal(await sessions.prune(), 450)
})

test('a signal ends it at once, and the connections are sound', async t => {
  const place = await database.emptySchema(t)
  const sessions = await place.sessions({ fields: { user_id: 'INT' }, pruneInterval: false, maxConnections: 1 })
  await fill(place, 60_000)
  const reason = new Error('enough')
  const controller = new AbortController()

  const pruning = sessions.prune({ signal: controller.signal })
  await eventually(
    async () => sessions.stats().pruned,
    pruned => pruned > 0
  )
  controller.abort(reason)

  await assert.rejects(pruning, error => error === reason)
  assert.ok((await counts(place)).expired > 0)
  assert.ok(await sessions.create({ user_id: 1 }))
  const { errors } = sessions.stats()
  assert.equal(errors, 0)
  await assert.rejects(sessions.prune({ signal: AbortSignal.abort(reason) }), error => error === reason)
  assert.ok((await sessions.prune()) > 0)
})

test('what it may be told is checked', async t => {
  const place = await database.emptySchema(t)
  const sessions = await place.sessions({ fields: {} })

  await assert.rejects(sessions.prune({ signal: 5 }), { name: 'TypeError', message: /^signal: / })
  await assert.rejects(sessions.prune({ singal: null }), { name: 'TypeError', message: /"singal"/ })
  await assert.rejects(sessions.prune(5), { name: 'TypeError' })
  for (const pruneInterval of [0, -1, 1.5]) {
    await assert.rejects(place.sessions({ fields: {}, pruneInterval }), {
      name: 'RangeError',
      message: /pruneInterval/
    })
  }
  await assert.rejects(place.sessions({ fields: {}, pruneInterval: true }), { name: 'TypeError' })
  await sessions.close()
  await assert.rejects(sessions.prune(), { code: 'PGSESS_CLOSED' })
})

test('a session that nobody extends expires, and its row goes by itself', async t => {
  const place = await database.emptySchema(t)
  const sessions = await place.sessions({ fields: { user_id: 'INT' }, sessionLength: 1000, pruneInterval: 200 })
  const { sess_id } = await sessions.create({ user_id: 1 })
  assert.ok(await sessions.validate(sess_id))

  await eventually(
    () => counts(place),
    ({ all }) => all === 0
  )

  assert.deepEqual(await counts(place), { all: 0, expired: 0 })
  assert.equal(await sessions.validate(sess_id), null)
  assert.equal(sessions.stats().pruned, 1)
})

test('close ends it', async t => {
  const place = await database.emptySchema(t)
  const sessions = await place.sessions({ fields: { user_id: 'INT' }, pruneInterval: false })
  await fill(place, 60_000)

  const pruning = sessions.prune()
  await eventually(
    async () => sessions.stats().pruned,
    pruned => pruned > 0
  )
  await sessions.close()

  assert.ok((await pruning) < 30_000)
})

test('its errors go to onError, with the name of the table', async t => {
  const place = await database.emptySchema(t)
  const told = []
  const onError = error => told.push(error)
  await place.sessions({ fields: {}, pruneInterval: 50, tableName: 'visits', onError })
  await place.query('ALTER TABLE visits RENAME TO gone')

  await eventually(
    async () => told.length,
    length => length > 0
  )

  assert.match(told[0].message, /^prune of table .*"visits": /)
  assert.match(told[0].table, /visits/)
  assert.equal(told[0].cause.code, '42P01')
})

describe('a program with sessions', () => {
  for (const [name, last] of [
    ['that are not closed', ''],
    ['that prune as it ends', 'sessions.prune().catch(() => {}); await sessions.close()']
  ]) {
    test(`${name} is not kept running by them`, async t => {
      const place = await database.emptySchema(t)
      const ran = await runScript(
        `const sessions = await pgSess.connect(url, { fields: {}, pruneInterval: 20 })
         await sessions.create({})
         ${last}
         console.log('done')`,
        place
      )

      assert.equal(ran.stderr, '')
      assert.equal(ran.stdout, 'done\n')
      assert.equal(ran.code, 0)
    })
  }
})

test('the functions of pg-sess prune, too, also where the caller watches statements', async t => {
  const place = await database.emptySchema(t)
  const { pgp, db } = place.pgPromise({ options: { query: () => {} } })
  const sessions = await place.closing(init(pgp, db, { user_id: 'INT' }, { pruneInterval: 50 }))
  await fill(place, 10)

  await eventually(
    () => counts(place),
    ({ expired }) => expired === 0
  )

  assert.equal(sessions.stats().pruned, 5)
})
