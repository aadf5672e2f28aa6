'use strict'

// Somebody else's transaction holds what calls need: they give up in time, and the others are not held up.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const { connect } = require('../../index.js')
const { eventually } = require('../support/eventually.js')
const {
  CALLS,
  FIELDS,
  PATIENT,
  TIMEOUTS,
  assertDone,
  assertRejected,
  assertWorksAgain,
  callAll,
  oneForEach,
  outcomeOf
} = require('../support/faults.js')
const { storedIds } = require('../support/ids.js')
const { useDatabase } = require('../support/place.js')
const { called, openOurs, sessionOf } = require('../support/stores.js')

const database = useDatabase('faults_locks')
const NAMES = Object.keys(CALLS)
/** Key of the advisory lock under which tables are set up. */
const SET_UP_LOCK = '31638642298811251'

test('a table that is locked: every kind of call gives up in time, works right after, and nothing goes on', async t => {
  const { place, sessions } = await start(t)
  const rows = await oneForEach(sessions)
  const store = openOurs(place, TIMEOUTS)
  await called(store, 'set', 'a', sessionOf({}, 60_000))
  const holder = await place.client()
  await holder.query('BEGIN; LOCK TABLE sess, session IN ACCESS EXCLUSIVE MODE')

  const outcomes = await Promise.all([
    callAll(sessions, rows),
    ...[['set', sessionOf({}, 60_000)], ['get'], ['touch', sessionOf({}, 60_000)], ['destroy']].map(([method, data]) =>
      outcomeOf(`Store ${method}`, called(store, String(method), 'a', ...(data ? [data] : [])))
    )
  ])
  for (const outcome of outcomes.flat()) assertRejected(outcome)
  await assertNobodyWaits(place)
  await holder.query('COMMIT')

  for (const { sess_id, user_id } of rows) assert.equal((await sessions.validate(sess_id))?.user_id, user_id)
  await assertWorksAgain(sessions)
  assert.equal((await place.query('SELECT FROM sess')).length, rows.length)
})

/** Long enough for neighbours of a busy machine, and for whoever waits in vain to end within the bound. */
const UNHURRIED = { queryTimeout: 3000 }

test('one row that somebody holds: 59 neighbours are extended, validated, changed and made; it can be read', async t => {
  const { place, sessions } = await start(t, UNHURRIED)
  const rows = await Promise.all(Array.from({ length: 60 }, (_, user_id) => sessions.create({ user_id })))
  const [held, ...others] = rows
  const holder = await place.client()
  await holder.query('BEGIN')
  await holder.query('SELECT FROM sess WHERE sess_id = ANY($1::uuid[]) FOR UPDATE', [storedIds(held.sess_id)])

  const [own, ...neighbours] = await Promise.all([
    Promise.all(
      ['extend', 'update', 'destroy', 'refresh'].map(name => outcomeOf(name, CALLS[name](sessions, held.sess_id)))
    ),
    ...['validate', 'extend', 'update', 'create'].flatMap(name =>
      others.map(({ sess_id, user_id }) => outcomeOf(name, CALLS[name](sessions, sess_id, user_id)))
    ),
    outcomeOf('validate', sessions.validate(held.sess_id)),
    outcomeOf('list', sessions.list({ user_id: 0 }))
  ])

  for (const outcome of own) assertRejected(outcome)
  for (const outcome of neighbours) assertDone(outcome)
  await assertNobodyWaits(place)
  await holder.query('COMMIT')
  assert.equal(await sessions.extend(held.sess_id), true)
  assert.equal((await place.query('SELECT FROM sess')).length, 60 + others.length)
})

test('a table that may only be read: more writers wait than there are connections; validate and list go on', async t => {
  const { place, sessions } = await start(t, UNHURRIED)
  const names = ['create', 'extend', 'update', 'destroy', 'refresh']
  const [live, ...rows] = await oneForEach(sessions, ['validate', ...names])
  const holder = await place.client()
  await holder.query('BEGIN; LOCK TABLE sess IN SHARE MODE')

  const hanging = callAll(sessions, rows, names)
  await eventually(
    () => lockWaits(place),
    waiting => waiting.length >= 3
  )
  for (const name of ['validate', 'list']) {
    assertDone(await outcomeOf(name, CALLS[name](sessions, live.sess_id, live.user_id)))
  }

  for (const outcome of await hanging) assertRejected(outcome, 'PGSESS_TIMEOUT')
  await assertNobodyWaits(place)
  await holder.query('COMMIT')
  await assertWorksAgain(sessions)
})

test('the table of replaced ids is locked: calls for ids that are current go on, the others give up in time', async t => {
  const { place, sessions } = await start(t, UNHURRIED)
  const names = NAMES.filter(name => !['refresh', 'prune', 'destroyAll', 'destroy'].includes(name))
  const rows = await oneForEach(sessions, names)
  const holder = await place.client()
  await holder.query('BEGIN; LOCK TABLE sess_ids IN ACCESS EXCLUSIVE MODE')

  const refreshed = outcomeOf('refresh', sessions.refresh(rows[0].sess_id))
  const outcomes = await callAll(sessions, rows, names)

  assertRejected(await refreshed)
  for (const outcome of outcomes) assertDone(outcome)
  await assertNobodyWaits(place)
  await holder.query('COMMIT')
  assert.notEqual(await sessions.refresh(rows[0].sess_id), null)
})

test('somebody else is setting up tables, and never ends: connect gives up in time; later it works', async t => {
  const place = await database.emptySchema(t)
  const holder = await place.client()
  await holder.query('SELECT pg_advisory_lock($1)', [SET_UP_LOCK])

  assertRejected(await outcomeOf('connect', connect(place.url, { fields: FIELDS, ...TIMEOUTS })), 'PGSESS_TIMEOUT')
  await assertNobodyWaits(place)
  await holder.query('SELECT pg_advisory_unlock($1)', [SET_UP_LOCK])

  await assertWorksAgain(await place.sessions({ fields: FIELDS, ...TIMEOUTS }))
})

test('rows that are locked in turns by another program are never a deadlock for ours', async t => {
  const { place, sessions } = await start(t, PATIENT)
  const rows = await Promise.all(Array.from({ length: 30 }, (_, user_id) => sessions.create({ user_id })))
  const other = await place.client()
  let isOver = false
  const turns = (async () => {
    for (let turn = 0; !isOver; turn++) {
      const ids = (turn % 2 ? rows : rows.toReversed()).map(({ sess_id }) => storedIds(sess_id))
      await other.query('BEGIN')
      for (const id of ids.slice(10, 15)) {
        await other.query('UPDATE sess SET note = $2 WHERE sess_id = ANY($1::uuid[])', [id, 'theirs'])
      }
      await other.query('COMMIT')
      await sleep(5)
    }
  })()

  const outcomes = []
  for (let round = 0; round < 20; round++) {
    const names = ['extend', 'update', 'validate']
    outcomes.push(
      ...(await Promise.all(
        rows.flatMap(({ sess_id }) => names.map(name => outcomeOf(name, CALLS[name](sessions, sess_id))))
      ))
    )
  }
  isOver = true
  await turns

  for (const outcome of outcomes) assertDone(outcome)
})

/**
 * @param {import('node:test').TestContext} t
 * @param {object} [options]
 */
async function start(t, options) {
  const place = await database.emptySchema(t)
  const sessions = await place.sessions({ fields: FIELDS, pruneInterval: false, ...TIMEOUTS, ...options })
  return { place, sessions }
}

/**
 * What calls gave up is not left running on the server.
 *
 * @param {any} place
 */
async function assertNobodyWaits(place) {
  const waiting = await eventually(
    () => lockWaits(place),
    rows => rows.length === 0
  )
  assert.deepEqual(waiting, [])
}

/** @param {any} place */
function lockWaits(place) {
  return place.query(
    "SELECT query FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
  )
}
