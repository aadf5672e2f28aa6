'use strict'

// Time: the database's clock counts, and no time zone makes a session longer, shorter or wrongly dated.

const assert = require('node:assert/strict')
const { randomUUID } = require('node:crypto')
const { describe, test } = require('node:test')
const pgSess = require('pg-sess-rs')
const { useDatabase } = require('./support/place.js')
const { runScript } = require('./support/script.js')

const database = useDatabase('expiry')

const SECOND = 1_000
const MINUTE = 60 * SECOND
const FIELDS = { user_id: 'INT' }
/** Clocks of the server and of this program are one clock in these tests, read at slightly different moments. */
const TOLERANCE = 30 * SECOND

describe('an expired session', () => {
  for (const [name, age, isLive] of [
    ['a second before its end is still live', '59 seconds', true],
    ['ends with its last second', '60 seconds', false],
    ['stays expired a day later', '1 day', false],
    ['stays expired a thousand years later', '1000 years', false]
  ]) {
    test(name, async t => {
      const place = await database.emptySchema(t)
      const sessions = await place.sessions({ fields: FIELDS, sessionLength: 60 * SECOND })
      const { sess_id } = await sessions.create({ user_id: 1 })
      await place.ageSession(sess_id, age)

      assert.equal((await sessions.validate(sess_id)) !== null, isLive)
      assert.equal(await sessions.extend(sess_id), isLive)
      assert.equal((await sessions.validate(sess_id)) !== null, isLive)
    })
  }

  test('is left as it is by extend', async t => {
    const place = await database.emptySchema(t)
    const sessions = await place.sessions({ fields: FIELDS, sessionLength: MINUTE })
    const { sess_id } = await sessions.create({ user_id: 1 })
    await place.ageSession(sess_id, '61 seconds')
    const before = await place.query('SELECT xmin, * FROM sess')

    await sessions.extend(sess_id)

    assert.deepEqual(await place.query('SELECT xmin, * FROM sess'), before)
  })

  test('does not hold its live neighbours', async t => {
    const place = await database.emptySchema(t)
    const sessions = await place.sessions({ fields: FIELDS, sessionLength: MINUTE })
    const rows = await Promise.all([1, 2, 3, 4].map(user_id => sessions.create({ user_id })))
    for (const { sess_id } of [rows[1], rows[3]]) await place.ageSession(sess_id, '61 seconds')

    const sids = rows.map(row => row.sess_id)
    const found = await Promise.all(sids.map(sid => sessions.validate(sid)))
    const extended = await Promise.all(sids.map(sid => sessions.extend(sid)))

    assert.deepEqual(
      found.map(row => row?.user_id),
      [1, undefined, 3, undefined]
    )
    assert.deepEqual(extended, [true, false, true, false])
  })

  test('that never ends stays live: infinity is an end like any other', async t => {
    const place = await database.emptySchema(t)
    const sessions = await place.sessions({ fields: FIELDS })
    const { sess_id } = await sessions.create({ user_id: 1 })
    await place.query("UPDATE sess SET sess_expiration = 'infinity', sess_creation_date = '-infinity'")

    const row = await sessions.validate(sess_id)

    assert.deepEqual([row.sess_expiration, row.sess_creation_date], [Infinity, -Infinity])
  })
})

describe('the length of a session', () => {
  for (const sessionLength of [1, 999, SECOND, 90_061_001, 30 * 24 * 60 * MINUTE, 100 * 365 * 24 * 60 * MINUTE]) {
    test(`of ${sessionLength} ms is exact, in the row and in the table`, async t => {
      const place = await database.emptySchema(t)
      const sessions = await place.sessions({ fields: FIELDS, sessionLength })

      const row = await sessions.create({ user_id: 1 })

      const [{ length }] = await place.query(
        'SELECT round((extract(epoch FROM sess_expiration - sess_creation_date) * 1000)::numeric, 3)::text AS length FROM sess'
      )
      assert.equal(row.sess_expiration - row.sess_creation_date, sessionLength)
      assert.deepEqual(row.sess_last_updated, row.sess_creation_date)
      assert.equal(Number(length), sessionLength)
    })
  }
})

describe('dates', () => {
  const IN_AUCKLAND = "ALTER DATABASE %I SET timezone TO 'Pacific/Auckland'"
  const SCRIPT = `
    const FIELDS = [{ field: 'user_id', datatype: 'INT' }]
    const sessions = await pgSess.init(pgp, db, FIELDS, 60_000)
    const dates = row => Object.values(row).slice(1, 4).map(Number)
    const created = await pgSess.createSession(pgp, db, { user_id: 1 })
    const validated = await pgSess.validateSession(pgp, db, created.sess_id)
    const inTransaction = await db.tx(async tx => [
      dates(await pgSess.createSession(pgp, tx, { user_id: 2 })),
      dates(await pgSess.validateSession(pgp, tx, created.sess_id)),
      await pgSess.extendSession(pgp, tx, created.sess_id),
      dates(await pgSess.validateSession(pgp, tx, created.sess_id))
    ])
    await pgSess.extendSession(pgp, db, created.sess_id)
    const extended = await pgSess.validateSession(pgp, db, created.sess_id)
    await db.$pool.end()
    await sessions.close()
    console.log(JSON.stringify({
      zone: Intl.DateTimeFormat().resolvedOptions().timeZone,
      created: dates(created),
      validated: dates(validated),
      inTransaction,
      extended: dates(extended)
    }))
  `

  for (const zone of ['America/New_York', 'Pacific/Auckland', 'Australia/Lord_Howe', 'UTC']) {
    test(`are right with the server in Pacific/Auckland and Node in ${zone}, also in a transaction`, async t => {
      const place = await database.emptyDatabase(t)
      await place.query(`DO $$ BEGIN EXECUTE format($f$${IN_AUCKLAND}$f$, current_database()); END $$`)

      const began = Date.now()
      const { code, stdout, stderr } = await runScript(SCRIPT, { url: place.url, env: { TZ: zone } })
      const ended = Date.now()

      assert.equal(stderr, '')
      assert.equal(code, 0)
      const { zone: zoneOfNode, created, validated, inTransaction, extended } = JSON.parse(stdout)
      const [createdThere, validatedThere, isExtended, extendedThere] = inTransaction
      assert.equal(zoneOfNode, zone)
      assert.equal(isExtended, true)
      assert.deepEqual(validated, created)
      assert.deepEqual(validatedThere, created)
      for (const [creation, updated, end] of [created, createdThere, extendedThere, extended]) {
        for (const time of [creation, updated, end - 60_000]) {
          assert.ok(time > began - TOLERANCE && time < ended + TOLERANCE, new Date(time).toISOString())
        }
        assert.equal(end - updated, 60_000)
      }
      assert.deepEqual(await place.query(ARE_UTC), [{ are_utc: true }, { are_utc: true }])
    })
  }

  const ARE_UTC = `
    SELECT abs(extract(epoch FROM sess_creation_date - now() AT TIME ZONE 'UTC')) < ${TOLERANCE / SECOND}
       AND abs(extract(epoch FROM sess_expiration - now() AT TIME ZONE 'UTC') - 60) < ${TOLERANCE / SECOND} AS are_utc
    FROM sess`

  test('of a session stay, whatever zones the programs that read it are in', async t => {
    const place = await database.emptyDatabase(t)
    const sessions = await place.sessions({ fields: FIELDS })
    const row = await sessions.create({ user_id: 1 })
    await place.query(`DO $$ BEGIN EXECUTE format($f$${IN_AUCKLAND}$f$, current_database()); END $$`)
    const script = `
      const sessions = await pgSess.connect(url, { fields: { user_id: 'INT' } })
      console.log(JSON.stringify(await sessions.validate('${row.sess_id}')))
    `

    const { stdout } = await runScript(script, { url: place.url, env: { TZ: 'America/New_York' } })

    assert.deepEqual(JSON.parse(stdout), JSON.parse(JSON.stringify(row)))
  })

  test('are right on both sides of a change of the clocks', async t => {
    const place = await database.emptySchema(t)
    await place.sessions({ fields: FIELDS })
    const sid = randomUUID()
    await place.query(
      `INSERT INTO sess (sess_id, sess_creation_date, sess_last_updated, sess_expiration)
       VALUES ($1, '2024-03-10 07:30:00.123456', '2024-11-03 05:30:00', '2099-11-01 06:30:00.999999')`,
      [sid]
    )
    const script = `
      const sessions = await pgSess.init(pgp, db, { user_id: 'INT' })
      console.log(JSON.stringify(await pgSess.validateSession(pgp, db, '${sid}')))
      console.log(JSON.stringify(await db.tx(tx => pgSess.validateSession(pgp, tx, '${sid}'))))
      await db.$pool.end()
    `

    const { stdout } = await runScript(script, { url: place.url, env: { TZ: 'America/New_York' } })

    for (const line of stdout.trim().split('\n')) {
      const { sess_creation_date, sess_last_updated, sess_expiration } = JSON.parse(line)
      assert.equal(sess_creation_date, '2024-03-10T07:30:00.123Z')
      assert.equal(sess_last_updated, '2024-11-03T05:30:00.000Z')
      assert.equal(sess_expiration, '2099-11-01T06:30:00.999Z')
    }
    assert.equal(stdout.trim().split('\n').length, 2)
  })

  test('go as text, as they are stored, to a parser for timestamp that the user has set', async t => {
    const place = await database.emptySchema(t)
    const types = { getTypeParser: (oid, format) => (oid === 1114 ? text => `stored ${text}` : pgTypes(oid, format)) }
    const { pgp, db } = place.pgPromise({ connection: { ...place.config(), types } })
    await place.closing(pgSess.init(pgp, db, FIELDS))

    const row = await pgSess.createSession(pgp, db, { user_id: 1 })

    const inTransaction = await db.tx(tx => pgSess.validateSession(pgp, tx, row.sess_id))
    const [stored] = await place.query('SELECT sess_creation_date::text, sess_expiration::text FROM sess')
    assert.equal(row.sess_creation_date, `stored ${stored.sess_creation_date}`)
    assert.equal(row.sess_expiration, `stored ${stored.sess_expiration}`)
    assert.deepEqual(inTransaction, row)
  })
})

function pgTypes(oid, format) {
  return require('pg').types.getTypeParser(oid, format)
}
