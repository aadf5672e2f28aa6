'use strict'

// refresh: a new id for a live session. The old one goes on working for a while, and leads to the same new one for
// whoever asks, from whatever process.

const assert = require('node:assert/strict')
const { randomUUID } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { describe, test } = require('node:test')
const pgSess = require('pg-sess-rs')
const { hashedId } = require('./support/ids.js')
const { useDatabase } = require('./support/place.js')

const database = useDatabase('refresh')

const FIELDS = { user_id: 'INT', cart: 'JSONB' }
const MINUTE = 60_000

/** @type {[string, object][]} */
const ROADS = [
  ['hashed ids', {}],
  ['plain ids', { hashIds: false }],
  ['one connection', { maxConnections: 1 }],
  ['without batches', { batch: false }],
  ['without prepared statements', { prepare: false }]
]

for (const [name, options] of ROADS) {
  describe(`refresh, ${name}`, () => {
    test('gives a new id; fields, times and the creation date stay', async t => {
      const { sessions, place } = await start(t, options)
      const row = await sessions.create({ user_id: 1, cart: [1] })

      const { sess_id, ...rest } = await sessions.refresh(row.sess_id)

      assert.notEqual(sess_id, row.sess_id)
      assert.deepEqual({ sess_id: row.sess_id, ...rest }, row)
      assert.deepEqual(await sessions.validate(sess_id), { sess_id, ...rest })
      assert.equal((await place.query('SELECT 1 FROM sess')).length, 1)
    })

    test('the old id does all that the new one does, and shows the new one', async t => {
      const { sessions } = await start(t, options)
      const { sess_id: old } = await sessions.create({ user_id: 1 })
      const { sess_id } = await sessions.refresh(old)

      assert.equal((await sessions.validate(old)).sess_id, sess_id)
      assert.equal(await sessions.extend(old), true)
      const updated = await sessions.update(old, { user_id: 2 })
      assert.deepEqual([updated.sess_id, updated.user_id], [sess_id, 2])
      assert.deepEqual(await sessions.update(old, {}), updated)
      assert.deepEqual(await sessions.validate(sess_id), updated)
      assert.equal(await sessions.destroy(old), true)
      await assertGone(sessions, old, sess_id)
    })

    test('the old id works as long as its grace, and not longer', async t => {
      const { sessions, place } = await start(t, { refreshGrace: MINUTE, ...options })
      const { sess_id: old } = await sessions.create({ user_id: 1 })
      const { sess_id } = await sessions.refresh(old)
      await ageNotes(place, '59 seconds')
      assert.equal((await sessions.validate(old)).sess_id, sess_id)

      await ageNotes(place, '2 seconds')

      assert.equal(await sessions.validate(old), null)
      assert.equal(await sessions.extend(old), false)
      assert.equal(await sessions.update(old, { user_id: 2 }), null)
      assert.equal(await sessions.update(old, {}), null)
      assert.equal(await sessions.refresh(old), null)
      assert.equal((await sessions.validate(sess_id)).user_id, 1)
      assert.equal(await sessions.destroy(old), true, 'any id ends the session')
      assert.equal(await sessions.validate(sess_id), null)
    })

    test('a chain of ids leads to the current one, each for its own grace', async t => {
      const { sessions, place } = await start(t, { refreshGrace: MINUTE, ...options })
      const ids = [(await sessions.create({ user_id: 1 })).sess_id]
      for (const _ of [1, 2, 3]) {
        await ageNotes(place, '25 seconds')
        ids.push((await sessions.refresh(ids.at(-1))).sess_id)
      }

      for (const id of ids) assert.equal((await sessions.validate(id)).sess_id, ids[3])
      assert.equal((await sessions.refresh(ids[0])).sess_id, ids[3], 'an id that was replaced is not replaced again')
      await ageNotes(place, '20 seconds')
      assert.equal(await sessions.validate(ids[0]), null)
      for (const id of ids.slice(1)) assert.equal((await sessions.validate(id)).sess_id, ids[3])
      assert.equal(await sessions.destroy(ids[1]), true)
      await assertGone(sessions, ...ids)
      assert.deepEqual(await place.query('SELECT 1 FROM sess_ids'), [])
    })

    test('racing and repeated calls, from two programs, give one new id', async t => {
      const { sessions, place } = await start(t, options)
      const other = await place.sessions({ fields: FIELDS, ...options })
      const rows = await Promise.all(Array.from({ length: 40 }, (_, user_id) => sessions.create({ user_id })))

      const refreshed = await Promise.all(
        rows.map(({ sess_id }) => Promise.all([sessions, other, sessions, other].map(there => there.refresh(sess_id))))
      )

      for (const [at, answers] of refreshed.entries()) {
        const again = await sessions.refresh(rows[at].sess_id)
        assert.equal(new Set([...answers, again].map(row => row.sess_id)).size, 1)
      }
      assert.equal((await place.query('SELECT 1 FROM sess')).length, 40)
      assert.equal((await place.query('SELECT 1 FROM sess_ids')).length, 40)
    })

    test('of what is no live session is null, whatever the reason', async t => {
      const { sessions, place } = await start(t, options)
      const [expired, destroyed] = await Promise.all([sessions.create({}), sessions.create({})])
      await place.ageSession(expired.sess_id, '15 days')
      await sessions.destroy(destroyed.sess_id)

      const answers = await Promise.all(
        [expired.sess_id, destroyed.sess_id, randomUUID(), 'me', 7].map(sid => sessions.refresh(sid))
      )

      assert.deepEqual(answers, Array(5).fill(null))
      assert.deepEqual(await place.query('SELECT 1 FROM sess_ids'), [])
    })
  })
}

describe('while somebody holds the session', () => {
  for (const [operation, expected] of [
    ['extend', true],
    ['destroy', true]
  ]) {
    test(`a racing refresh does not lose ${operation}`, async t => {
      const { sessions, place } = await start(t)
      const { sess_id: old } = await sessions.create({ user_id: 1 })
      const client = await place.client()
      await client.query('BEGIN')
      await client.query('SELECT 1 FROM sess FOR UPDATE')

      const calls = [sessions.refresh(old), sessions[operation](old)]
      await new Promise(resolve => setTimeout(resolve, 200))
      await client.query('COMMIT')

      const [row, answer] = await Promise.all(calls)
      assert.equal(answer, expected)
      if (operation === 'destroy') await assertGone(sessions, old, ...(row ? [row.sess_id] : []))
    })
  }

  test('its neighbours are refreshed', async t => {
    const { sessions, place } = await start(t)
    const rows = await Promise.all([1, 2, 3].map(user_id => sessions.create({ user_id })))
    const client = await place.client()
    await client.query('BEGIN; SELECT 1 FROM sess WHERE user_id = 1 FOR UPDATE')

    const [held, ...others] = rows.map(row => sessions.refresh(row.sess_id))

    for (const row of await Promise.all(others))
      assert.equal((await sessions.validate(row.sess_id)).user_id, row.user_id)
    await client.query('COMMIT')
    assert.equal((await held).user_id, 1)
  })
})

describe('what is remembered', () => {
  test('are hashes, and a successor that only the old id opens', async t => {
    const { sessions, place } = await start(t)
    const { sess_id: old } = await sessions.create({ user_id: 1 })
    const { sess_id } = await sessions.refresh(old)

    const [{ old_id, new_id, sealed_id }] = await place.query('SELECT * FROM sess_ids')

    assert.deepEqual([old_id, new_id], [hashedId(old), hashedId(sess_id)])
    for (const secret of [old, sess_id]) {
      assert.equal(sealed_id.toString('hex').includes(secret.replaceAll('-', '')), false)
    }
  })

  test('is read by a program that starts later', async t => {
    const { sessions, place } = await start(t)
    const { sess_id: old } = await sessions.create({ user_id: 1 })
    const { sess_id } = await sessions.refresh(old)
    await sessions.close()

    const later = await place.sessions({ fields: FIELDS })

    assert.equal((await later.validate(old)).sess_id, sess_id)
    assert.equal((await later.refresh(old)).sess_id, sess_id)
  })

  test('of a session that had very many ids is no burden: the first leads to it, and ends it', async t => {
    const { sessions, place } = await start(t, { hashIds: false })
    const { sess_id: current } = await sessions.create({ user_id: 1 })
    const id = (/** @type {string} */ number) =>
      `('00000000-0000-4000-8000-' || lpad((${number})::text, 12, '0'))::uuid`
    await place.query(`INSERT INTO sess_ids SELECT ${id('n')}, ${id('n + 1')}, now(), now() + '1 hour'
      FROM generate_series(1, 20000) AS n`)
    await place.query(`UPDATE sess_ids SET new_id = '${current}' WHERE old_id = ${id('20000')}`)
    await place.query('ANALYZE sess_ids')
    const [first, middle] = ['00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000010000']

    assert.equal((await sessions.validate(first)).sess_id, current)
    assert.equal((await sessions.update(first, { user_id: 2 })).sess_id, current)
    assert.equal((await sessions.refresh(first)).sess_id, current)
    assert.equal(await sessions.destroy(first), true)
    await assertGone(sessions, first, middle, current)
    await ageNotes(place, '2 hours')
    await sessions.prune()
    assert.deepEqual(await place.query('SELECT FROM sess_ids'), [])
  })

  test('a seal that somebody changed opens nothing', async t => {
    const { sessions, place } = await start(t)
    const { sess_id: old } = await sessions.create({ user_id: 1 })
    await sessions.refresh(old)
    await place.query('UPDATE sess_ids SET sealed_id = set_byte(sealed_id, 20, get_byte(sealed_id, 20) # 1)')

    assert.equal(await sessions.validate(old), null)
  })
})

describe('refreshInterval', () => {
  const HOUR = 60 * MINUTE

  test('validate gives a new id to a session whose id is older, and only to such', async t => {
    const { sessions, place } = await start(t, { refreshInterval: HOUR })
    const [young, old] = await Promise.all([sessions.create({ user_id: 1 }), sessions.create({ user_id: 2 })])
    await place.ageSession(old.sess_id, '61 minutes')

    const [same, renewed] = await Promise.all([young, old].map(row => sessions.validate(row.sess_id)))

    assert.deepEqual(same, young)
    assert.notEqual(renewed.sess_id, old.sess_id)
    assert.equal(renewed.user_id, 2)
    assert.equal((await sessions.validate(old.sess_id)).sess_id, renewed.sess_id)
    assert.deepEqual(await sessions.validate(renewed.sess_id), renewed)
  })

  test('the age of an id counts from when it was issued, in every process', async t => {
    const { sessions, place } = await start(t, { refreshInterval: HOUR, refreshGrace: MINUTE })
    const { sess_id } = await sessions.create({ user_id: 1 })
    await place.ageSession(sess_id, '3 hours')
    const { sess_id: second } = await sessions.validate(sess_id)
    const other = await place.sessions({ fields: FIELDS, refreshInterval: HOUR })

    for (const there of [sessions, other, sessions, other]) assert.equal((await there.validate(second)).sess_id, second)
    await ageNotes(place, '61 minutes')
    const third = await place.sessions({ fields: FIELDS, refreshInterval: HOUR })
    assert.notEqual((await third.validate(second)).sess_id, second)
  })

  test('a session that is older but not due costs one more question in a process, not one a validate', async t => {
    const { place } = await start(t)
    const sessions = await place.sessions({ fields: FIELDS, refreshInterval: HOUR })
    const { sess_id } = await sessions.create({ user_id: 1 })
    await place.ageSession(sess_id, '3 hours')
    const { sess_id: current } = await sessions.validate(sess_id)
    const other = await place.sessions({ fields: FIELDS, refreshInterval: HOUR })
    await other.validate(current)

    const before = other.stats()
    for (const _ of Array(5)) assert.equal((await other.validate(current)).sess_id, current)

    const { calls, batches } = other.stats()
    assert.deepEqual([calls - before.calls, batches - before.batches], [5, 5])
  })

  test('racing validates from two programs give one new id', async t => {
    const { sessions, place } = await start(t, { refreshInterval: HOUR })
    const other = await place.sessions({ fields: FIELDS, refreshInterval: HOUR })
    const rows = await Promise.all(Array.from({ length: 40 }, (_, user_id) => sessions.create({ user_id })))
    await place.query("UPDATE sess SET sess_creation_date = sess_creation_date - interval '2 hours'")

    const found = await Promise.all(
      rows.map(({ sess_id }) => Promise.all([sessions, other, sessions].map(there => there.validate(sess_id))))
    )

    assert.equal(found.flat().includes(null), false)
    for (const [at, answers] of found.entries()) {
      const renewed = new Set(answers.map(row => row.sess_id).filter(id => id !== rows[at].sess_id))
      assert.ok(renewed.size <= 1)
      assert.equal(answers[0].user_id, at)
    }
    assert.equal((await place.query('SELECT 1 FROM sess')).length, 40)
  })

  test('true means 15 minutes, false never', async t => {
    const { sessions, place } = await start(t, { refreshInterval: true })
    const never = await place.sessions({ fields: FIELDS, refreshInterval: false })
    const row = await sessions.create({ user_id: 1 })
    await place.ageSession(row.sess_id, '14 minutes 50 seconds')
    assert.equal((await sessions.validate(row.sess_id)).sess_id, row.sess_id)
    await place.ageSession(row.sess_id, '11 seconds')

    assert.equal((await never.validate(row.sess_id)).sess_id, row.sess_id)
    assert.notEqual((await sessions.validate(row.sess_id)).sess_id, row.sess_id)
  })

  test('counts with the real clock, too', async t => {
    const { sessions } = await start(t, { refreshInterval: 1_000, refreshGrace: 2_000 })
    const { sess_id: first } = await sessions.create({ user_id: 1 })
    assert.equal((await sessions.validate(first)).sess_id, first)

    await new Promise(resolve => setTimeout(resolve, 1_100))
    const { sess_id: second } = await sessions.validate(first)
    assert.notEqual(second, first)
    assert.equal((await sessions.validate(first)).sess_id, second)
    await new Promise(resolve => setTimeout(resolve, 2_100))

    assert.equal(await sessions.validate(first), null)
    assert.notEqual(await sessions.validate(second), null)
  })

  test('a creation date of -infinity is old', async t => {
    const { sessions, place } = await start(t, { refreshInterval: HOUR })
    const { sess_id } = await sessions.create({ user_id: 1 })
    await place.query("UPDATE sess SET sess_creation_date = '-infinity'")

    const { sess_id: second } = await sessions.validate(sess_id)
    const other = await place.sessions({ fields: FIELDS, refreshInterval: HOUR })

    assert.notEqual(second, sess_id)
    assert.equal((await other.validate(second)).sess_id, second)
  })
})

describe('the functions of pg-sess', () => {
  test('refresh with the option refreshInterval, and follow a replaced id in a transaction of the caller', async t => {
    const place = await database.emptySchema(t)
    const { pgp, db } = place.pgPromise()
    const sessions = await place.closing(pgSess.init(pgp, db, FIELDS, { refreshInterval: 60 * MINUTE }))
    const { sess_id: old } = await pgSess.createSession(pgp, db, { user_id: 1 })
    const row = await sessions.refresh(old)

    const inTransaction = await db.tx(async tx => [
      await pgSess.validateSession(pgp, tx, old),
      await pgSess.extendSession(pgp, tx, old),
      await pgSess.destroySession(pgp, tx, old),
      await pgSess.validateSession(pgp, tx, row.sess_id)
    ])

    assert.deepEqual(inTransaction, [row, true, true, null])
    await assertGone(sessions, old, row.sess_id)
  })

  test('without it, refresh rejects and says what to do, and there is only the one table', async t => {
    const place = await database.emptySchema(t)
    const { pgp, db } = place.pgPromise()
    const sessions = await place.closing(pgSess.init(pgp, db, FIELDS))
    const { sess_id } = await pgSess.createSession(pgp, db, { user_id: 1 })

    await assert.rejects(sessions.refresh(sess_id), { code: 'PGSESS_TABLE', message: /"sess_ids".*refreshInterval/ })

    assert.deepEqual(await place.query("SELECT to_regclass('sess_ids') AS companion"), [{ companion: null }])
  })

  for (const hashIds of [true, false]) {
    test(`through a database whose statements the caller wants to see, hashIds: ${hashIds}`, async t => {
      const place = await database.emptySchema(t)
      const { pgp, db } = place.pgPromise({ options: { query: () => undefined } })
      const sessions = await place.closing(pgSess.init(pgp, db, FIELDS, { refreshInterval: true, hashIds }))
      const { sess_id: old } = await pgSess.createSession(pgp, db, { user_id: 1 })

      const row = await sessions.refresh(old)

      assert.notEqual(row.sess_id, old)
      assert.deepEqual(await sessions.refresh(old), row)
      assert.deepEqual(await sessions.validate(old), row)
      assert.deepEqual(await sessions.update(old, { user_id: 2 }), { ...row, user_id: 2 })
      assert.equal(await sessions.extend(old), true)
      assert.equal(await sessions.destroy(old), true)
      assert.equal(await sessions.validate(row.sess_id), null)
    })
  }
})

describe('the table that remembers', () => {
  const LONG = 'x'.repeat(63)

  for (const tableName of ['sess', 'My "Table"', LONG, 'ü'.repeat(31)]) {
    test(`is made beside ${tableName.slice(0, 12)}, in its schema, once, however many start at once`, async t => {
      const place = await database.emptySchema(t)
      await place.query('CREATE SCHEMA IF NOT EXISTS "Other ""one"""')
      const options = { fields: FIELDS, tableName, schemaName: 'Other "one"' }

      const all = await Promise.all(Array.from({ length: 5 }, () => place.sessions(options)))

      const { sess_id: old } = await all[0].create({ user_id: 1 })
      const { sess_id } = await all[1].refresh(old)
      for (const sessions of all) assert.equal((await sessions.validate(old)).sess_id, sess_id)
      assert.equal(await all[2].destroy(old), true)
      const tables = await place.query(
        `SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'Other "one"' AND c.relkind = 'r'`
      )
      await place.query('DROP SCHEMA "Other ""one""" CASCADE')
      assert.equal(tables.length, 2)
    })
  }

  test('is told apart for names that are cut alike', async t => {
    const place = await database.emptySchema(t)
    const [one, other] = await Promise.all(
      ['a', 'b'].map(end => place.sessions({ fields: FIELDS, tableName: LONG.slice(1) + end }))
    )
    const { sess_id } = await one.create({ user_id: 1 })
    await one.refresh(sess_id)

    assert.equal(await other.validate(sess_id), null)
    assert.equal(
      (await place.query("SELECT 1 FROM pg_class WHERE relkind = 'r' AND relname ~ '^x{9}'")).length >= 4,
      true
    )
  })

  test('is added to a table that was there before', async t => {
    const place = await database.emptySchema(t)
    const { pgp, db } = place.pgPromise()
    await place.closing(pgSess.init(pgp, db, FIELDS))
    const { sess_id: old } = await pgSess.createSession(pgp, db, { user_id: 1 })

    const sessions = await place.sessions({ fields: FIELDS })

    const { sess_id } = await sessions.refresh(old)
    assert.equal((await sessions.validate(old)).sess_id, sess_id)
  })

  test('may be made by the statements of the documents', async t => {
    const place = await database.emptySchema(t)
    await place.closing(pgSess.init(null, place.url, FIELDS))
    const page = fs.readFileSync(path.join(__dirname, '../docs/session-life.md'), 'utf8')
    const [make] = [...page.matchAll(/```sql\n(.*?)```/gs)].map(([, sql]) => sql)
    await place.query(make)
    const sessions = await place.sessions({ fields: FIELDS, createTable: false, refreshInterval: true })
    const { sess_id: first } = await sessions.create({ user_id: 1 })
    const { sess_id: second } = await sessions.refresh(first)
    await sessions.refresh(second)
    await ageNotes(place, '1 hour')

    await sessions.prune()

    assert.deepEqual(await place.query('SELECT old_id, sealed_id FROM sess_ids'), [
      { old_id: hashedId(second), sealed_id: null }
    ])
  })

  test('is not made if createTable is false; then refresh says so, and refreshInterval is refused', async t => {
    const place = await database.emptySchema(t)
    const { pgp, db } = place.pgPromise()
    await place.closing(pgSess.init(pgp, db, FIELDS))

    const sessions = await place.sessions({ fields: FIELDS, createTable: false })

    await assert.rejects(sessions.refresh(randomUUID()), { code: 'PGSESS_TABLE' })
    const refused = place.sessions({ fields: FIELDS, createTable: false, refreshInterval: true })
    await assert.rejects(refused, { code: 'PGSESS_TABLE', message: /sess_ids.*createTable.*refreshInterval/ })
  })

  test('that the role may not use is done without, which onError is told; refreshInterval is refused', async t => {
    const place = await database.emptySchema(t)
    const owner = await place.sessions({ fields: FIELDS })
    const row = await owner.create({ user_id: 1 })
    const role = `poor_${process.pid}`
    const [{ schema }] = await place.query('SELECT current_schema() AS schema')
    await place.query(`CREATE ROLE ${role} LOGIN PASSWORD 'poor'; GRANT USAGE ON SCHEMA ${schema} TO ${role};
      GRANT SELECT ON sess TO ${role}`)
    place.defer(() => place.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`))
    const url = Object.assign(new URL(place.url), { username: role, password: 'poor' }).href
    const told = []

    const sessions = await place.sessions({ fields: FIELDS, onError: error => told.push(error.message) }, url)

    assert.deepEqual(await sessions.validate(row.sess_id), row)
    assert.equal(await sessions.validate(randomUUID()), null)
    await assert.rejects(sessions.refresh(row.sess_id), { code: 'PGSESS_TABLE' })
    assert.match(told.join(), /may not use table .*"sess_ids".*GRANT/)
    await assert.rejects(place.sessions({ fields: FIELDS, refreshInterval: true }, url), { code: 'PGSESS_TABLE' })
  })

  test('that does not fit is refused', async t => {
    const place = await database.emptySchema(t)
    await place.query('CREATE TABLE sess_ids (old_id text)')

    await assert.rejects(place.sessions({ fields: FIELDS }), { code: 'PGSESS_TABLE', message: /sess_ids.*old_id uuid/ })
  })

  for (const clock of ['timestamp', 'timestamptz']) {
    test(`works beside a hash-partitioned table with ${clock} columns and a domain, under racing calls`, async t => {
      const place = await database.emptySchema(t)
      await place.query(`
        CREATE DOMAIN positive AS int CHECK (VALUE > 0);
        CREATE TABLE sess (sess_id uuid PRIMARY KEY, sess_creation_date ${clock} NOT NULL,
          sess_last_updated ${clock} NOT NULL, sess_expiration ${clock} NOT NULL, user_id positive)
          PARTITION BY HASH (sess_id);
        CREATE TABLE part_0 PARTITION OF sess FOR VALUES WITH (MODULUS 3, REMAINDER 0);
        CREATE TABLE part_1 PARTITION OF sess FOR VALUES WITH (MODULUS 3, REMAINDER 1);
        CREATE TABLE part_2 PARTITION OF sess FOR VALUES WITH (MODULUS 3, REMAINDER 2)`)
      const options = { fields: { user_id: 'positive' }, refreshInterval: 60 * MINUTE }
      const [one, other] = [await place.sessions(options), await place.sessions(options)]
      const rows = await Promise.all(Array.from({ length: 60 }, (_, at) => one.create({ user_id: at + 1 })))
      await place.query(
        "UPDATE sess SET sess_creation_date = sess_creation_date - interval '2 hours' WHERE user_id < 30"
      )

      const answers = await Promise.all(
        rows.flatMap(({ sess_id }) => [
          one.refresh(sess_id),
          other.refresh(sess_id),
          one.extend(sess_id),
          other.update(sess_id, { user_id: 7 }),
          other.validate(sess_id)
        ])
      )

      assert.equal(answers.includes(null) || answers.includes(false), false)
      assert.deepEqual(await place.query('SELECT user_id FROM sess'), Array(60).fill({ user_id: 7 }))
      const destroyed = await Promise.all(rows.map(({ sess_id }) => other.destroy(sess_id)))
      assert.deepEqual(destroyed, Array(60).fill(true))
      assert.deepEqual(await place.query('SELECT 1 FROM sess UNION ALL SELECT 1 FROM sess_ids'), [])
    })
  }
})

/**
 * @param {import('node:test').TestContext} t
 * @param {object} [options]
 */
async function start(t, options) {
  const place = await database.emptySchema(t)
  return { place, sessions: await place.sessions({ fields: FIELDS, ...options }) }
}

/**
 * Lets what is remembered grow older.
 *
 * @param {any} place
 * @param {string} interval
 */
function ageNotes(place, interval) {
  return place.query('UPDATE sess_ids SET issued = issued - $1::interval, grace_end = grace_end - $1::interval', [
    interval
  ])
}

/**
 * @param {any} sessions
 * @param {...string} ids
 */
async function assertGone(sessions, ...ids) {
  for (const id of ids) {
    assert.equal(await sessions.validate(id), null)
    assert.equal(await sessions.extend(id), false)
    assert.equal(await sessions.update(id, {}), null)
    assert.equal(await sessions.refresh(id), null)
    assert.equal(await sessions.destroy(id), false)
  }
}
