'use strict'

// hashIds: what leaks from the database opens no session, and a table of plain ids becomes one of hashes while it is
// used.

const assert = require('node:assert/strict')
const { randomUUID } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { describe, test } = require('node:test')
const pgSess = require('pg-sess-rs')
const { hashedId } = require('./support/ids.js')
const { useDatabase } = require('./support/place.js')

const database = useDatabase('hashed_ids')
const FIELDS = { user_id: 'INT' }

describe('with hashIds', () => {
  test('the table holds the hash that the documents describe', async t => {
    const { sessions, place } = await start(t)
    const { sess_id } = await sessions.create({ user_id: 1 })

    assert.deepEqual(await place.query('SELECT sess_id FROM sess'), [{ sess_id: hashedId(sess_id) }])
  })

  test('rows show the id that the caller holds, in whatever spelling it came', async t => {
    const { sessions } = await start(t)
    const row = await sessions.create({ user_id: 1 })

    for (const sid of [row.sess_id, row.sess_id.toUpperCase(), `{${row.sess_id}}`, row.sess_id.replaceAll('-', '')]) {
      assert.deepEqual(await sessions.validate(sid), row)
      assert.deepEqual(await sessions.update(sid, { user_id: 1 }), row)
      assert.equal(await sessions.extend(sid), true)
      Object.assign(row, await sessions.validate(row.sess_id))
    }
  })

  test('what the table holds opens nothing, neither here nor where hashIds is off', async t => {
    const { sessions, place } = await start(t)
    await sessions.create({ user_id: 1 })
    const [{ sess_id: leaked }] = await place.query('SELECT sess_id FROM sess')
    const plain = await place.sessions({ fields: FIELDS, hashIds: false })

    for (const there of [sessions, plain]) {
      assert.equal(await there.validate(leaked), null)
      assert.equal(await there.extend(leaked), false)
      assert.equal(await there.update(leaked, { user_id: 2 }), null)
      assert.equal(await there.destroy(leaked), false)
    }
  })

  test('new ids are not of version 4, which would be looked for as they are', async t => {
    const { sessions } = await start(t)

    const rows = await Promise.all(Array.from({ length: 300 }, (_, user_id) => sessions.create({ user_id })))

    const versions = new Set(rows.map(row => row.sess_id[14]))
    assert.equal(versions.has('4'), false)
    assert.ok(versions.size > 10, 'all other bits are random')
  })

  test('the functions work in a transaction of the caller, given the option', async t => {
    const place = await database.emptySchema(t)
    const { pgp, db } = place.pgPromise()
    await place.closing(pgSess.init(pgp, db, FIELDS, { hashIds: true }))

    const row = await db.tx(async tx => {
      const made = await pgSess.createSession(pgp, tx, { user_id: 1 })
      assert.deepEqual(await pgSess.validateSession(pgp, tx, made.sess_id), made)
      assert.equal(await pgSess.extendSession(pgp, tx, made.sess_id), true)
      return pgSess.validateSession(pgp, tx, made.sess_id)
    })

    assert.deepEqual(await pgSess.validateSession(pgp, db, row.sess_id), row)
    assert.deepEqual(await place.query('SELECT sess_id FROM sess'), [{ sess_id: hashedId(row.sess_id) }])
    assert.equal(await db.tx(tx => pgSess.destroySession(pgp, tx, row.sess_id)), true)
    assert.equal(await pgSess.validateSession(pgp, db, row.sess_id), null)
  })
})

describe('without hashIds, the default of init', () => {
  test('the table holds the ids as they are, of version 4', async t => {
    const place = await database.emptySchema(t)
    const { pgp, db } = place.pgPromise()
    await place.closing(pgSess.init(pgp, db, FIELDS))

    const { sess_id } = await pgSess.createSession(pgp, db, { user_id: 1 })

    assert.match(sess_id, /^[0-9a-f-]{14}4/)
    assert.deepEqual(await place.query('SELECT sess_id FROM sess'), [{ sess_id }])
  })
})

describe('a table that was filled by other means, without hashIds', () => {
  test('has sessions under UUIDs of any kind', async t => {
    const place = await database.emptySchema(t)
    const sessions = await place.sessions({ fields: FIELDS, hashIds: false })
    await place.query(`INSERT INTO sess (sess_id, sess_creation_date, sess_last_updated, sess_expiration, user_id)
      SELECT md5(i::text)::uuid, now(), now(), now() + interval '1 day', i FROM generate_series(1, 200) AS i`)
    const stored = await place.query('SELECT sess_id, user_id FROM sess ORDER BY user_id')

    const found = await Promise.all(stored.map(row => sessions.validate(row.sess_id)))

    assert.ok(stored.some(row => row.sess_id[14] === '8'))
    assert.deepEqual(
      found.map(row => row?.user_id),
      stored.map(row => row.user_id)
    )
  })
})

describe('a table of plain ids whose programs switch hashIds on', () => {
  for (const operation of ['validate', 'update']) {
    test(`hashes a session that is used: ${operation}`, async t => {
      const { place, rows } = await startPlain(t)
      const sessions = await place.sessions({ fields: FIELDS })
      const calls = { validate: sid => sessions.validate(sid), update: sid => sessions.update(sid, { user_id: 1 }) }

      for (const row of rows.slice(0, 2)) assert.equal((await calls[operation](row.sess_id)).sess_id, row.sess_id)

      const stored = await place.query('SELECT sess_id FROM sess')
      const expected = [hashedId(rows[0].sess_id), hashedId(rows[1].sess_id), rows[2].sess_id]
      assert.deepEqual(stored.map(row => row.sess_id).sort(), expected.sort())
      for (const row of rows) assert.equal((await calls[operation](row.sess_id)).sess_id, row.sess_id)
    })
  }

  test('extends and destroys its sessions, in a transaction, too', async t => {
    const { place, rows } = await startPlain(t)
    const { pgp, db } = place.pgPromise()
    const sessions = await place.closing(pgSess.init(pgp, db, FIELDS, { hashIds: true }))
    const [one, other, third] = rows.map(row => row.sess_id)

    assert.equal(await sessions.extend(one), true)
    assert.equal(await sessions.destroy(one), true)
    const inTransaction = await db.tx(async tx => [
      (await pgSess.validateSession(pgp, tx, other))?.sess_id,
      await pgSess.extendSession(pgp, tx, other),
      await pgSess.destroySession(pgp, tx, other)
    ])

    assert.deepEqual(inTransaction, [other, true, true])
    assert.equal(await sessions.validate(one), null)
    assert.deepEqual(await place.query('SELECT sess_id FROM sess'), [{ sess_id: third }])
  })

  test('hashes all of them in one call, expired ones as well, also where two programs do it at once', async t => {
    const { place, rows } = await startPlain(t, 1_200)
    await place.ageSession(rows[0].sess_id, '15 days')
    const [sessions, other] = [await place.sessions({ fields: FIELDS }), await place.sessions({ fields: FIELDS })]

    const counts = await Promise.all([
      sessions.hashPlainIds(),
      other.hashPlainIds(),
      ...rows.slice(1, 200).map(row => sessions.validate(row.sess_id)),
      ...rows.slice(1, 200).map(row => other.extend(row.sess_id))
    ])

    assert.equal(counts.slice(200).includes(false), false)
    const stored = (await place.query('SELECT sess_id FROM sess')).map(row => row.sess_id)
    assert.deepEqual(stored.sort(), rows.map(row => hashedId(row.sess_id)).sort())
    assert.equal(await sessions.hashPlainIds(), 0)
    assert.equal((await sessions.validate(rows[1].sess_id)).user_id, 1)
    assert.equal(await sessions.validate(rows[0].sess_id), null)
  })

  test('hashes what is remembered of replaced ids, which go on working', async t => {
    const { place, plain, rows } = await startPlain(t)
    const [one, other] = rows.map(row => row.sess_id)
    const { sess_id: second } = await plain.refresh(one)
    const { sess_id: third } = await plain.refresh(second)
    const sessions = await place.sessions({ fields: FIELDS })
    for (const id of [one, second, third]) assert.equal((await sessions.validate(id)).sess_id, third)
    assert.equal((await sessions.refresh(other)).user_id, 1)
    const { sess_id: fourth } = await sessions.refresh(third)

    await sessions.hashPlainIds()

    for (const id of [one, second, third, fourth]) {
      assert.equal((await sessions.validate(id)).sess_id, fourth)
      assert.equal((await sessions.update(id, { user_id: 7 })).sess_id, fourth)
    }
    const stored = await place.query('SELECT old_id, new_id FROM sess_ids')
    for (const id of stored.flatMap(Object.values)) assert.equal(id[14], '8')
    assert.equal(await sessions.destroy(one), true)
    assert.equal(await sessions.validate(fourth), null)
  })

  test('is hashed by the statement of the documents, too', async t => {
    const { place, rows } = await startPlain(t)
    const page = fs.readFileSync(path.join(__dirname, '../docs/session-life.md'), 'utf8')
    const [, statement] = /```sql\n(UPDATE sess.*?)```/s.exec(page)

    await place.query(statement)

    const stored = (await place.query('SELECT sess_id FROM sess')).map(row => row.sess_id)
    assert.deepEqual(stored.sort(), rows.map(row => hashedId(row.sess_id)).sort())
  })

  test('is left alone by a program that did not switch it on', async t => {
    const { place, plain } = await startPlain(t)

    await assert.rejects(plain.hashPlainIds(), { name: 'TypeError', message: /hashIds/ })
    assert.equal(await plain.validate(randomUUID()), null)
    assert.deepEqual(await place.query("SELECT 1 FROM sess WHERE substr(sess_id::text, 15, 1) <> '4'"), [])
  })
})

/** @param {import('node:test').TestContext} t */
async function start(t) {
  const place = await database.emptySchema(t)
  return { place, sessions: await place.sessions({ fields: FIELDS }) }
}

/**
 * @param {import('node:test').TestContext} t
 * @param {number} [count]
 */
async function startPlain(t, count = 3) {
  const place = await database.emptySchema(t)
  const plain = await place.sessions({ fields: FIELDS, hashIds: false })
  const rows = await Promise.all(Array.from({ length: count }, (_, user_id) => plain.create({ user_id })))
  return { place, plain, rows }
}
