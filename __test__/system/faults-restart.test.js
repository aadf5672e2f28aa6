'use strict'

// The server stops, crashes and starts again: what was acknowledged holds, and nothing else has to be done.

const assert = require('node:assert/strict')
const { after, before, describe, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const { startPostgres } = require('../../scripts/postgres.js')
const { eventually } = require('../support/eventually.js')
const {
  FIELDS,
  Load,
  PATIENT,
  TIMEOUTS,
  assertDone,
  assertWorksAgain,
  callAll,
  oneForEach
} = require('../support/faults.js')
const { Place } = require('../support/place.js')

/** What comes of a call while there is no server: nobody listens, or the one that does is on its way in or out. */
const NO_SERVER = /^(ECONNREFUSED|ECONNRESET|EPIPE|ENOENT|57P0[123]|PGSESS_TIMEOUT)$/
const TERMINATE = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`

/** @type {Awaited<ReturnType<typeof startPostgres>>} */
let server

before(async () => {
  // It writes to disk as in production: what it has acknowledged must be there after a crash.
  server = await startPostgres({ durable: true })
})
after(() => server.remove())

for (const mode of /** @type {const} */ (['immediate', 'fast'])) {
  test(`a restart under load, ${mode}: what was created is there once, what was destroyed is gone`, async t => {
    const { place, sessions } = await start(t)
    const load = new Load(t, sessions)
    await sleep(300)

    await server.stop(mode)
    await sleep(200)
    await server.start()
    await assertWorksAgain(sessions)
    await sleep(200)
    await load.stop()

    assert.ok(load.live.size > 20, `${load.live.size} sessions`)
    for (const { error } of load.failures) assert.match(codeOf(error), NO_SERVER, error.stack)
    await load.assertKept()
    await assertNothingTwice(place)
  })
}

test('crashes right after acknowledgements, twice: each create is on disk, no destroy is undone', async t => {
  const { place, sessions } = await start(t, PATIENT)
  /** @type {string[]} */
  const kept = []
  /** @type {string[]} */
  const ended = []
  for (let crash = 0; crash < 2; crash++) {
    const rows = await Promise.all(Array.from({ length: 40 }, (_, user_id) => sessions.create({ user_id })))
    const [ending, staying] = [rows.slice(0, 20), rows.slice(20)]
    await Promise.all(ending.map(({ sess_id }) => sessions.destroy(sess_id)))
    kept.push(...staying.map(row => row.sess_id))
    ended.push(...ending.map(row => row.sess_id))

    await server.stop('immediate')
    await server.start()

    for (const sid of kept) assert.notEqual(await sessions.validate(sid), null)
    for (const sid of ended) assert.equal(await sessions.validate(sid), null)
  }
  assert.equal((await place.query('SELECT FROM sess')).length, kept.length)
})

test('over a crash, replaced ids lead where they led, for their grace, and what ended by one of them is over', async t => {
  const { sessions } = await start(t, PATIENT)
  const [stays, ends] = await Promise.all([sessions.create({ user_id: 1 }), sessions.create({ user_id: 2 })])
  const moved = await sessions.refresh(stays.sess_id)
  const replaced = await sessions.refresh(ends.sess_id)
  assert.equal(await sessions.destroy(ends.sess_id), true)

  await server.stop('immediate')
  await server.start()

  assert.equal((await sessions.validate(stays.sess_id))?.sess_id, moved.sess_id)
  assert.equal((await sessions.refresh(stays.sess_id))?.sess_id, moved.sess_id)
  for (const { sess_id } of [ends, replaced]) {
    assert.equal(await sessions.validate(sess_id), null)
    assert.equal(await sessions.refresh(sess_id), null)
  }
})

describe('backends that end', () => {
  test('six times, all of them, under load: hardly a call fails', async t => {
    const { place, sessions } = await start(t, PATIENT)
    const load = new Load(t, sessions)

    for (let time = 0; time < 6; time++) {
      await sleep(200)
      await place.query(TERMINATE)
    }
    await sleep(200)
    await load.stop()

    assert.ok(load.calls > 200, `${load.calls} calls`)
    assert.ok(load.failures.length <= 3, `${load.failures.length} of ${load.calls}: ${load.failures[0]?.error.stack}`)
    await load.assertKept()
    await assertNothingTwice(place)
  })

  test('while they are idle: no call of any kind fails, and the dead ones are not kept', async t => {
    const { place, sessions } = await start(t, PATIENT)
    await callAll(sessions, await oneForEach(sessions))
    const rows = await oneForEach(sessions)

    await place.query(TERMINATE)
    const left = await eventually(
      async () => sessions.stats(),
      ({ size }) => size === 0
    )
    assert.equal(left.size, 0)

    for (const outcome of await callAll(sessions, rows)) assertDone(outcome)
  })

  test('by SIGKILL, which makes the server restart all of them', async t => {
    const { place, sessions } = await start(t)
    const load = new Load(t, sessions)
    await sleep(200)

    const [{ pid }] = await place.query(
      "SELECT pid FROM pg_stat_activity WHERE application_name = 'faults' ORDER BY backend_start LIMIT 1"
    )
    process.kill(pid, 'SIGKILL')
    await assertWorksAgain(sessions)
    await sleep(200)
    await load.stop()

    for (const { error } of load.failures) assert.match(codeOf(error), NO_SERVER, error.stack)
    await load.assertKept()
    await assertNothingTwice(place)
  })
})

/**
 * @param {import('node:test').TestContext} t
 * @param {object} [options]
 */
async function start(t, options = TIMEOUTS) {
  const place = new Place(server.url)
  t.after(() => place.leave())
  await place.query('DROP TABLE IF EXISTS sess, sess_ids')
  const url = new URL(server.url)
  url.searchParams.set('application_name', 'faults')
  const sessions = await place.sessions({ fields: FIELDS, pruneInterval: false, ...options }, url.href)
  return { place, sessions }
}

/** @param {any} place */
async function assertNothingTwice(place) {
  const rows = await place.query('SELECT user_id FROM sess WHERE user_id >= 0 GROUP BY 1 HAVING count(*) > 1')
  assert.deepEqual(rows, [])
}

/** @param {any} error a broken connection may have no code, as in pg */
function codeOf(error) {
  return error.code ?? (error.message === 'Connection terminated unexpectedly' ? 'ECONNRESET' : error.message)
}
