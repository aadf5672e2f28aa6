'use strict'

// Under load: what waits is bounded, nobody starves, and large rows come in small portions.

const assert = require('node:assert/strict')
const { randomUUID } = require('node:crypto')
const { test } = require('node:test')
const { setImmediate } = require('node:timers/promises')
const { useDatabase } = require('./support/place.js')

const database = useDatabase('load')

/** What may be away at a time, of one operation: two batches. */
const AWAY = 2 * 128
/** Batches that may leave while one is on its way there and back: two are away, three wait to be read. */
const UNDER_WAY = 5

test('of more calls than maxQueue that wait, the last ones reject at once; the others get their answers', async t => {
  const { sessions, place } = await start(t, { maxQueue: 5 })
  const { sess_id } = await sessions.create({ user_id: 1 })
  await sessions.validate(sess_id)
  const holder = await place.client()
  await holder.query('BEGIN; LOCK TABLE sess IN ACCESS EXCLUSIVE MODE')

  const calls = Array.from({ length: AWAY + 8 }, () => sessions.validate(sess_id))
  const refused = await Promise.allSettled(calls.slice(-3))
  while (sessions.stats().waiting !== 5) await setImmediate()
  await holder.query('COMMIT')
  const answered = await Promise.all(calls.slice(0, -3))

  for (const { reason } of refused) {
    assert.ok(reason instanceof Error)
    assert.equal(reason.code, 'PGSESS_QUEUE_FULL')
    assert.match(reason.message, /\b5 calls are waiting already\b.*maxQueue/)
  }
  assert.ok(answered.every(row => row?.user_id === 1))
  assert.equal((await sessions.validate(sess_id))?.user_id, 1)
  assert.equal(sessions.stats().waiting, 0)
})

test('with 10 000 validations under way a lone call of another kind waits for a few batches at most', async t => {
  const { sessions } = await start(t)
  const { sess_id } = await sessions.create({ user_id: 1 })
  let isOver = false
  const lanes = Array.from({ length: 10_000 }, async () => {
    while (!isOver) await sessions.validate(sess_id)
  })
  /** @type {number[]} */
  const waits = []
  for (let lone = 0; lone < 200; lone++) {
    const before = sessions.stats().batches
    // Nothing to destroy: the disk, which takes longer than many validations, has no part in it.
    assert.equal(await sessions.destroy(randomUUID()), false)
    // Its own is one of them.
    waits.push(sessions.stats().batches - before - 1)
  }
  isOver = true
  await Promise.all(lanes)

  const [, , p99] = waits.sort((one, other) => other - one)
  assert.ok(p99 <= 5 * UNDER_WAY, `99 of 100 calls waited for at most ${p99} batches`)
})

test('rows of a megabyte travel a few at a time', async t => {
  const { sessions } = await start(t)
  const note = 'x'.repeat(1_000_000)
  const rows = await Promise.all(Array.from({ length: 8 }, (_, user_id) => sessions.create({ user_id, note })))
  const before = sessions.stats().batches

  const found = await Promise.all(Array.from({ length: 200 }, (_, at) => sessions.validate(rows[at % 8].sess_id)))

  assert.ok(found.every((row, at) => row?.user_id === at % 8 && row.note === note))
  const batches = sessions.stats().batches - before
  assert.ok(batches >= 80, `200 rows came in ${batches} batches`)
})

/**
 * @param {import('node:test').TestContext} t
 * @param {object} [options]
 */
async function start(t, options) {
  const place = await database.emptySchema(t)
  const sessions = await place.sessions({ fields: { user_id: 'INT', note: 'TEXT' }, ...options })
  return { sessions, place }
}
