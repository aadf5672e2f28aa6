'use strict'

// The server has no slot, no disk, no memory left, or waits for a standby that is gone.

const assert = require('node:assert/strict')
const { execFileSync } = require('node:child_process')
const { randomUUID } = require('node:crypto')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { after, before, test } = require('node:test')
const { inspect } = require('node:util')
const { Client } = require('pg')
const { connect } = require('../../index.js')
const { startPostgres } = require('../../scripts/postgres.js')
const { eventually } = require('../support/eventually.js')
const {
  BOUND,
  CALLS,
  FIELDS,
  Load,
  PATIENT,
  TIMEOUTS,
  assertDone,
  assertRejected,
  assertWorksAgain,
  callAll,
  oneForEach,
  outcomeOf
} = require('../support/faults.js')
const { mayNotMount } = require('../support/needs.js')
const { Place } = require('../support/place.js')
const { called, load, openOurs, sessionOf } = require('../support/stores.js')

/** Of these, three are kept for superusers. */
const SLOTS = 12
const DISK = '16m'

/** @type {Awaited<ReturnType<typeof startPostgres>>} */
let server

before(async () => {
  server = await startPostgres({
    settings: { max_connections: SLOTS, max_locks_per_transaction: 10, synchronous_commit: 'on' }
  })
})
after(() => server.remove())

test('no slot, at connect and later: 53300 in time, and all works when one is free', async t => {
  const { place, url } = await start(t)
  const takeAll = async () => {
    /** @type {Client[]} */
    const takers = []
    for (;;) {
      const taker = new Client({ connectionString: url })
      taker.on('error', () => {})
      try {
        await taker.connect()
        takers.push(taker)
      } catch {
        return () => Promise.all(takers.map(taker => taker.end()))
      }
    }
  }

  const give = await takeAll()
  assertRejected(await outcomeOf('connect', connect(url, { fields: FIELDS, ...TIMEOUTS })), '53300')
  await give()
  const sessions = await place.sessions({ fields: FIELDS, pruneInterval: false, ...TIMEOUTS }, url)
  const rows = await oneForEach(sessions)

  await place.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'")
  const giveAgain = await takeAll()
  for (const outcome of await callAll(sessions, rows)) assertRejected(outcome, '53300')
  await giveAgain()

  await assertWorksAgain(sessions)
  for (const { sess_id } of rows) assert.notEqual(await sessions.validate(sess_id), null)
})

test('fewer slots than maxConnections: calls wait for each other, and none fails', async t => {
  const { place, url } = await start(t)
  await place.query('ALTER ROLE app CONNECTION LIMIT 2')
  t.after(() => withServer(client => client.query('ALTER ROLE app CONNECTION LIMIT -1')))
  const options = { fields: FIELDS, pruneInterval: false, maxConnections: 6, ...PATIENT }
  const sessions = await place.sessions(options, url)
  const load = new Load(t, sessions, 40)

  await new Promise(resolve => setTimeout(resolve, 1000))
  await load.stop()

  assert.ok(load.calls > 200, `${load.calls} calls`)
  assert.ok(load.failures.length * 50 <= load.calls, `${load.failures.length} of ${load.calls} failed`)
  for (const { error } of load.failures) assert.equal(error.code, '53300')
  await load.assertKept()
})

test('no disk: 53100 for what writes, validate works, and so does the rest when there is room', {
  skip: mayNotMount()
}, async t => {
  const { place, url } = await start(t)
  const folder = smallDisk(t)
  await place.query(`CREATE TABLESPACE small LOCATION '${folder}'`)
  await place.query('CREATE TABLE filler (stuff text) TABLESPACE small; GRANT ALL ON filler TO app')
  const sessions = await place.sessions({ fields: FIELDS, pruneInterval: false, ...PATIENT }, url)
  await place.query('ALTER TABLE sess SET TABLESPACE small; ALTER TABLE sess ALTER COLUMN note SET STORAGE EXTERNAL')
  const rows = await oneForEach(sessions)
  const note = 'x'.repeat(500_000)
  await fill(place)

  const large = await Promise.all(
    Array.from({ length: 8 }, (_, n) => outcomeOf('create', sessions.create({ user_id: 100 + n, note })))
  )
  const refused = large.filter(({ error }) => error)
  assert.ok(refused.length > 0, 'the disk is full')
  for (const outcome of refused) assertRejected(outcome, '53100')
  for (const { sess_id, user_id } of rows) assert.equal((await sessions.validate(sess_id))?.user_id, user_id)
  await place.query('DROP TABLE filler')

  await assertWorksAgain(sessions)
  for (const outcome of await callAll(sessions, rows)) assertDone(outcome)
  const stored = await place.query('SELECT FROM sess WHERE user_id >= 100')
  assert.equal(stored.length, large.length - refused.length)
})

test('no shared memory: 53200, and all works when there is some', async t => {
  const { place, url } = await start(t)
  const sessions = await place.sessions({ fields: FIELDS, pruneInterval: false, ...TIMEOUTS }, url)
  const rows = await oneForEach(sessions)
  const holder = await place.client()
  // While somebody holds such a lock, every statement needs a lock of the shared kind for this table.
  await holder.query('BEGIN; LOCK TABLE sess IN SHARE MODE')
  const taker = await takeAllLocks(t)

  const outcomes = [...(await callAll(sessions, rows, ['validate'])), await outcomeOf('list', CALLS.list(sessions, ''))]
  for (const outcome of outcomes) assertRejected(outcome, '53200')
  await holder.query('COMMIT')
  await taker.end()

  await assertWorksAgain(sessions)
  for (const { sess_id } of rows) assert.notEqual(await sessions.validate(sess_id), null)
})

test('a synchronous standby that is gone: what writes gives up in time and happens once; validate goes on', async t => {
  const { place, url } = await start(t)
  const sessions = await place.sessions({ fields: FIELDS, pruneInterval: false, ...TIMEOUTS }, url)
  const names = Object.keys(CALLS).filter(name => name !== 'prune')
  const rows = await oneForEach(sessions, names)
  await loseStandby(t, place)

  const outcomes = await callAll(sessions, rows, names)
  for (const outcome of outcomes) {
    if (['validate', 'list'].includes(outcome.name)) assertDone(outcome)
    else assertRejected(outcome, 'PGSESS_TIMEOUT')
  }
  await setStandby(place, '')

  await assertWorksAgain(sessions)
  const twice = await place.query('SELECT user_id FROM sess WHERE user_id > 0 GROUP BY 1 HAVING count(*) > 1')
  assert.deepEqual(twice, [])
  // What its caller does not know to have ended may have; the others are live.
  for (const [at, { sess_id }] of rows.entries()) {
    if (!names[at].startsWith('destroy')) assert.notEqual(await sessions.validate(sess_id), null, names[at])
  }
})

/** Long enough that an answer which waited for others is told from one that did not. */
const LONG = { connectTimeout: 2000, queryTimeout: 2000 }
const POOLS = [{}, { batch: false }, { maxConnections: 2 }]

for (const pool of POOLS) {
  test(`more writers wait than there are connections: validate and list go on, with ${inspect(pool)}`, async t => {
    const { place, url } = await start(t)
    const sessions = await place.sessions({ fields: FIELDS, pruneInterval: false, ...LONG, ...pool }, url)
    const names = ['create', 'extend', 'update', 'destroy']
    const live = await sessions.create({ user_id: 1000 })
    const turns = await Promise.all(Array.from({ length: 8 }, () => oneForEach(sessions, names)))
    const plain = await insertPlain(place)
    await loseStandby(t, place)

    const hanging = await inTurns(turns, rows =>
      names.map((name, at) => outcomeOf(name, CALLS[name](sessions, rows[at].sess_id)))
    )
    await writersHang(place, (pool.maxConnections ?? 4) - 1)
    for (const sid of [live.sess_id, plain]) {
      assertPrompt(await outcomeOf('validate', sessions.validate(sid)))
      assertPrompt(await outcomeOf('list', sessions.list({ user_id: live.user_id })))
    }

    for (const outcome of await hanging()) assertGivenUp(outcome)
    await setStandby(place, '')
    await assertWorksAgain(sessions)
    for (const sid of [live.sess_id, plain]) assert.equal(await sessions.extend(sid), true)
  })

  test(`more sets wait than a Store has connections: get goes on, with ${inspect(pool)}`, async t => {
    const { place, url } = await start(t)
    const store = openOurs(place, { conString: url, ...LONG, ...pool })
    const set = async (/** @type {string} */ sid) => called(store, 'set', sid, sessionOf({ sid }, 60_000))
    const turns = Array.from({ length: 8 }, (_, n) => ['set', 'touch', 'destroy'].map(name => `${name} ${n}`))
    await Promise.all(['live', ...turns.flat()].map(set))
    await loseStandby(t, place)

    const hanging = await inTurns(turns, ([there, touched, destroyed]) => [
      outcomeOf('set', set(`new ${there}`)),
      outcomeOf('set', set(there)),
      outcomeOf('touch', called(store, 'touch', touched, sessionOf({}, 60_000))),
      outcomeOf('destroy', called(store, 'destroy', destroyed))
    ])
    await writersHang(place, (pool.maxConnections ?? 4) - 1)
    assertPrompt(await outcomeOf('get', load(store, 'live')))
    assertPrompt(await outcomeOf('length', called(store, 'length')))

    for (const outcome of await hanging()) assertGivenUp(outcome)
    await setStandby(place, '')
    await eventually(
      () => outcomeOf('set', set('live')),
      ({ error }) => !error
    )
    assert.equal((await load(store, 'live')).sid, 'live')
  })
}

/**
 * Calls for each of `things`, in a turn of its own each time, so that they do not all travel together.
 *
 * @template T
 * @param {T[]} things
 * @param {(thing: T) => Promise<import('../support/faults.js').Outcome>[]} call
 */
async function inTurns(things, call) {
  /** @type {Promise<import('../support/faults.js').Outcome>[]} */
  const outcomes = []
  for (const thing of things) {
    outcomes.push(...call(thing))
    await new Promise(resolve => setImmediate(resolve))
  }
  return () => Promise.all(outcomes)
}

/**
 * @param {Place} place
 * @param {number} count
 */
async function writersHang(place, count) {
  const hanging = await eventually(
    () => awaitingStandby(place, "usename = 'app'"),
    rows => rows.length >= count
  )
  assert.ok(hanging.length >= count, `${hanging.length} hang`)
}

/** @param {import('../support/faults.js').Outcome} outcome */
function assertPrompt(outcome) {
  assertDone(outcome)
  assert.ok(outcome.took < LONG.queryTimeout / 2, `${outcome.name} took ${Math.round(outcome.took)} ms`)
}

/** @param {import('../support/faults.js').Outcome} outcome */
function assertGivenUp(outcome) {
  assertRejected(outcome, 'PGSESS_TIMEOUT')
  const most = LONG.connectTimeout + LONG.queryTimeout + 600
  assert.ok(outcome.took < most, `${outcome.name} took ${Math.round(outcome.took)} ms`)
}

/**
 * A session from before ids were hashed: whoever uses it hashes its id.
 *
 * @param {Place} place
 */
async function insertPlain(place) {
  const sid = randomUUID()
  await place.query(
    `INSERT INTO sess (sess_id, sess_creation_date, sess_last_updated, sess_expiration, user_id)
     SELECT $1, now, now, now + interval '1 hour', 1000 FROM (SELECT now() AT TIME ZONE 'UTC') AS clock (now)`,
    [sid]
  )
  return sid
}

/** @param {import('node:test').TestContext} t */
async function start(t) {
  const place = new Place(server.url)
  t.after(() => place.leave())
  await place.query('DROP TABLE IF EXISTS sess, sess_ids, session, filler')
  await place.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'")
  await place.query('DROP TABLESPACE IF EXISTS small')
  const roles = await place.query("SELECT FROM pg_roles WHERE rolname = 'app'")
  if (roles.length === 0) await place.query('CREATE ROLE app LOGIN; GRANT ALL ON SCHEMA public TO app')
  const url = new URL(server.url)
  url.username = 'app'
  return { place, url: url.href }
}

/** @param {(client: any) => Promise<unknown>} use */
async function withServer(use) {
  const client = new Client({ connectionString: server.url })
  await client.connect()
  await use(client)
  await client.end()
}

/**
 * From now on, until the test is over, whoever commits waits.
 *
 * @param {import('node:test').TestContext} t
 * @param {Place} place
 */
async function loseStandby(t, place) {
  t.after(() => withServer(client => setStandby(client, '')))
  await setStandby(place, 'nobody')
  const writer = await place.client()
  const [{ pid }] = (await writer.query('SELECT pg_backend_pid() AS pid')).rows
  // The server shows the setting a moment before it keeps to it.
  for (let waits = false; !waits; ) {
    let isOver = false
    const written = writer.query("SELECT pg_logical_emit_message(true, 'test', 'x')").then(() => {
      isOver = true
    })
    const waiting = await eventually(
      () => awaitingStandby(place, `pid = ${pid}`),
      rows => isOver || rows.length > 0
    )
    waits = waiting.length > 0
    if (waits) await place.query('SELECT pg_cancel_backend($1)', [pid])
    await written
  }
}

/**
 * @param {Place} place
 * @param {string} which
 */
function awaitingStandby(place, which) {
  return place.query(`SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND ${which}`)
}

/**
 * @param {any} client
 * @param {string} name
 */
async function setStandby(client, name) {
  await client.query(`ALTER SYSTEM SET synchronous_standby_names = '${name}'`)
  await client.query('SELECT pg_reload_conf()')
  const end = Date.now() + BOUND
  for (;;) {
    const result = await client.query('SHOW synchronous_standby_names')
    const [row] = result.rows ?? result
    if (row.synchronous_standby_names === name) return
    assert.ok(Date.now() < end)
  }
}

/** @param {import('node:test').TestContext} t */
function smallDisk(t) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pgsess-disk-'))
  const { uid, gid } = fs.statSync(server.dataDir)
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK},uid=${uid},gid=${gid},mode=700`, 'tmpfs', folder])
  t.after(async () => {
    await withServer(async client => {
      await client.query('DROP TABLE IF EXISTS sess, sess_ids, filler')
      await client.query('DROP TABLESPACE IF EXISTS small')
    })
    execFileSync('umount', [folder])
    fs.rmdirSync(folder)
  })
  return folder
}

/** @param {any} place */
async function fill(place) {
  const block = 'INSERT INTO filler SELECT repeat(md5(random()::text), 200) FROM generate_series(1, 500)'
  await assert.rejects(
    async () => {
      for (;;) await place.query(block)
    },
    { code: '53100' }
  )
}

/** @param {import('node:test').TestContext} t */
async function takeAllLocks(t) {
  const taker = new Client({ connectionString: server.url })
  await taker.connect()
  t.after(() => taker.end())
  let next = 0
  for (const step of [500, 50, 1]) {
    for (;;) {
      try {
        await taker.query(`SELECT pg_advisory_lock(n) FROM generate_series(${next}, ${next + step - 1}) AS n`)
        next += step
      } catch (error) {
        assert.equal(error.code, '53200')
        break
      }
    }
  }
  return taker
}
