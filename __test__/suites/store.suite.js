'use strict'

// What a Store for express-session on a table of connect-pg-simple does. Runs over ours and over that one, which shows
// that one stands in for the other.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { eventually } = require('../support/eventually.js')
const { called, load, sessionOf } = require('../support/stores.js')

/**
 * @typedef {import('../support/stores.js').OpenStore} OpenStore
 * @typedef {(t: import('node:test').TestContext) => Promise<import('../support/place.js').Place>} EmptyPlace
 */

const MINUTE = 60_000
const SIDS = [
  'plain',
  `it's "quoted" \\ {a,b} NULL`,
  'sünni-日本-🍪',
  ' with spaces ',
  'x'.repeat(1000),
  'a,b',
  '',
  '__proto__'
]
const DATA = {
  cart: [{ item: 7, price: 9.99 }, null],
  text: `it's "quoted" \\ \n 🍪`,
  n: 0,
  yes: true,
  gone: null,
  deep: { b: 1, aa: { 2: 'x' } }
}

/**
 * @param {OpenStore} open
 * @param {EmptyPlace} emptyPlace
 */
function storeSuite(open, emptyPlace) {
  test('a session that is not there is no error', async t => {
    const store = open(await emptyPlace(t))

    assert.deepEqual(await called(store, 'get', 'nobody'), [])
    assert.deepEqual(await called(store, 'destroy', 'nobody'), [])
    assert.deepEqual(await called(store, 'touch', 'nobody', sessionOf({}, MINUTE)), [])
    assert.deepEqual(await called(store, 'get', 'nobody'), [])
  })

  for (const sid of SIDS) {
    test(`it keeps a session under ${JSON.stringify(sid.slice(0, 30))}`, async t => {
      const store = open(await emptyPlace(t))
      const session = sessionOf(DATA, MINUTE)

      await called(store, 'set', sid, session)
      await called(store, 'set', `${sid}.other`, sessionOf({ other: true }, MINUTE))

      assert.deepEqual(await load(store, sid), JSON.parse(JSON.stringify(session)))
      await called(store, 'destroy', sid)
      assert.equal(await load(store, sid), undefined)
      assert.equal((await load(store, `${sid}.other`)).other, true)
    })
  }

  test('the keys of the data keep their order', async t => {
    const store = open(await emptyPlace(t))
    await called(store, 'set', 'a', sessionOf({ zebra: { long: 1, b: 2, aa: 3 }, ant: 1 }, MINUTE))

    const data = await load(store, 'a')

    assert.deepEqual(Object.keys(data), ['cookie', 'zebra', 'ant'])
    assert.deepEqual(Object.keys(data.zebra), ['long', 'b', 'aa'])
  })

  test('a second set replaces the first', async t => {
    const store = open(await emptyPlace(t))
    await called(store, 'set', 'a', sessionOf({ one: 1 }, MINUTE))

    await called(store, 'set', 'a', sessionOf({ two: 2 }, MINUTE))

    const { cookie, ...data } = await load(store, 'a')
    assert.deepEqual(data, { two: 2 })
  })

  test('a direct set writes a destroyed session again', async t => {
    const store = open(await emptyPlace(t))
    await called(store, 'set', 'a', sessionOf({ one: 1 }, MINUTE))
    const data = await load(store, 'a')
    await called(store, 'destroy', 'a')

    await called(store, 'set', 'a', data)

    assert.equal((await load(store, 'a')).one, 1)
  })

  test('an expired session is not given out', async t => {
    const place = await emptyPlace(t)
    const store = open(place)
    await called(store, 'set', 'a', sessionOf({}, MINUTE))

    await place.query("UPDATE session SET expire = expire - interval '62 seconds'")

    assert.equal(await load(store, 'a'), undefined)
  })

  test('the row ends with the cookie', async t => {
    const place = await emptyPlace(t)
    const store = open(place)
    const session = sessionOf({}, 10 * MINUTE)

    await called(store, 'set', 'a', session)

    assertNear(await expiry(place, 'a'), session.cookie.expires.getTime())
  })

  test('without a time in the cookie the row ends after a day, or the ttl', async t => {
    const place = await emptyPlace(t)
    await called(open(place), 'set', 'day', sessionOf({}))
    await called(open(place, { ttl: 90 }), 'set', 'ttl', sessionOf({}))

    assertNear(await expiry(place, 'day'), Date.now() + 24 * 60 * MINUTE)
    assertNear(await expiry(place, 'ttl'), Date.now() + 90_000)
  })

  test('touch moves the end and nothing else', async t => {
    const place = await emptyPlace(t)
    const store = open(place)
    await called(store, 'set', 'a', sessionOf({ one: 1 }, MINUTE))
    const touched = sessionOf({ one: 2 }, 10 * MINUTE)

    await called(store, 'touch', 'a', touched)

    assert.equal((await load(store, 'a')).one, 1)
    assertNear(await expiry(place, 'a'), touched.cookie.expires.getTime())
  })

  test('disableTouch: touch does nothing', async t => {
    const place = await emptyPlace(t)
    const store = open(place, { disableTouch: true })
    await called(store, 'set', 'a', sessionOf({}, MINUTE))
    const before = await expiry(place, 'a')

    await called(store, 'touch', 'a', sessionOf({}, 10 * MINUTE))

    assert.equal(await expiry(place, 'a'), before)
  })

  for (const names of [
    { tableName: 'visits' },
    { tableName: 'We"ird Näme' },
    { schemaName: 'inner "one"' },
    { schemaName: 'inner "one"', tableName: 'select' }
  ]) {
    test(`it makes and uses the table of ${JSON.stringify(names)}`, async t => {
      const place = await emptyPlace(t)
      await place.query('CREATE SCHEMA IF NOT EXISTS "inner ""one"""')
      place.defer(() => place.query('DROP SCHEMA "inner ""one""" CASCADE'))
      const store = open(place, names)

      await called(store, 'set', 'a', sessionOf({ one: 1 }, MINUTE))

      assert.equal((await load(store, 'a')).one, 1)
    })
  }

  test('without createTableIfMissing, a missing table is an error of the server, and may appear later', async t => {
    const place = await emptyPlace(t)
    const store = open(place, { createTableIfMissing: false })

    await assert.rejects(called(store, 'get', 'a'), { code: '42P01' })
    await assert.rejects(called(store, 'set', 'a', sessionOf({})), { code: '42P01' })

    await place.query(
      'CREATE TABLE session (sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)'
    )
    await called(store, 'set', 'a', sessionOf({ one: 1 }))
    assert.equal((await load(store, 'a')).one, 1)
  })

  test('pruneSessions removes what has expired, and only that', async t => {
    const place = await emptyPlace(t)
    const store = open(place, { pruneSessionInterval: false })
    await called(store, 'set', 'live', sessionOf({}, MINUTE))
    await called(store, 'set', 'expired', sessionOf({}, -MINUTE))

    await called(store, 'pruneSessions')

    assert.deepEqual(await place.query('SELECT sid FROM session'), [{ sid: 'live' }])
  })

  test('expired sessions are pruned by themselves', async t => {
    const place = await emptyPlace(t)
    /** @type {number[]} */
    const asked = []
    const pruneSessionRandomizedInterval = (/** @type {number} */ ms) => asked.push(ms)
    const store = open(place, { pruneSessionInterval: 5, pruneSessionRandomizedInterval })
    await called(store, 'set', 'expired', sessionOf({}, -MINUTE))

    const left = await eventually(
      () => place.query('SELECT sid FROM session'),
      rows => rows.length === 0
    )

    assert.deepEqual(left, [])
    assert.equal(asked[0], 5000)
  })

  for (const sess of ['jsonb', 'text']) {
    test(`a table whose data is ${sess} works, too`, async t => {
      const place = await emptyPlace(t)
      await place.query(
        `CREATE TABLE session (sid text PRIMARY KEY, sess ${sess} NOT NULL, expire timestamptz NOT NULL)`
      )
      const store = open(place)

      await called(store, 'set', 'a', sessionOf(DATA, MINUTE))

      const { cookie, ...data } = await load(store, 'a')
      assert.deepEqual(data, DATA)
    })
  }

  test('a config object, a pool and a pg-promise database lead to the same table', async t => {
    const place = await emptyPlace(t)
    await called(open(place), 'set', 'a', sessionOf({ one: 1 }, MINUTE))

    const { conString, ...nothing } = { conString: undefined }
    const stores = [
      open(place, { conString, conObject: place.config() }),
      open(place, { conString, pool: place.pool() }),
      open(place, { conString, pgPromise: place.pgPromise().db })
    ]

    assert.deepEqual(nothing, {})
    for (const store of stores) assert.equal((await load(store, 'a')).one, 1)
  })

  test('what is no database of pg-promise is refused at once', () => {
    assert.throws(() => open(/** @type {any} */ ({ url: '', defer() {} }), { pgPromise: {} }), TypeError)
  })

  test('data that cannot be JSON is an error of the callback', async t => {
    const store = open(await emptyPlace(t))
    /** @type {any} */
    const circular = sessionOf({})
    circular.self = circular

    await assert.rejects(called(store, 'set', 'a', circular), TypeError)
    await assert.rejects(called(store, 'set', 'a', sessionOf({ n: 1n })), TypeError)
    assert.equal(await load(store, 'a'), undefined)
  })
}

/**
 * When a row ends, in ms since 1970.
 *
 * @param {import('../support/place.js').Place} place
 * @param {string} sid
 */
async function expiry(place, sid) {
  const [{ ms }] = await place.query(
    'SELECT extract(epoch FROM expire::timestamptz) * 1000 AS ms FROM session WHERE sid = $1',
    [sid]
  )
  return Number(ms)
}

/**
 * Within the second to which the other library rounds up, and what a busy machine takes.
 *
 * @param {number} time
 * @param {number} expected
 */
function assertNear(time, expected) {
  assert.ok(time > expected - 30_000 && time <= expected + 1000, `${time - expected} ms`)
}

exports.expiry = expiry
exports.storeSuite = storeSuite
