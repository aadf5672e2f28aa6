'use strict'

// The network between us and PostgreSQL refuses, cuts, swallows, delays, and forgets connections.

const assert = require('node:assert/strict')
const { randomUUID } = require('node:crypto')
const { describe, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const { createSession, init, validateSession } = require('../../index.js')
const { eventually } = require('../support/eventually.js')
const {
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
const { useDatabase } = require('../support/place.js')
const { startProxy } = require('../support/proxy.js')
const { openOurs, sessionOf } = require('../support/stores.js')

const database = useDatabase('faults_network')
const NAMES = Object.keys(CALLS)
/** For prune, which has nothing to do otherwise. */
const EXPIRED_ROW = "INSERT INTO sess SELECT $1, now(), now(), now() - interval '1 day'"
/** What a call leaves of a single session. @type {{ [name: string]: number }} */
const ROWS_AFTER = { create: 2, destroy: 0, destroyAll: 0 }

for (const moment of /** @type {const} */ (['before', 'after'])) {
  const when = moment === 'before' ? 'before the server saw it' : 'after its work and before the answer'
  describe(`a connection that is cut ${when} is not noticed`, () => {
    for (const name of NAMES) {
      test(`by ${name}`, async t => {
        const { place, proxy, sessions } = await start(t)
        const { sess_id } = await sessions.create({ user_id: 1 })
        await place.query(EXPIRED_ROW, [randomUUID()])
        await CALLS[name](sessions, randomUUID(), 2)
        await place.query('DELETE FROM sess WHERE user_id = 2')

        proxy.cutOnce(moment)
        const outcome = await outcomeOf(name, CALLS[name](sessions, sess_id))

        assert.equal(proxy.cuts, 1)
        assertDone(outcome)
        if (name === 'destroyAll' && moment === 'before') assert.equal(outcome.value, 1)
        const rows = await place.query('SELECT user_id FROM sess WHERE user_id = 1')
        assert.equal(rows.length, ROWS_AFTER[name] ?? 1)
        if (rows.length === 1) {
          const current = outcome.value?.sess_id ?? sess_id
          assert.equal((await sessions.validate(current))?.user_id, 1)
        }
      })
    }

    test('by a create that keeps to maxSessions: the new one is there, and not one too many', async t => {
      const maxSessions = { by: 'user_id', limit: 2 }
      const { place, proxy, sessions } = await start(t, { maxSessions })
      for (let n = 0; n < 3; n++) await sessions.create({ user_id: 1 })

      for (let others = 0; others < 3; others++) {
        proxy.cutOnce(moment, others)
        const { sess_id } = await sessions.create({ user_id: 1 })
        assert.equal((await sessions.validate(sess_id))?.user_id, 1)
        assert.equal((await place.query('SELECT FROM sess')).length, 2)
        proxy.cutNothing()
      }
    })

    test('by the Store for express-session', async t => {
      const place = await database.emptySchema(t)
      const proxy = await startProxy(t, place.url)
      const store = openOurs(place, { conString: proxy.url, ...PATIENT })
      const data = (/** @type {number} */ n) => sessionOf({ n }, 60_000)
      await store.set('a', data(1))
      await store.get('a')
      await store.touch('a', data(1))
      /** @type {[string, () => Promise<unknown>, number | undefined][]} */
      const calls = [
        ['set', () => store.set('a', data(2)), 2],
        ['get', () => store.get('a'), 2],
        ['touch', () => store.touch('a', data(2)), 2],
        ['destroy', () => store.destroy('a'), undefined]
      ]

      for (const [at, [name, call, expected]] of calls.entries()) {
        proxy.cutOnce(moment)
        const { error } = await outcomeOf(name, call())
        assert.equal(error, undefined, `${name}: ${error?.stack}`)
        assert.equal(proxy.cuts, at + 1)
        assert.equal((await store.get('a'))?.n, expected)
      }
    })
  })
}

test('cuts of all connections under load, again and again, are hardly noticed, and nothing happens twice', async t => {
  const { place, proxy, sessions } = await start(t)
  const load = new Load(t, sessions)

  for (let cut = 0; cut < 6; cut++) {
    await sleep(150)
    proxy.cutAll()
  }
  await sleep(150)
  await load.stop()

  assert.ok(load.calls > 200, `${load.calls} calls`)
  assert.deepEqual(load.failures, [])
  await load.assertKept()
  const rows = await place.query('SELECT user_id, count(*)::int AS times FROM sess GROUP BY 1 HAVING count(*) > 1')
  assert.deepEqual(rows, [], 'nothing is there twice')
  assert.equal((await place.query('SELECT FROM sess')).length, load.live.size)
})

test('connections whose other end is gone without a word fail in time, are not lent again, and new ones work', async t => {
  const { proxy, sessions } = await start(t, TIMEOUTS)
  const rows = await oneForEach(sessions)
  await callAll(sessions, rows)
  const fresh = await oneForEach(sessions)

  proxy.forget()
  const before = proxy.connections
  const outcomes = await callAll(sessions, fresh)

  for (const outcome of outcomes) assertRejected(outcome, 'PGSESS_TIMEOUT')
  await assertWorksAgain(sessions)
  assert.ok(proxy.connections > before)
  // One call is enough to find out; no other pays for it.
  for (const outcome of await callAll(sessions, await oneForEach(sessions))) assertDone(outcome)
})

describe('a black hole', () => {
  test('that opens under load: every call settles in time, and all works when it is over', async t => {
    const { proxy, sessions } = await start(t, TIMEOUTS)
    const load = new Load(t, sessions)
    await sleep(200)

    proxy.swallow()
    await sleep(2700)
    proxy.heal()
    await assertWorksAgain(sessions)
    await load.stop()

    assert.ok(load.failures.length > 0)
    for (const { error } of load.failures) assert.equal(error.code, 'PGSESS_TIMEOUT')
    await load.assertKept()
    assert.ok(sessions.stats().size <= 4)
    assert.equal(sessions.stats().waiting, 0)
  })

  test('swallows every kind of call, in time', async t => {
    const { proxy, sessions } = await start(t, TIMEOUTS)
    const rows = await oneForEach(sessions)

    proxy.swallow()
    for (const outcome of await callAll(sessions, rows)) assertRejected(outcome, 'PGSESS_TIMEOUT')
    proxy.heal()

    await assertWorksAgain(sessions)
    for (const { sess_id, user_id } of rows) assert.equal((await sessions.validate(sess_id))?.user_id, user_id)
  })

  test('also holds up init no longer than that; later calls set up by themselves', async t => {
    const place = await database.emptySchema(t)
    const proxy = await startProxy(t, place.url)
    proxy.swallow()

    const opening = init(null, proxy.url, FIELDS, { ...TIMEOUTS, pruneInterval: false })
    const outcomes = await Promise.all([
      outcomeOf('init', opening),
      outcomeOf('create', createSession(null, proxy.url, { user_id: 1 }))
    ])
    for (const outcome of outcomes) assertRejected(outcome, 'PGSESS_TIMEOUT')
    proxy.heal()

    const { sess_id } = await createSession(null, proxy.url, { user_id: 1 })
    assert.equal((await validateSession(null, proxy.url, sess_id))?.user_id, 1)
    await place.closing(init(null, proxy.url, FIELDS, TIMEOUTS))
  })
})

test('a server that is refused at first and later: ECONNREFUSED each time; calls set up and go on by themselves', async t => {
  const place = await database.emptySchema(t)
  const proxy = await startProxy(t, place.url)
  const { url } = proxy
  await proxy.close()
  assertRejected(await outcomeOf('init', init(null, url, FIELDS, TIMEOUTS)), 'ECONNREFUSED')
  assertRejected(await outcomeOf('create', createSession(null, url, { user_id: 1 })), 'ECONNREFUSED')

  await proxy.open()
  const { sess_id } = await createSession(null, url, { user_id: 1 })
  const sessions = await place.closing(init(null, url, FIELDS, TIMEOUTS))
  await proxy.close()
  for (const outcome of await callAll(sessions, Array(NAMES.length).fill({ sess_id, user_id: 1 }))) {
    // A refresh needs its table, which init makes only if it is asked to.
    assertRejected(outcome, outcome.name === 'refresh' ? undefined : 'ECONNREFUSED')
  }
  const left = await eventually(
    async () => sessions.stats(),
    ({ size }) => size === 0
  )
  assert.equal(left.size, 0)

  await proxy.open()
  assert.equal((await sessions.validate(sess_id))?.user_id, 1)
  await assertWorksAgain(sessions)
})

test('120 ms each way break nothing', async t => {
  const { proxy, sessions } = await start(t)
  const rows = await oneForEach(sessions)

  proxy.state.delay = 120

  for (const [at, name] of NAMES.entries()) {
    assertDone(await outcomeOf(name, CALLS[name](sessions, rows[at].sess_id, rows[at].user_id)))
  }
})

/**
 * @param {import('node:test').TestContext} t
 * @param {object} [options]
 */
async function start(t, options) {
  const place = await database.emptySchema(t)
  const proxy = await startProxy(t, place.url)
  const sessions = await place.sessions({ fields: FIELDS, pruneInterval: false, ...PATIENT, ...options }, proxy.url)
  return { place, proxy, sessions }
}
