'use strict'

// How long a session lives: the absolute end that no extend moves, and extends that come too soon to be worth a write.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const pgSess = require('pg-sess-rs')
const { useDatabase } = require('./support/place.js')

const database = useDatabase('lifetimes')

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const FIELDS = { user_id: 'INT' }
const TIMES = ['timestamp', 'timestamptz']
/** Which of the three times is of which type: the columns of an adopted table need not agree. */
const CLOCKS = TIMES.flatMap(creation => TIMES.map(expiration => [creation, expiration]))

describe('absoluteLength', () => {
  test('limits what create grants', async t => {
    const place = await database.emptySchema(t)
    const sessions = await place.sessions({ fields: FIELDS, sessionLength: HOUR, absoluteLength: 10 * MINUTE })

    const rows = await Promise.all([1, 2, 3].map(user_id => sessions.create({ user_id })))

    for (const row of rows) assert.equal(row.sess_expiration - row.sess_creation_date, 10 * MINUTE)
  })

  for (const [creation, expiration] of CLOCKS) {
    test(`limits what extend grants, with ${creation} for the creation and ${expiration} for the end`, async t => {
      const place = await database.emptySchema(t)
      await place.query(
        `CREATE TABLE sess (sess_id uuid PRIMARY KEY, sess_creation_date ${creation} NOT NULL,
           sess_last_updated timestamp NOT NULL, sess_expiration ${expiration} NOT NULL, user_id int)`
      )
      const sessions = await place.sessions({ fields: FIELDS, sessionLength: 10 * MINUTE, absoluteLength: HOUR })
      const { sess_id } = await sessions.create({ user_id: 1 })
      await place.query(
        "UPDATE sess SET sess_creation_date = sess_creation_date - interval '55 minutes', sess_last_updated = sess_last_updated - interval '8 minutes'"
      )

      assert.equal(await sessions.extend(sess_id), true)

      const row = await sessions.validate(sess_id)
      assert.equal(row.sess_expiration - row.sess_creation_date, HOUR)
    })
  }

  test('leaves room for the full length before the absolute end is near', async t => {
    const place = await database.emptySchema(t)
    const sessions = await place.sessions({ fields: FIELDS, sessionLength: 10 * MINUTE, absoluteLength: HOUR })
    const { sess_id } = await sessions.create({ user_id: 1 })
    await place.ageSession(sess_id, '5 minutes')

    assert.equal(await sessions.extend(sess_id), true)

    const row = await sessions.validate(sess_id)
    assert.equal(row.sess_expiration - row.sess_last_updated, 10 * MINUTE)
  })

  test('ends sessions that began before the option was set', async t => {
    const place = await database.emptySchema(t)
    const before = await place.sessions({ fields: FIELDS })
    const { sess_id } = await before.create({ user_id: 1 })
    await place.ageSession(sess_id, '2 hours')
    assert.notEqual(await before.validate(sess_id), null)

    const sessions = await place.sessions({ fields: FIELDS, absoluteLength: HOUR })

    assert.equal(await sessions.validate(sess_id), null)
    assert.equal(await sessions.extend(sess_id), false)
  })

  test('holds in a transaction of the caller, given as the fourth argument of init', async t => {
    const place = await database.emptySchema(t)
    const { pgp, db } = place.pgPromise()
    await place.closing(pgSess.init(pgp, db, FIELDS, { sessionLength: 10 * MINUTE, absoluteLength: HOUR }))
    const { sess_id } = await pgSess.createSession(pgp, db, { user_id: 1 })
    await place.query("UPDATE sess SET sess_creation_date = sess_creation_date - interval '55 minutes'")

    const [extended, row] = await db.tx(async tx => [
      await pgSess.extendSession(pgp, tx, sess_id),
      await pgSess.validateSession(pgp, tx, sess_id)
    ])

    assert.equal(extended, true)
    assert.equal(row.sess_expiration - row.sess_creation_date, HOUR)
  })

  test('of the longest time that there is limits nothing', async t => {
    const place = await database.emptySchema(t)
    const sessions = await place.sessions({ fields: FIELDS, absoluteLength: Number.MAX_SAFE_INTEGER })
    const { sess_id } = await sessions.create({ user_id: 1 })

    assert.equal(await sessions.extend(sess_id), true)
    assert.equal((await sessions.validate(sess_id)).user_id, 1)
  })
})

describe('extendInterval', () => {
  for (const batch of [true, false]) {
    test(`an extend within it is true and writes nothing, not even a lock, batch: ${batch}`, async t => {
      const place = await database.emptySchema(t)
      const sessions = await place.sessions({ fields: FIELDS, extendInterval: MINUTE, batch })
      const rows = await Promise.all([1, 2, 3].map(user_id => sessions.create({ user_id })))
      const before = await place.query('SELECT xmin, xmax, ctid, * FROM sess ORDER BY sess_id')

      const extended = await Promise.all(rows.map(row => sessions.extend(row.sess_id)))

      assert.deepEqual(extended, [true, true, true])
      assert.deepEqual(await place.query('SELECT xmin, xmax, ctid, * FROM sess ORDER BY sess_id'), before)
    })
  }

  test('an extend after it writes, whoever extends beside it', async t => {
    const place = await database.emptySchema(t)
    const sessions = await place.sessions({ fields: FIELDS, sessionLength: HOUR, extendInterval: MINUTE })
    const [old, young] = await Promise.all([1, 2].map(user_id => sessions.create({ user_id })))
    await place.ageSession(old.sess_id, '61 seconds')

    const extended = await Promise.all([old, young, old].map(row => sessions.extend(row.sess_id)))

    const rows = await Promise.all([old, young].map(row => sessions.validate(row.sess_id)))
    assert.deepEqual(extended, [true, true, true])
    assert.ok(rows[0].sess_last_updated >= old.sess_last_updated)
    assert.deepEqual(rows[1], young)
  })

  test('an extend that had to wait for another one is true, and leaves it at that', async t => {
    const place = await database.emptySchema(t)
    const sessions = await place.sessions({ fields: FIELDS, extendInterval: MINUTE })
    const { sess_id } = await sessions.create({ user_id: 1 })
    await place.ageSession(sess_id, '2 minutes')
    const client = await place.client()
    await client.query("BEGIN; UPDATE sess SET sess_last_updated = now() AT TIME ZONE 'UTC', user_id = 7")

    const extending = sessions.extend(sess_id)
    await new Promise(resolve => setTimeout(resolve, 300))
    const [{ ctid }] = (await client.query('SELECT ctid FROM sess')).rows
    await client.query('COMMIT')

    assert.equal(await extending, true)
    assert.deepEqual(await place.query('SELECT ctid, user_id FROM sess'), [{ ctid, user_id: 7 }])
  })

  test('an expired session is not live because it was extended a moment ago', async t => {
    const place = await database.emptySchema(t)
    const sessions = await place.sessions({ fields: FIELDS, sessionLength: 1, extendInterval: HOUR })
    const { sess_id } = await sessions.create({ user_id: 1 })
    await place.ageSession(sess_id, '1 second')

    assert.equal(await sessions.extend(sess_id), false)
  })

  test('counts in a transaction of the caller', async t => {
    const place = await database.emptySchema(t)
    const { pgp, db } = place.pgPromise()
    await place.closing(pgSess.init(pgp, db, FIELDS, { extendInterval: MINUTE }))
    const { sess_id } = await pgSess.createSession(pgp, db, { user_id: 1 })
    const before = await place.query('SELECT xmin, xmax, ctid, * FROM sess')

    assert.equal(await db.tx(tx => pgSess.extendSession(pgp, tx, sess_id)), true)

    assert.deepEqual(await place.query('SELECT xmin, xmax, ctid, * FROM sess'), before)
  })
})
