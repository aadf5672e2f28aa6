'use strict'

// Of two servers the first stops to take writes, falls silent, or dies, while a program runs: its calls find the second
// by themselves. They are no standbys, which __test__/system/examples-replication.test.js has: only new sessions count.

const assert = require('node:assert/strict')
const { after, before, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const { startPostgres } = require('../../scripts/postgres.js')
const {
  FIELDS,
  PATIENT,
  TIMEOUTS,
  assertDone,
  assertRejected,
  assertWorksAgain,
  outcomeOf,
  setReadOnly
} = require('../support/faults.js')
const { Place } = require('../support/place.js')
const { startProxy } = require('../support/proxy.js')

/** @typedef {Awaited<ReturnType<typeof startPostgres>>} Server */

/** @type {Server} */
let first
/** @type {Server} */
let second

before(async () => {
  ;[first, second] = await Promise.all([startPostgres(), startPostgres()])
})
after(() => Promise.all([first.remove(), second.remove()]))

test('a primary that is demoted: no call fails', async t => {
  const { places, sessions } = await start(t, PATIENT)
  places[0].defer(() => setReadOnly(places[0], false))
  const calls = keepCreating(sessions)

  await setReadOnly(places[0], true)
  await sleep(300)
  const outcomes = await calls.stop()

  for (const outcome of outcomes) assertDone(outcome)
  await assertAllAreThere(places, outcomes)
  await assertOnlyOn(places[1], sessions)
})

test('a primary that dies: no call fails', async t => {
  const { places, sessions } = await start(t, PATIENT)
  t.after(() => first.start())
  const calls = keepCreating(sessions)
  await sleep(200)

  await first.stop('immediate')
  await sleep(300)
  const outcomes = await calls.stop()

  for (const outcome of outcomes) assertDone(outcome)
  await assertOnlyOn(places[1], sessions)
})

test('a primary that falls silent: calls reject in time, and the next ones find the other', async t => {
  const { places, proxy, sessions } = await start(t, TIMEOUTS)
  await Promise.all(Array.from({ length: 20 }, (_, user_id) => sessions.create({ user_id })))

  proxy.swallow()
  const outcomes = await Promise.all(
    Array.from({ length: 20 }, (_, user_id) => outcomeOf('create', sessions.create({ user_id })))
  )

  for (const outcome of outcomes) assertRejected(outcome, 'PGSESS_TIMEOUT')
  await assertWorksAgain(sessions)
  await assertOnlyOn(places[1], sessions)
})

/** @param {any} sessions */
function keepCreating(sessions) {
  let isOver = false
  /** @type {import('../support/faults.js').Outcome[]} */
  const outcomes = []
  const callers = Array.from({ length: 10 }, async () => {
    while (!isOver) {
      outcomes.push(await outcomeOf('create', sessions.create({ user_id: outcomes.length })))
      await sleep(1)
    }
  })
  return {
    async stop() {
      isOver = true
      await Promise.all(callers)
      return outcomes
    }
  }
}

/**
 * Each once, on one of the two.
 *
 * @param {Place[]} places
 * @param {import('../support/faults.js').Outcome[]} outcomes
 */
async function assertAllAreThere(places, outcomes) {
  const counts = await Promise.all(places.map(place => place.query('SELECT count(*)::int AS count FROM sess')))
  assert.equal(
    counts.reduce((sum, [{ count }]) => sum + count, 0),
    outcomes.length
  )
}

/**
 * @param {Place} place
 * @param {any} sessions
 */
async function assertOnlyOn(place, sessions) {
  const before = await place.query('SELECT FROM sess')
  await Promise.all(Array.from({ length: 50 }, (_, user_id) => sessions.create({ user_id })))
  assert.equal((await place.query('SELECT FROM sess')).length, before.length + 50)
}

/**
 * @param {import('node:test').TestContext} t
 * @param {object} timeouts
 */
async function start(t, timeouts) {
  const places = [first, second].map(({ url }) => new Place(url))
  t.after(() => Promise.all(places.map(place => place.leave())))
  for (const place of places) {
    await place.query('DROP TABLE IF EXISTS sess, sess_ids')
    await (await place.sessions({ fields: FIELDS })).close()
  }
  const proxy = await startProxy(t, first.url)
  const options = { fields: FIELDS, pruneInterval: false, hosts: [`127.0.0.1:${second.port}`], ...timeouts }
  const sessions = await places[0].sessions(options, proxy.url)
  return { places, proxy, sessions }
}
