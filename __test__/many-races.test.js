'use strict'

// Every operation against every other, on the same sessions, from two processes.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const { useDatabase } = require('./support/place.js')
const { makeCalls, startRival } = require('./support/rival.js')

const database = useDatabase('many_races')
const OPTIONS = { fields: { user_id: 'INT' }, pruneInterval: false }
const COUNT = 500

/** What one process does to the sessions of user 1. @type {{ [operation: string]: (ids: string[]) => unknown[][] }} */
const WORK = {
  validate: ids => ids.map(id => ['validate', id]),
  extend: ids => ids.map(id => ['extend', id]),
  destroy: ids => ids.map(id => ['destroy', id]),
  list: () => Array.from({ length: 10 }, () => ['list', { user_id: 1 }]),
  destroyAll: () => Array.from({ length: 10 }, () => ['destroyAll', { user_id: 1 }]),
  prune: () => Array.from({ length: 3 }, () => ['prune'])
}
const ENDS = ['destroy', 'destroyAll']

/** @param {any[]} items */
function shuffled(items) {
  return items
    .map(item => ({ item, at: Math.random() }))
    .sort((one, other) => one.at - other.at)
    .map(({ item }) => item)
}

/**
 * Sessions of user 1, of which every fifth has expired.
 *
 * @param {any} place
 * @param {number} count
 */
async function fill(place, count) {
  await place.query('TRUNCATE sess')
  return place.query(
    `INSERT INTO sess SELECT md5(random()::text || n)::uuid, now, now, now + interval '1 hour' * CASE n % 5 WHEN 0 THEN -1 ELSE 1 END, 1
     FROM generate_series(1, $1::int) AS n, (SELECT now() AT TIME ZONE 'UTC' AS now) AS clock
     RETURNING sess_id, sess_expiration > now() AT TIME ZONE 'UTC' AS live`,
    [count]
  )
}

/** @param {any} place */
async function deadlocks(place) {
  const [{ deadlocks: count }] = await place.query(
    'SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()'
  )
  return count
}

describe('two processes at work on the same sessions', () => {
  const operations = Object.keys(WORK)
  const pairs = operations.flatMap((one, at) => operations.slice(at).map(other => [one, other]))

  test('each pair of operations: nobody fails, what was ended is over, and each is ended once', async t => {
    const place = await database.emptyDatabase(t)
    const sessions = await place.sessions(OPTIONS)
    const rival = await startRival(place, OPTIONS)

    for (const [one, other] of pairs) {
      const rows = await fill(place, COUNT)
      const ids = rows.map(row => row.sess_id)
      const live = rows.filter(row => row.live).map(row => row.sess_id)
      const before = sessions.stats().pruned

      const [mine, theirs] = await Promise.all([
        makeCalls(sessions, WORK[one](shuffled(ids))),
        rival.work(WORK[other](shuffled(ids)))
      ])

      const pair = `${one} and ${other}`
      const failures = [...mine, ...theirs].filter(outcome => outcome.failed !== undefined)
      assert.deepEqual(failures, [], pair)
      const isEnd = ENDS.includes(one) || ENDS.includes(other)
      const after = await Promise.all(live.map(id => sessions.validate(id)))
      assert.equal(after.filter(row => row !== null).length, isEnd ? 0 : live.length, pair)
      const expired = ids.filter(id => !live.includes(id))
      const revived = await Promise.all(expired.map(id => sessions.validate(id)))
      assert.ok(
        revived.every(row => row === null),
        pair
      )
      if (isEnd) {
        const removed = sumOf(ENDS.includes(one) ? mine : []) + sumOf(ENDS.includes(other) ? theirs : [])
        const pruned = sumOf(one === 'prune' ? mine : []) + sumOf(other === 'prune' ? theirs : [])
        const [{ left }] = await place.query('SELECT count(*)::int AS left FROM sess')
        assert.equal(removed + pruned + left, COUNT, pair)
      }
      assert.ok(sessions.stats().pruned >= before)
    }
    assert.equal(await deadlocks(place), 0)
  })

  test('creates that keep to a limit: nobody fails, whatever else happens to the sessions', async t => {
    const place = await database.emptyDatabase(t)
    const options = { ...OPTIONS, maxSessions: { by: 'user_id', limit: 20, index: true } }
    const sessions = await place.sessions(options)
    const rival = await startRival(place, options)
    const creates = Array.from({ length: 200 }, (_, at) => ['create', { user_id: at % 3 }])

    for (const other of [...Object.keys(WORK), 'create']) {
      const ids = (await fill(place, COUNT)).map(row => row.sess_id)
      const theirs = other === 'create' ? creates : WORK[other](shuffled(ids))

      const outcomes = (await Promise.all([makeCalls(sessions, creates), rival.work(theirs)])).flat()

      assert.deepEqual(
        outcomes.filter(outcome => outcome.failed !== undefined),
        [],
        other
      )
      for (const user_id of [0, 1, 2]) {
        const { length } = await sessions.list({ user_id })
        assert.ok(length <= 20, `${other}: ${length}`)
      }
    }
    assert.equal(await deadlocks(place), 0)
  })
})

for (const count of [200, 3000]) {
  test(`none of ${count} sessions escapes destroyAll by getting another id meanwhile`, async t => {
    const place = await database.emptySchema(t)
    const sessions = await place.sessions({ ...OPTIONS, maxConnections: 1 })
    await fill(place, count)
    let isOver = false
    const client = await place.client()
    const changing = (async () => {
      while (!isOver) {
        await client.query(
          `UPDATE sess SET sess_id = md5(random()::text || sess_id)::uuid
           WHERE sess_id IN (SELECT sess_id FROM sess ORDER BY random() LIMIT 20 FOR UPDATE SKIP LOCKED)`
        )
      }
    })()

    const ended = await sessions.destroyAll({ user_id: 1 })
    isOver = true
    await changing

    assert.equal(ended, count * 0.8)
    assert.deepEqual(await sessions.list({ user_id: 1 }), [])
  })
}

test('no session escapes destroyAll by an id that comes before those which are looked at next', async t => {
  const place = await database.emptySchema(t)
  const sessions = await place.sessions(OPTIONS)
  await fill(place, 2500)
  await place.query(`
    CREATE FUNCTION move() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      UPDATE sess SET sess_id = ('00000000' || substr(sess_id::text, 9))::uuid
      WHERE sess_id = (SELECT sess_id FROM sess WHERE sess_expiration > now() AT TIME ZONE 'UTC'
                       ORDER BY sess_id DESC LIMIT 1);
      RETURN NULL;
    END $$`)
  await place.query('CREATE TRIGGER move AFTER DELETE ON sess FOR EACH STATEMENT EXECUTE FUNCTION move()')

  assert.equal(await sessions.destroyAll({ user_id: 1 }), 2000)

  assert.deepEqual(await sessions.list({ user_id: 1 }), [])
})

test('destroyAll gives up in the end on a session that somebody never lets go, and the others are over', async t => {
  const place = await database.emptySchema(t)
  const sessions = await place.sessions({ ...OPTIONS, connectTimeout: 400, queryTimeout: 400 })
  const [held, free] = [await sessions.create({ user_id: 1 }), await sessions.create({ user_id: 1 })]
  const holder = await place.client()
  await holder.query('BEGIN')
  await holder.query('SELECT FROM sess WHERE sess_id = $1 FOR UPDATE', [held.sess_id])

  await assert.rejects(sessions.destroyAll({ user_id: 1 }), { code: 'PGSESS_TIMEOUT' })

  assert.equal(await sessions.validate(free.sess_id), null)
  await holder.query('ROLLBACK')
  assert.equal(await sessions.destroyAll({ user_id: 1 }), 1)
})

test('a transaction that holds the place of one user holds up no other', async t => {
  const place = await database.emptySchema(t)
  const options = { ...OPTIONS, maxSessions: { by: 'user_id', limit: 1 } }
  const sessions = await place.sessions(options)
  const other = await place.sessions(options)
  await sessions.create({ user_id: 1 })
  const holder = await place.client()
  await holder.query('BEGIN')
  await holder.query('SELECT FROM sess WHERE user_id = 1 FOR UPDATE')

  const waiting = sessions.create({ user_id: 1 })
  const [two, three] = await Promise.all([sessions.create({ user_id: 2 }), other.create({ user_id: 3 })])
  assert.ok(two.sess_id && three.sess_id)
  await holder.query('COMMIT')

  await waiting
  assert.equal((await sessions.list({ user_id: 1 })).length, 1)
})

/** @param {{ value?: any }[]} outcomes of calls that end sessions: how many they ended */
function sumOf(outcomes) {
  return outcomes.reduce((sum, { value }) => sum + Number(value), 0)
}
