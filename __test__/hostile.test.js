'use strict'

// What comes from strangers, or passes through a program unlooked at: cookies of any size and shape, ids that are none,
// objects whose keys want to be more.

const assert = require('node:assert/strict')
const crypto = require('node:crypto')
const { describe, test } = require('node:test')
const { sessionMiddleware } = require('../express.js')
const { hashedId } = require('./support/ids.js')
const { useDatabase } = require('./support/place.js')

const { randomUUID } = crypto
const database = useDatabase('hostile')
const FIELDS = { user_id: 'INT', data: 'JSONB' }
const SIZES = [16_384, 1_048_576]
/** In ms. A busy machine may take seconds for what is done in one. */
const PATIENCE = 20_000

describe('keys that want to be more', () => {
  /** As a body parser makes it: an own key of that name. */
  const planted = () => JSON.parse('{ "__proto__": { "user_id": 1, "planted": true } }')

  test('as a field’s name they are unknown, and change no object', async t => {
    const place = await database.emptySchema(t)
    const sessions = await place.sessions({ fields: FIELDS })
    const { sess_id } = await sessions.create({ user_id: 1 })
    const unknown = { name: 'TypeError', message: /^unknown field "(__proto__|constructor|hasOwnProperty)"/ }

    for (const given of [planted(), { constructor: 1 }, [{ field: '__proto__', value: 1 }], { hasOwnProperty: 1 }]) {
      await assert.rejects(sessions.create(given), unknown)
      await assert.rejects(sessions.update(sess_id, given), unknown)
      if (Array.isArray(given)) continue
      await assert.rejects(sessions.list(given), unknown)
      await assert.rejects(sessions.destroyAll(given), unknown)
    }
    assert.equal(Reflect.get({}, 'planted'), undefined)
    assert.ok(await sessions.validate(sess_id))
  })

  test('within a value they come back as they were, and change no object', async t => {
    const place = await database.emptySchema(t)
    const sessions = await place.sessions({ fields: FIELDS })

    const { data } = await sessions.create({ data: planted() })

    assert.deepEqual(Object.keys(data), ['__proto__'])
    assert.equal(data.planted, undefined)
    assert.equal(Reflect.get({}, 'planted'), undefined)
  })

  test('what an object only inherits is not given', async t => {
    const place = await database.emptySchema(t)
    const sessions = await place.sessions({ fields: FIELDS })

    const row = await sessions.create(Object.create({ user_id: 7 }))

    assert.equal(row.user_id, null)
    await assert.rejects(sessions.destroyAll(Object.create({ user_id: 7 })), /names no field/)
  })
})

describe('what is stored opens nothing', () => {
  for (const hashIds of [true, false]) {
    test(`a hash out of the table, presented as an id, with hashIds ${hashIds}`, async t => {
      const place = await database.emptySchema(t)
      const hashing = await place.sessions({ fields: FIELDS })
      const { sess_id } = await hashing.create({ user_id: 1 })
      const [{ stored }] = await place.query('SELECT sess_id AS stored FROM sess')
      assert.equal(stored, hashedId(sess_id))
      const sessions = await place.sessions({ fields: FIELDS, hashIds })

      for (const form of [stored, stored.toUpperCase(), stored.replaceAll('-', ''), `{${stored}}`]) {
        assert.equal(await sessions.validate(form), null)
        assert.equal(await sessions.extend(form), false)
        assert.equal(await sessions.update(form, { user_id: 2 }), null)
        assert.equal(await sessions.refresh(form), null)
        assert.equal(await sessions.destroy(form), false)
        assert.equal(await sessions.destroyAll({ user_id: 2 }, { except: form }), 0)
      }
      assert.equal((await hashing.validate(sess_id)).user_id, 1)
    })
  }

  test('a handle is no id, and an id is no handle', async t => {
    const place = await database.emptySchema(t)
    const sessions = await place.sessions({ fields: FIELDS })
    const { sess_id } = await sessions.create({ user_id: 1 })
    const [{ handle }] = await sessions.list({ user_id: 1 })

    for (const form of [handle, handle.slice(0, 32), handle.slice(32)]) {
      assert.equal(await sessions.validate(form), null)
    }
    for (const only of [sess_id, hashedId(sess_id)]) {
      assert.equal(await sessions.destroyAll({ user_id: 1 }, { only }), 0)
    }
  })
})

describe('a cookie header of any size is read in time that grows as it does', () => {
  const pieces = ['sid=', 'sid=x;', ';', '=', ' ', 'sid="', '%', 'sid=%', 'sid=s:x.', 'sid=a;;sid=', '\t', 'sid=é;']

  for (const piece of pieces) {
    test(JSON.stringify(piece), async t => {
      const place = await database.emptySchema(t)
      const read = reader(await place.sessions({ fields: FIELDS }))
      const [small, large] = SIZES.map(size => piece.repeat(Math.ceil(size / piece.length)))
      read(small)

      const [little, much] = [read(small), read(large)]

      // 64 times as much: with the square of it, that would be minutes.
      assert.ok(much < Math.max(little * 1000, PATIENCE), `${little} ms, then ${much} ms`)
    })
  }
})

test('cookies that have no signature cost no hash', async t => {
  const place = await database.emptySchema(t)
  const read = reader(await place.sessions({ fields: FIELDS }))
  const hash = t.mock.method(crypto, 'createHmac')

  for (const value of ['x', randomUUID(), `${randomUUID()}.`, `${randomUUID()}.x`, `x.${'A'.repeat(43)}`]) {
    read(`sid=${value};`.repeat(100))
  }
  assert.equal(hash.mock.callCount(), 0)

  read(`sid=${randomUUID()}.${'A'.repeat(43)}`)
  assert.ok(hash.mock.callCount() > 0)
})

/**
 * Reads cookies as a request does.
 *
 * @param {any} sessions
 * @returns {(cookie: string) => number} how long it took, in ms
 */
function reader(sessions) {
  const middleware = sessionMiddleware(sessions, { secret: ['new', 'old'], name: 'sid' })
  return cookie => {
    const begin = process.hrtime.bigint()
    let isAnonymous = false
    /** @type {any} */
    const request = { headers: { cookie } }
    middleware(request, {}, (/** @type {unknown} */ error) => {
      isAnonymous = error === undefined
    })
    assert.ok(isAnonymous)
    assert.equal(request.session, null)
    return Number(process.hrtime.bigint() - begin) / 1e6
  }
}
