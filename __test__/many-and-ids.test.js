'use strict'

// Lists, ends of many sessions and limits, where ids are hashed or were replaced.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const { createSession, init } = require('../index.js')
const { hashedId, storedIds } = require('./support/ids.js')
const { useDatabase } = require('./support/place.js')

const database = useDatabase('many_and_ids')
const FIELDS = { user_id: 'INT' }
const OPTIONS = { refreshInterval: 9e8, pruneInterval: false }
const AGE_NOTES = `UPDATE sess_ids SET grace_end = grace_end - interval '1 hour'`

/** @type {[string, (place: any, options: object) => Promise<any>][]} */
const ROADS = [
  ['connect', (place, options) => place.sessions({ fields: FIELDS, ...options })],
  [
    'connect without prepared statements',
    (place, options) => place.sessions({ fields: FIELDS, prepare: false, ...options })
  ],
  [
    'a pg-promise database that watches its statements',
    (place, options) => {
      const { pgp, db } = place.pgPromise({ options: { query: () => {} } })
      return place.closing(init(pgp, db, FIELDS, options))
    }
  ]
]

for (const [road, open] of ROADS) {
  for (const hashIds of [true, false]) {
    describe(`${hashIds ? 'hashed' : 'plain'} ids, over ${road}`, () => {
      /**
       * @param {any} t
       * @param {object} [options]
       */
      async function start(t, options) {
        const place = await database.emptySchema(t)
        return { place, sessions: await open(place, { ...OPTIONS, hashIds, ...options }) }
      }

      test('an excepted id that was replaced excepts its session as long as it works', async t => {
        const { place, sessions } = await start(t)
        const [mine] = await Promise.all([1, 2, 3].map(() => sessions.create({ user_id: 1 })))
        const next = await sessions.refresh(mine.sess_id)
        const last = await sessions.refresh(next.sess_id)

        assert.equal(await sessions.destroyAll({ user_id: 1 }, { except: mine.sess_id }), 2)
        assert.equal(await sessions.destroyAll({ user_id: 1 }, { except: [next.sess_id, 'me'] }), 0)
        assert.ok(await sessions.validate(last.sess_id))

        await place.query(AGE_NOTES)
        assert.equal(await sessions.destroyAll({ user_id: 1 }, { except: mine.sess_id }), 1)
        assert.equal(await sessions.validate(last.sess_id), null)
      })

      test('a handle is that of the current id; one that a page still shows ends the session all the same', async t => {
        const { sessions } = await start(t)
        const first = await sessions.create({ user_id: 1 })
        const shown = (await sessions.list({ user_id: 1 }))[0].handle
        assert.equal(shown, sessions.handle(first.sess_id))
        const next = await sessions.refresh(first.sess_id)
        const last = await sessions.refresh(next.sess_id)
        await sessions.create({ user_id: 1 })

        const handles = (await sessions.list({ user_id: 1 })).map(row => row.handle)
        assert.equal(handles.includes(sessions.handle(last.sess_id)), true)
        assert.equal(handles.includes(shown), false)
        assert.equal(await sessions.destroyAll({ user_id: 2 }, { only: shown }), 0)
        assert.equal(await sessions.destroyAll({ user_id: 1 }, { only: shown }), 1)
        for (const { sess_id } of [first, next, last]) assert.equal(await sessions.validate(sess_id), null)
      })

      test('a session that ends takes along what is remembered of its ids, however it ends', async t => {
        const { place, sessions } = await start(t, { maxSessions: { by: 'user_id', limit: 2 } })
        const notes = async () => (await place.query('SELECT FROM sess_ids')).length
        const renewed = async (/** @type {number} */ user_id) => {
          const { sess_id } = await sessions.refresh((await sessions.create({ user_id })).sess_id)
          return sessions.refresh(sess_id)
        }
        await renewed(1)
        await renewed(2)
        const old = await renewed(3)
        assert.equal(await notes(), 6)

        for (let n = 0; n < 2; n++) await sessions.create({ user_id: 1 })
        assert.equal(await notes(), 4, 'the limit ended it')
        await sessions.destroyAll({ user_id: 2 })
        assert.equal(await notes(), 2)
        await place.ageSession(old.sess_id, '20 days')
        assert.equal(await sessions.prune(), 1)
        assert.equal(await notes(), 0)
      })

      test('one more than the limit ends the oldest, and no id is stored that opens a session', async t => {
        const { place, sessions } = await start(t, { maxSessions: { by: 'user_id', limit: 2 } })
        const rows = []
        for (let n = 0; n < 4; n++) rows.push(await sessions.create({ user_id: 1 }))

        const found = await Promise.all(rows.map(row => sessions.validate(row.sess_id)))

        assert.deepEqual(found, [null, null, rows[2], rows[3]])
        const stored = (await place.query('SELECT sess_id FROM sess')).map(row => row.sess_id)
        const expected = rows.slice(2).map(({ sess_id }) => (hashIds ? hashedId(sess_id) : sess_id))
        assert.deepEqual(stored.sort(), expected.sort())
      })

      test('whoever is over the absolute length is neither listed nor counted, and is pruned', async t => {
        const options = { absoluteLength: 3_600_000, maxSessions: { by: 'user_id', limit: 2 } }
        const { place, sessions } = await start(t, options)
        const row = await sessions.create({ user_id: 1 })
        assert.equal(row.sess_expiration - row.sess_creation_date, 3_600_000)
        const live = await sessions.create({ user_id: 1 })
        await place.query(
          `UPDATE sess SET sess_creation_date = sess_creation_date - interval '2 hours',
           sess_expiration = sess_expiration + interval '1 day' WHERE sess_id = ANY($1)`,
          [storedIds(row.sess_id)]
        )

        assert.equal((await sessions.list({ user_id: 1 })).length, 1)
        await sessions.create({ user_id: 1 })
        assert.ok(await sessions.validate(live.sess_id))
        assert.equal(await sessions.prune(), 1)
        assert.equal(await sessions.destroyAll({ user_id: 1 }), 2)
      })
    })
  }

  test(`sessions whose ids are still plain have the handles that they will have, and can be excepted: ${road}`, async t => {
    const place = await database.emptySchema(t)
    const plain = await place.sessions({ fields: FIELDS, hashIds: false })
    const [mine, kept, other] = await Promise.all([1, 2, 3].map(() => plain.create({ user_id: 1 })))
    const sessions = await open(place, { ...OPTIONS, hashIds: true })
    const handles = async () => (await sessions.list({ user_id: 1 })).map(row => row.handle).sort()
    const expected = [mine, kept, other].map(row => sessions.handle(row.sess_id)).sort()

    assert.deepEqual(await handles(), expected)
    assert.ok(await sessions.validate(kept.sess_id), 'which hashes its id')
    assert.deepEqual(await handles(), expected)
    assert.equal(await sessions.destroyAll({ user_id: 1 }, { only: sessions.handle(mine.sess_id) }), 1)
    const except = [kept.sess_id, other.sess_id]
    assert.equal(await sessions.destroyAll({ user_id: 1 }, { except }), 0)
    assert.equal(await sessions.destroyAll({ user_id: 1 }, { except: kept.sess_id }), 1)
    assert.equal(await sessions.validate(other.sess_id), null)
    assert.ok(await sessions.validate(kept.sess_id))
  })
}

test('in a transaction of the caller, hashed ids keep to the limit, too', async t => {
  const place = await database.emptySchema(t)
  const { pgp, db } = place.pgPromise()
  const options = { hashIds: true, maxSessions: { by: 'user_id', limit: 1 } }
  const sessions = await place.closing(init(pgp, db, FIELDS, options))
  const rows = []

  await db.tx(async tx => {
    for (let n = 0; n < 3; n++) rows.push(await createSession(pgp, tx, { user_id: 1 }))
  })

  const found = await Promise.all(rows.map(row => sessions.validate(row.sess_id)))
  assert.deepEqual(found, [null, null, rows[2]])
  assert.deepEqual(await place.query('SELECT sess_id FROM sess'), [{ sess_id: hashedId(rows[2].sess_id) }])
})

test('prune forgets the ids that no longer work, all but the last of each live session', async t => {
  const place = await database.emptySchema(t)
  const sessions = await place.sessions({ fields: FIELDS, pruneInterval: false })
  const first = await sessions.create({ user_id: 1 })
  const next = await sessions.refresh(first.sess_id)
  const last = await sessions.refresh(next.sess_id)
  await place.query(
    `INSERT INTO sess_ids SELECT md5(n::text)::uuid, md5('new' || n)::uuid, now(), now() - interval '1 minute', '\\x00'
     FROM generate_series(1, 5000) AS n`
  )
  assert.equal(await sessions.prune(), 0)
  assert.equal((await place.query('SELECT FROM sess_ids')).length, 2, 'these still work')

  await place.query(AGE_NOTES)
  assert.equal(await sessions.prune(), 0)

  assert.deepEqual(await place.query('SELECT old_id, sealed_id FROM sess_ids'), [
    { old_id: hashedId(next.sess_id), sealed_id: null }
  ])
  assert.equal(await sessions.validate(first.sess_id), null)
  assert.ok(await sessions.validate(last.sess_id))
})

test('stats counts the sessions that got a new id from here', async t => {
  const place = await database.emptySchema(t)
  const sessions = await place.sessions({ fields: FIELDS })
  const rows = await Promise.all([1, 2].map(user_id => sessions.create({ user_id })))
  assert.equal(sessions.stats().refreshed, 0)

  await Promise.all([rows[0], rows[0], rows[1]].map(row => sessions.refresh(row.sess_id)))

  assert.equal(sessions.stats().refreshed, 2)
  assert.deepEqual(Object.keys(sessions.stats()), [
    'size',
    'idle',
    'waiting',
    'calls',
    'batches',
    'errors',
    'pruned',
    'refreshed'
  ])
})
