'use strict'

// The sessions of one user: who is listed, who is ended, and what a handle is good for.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const { init } = require('../index.js')
const { useDatabase } = require('./support/place.js')

const database = useDatabase('many_sessions')
const FIELDS = {
  user_id: 'INT',
  device: 'TEXT',
  roles: 'TEXT[]',
  cart: 'JSON',
  paid: 'NUMERIC(6,2)',
  seen: 'TIMESTAMPTZ'
}

/** @type {[string, (place: any, fields: object) => Promise<any>][]} */
const ROADS = [
  ['connect', (place, fields) => place.sessions({ fields })],
  ['connect without batches', (place, fields) => place.sessions({ fields, batch: false })],
  ['connect without prepared statements', (place, fields) => place.sessions({ fields, prepare: false })],
  [
    'a pg-promise database that watches its statements',
    (place, fields) => {
      const { pgp, db } = place.pgPromise({ options: { query: () => {} } })
      return place.closing(init(pgp, db, fields))
    }
  ]
]

for (const [name, open] of ROADS) {
  describe(`over ${name}`, () => {
    /**
     * @param {any} t
     * @param {object} [fields]
     */
    async function start(t, fields = FIELDS) {
      const place = await database.emptySchema(t)
      return { place, sessions: await open(place, fields) }
    }

    test('list gives the live sessions of a user, newest first, without their ids', async t => {
      const { place, sessions } = await start(t)
      const old = await sessions.create({ user_id: 1, device: 'phone' })
      await place.ageSession(old.sess_id, '1 hour')
      const { sess_id, ...newest } = await sessions.create({ user_id: 1, device: 'laptop' })
      const expired = await sessions.create({ user_id: 1 })
      await place.ageSession(expired.sess_id, '20 days')
      await sessions.create({ user_id: 2 })

      const list = await sessions.list({ user_id: 1 })

      assert.deepEqual(
        list.map(row => row.device),
        ['laptop', 'phone']
      )
      assert.deepEqual(list[0], { handle: sessions.handle(sess_id), ...newest })
      assert.deepEqual(Object.keys(list[0])[0], 'handle')
      assert.ok(!JSON.stringify(list).includes(sess_id))
    })

    test('values are found as they are stored', async t => {
      const { sessions } = await start(t)
      const seen = new Date('2020-02-03T04:05:06.789Z')
      const ALICE = {
        user_id: 7,
        device: "o'clock \\ é",
        roles: ['a', 'b,c'],
        cart: { n: [1, 2] },
        paid: '12.50',
        seen
      }
      await sessions.create(ALICE)
      await sessions.create({ user_id: 8 })

      for (const [field, value] of Object.entries(ALICE)) {
        const list = await sessions.list({ [field]: value })
        assert.deepEqual(
          list.map(row => row.user_id),
          [7],
          field
        )
      }
      assert.equal((await sessions.list(ALICE)).length, 1)
      assert.equal((await sessions.list({ ...ALICE, paid: 12.5 })).length, 1)
      assert.equal((await sessions.list({ ...ALICE, user_id: 8 })).length, 0)
    })

    test('null is no value, and an array means any of these', async t => {
      const { sessions } = await start(t)
      for (const user_id of [1, 2, 3, null]) await sessions.create({ user_id })
      const users = async where => (await sessions.list(where)).map(row => row.user_id).sort()

      assert.deepEqual(await users({ user_id: null }), [null])
      assert.deepEqual(await users({ user_id: [1, 3, 9] }), [1, 3])
      assert.deepEqual(await users({ user_id: [2, null] }), [2, null])
      assert.deepEqual(await users({ user_id: [] }), [])
      assert.deepEqual(await users({ user_id: ['1'], roles: null }), [1])
    })

    test('the field being an array itself, an array is a value', async t => {
      const { sessions } = await start(t)
      await sessions.create({ user_id: 1, roles: ['a', 'b'] })
      await sessions.create({ user_id: 2, roles: ['a'] })

      assert.deepEqual(
        (await sessions.list({ roles: ['a', 'b'] })).map(row => row.user_id),
        [1]
      )
      assert.equal(await sessions.destroyAll({ roles: ['a'] }), 1)
    })

    test('everyone is meant only when that is said', async t => {
      const { sessions } = await start(t)
      await sessions.create({ user_id: 1 })
      for (const method of ['list', 'destroyAll']) {
        await assert.rejects(sessions[method]({}), { name: 'TypeError', message: /all: true/ })
        await assert.rejects(sessions[method](), { name: 'TypeError', message: /^where: / })
        await assert.rejects(sessions[method]({ user_id: undefined }), {
          name: 'TypeError',
          message: /^where\.user_id: /
        })
        await assert.rejects(sessions[method]({ user_id: [1, undefined] }), { name: 'TypeError', message: /user_id/ })
        await assert.rejects(sessions[method]({ user_id: 1 }, { all: true }), { name: 'TypeError', message: /user_id/ })
        await assert.rejects(sessions[method]({ user_nam: 1 }), { message: /"user_nam".*user_id, device/ })
        await assert.rejects(sessions[method]({ user_id: 1 }, { onyl: 'x' }), { name: 'TypeError', message: /"onyl"/ })
        await assert.rejects(sessions[method]({ user_id: 'x' }), { code: '22P02' })
      }

      assert.equal((await sessions.list({}, { all: true })).length, 1)
      assert.equal(await sessions.destroyAll({}, { all: true }), 1)
    })

    test('destroyAll ends the live sessions of a user and says how many', async t => {
      const { place, sessions } = await start(t)
      const mine = await Promise.all(Array.from({ length: 5 }, () => sessions.create({ user_id: 1 })))
      await place.ageSession(mine[4].sess_id, '20 days')
      const other = await sessions.create({ user_id: 2 })

      assert.equal(await sessions.destroyAll({ user_id: 1 }), 4)

      for (const { sess_id } of mine) assert.equal(await sessions.validate(sess_id), null)
      assert.ok(await sessions.validate(other.sess_id))
      assert.equal(await sessions.destroyAll({ user_id: 1 }), 0)
    })

    test('"sign out everywhere else": what is excepted lives on', async t => {
      const { sessions } = await start(t)
      const [one, two, three] = await Promise.all([1, 2, 3].map(() => sessions.create({ user_id: 1 })))

      assert.equal(await sessions.destroyAll({ user_id: 1 }, { except: [one.sess_id.toUpperCase(), two.sess_id] }), 1)
      assert.equal(await sessions.validate(three.sess_id), null)
      assert.equal(await sessions.destroyAll({ user_id: 1 }, { except: one.sess_id }), 1)
      assert.ok(await sessions.validate(one.sess_id))
      assert.equal(await sessions.destroyAll({ user_id: 1 }, { except: ['me', 7, undefined, {}] }), 1)
    })

    test('"sign out that device": a handle ends its session, within where only', async t => {
      const { sessions } = await start(t)
      const [mine, other] = await Promise.all([1, 2].map(user_id => sessions.create({ user_id })))
      const only = sessions.handle(mine.sess_id)

      assert.equal(await sessions.destroyAll({ user_id: 2 }, { only }), 0)
      assert.equal(await sessions.destroyAll({ user_id: 1 }, { only, except: mine.sess_id }), 0)
      for (const nothing of ['', 'me', mine.sess_id, 7, null, {}, only.toUpperCase()]) {
        assert.equal(await sessions.destroyAll({ user_id: 1 }, { only: nothing }), 0)
      }
      await assert.rejects(sessions.destroyAll({ user_id: 1 }, { only: undefined }), { message: /^only: / })
      assert.equal(await sessions.destroyAll({ user_id: 1 }, { only }), 1)
      assert.equal(await sessions.validate(mine.sess_id), null)
      assert.ok(await sessions.validate(other.sess_id))
    })

    test('a list is as long as its limit', async t => {
      const { sessions } = await start(t)
      for (const device of ['a', 'b', 'c']) await sessions.create({ user_id: 1, device })

      assert.deepEqual(
        (await sessions.list({ user_id: 1 }, { limit: 2 })).map(row => row.device),
        ['c', 'b']
      )
      await assert.rejects(sessions.list({ user_id: 1 }, { limit: 0 }), { name: 'RangeError' })
      await assert.rejects(sessions.list({ user_id: 1 }, { limit: '1' }), { name: 'TypeError' })
    })

    test('after close, list and destroyAll reject', async t => {
      const { sessions } = await start(t)
      await sessions.close()

      await assert.rejects(sessions.list({ user_id: 1 }), { code: 'PGSESS_CLOSED' })
      await assert.rejects(sessions.destroyAll({ user_id: 1 }), { code: 'PGSESS_CLOSED' })
    })
  })
}

test('a handle is no id, is the same for all spellings, and what is no id has none', async t => {
  const place = await database.emptySchema(t)
  const sessions = await place.sessions({ fields: {} })
  const { sess_id } = await sessions.create({})
  const handle = sessions.handle(sess_id)

  assert.match(handle, /^[0-9a-f]{64}$/)
  assert.equal(sessions.handle(sess_id.toUpperCase()), handle)
  assert.equal(await sessions.validate(handle), null)
  assert.equal(await sessions.validate(handle.slice(0, 32)), null)
  for (const sid of ['', 'me', 7, null, undefined, {}, handle]) assert.equal(sessions.handle(sid), null)
})

test('a field named handle would take the place of the handle', async t => {
  const place = await database.emptySchema(t)
  const sessions = await place.sessions({ fields: { handle: 'TEXT' } })

  await assert.rejects(sessions.list({ handle: 'x' }), { code: 'PGSESS_TABLE' })
  await sessions.create({ handle: 'x' })
  assert.equal(await sessions.destroyAll({ handle: 'x' }), 1)
})

test('odd names, a hash-partitioned table, timestamptz columns and a domain are no obstacle', async t => {
  const place = await database.emptySchema(t)
  await place.query(`CREATE DOMAIN email AS citext_like CHECK (value <> '')`.replace('citext_like', 'text'))
  await place.query(`
    CREATE TABLE "o'dd ""table" (sess_id uuid PRIMARY KEY, sess_creation_date timestamptz NOT NULL,
      sess_last_updated timestamptz NOT NULL, sess_expiration timestamptz NOT NULL, "e'mail ""x" email)
    PARTITION BY HASH (sess_id)`)
  for (const part of [0, 1]) {
    await place.query(
      `CREATE TABLE part_${part} PARTITION OF "o'dd ""table" FOR VALUES WITH (MODULUS 2, REMAINDER ${part})`
    )
  }
  const field = 'e\'mail "x'
  const sessions = await place.sessions({ fields: { [field]: 'email' }, tableName: 'o\'dd "table' })
  const rows = await Promise.all(Array.from({ length: 20 }, (_, at) => sessions.create({ [field]: `u${at % 2}` })))

  const list = await sessions.list({ [field]: ['u1', 'nobody'] })

  assert.equal(list.length, 10)
  assert.equal(await sessions.destroyAll({ [field]: 'u1' }, { only: list[3].handle }), 1)
  assert.equal(await sessions.destroyAll({ [field]: 'u1' }), 9)
  assert.equal((await Promise.all(rows.map(row => sessions.validate(row.sess_id)))).filter(Boolean).length, 10)
})

test('destroyAll ends more sessions than fit into one transaction', async t => {
  const place = await database.emptySchema(t)
  const sessions = await place.sessions({ fields: { user_id: 'INT' } })
  await place.query(`INSERT INTO sess SELECT md5(n::text)::uuid, now(), now(), now() + interval '1 day', n % 2
    FROM generate_series(1, 5000) AS n`)

  assert.equal(await sessions.destroyAll({ user_id: 1 }), 2500)
  assert.equal((await place.query('SELECT FROM sess')).length, 2500)
})

test('a session that its table does not let go is an error, in the end', async t => {
  const place = await database.emptySchema(t)
  const fields = { user_id: 'INT' }
  const { pgp, db } = place.pgPromise({ options: { query: () => {} } })
  const watched = await place.closing(init(pgp, db, fields))
  await watched.create({ user_id: 1 })
  await place.query(`CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'`)
  await place.query('CREATE TRIGGER keep BEFORE DELETE ON sess FOR EACH ROW EXECUTE FUNCTION keep()')
  const brief = await place.sessions({ fields, connectTimeout: 500, queryTimeout: 500 })

  await assert.rejects(watched.destroyAll({ user_id: 1 }), { message: /trigger or a policy/ })
  await assert.rejects(brief.destroyAll({ user_id: 1 }), { code: 'PGSESS_TIMEOUT' })
})

test('destroyAll waits for a session that somebody else holds, and not the others for it', async t => {
  const place = await database.emptySchema(t)
  const sessions = await place.sessions({ fields: { user_id: 'INT' }, maxConnections: 1 })
  const [held, free] = [await sessions.create({ user_id: 1 }), await sessions.create({ user_id: 1 })]
  const holder = await place.client()
  await holder.query('BEGIN')
  await holder.query('SELECT FROM sess WHERE sess_id = $1 FOR UPDATE', [held.sess_id])

  const ending = sessions.destroyAll({ user_id: 1 })
  while ((await sessions.validate(free.sess_id)) !== null);
  assert.ok(await sessions.validate(held.sess_id))
  await holder.query('COMMIT')

  assert.equal(await ending, 2)
  assert.equal(await sessions.validate(held.sess_id), null)
})
