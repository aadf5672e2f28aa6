'use strict'

// The role may not write, runs into limits of its own, is interrupted, loses its rights or its name, or its password
// changes.

const assert = require('node:assert/strict')
const { after, before, describe, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const { inspect } = require('node:util')
const { startPostgres } = require('../../scripts/postgres.js')
const { init, validateSession } = require('../../index.js')
const { eventually } = require('../support/eventually.js')
const {
  CALLS,
  FIELDS,
  Load,
  PATIENT,
  TIMEOUTS,
  assertDone,
  assertRejected,
  assertSettledWell,
  assertWorksAgain,
  callAll,
  oneForEach,
  outcomeOf,
  setReadOnly
} = require('../support/faults.js')
const { Place } = require('../support/place.js')

const PASSWORD = 'first-0f8fad5b'
const NAMES = Object.keys(CALLS)
/** Long enough for several connections in a row on a busy machine. */
const UNHURRIED = { connectTimeout: 1000, queryTimeout: 3000 }
const READING = ['validate', 'list']
const END_CONNECTIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'"

/** @type {Awaited<ReturnType<typeof startPostgres>>} */
let server

before(async () => {
  server = await startPostgres({ auth: 'scram-sha-256' })
})
after(() => server.remove())

test('a role that may only read for a while: what writes is 25006, validate works, and later all does', async t => {
  const { place, sessions } = await start(t, undefined, UNHURRIED)
  const rows = await oneForEach(sessions)
  await place.query('ALTER ROLE app SET default_transaction_read_only = on')
  await place.query(END_CONNECTIONS)

  for (let time = 0; time < 2; time++) await assertOnlyReads(sessions, rows)
  await place.query('ALTER ROLE app RESET default_transaction_read_only')

  await assertWorksAgain(sessions)
  for (const { sess_id } of rows) assert.equal(await sessions.extend(sess_id), true)
})

test('a server that becomes read-only under open connections: none of them is kept, and later all works', async t => {
  const { place, sessions } = await start(t, undefined, UNHURRIED)
  await callAll(sessions, await oneForEach(sessions))
  const rows = await oneForEach(sessions)
  place.defer(() => setReadOnly(place, false))
  await setReadOnly(place, true)

  await assertOnlyReads(sessions, rows)
  await setReadOnly(place, false)

  for (const outcome of await callAll(sessions, rows)) assertDone(outcome)
})

test('statements that somebody cancels are 57014, and nobody else is: no session is harmed, no connection lost', async t => {
  const { place, sessions } = await start(t)
  const load = new Load(t, sessions)
  const pids = () => place.query("SELECT pid FROM pg_stat_activity WHERE usename = 'app' ORDER BY backend_start")
  await eventually(pids, rows => rows.length > 0)
  const [before] = await pids()

  for (let time = 0; time < 40; time++) {
    await place.query("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = 'app'")
    await sleep(15)
  }
  await load.stop()

  for (const { name, error } of load.failures) assert.equal(error.code, '57014', `${name}: ${error.stack}`)
  await load.assertKept()
  assert.deepEqual((await pids())[0], before)
  for (const outcome of await callAll(sessions, await oneForEach(sessions))) assertDone(outcome)
})

describe('a limit that the role has', () => {
  test('is not raised', async t => {
    const limits = { statement_timeout: '4s', lock_timeout: '3s', idle_in_transaction_session_timeout: '5s' }
    const { place, url } = await start(t)
    for (const [name, value] of Object.entries(limits)) await place.query(`ALTER ROLE app SET ${name} = '${value}'`)
    await place.query('DROP TABLE sess, sess_ids')
    await place.query(
      "CREATE FUNCTION public.limits() RETURNS text LANGUAGE sql AS $$ SELECT concat_ws(' ', " +
        "current_setting('statement_timeout'), current_setting('lock_timeout'), " +
        "current_setting('idle_in_transaction_session_timeout')) $$"
    )
    place.defer(() => place.query('DROP FUNCTION public.limits CASCADE'))
    const options = { fields: { limits: 'TEXT' }, ...PATIENT }
    const sessions = await place.sessions(options, url)
    await place.query('ALTER TABLE sess ALTER COLUMN limits SET DEFAULT public.limits()')

    const rows = await Promise.all(Array.from({ length: 8 }, () => sessions.create({})))

    for (const row of rows) {
      const [statement, lock, idle] = row.limits.split(' ')
      assert.deepEqual([statement, idle], [limits.statement_timeout, limits.idle_in_transaction_session_timeout])
      // A batch waits for no lock for long, and never longer than the role would.
      assert.match(lock, /^(3s|\d{1,3}ms)$/)
    }
  })

  for (const [limit, code] of [
    ['statement_timeout', '57014'],
    ['lock_timeout', '55P03']
  ]) {
    test(`${limit}: its own error, when its time is over, and not later`, async t => {
      const { place, sessions } = await start(t)
      const rows = await oneForEach(sessions)
      await place.query(`ALTER ROLE app SET ${limit} = 400`)
      await place.query(END_CONNECTIONS)
      const holder = await place.client()
      await holder.query('BEGIN; LOCK TABLE sess IN ACCESS EXCLUSIVE MODE')

      for (const outcome of await callAll(sessions, rows, ['create', 'validate', 'extend'])) {
        assertRejected(outcome, code)
      }
      await holder.query('COMMIT')
      await assertWorksAgain(sessions)
    })
  }

  test('idle_session_timeout: connections that it ended are not missed', async t => {
    const { place, sessions } = await start(t)
    const [{ version }] = await place.query("SELECT current_setting('server_version_num')::int AS version")
    // Older servers have no such limit; there, connections are ended by hand.
    if (version >= 140_000) await place.query('ALTER ROLE app SET idle_session_timeout = 300')
    await place.query(END_CONNECTIONS)
    for (let time = 0; time < 4; time++) {
      for (const outcome of await callAll(sessions, await oneForEach(sessions))) assertDone(outcome)
      await new Promise(resolve => setTimeout(resolve, 400))
      if (version < 140_000) await place.query(END_CONNECTIONS)
    }
  })
})

test('rights that are taken away are 42501, and all works when they are given back', async t => {
  const { place, sessions } = await start(t)
  const rows = await oneForEach(sessions)
  await place.query('ALTER TABLE sess OWNER TO postgres; REVOKE ALL ON sess FROM app')

  for (const outcome of await callAll(sessions, rows)) assertRejected(outcome, '42501')
  await place.query('GRANT ALL ON sess TO app')

  for (const outcome of await callAll(sessions, rows)) assertDone(outcome)
})

test('a search_path that changes does not lead new connections to another table', async t => {
  const { place, sessions } = await start(t)
  const rows = await oneForEach(sessions)
  await place.query('DROP SCHEMA IF EXISTS other CASCADE; CREATE SCHEMA other AUTHORIZATION app')
  place.defer(() => place.query('DROP SCHEMA other CASCADE'))
  await place.query('CREATE TABLE other.sess (LIKE sess INCLUDING ALL); GRANT ALL ON other.sess TO app')
  await place.query('ALTER ROLE app SET search_path = other')
  await place.query(END_CONNECTIONS)

  for (const outcome of await callAll(sessions, rows)) assertDone(outcome)
  assert.equal((await place.query('SELECT FROM other.sess')).length, 0)
})

for (const [what, code, rename] of /** @type {const} */ ([
  ['role', '28P01', (/** @type {string} */ from, /** @type {string} */ to) => `ALTER ROLE ${from} RENAME TO ${to}`],
  [
    'database',
    '3D000',
    (/** @type {string} */ from, /** @type {string} */ to) => `ALTER DATABASE ${from} RENAME TO ${to}`
  ]
])) {
  test(`a ${what} whose name changes is ${code}, and all works when it is called as before`, async t => {
    const { place, url } = await start(t)
    const own = new URL(url)
    own.pathname = '/app'
    place.defer(() => place.query('DROP DATABASE IF EXISTS app'))
    await place.query('CREATE DATABASE app OWNER app')
    const sessions = await place.sessions({ fields: FIELDS, pruneInterval: false, ...PATIENT }, own.href)
    const rows = await oneForEach(sessions)
    await place.query('ALTER DATABASE app CONNECTION LIMIT 0')
    await place.query(END_CONNECTIONS)
    await eventually(
      () => place.query("SELECT FROM pg_stat_activity WHERE datname = 'app'"),
      left => left.length === 0
    )
    await place.query(rename('app', 'another'))
    if (what === 'role') await place.query('ALTER DATABASE app CONNECTION LIMIT -1')

    for (const outcome of await callAll(sessions, rows)) assertRejected(outcome, code)
    await place.query(rename('another', 'app'))
    await place.query(`ALTER ROLE app PASSWORD '${PASSWORD}'; ALTER DATABASE app CONNECTION LIMIT -1`)

    for (const outcome of await callAll(sessions, rows)) assertDone(outcome)
  })
}

test('a role that may not log in any more: its connections go on; new ones are refused until it may', async t => {
  const { place, sessions } = await start(t)
  await sessions.create({ user_id: 1 })
  await place.query('ALTER ROLE app NOLOGIN')
  assertDone(await outcomeOf('create', sessions.create({ user_id: 1 })))
  await place.query(END_CONNECTIONS)

  assertRejected(await outcomeOf('create', sessions.create({ user_id: 1 })), '28000')
  await place.query('ALTER ROLE app LOGIN')

  await assertWorksAgain(sessions)
})

describe('a password', () => {
  test('that changes is asked for again, for new connections only', async t => {
    let asked = 0
    let current = PASSWORD
    const password = async () => {
      asked++
      return current
    }
    const { place, sessions } = await start(t, { password })
    const before = asked
    current = 'second-0f8fad5b'
    await place.query(`ALTER ROLE app PASSWORD '${current}'`)
    assertDone(await outcomeOf('create', sessions.create({ user_id: 1 })))
    assert.equal(asked, before)

    await place.query(END_CONNECTIONS)
    const rows = await oneForEach(sessions)
    for (const outcome of await callAll(sessions, rows)) assertDone(outcome)
    assert.ok(asked > before)
  })

  test('that is wrong is 28P01, and stands nowhere: with a URL, an object, pg-promise', async t => {
    const { place, url } = await start(t)
    const canary = 'canary-4711'
    const wrong = new URL(url)
    wrong.password = canary
    const { host, port } = server
    const object = { host, port, user: 'app', database: 'postgres', password: canary }
    for (const { pgp, db } of [
      { pgp: null, db: wrong.href },
      { pgp: null, db: object },
      place.pgPromise({ connection: wrong.href }),
      place.pgPromise({ connection: object })
    ]) {
      const outcomes = [
        await outcomeOf('init', init(pgp, db, FIELDS, TIMEOUTS)),
        await outcomeOf('validate', validateSession(pgp, db, '0f8fad5b-d9cb-469f-a165-70867728950e'))
      ]
      for (const outcome of outcomes) {
        assertRejected(outcome, '28P01')
        assertHidden(outcome.error, canary)
      }
    }
  })
})

/**
 * @param {any} sessions
 * @param {any[]} rows one for each call
 */
async function assertOnlyReads(sessions, rows) {
  for (const [at, name] of NAMES.entries()) {
    const outcome = await outcomeOf(name, CALLS[name](sessions, rows[at].sess_id, rows[at].user_id))
    if (READING.includes(name)) assertDone(outcome)
    // With nothing to remove, nothing is written.
    else if (name === 'prune') assertSettledWell(outcome)
    else assertRejected(outcome, '25006')
  }
}

/**
 * @param {any} error
 * @param {string} secret
 */
function assertHidden(error, secret) {
  for (let shown = error; shown; shown = shown.cause) {
    const all = [inspect(shown, { showHidden: true, depth: null, getters: true }), shown.stack, JSON.stringify(shown)]
    for (const text of all) assert.ok(!text.includes(secret), text)
  }
}

/**
 * @param {import('node:test').TestContext} t
 * @param {object} [connection]
 * @param {object} [timeouts]
 */
async function start(t, connection, timeouts = PATIENT) {
  const place = new Place(server.url)
  t.after(() => place.leave())
  await place.query('DROP TABLE IF EXISTS sess, sess_ids')
  const roles = await place.query("SELECT FROM pg_roles WHERE rolname = 'app'")
  if (roles.length === 0) await place.query('CREATE ROLE app; GRANT ALL ON SCHEMA public TO app')
  await place.query(`ALTER ROLE app RESET ALL; ALTER ROLE app LOGIN PASSWORD '${PASSWORD}'`)
  const url = new URL(server.url)
  url.username = 'app'
  url.password = PASSWORD
  const { host, port } = server
  const config = { host, port, user: 'app', database: 'postgres', ...connection }
  const options = { fields: FIELDS, pruneInterval: false, ...timeouts }
  const sessions = await place.sessions(options, connection === undefined ? url.href : config)
  return { place, sessions, url: url.href }
}
