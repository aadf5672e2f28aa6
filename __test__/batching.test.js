'use strict'

// Calls made at the same time travel together. Nobody may notice it by anything but speed: each call gets its own
// answer, and no call suffers for another.

const assert = require('node:assert/strict')
const { randomUUID } = require('node:crypto')
const { describe, test } = require('node:test')
const pgSess = require('pg-sess-rs')
const { storedIds } = require('./support/ids.js')
const { useDatabase } = require('./support/place.js')

const database = useDatabase('batching')

const FIELDS = { user_id: 'INT CHECK (user_id < 1000000)', user_name: 'VARCHAR(12)', device: 'TEXT UNIQUE' }

describe('of 200 creates at once', () => {
  test('the one with a bad value rejects with pg’s error, and the others are created', async t => {
    const { pgp, db, place } = await startDropin(t)
    const values = numbers(200).map(user_id => ({ user_id }))
    values[77] = { user_id: 'seventy-seven' }

    const outcomes = await Promise.allSettled(values.map(value => pgSess.createSession(pgp, db, value)))

    const [[at, error], ...others] = rejections(outcomes)
    assert.deepEqual(others, [])
    assert.equal(at, 77)
    assert.ok(error instanceof pgp.pg.DatabaseError)
    assert.equal(error.code, '22P02')
    assert.equal(error.message, 'invalid input syntax for type integer: "seventy-seven"')
    assert.equal(await count(place), 199)
  })

  test('three with different bad values reject, each with its own error', async t => {
    const { pgp, db, place } = await startDropin(t)
    const values = numbers(200).map(user_id => ({ user_id, user_name: `user ${user_id}` }))
    values[3].user_id = 'three'
    values[100].user_name = 'more than twelve characters'
    values[199].user_id = 1_000_000

    const outcomes = await Promise.allSettled(values.map(value => pgSess.createSession(pgp, db, value)))

    const failed = rejections(outcomes)
    assert.deepEqual(
      failed.map(([at, { code }]) => [at, code]),
      [
        [3, '22P02'],
        [100, '22001'],
        [199, '23514']
      ]
    )
    for (const [, error] of failed) assert.ok(error instanceof pgp.pg.DatabaseError)
    assert.deepEqual([failed[2][1].table, failed[2][1].constraint], ['sess', 'sess_user_id_check'])
    assert.equal(await count(place), 197)
  })

  test('all reject if all are bad, each with its own error', async t => {
    const { sessions, place } = await start(t)

    const outcomes = await Promise.allSettled(numbers(200).map(number => sessions.create({ user_id: `no ${number}` })))

    const messages = rejections(outcomes).map(([, error]) => error.message)
    assert.deepEqual(
      messages,
      numbers(200).map(number => `invalid input syntax for type integer: "no ${number}"`)
    )
    assert.equal(await count(place), 0)
  })

  test('one of two that may be there only once is created, the other rejects', async t => {
    const { sessions, place } = await start(t)
    const values = numbers(200).map(number => ({ device: `device ${number % 199}` }))

    const outcomes = await Promise.allSettled(values.map(value => sessions.create(value)))

    const failed = rejections(outcomes)
    assert.equal(failed.length, 1)
    const [[at, error]] = failed
    assert.ok(at === 0 || at === 199)
    assert.deepEqual([error.code, error.constraint], ['23505', 'sess_device_key'])
    assert.equal(error.detail, 'Key (device)=(device 0) already exists.')
    assert.equal(await count(place), 199)
  })

  test('each has the fields it was given, whichever these are', async t => {
    const { sessions } = await start(t)
    const values = numbers(200).map(
      number =>
        [{}, { user_id: number }, { user_name: `user ${number}` }, { device: `device ${number}`, user_id: number }][
          number % 4
        ]
    )

    const rows = await Promise.all(values.map(value => sessions.create(value)))

    const empty = { user_id: null, user_name: null, device: null }
    assert.deepEqual(
      rows.map(fieldsOf),
      values.map(value => ({ ...empty, ...value }))
    )
  })
})

describe('calls for one session at once', () => {
  test('of two destroys one did it', async t => {
    const { sessions } = await start(t)
    const { sess_id } = await sessions.create({ user_id: 1 })

    const done = await Promise.all(numbers(5).map(() => sessions.destroy(sess_id)))

    assert.deepEqual(done.toSorted(), [false, false, false, false, true])
  })

  test('all extends did it', async t => {
    const { sessions } = await start(t)
    const { sess_id } = await sessions.create({ user_id: 1 })

    assert.deepEqual(await Promise.all(numbers(5).map(() => sessions.extend(sess_id))), Array(5).fill(true))
  })

  test('each validate gives a row of its own', async t => {
    const { sessions } = await start(t)
    const { sess_id } = await sessions.create({ user_id: 1 })

    const [one, other] = await Promise.all([sessions.validate(sess_id), sessions.validate(sess_id.toUpperCase())])
    assert.deepEqual(one, other)

    one.user_id = 2
    one.sess_expiration.setFullYear(1999)
    assert.equal(other.user_id, 1)
    assert.notEqual(other.sess_expiration.getFullYear(), 1999)
  })
})

test('what only has the length of an id moves no neighbour out of its place', async t => {
  const { sessions } = await start(t)
  const rows = await Promise.all(numbers(4).map(user_id => sessions.create({ user_id })))
  const ids = rows.map(row => row.sess_id)
  // More bytes than units; two halves that make one character where they meet; more units in lower case.
  const odd = [`é${ids[0].slice(1)}`, `${ids[0].slice(1)}\ud83c`, `\udf00${ids[0].slice(1)}`, 'İ'.repeat(36)]

  const asked = [ids[0], odd[0], ids[1], odd[1], odd[2], ids[2], odd[3], ids[3].toUpperCase()]
  const found = await Promise.all(asked.map(sid => sessions.validate(sid)))

  assert.deepEqual(
    found.map(row => row?.user_id),
    [0, undefined, 1, undefined, undefined, 2, undefined, 3]
  )
  assert.deepEqual(
    found.flatMap(row => row?.sess_id ?? []),
    ids
  )
})

test('of 2 000 mixed calls each gets its own answer', async t => {
  const { sessions, place } = await start(t)
  const rows = await Promise.all(numbers(1_000).map(user_id => sessions.create({ user_id })))
  const [SAME, GONE, UNKNOWN] = ['validate, extend', 'destroy', 'an id that nobody has']
  const kinds = rows.map((_, at) => [SAME, GONE, UNKNOWN][at % 3])

  const answers = await Promise.all(
    rows.flatMap((row, at) => {
      if (kinds[at] === SAME) return [sessions.validate(row.sess_id), sessions.extend(row.sess_id)]
      if (kinds[at] === GONE) return [sessions.destroy(row.sess_id), sessions.destroy(randomUUID())]
      return [sessions.validate(randomUUID()), sessions.extend(randomUUID())]
    })
  )

  const expected = { [SAME]: row => [row.user_id, true], [GONE]: () => [true, false], [UNKNOWN]: () => [null, false] }
  const userOrAnswer = answer => answer?.user_id ?? answer
  assert.equal(answers.length, 2_000)
  assert.deepEqual(
    answers.map(userOrAnswer),
    rows.flatMap((row, at) => expected[kinds[at]](row))
  )
  assert.equal(await count(place), kinds.filter(kind => kind !== GONE).length)
})

test('after lone calls PostgreSQL has one plan for every batch', async t => {
  const { sessions, place } = await start(t)
  const { sess_id } = await sessions.create({ user_id: 1 })
  await sessions.validate(sess_id)
  const client = await place.client()
  const { rows } = await client.query(`
    SELECT query FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'SELECT%sess_id = ANY%'`)
  await client.query(`PREPARE validate (uuid[]) AS ${rows[0].query}`)

  for (let lone = 0; lone < 6; lone++) await client.query(`EXECUTE validate ('{${sess_id}}')`)

  const { rows: plan } = await client.query(`EXPLAIN (VERBOSE) EXECUTE validate ('{${sess_id}}')`)
  const text = plan.map(row => row['QUERY PLAN']).join('\n')
  // A plan for these ids alone would hold them.
  assert.match(text, /Output: \$1/)
  assert.doesNotMatch(text, new RegExp(sess_id))
})

describe('stats', () => {
  test('count far fewer batches than calls', async t => {
    const { sessions } = await start(t)
    const rows = await Promise.all(numbers(1_000).map(user_id => sessions.create({ user_id })))

    await Promise.all(rows.map(row => sessions.validate(row.sess_id)))

    const { calls, batches, errors } = sessions.stats()
    assert.equal(calls, 2_000)
    assert.ok(batches >= 1 && batches < 100, `${batches} batches`)
    assert.equal(errors, 0)
  })

  test('count one batch a call without batching', async t => {
    const { sessions } = await start(t, { batch: false })

    await Promise.all(numbers(100).map(user_id => sessions.create({ user_id })))

    const { calls, batches } = sessions.stats()
    assert.deepEqual({ calls, batches }, { calls: 100, batches: 100 })
  })

  test('count the calls that rejected', async t => {
    const { sessions } = await start(t)

    await Promise.allSettled(numbers(10).map(at => sessions.create({ user_id: at < 3 ? 'bad' : at })))

    assert.equal(sessions.stats().errors, 3)
  })

  test('show connections, never more than maxConnections, and none at work when nothing is under way', async t => {
    const { sessions } = await start(t, { maxConnections: 2 })

    const calls = Promise.all(numbers(1_000).map(user_id => sessions.create({ user_id })))
    assert.ok(sessions.stats().size <= 2)
    await calls

    const { size, waiting } = sessions.stats()
    assert.ok(size >= 1 && size <= 2, `${size} connections`)
    assert.equal(waiting, 0)
    assert.ok(Object.values(sessions.stats()).every(Number.isSafeInteger))
  })
})

describe('a row that another transaction holds', () => {
  for (const operation of ['extend', 'destroy']) {
    test(`holds its own ${operation} until it is released, and no other`, async t => {
      const { sessions, place } = await start(t)
      const rows = await Promise.all(numbers(20).map(user_id => sessions.create({ user_id })))
      const [held, ...others] = rows.map(row => row.sess_id)
      const release = await hold(place, [held])

      const outcome = sessions[operation](held)
      const done = await Promise.all(others.map(sid => sessions[operation](sid)))

      assert.deepEqual(
        done,
        others.map(() => true)
      )
      assert.equal(await isPending(outcome), true)
      await release()
      assert.equal(await outcome, true)
    })

    test(`rejects its own ${operation} in time if it is held too long, and nothing is stuck afterwards`, async t => {
      const { sessions, place } = await start(t, { connectTimeout: 1_000, queryTimeout: 1_000 })
      const rows = await Promise.all(numbers(3).map(user_id => sessions.create({ user_id })))
      const [held, ...others] = rows.map(row => row.sess_id)
      const release = await hold(place, [held])

      const began = performance.now()
      const outcomes = await Promise.allSettled([held, ...others].map(sid => sessions[operation](sid)))
      const took = performance.now() - began

      assert.deepEqual(
        outcomes.slice(1).map(({ value }) => value),
        [true, true]
      )
      const { code, step, message } = outcomes[0].reason
      assert.deepEqual({ code, step }, { code: 'PGSESS_TIMEOUT', step: 'waiting for the answer' })
      assert.match(message, /may still happen/)
      assert.ok(took > 900 && took < 2_000 + SLACK, `took ${took} ms`)
      assert.notEqual(await sessions.validate(held), null)
      await release()
      assert.equal(typeof (await sessions.destroy(held)), 'boolean')
      assert.equal(await sessions.validate(held), null)
    })
  }

  test('holds no validate', async t => {
    const { sessions, place } = await start(t)
    const rows = await Promise.all(numbers(30).map(user_id => sessions.create({ user_id })))
    const sids = rows.map(row => row.sess_id)
    const release = await hold(place, sids)

    const extended = Promise.all(sids.map(sid => sessions.extend(sid)))
    const found = await Promise.all(sids.map(sid => sessions.validate(sid)))

    assert.deepEqual(found, rows)
    assert.equal(await isPending(extended), true)
    await release()
    assert.deepEqual(
      await extended,
      sids.map(() => true)
    )
  })

  test('and is then deleted is no session', async t => {
    const { sessions, place } = await start(t)
    const rows = await Promise.all(numbers(4).map(user_id => sessions.create({ user_id })))
    const sids = rows.map(row => row.sess_id)
    const release = await hold(place, sids, client => client.query('DELETE FROM sess'))

    const answers = Promise.all([...sids.map(sid => sessions.extend(sid)), ...sids.map(sid => sessions.destroy(sid))])
    assert.notEqual(await sessions.validate(sids[0]), null)
    await release()

    assert.deepEqual(await answers, Array(8).fill(false))
  })
})

test('a table that is locked rejects every call in time', async t => {
  const { sessions, place } = await start(t, { connectTimeout: 1_000, queryTimeout: 1_000 })
  const { sess_id } = await sessions.create({ user_id: 1 })
  const client = await place.client()
  await client.query('BEGIN; LOCK TABLE sess IN ACCESS EXCLUSIVE MODE')

  const began = performance.now()
  const outcomes = await Promise.allSettled(
    numbers(100).flatMap(user_id => [
      sessions.create({ user_id }),
      sessions.validate(sess_id),
      sessions.extend(sess_id),
      sessions.destroy(randomUUID())
    ])
  )
  const took = performance.now() - began

  assert.deepEqual(
    outcomes.map(({ reason }) => reason?.code),
    Array(400).fill('PGSESS_TIMEOUT')
  )
  assert.ok(took < 2_000 + SLACK, `took ${took} ms`)
  await client.query('ROLLBACK')
  assert.equal((await sessions.validate(sess_id)).user_id, 1)
})

test('programs that work on the same sessions in different orders do not get in each other’s way', async t => {
  const { sessions, place } = await start(t)
  const other = await place.sessions({ fields: FIELDS })
  const rows = await Promise.all(numbers(100).map(user_id => sessions.create({ user_id })))
  const sids = rows.map(row => row.sess_id)

  for (let round = 0; round < 10; round++) {
    const answers = await Promise.all([
      ...sids.map(sid => sessions.extend(sid)),
      ...sids.toReversed().map(sid => other.extend(sid))
    ])
    assert.deepEqual(answers, Array(200).fill(true))
  }
  const destroyed = await Promise.all(
    [sids.map(sid => sessions.destroy(sid)), sids.map(sid => other.destroy(sid))].map(calls => Promise.all(calls))
  )

  assert.deepEqual(
    destroyed[0].map((mine, at) => mine !== destroyed[1][at]),
    sids.map(() => true)
  )
})

/** What a busy machine may add to a time, in ms. */
const SLACK = 5_000

async function start(t, options) {
  const place = await database.emptySchema(t)
  return { place, sessions: await place.sessions({ fields: FIELDS, ...options }) }
}

async function startDropin(t) {
  const place = await database.emptySchema(t)
  const { pgp, db } = place.pgPromise()
  await place.closing(pgSess.init(pgp, db, FIELDS))
  return { place, pgp, db }
}

/** Locks sessions, as another program's transaction does; `last` runs before the commit that releases them. */
async function hold(place, sids, last = () => {}) {
  const client = await place.client()
  await client.query('BEGIN')
  await client.query('SELECT 1 FROM sess WHERE sess_id = ANY($1) FOR UPDATE', [sids.flatMap(storedIds)])
  return async () => {
    await last(client)
    await client.query('COMMIT')
  }
}

async function isPending(promise) {
  const pending = Symbol('pending')
  return (await Promise.race([promise, pending])) === pending
}

async function count(place) {
  const [{ count }] = await place.query('SELECT count(*)::int FROM sess')
  return count
}

function numbers(length) {
  return Array.from({ length }, (_, number) => number)
}

function rejections(outcomes) {
  return outcomes.flatMap(({ reason }, at) => (reason === undefined ? [] : [[at, reason]]))
}

function fieldsOf({ user_id, user_name, device }) {
  return { user_id, user_name, device }
}
