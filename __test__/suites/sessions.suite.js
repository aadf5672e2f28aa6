'use strict'

// What create, validate, extend and destroy promise, whatever road the call takes.

const assert = require('node:assert/strict')
const { randomUUID } = require('node:crypto')
const { test } = require('node:test')
const { storedIds } = require('../support/ids.js')

/** @typedef {import('../support/roads.js').Operations} Operations */

const MINUTE = 60_000
const FIELDS = {
  user_id: 'INT',
  user_name: 'VARCHAR(12)',
  roles: 'TEXT[]',
  theme: "TEXT NOT NULL DEFAULT 'light'",
  cart: 'JSONB'
}
const KEYS = ['sess_id', 'sess_creation_date', 'sess_last_updated', 'sess_expiration', ...Object.keys(FIELDS)]
const ALICE = { user_id: 1, user_name: 'Alice', roles: ['admin', 'a, b'], theme: 'dark', cart: { items: [1, 2] } }

const NO_IDS = [
  '',
  'me',
  '0',
  "' or 1=1 --",
  '0f8fad5b-d9cb-469f-a165-70867728950g',
  'é'.repeat(36),
  7,
  {},
  null,
  undefined
]

/** @type {[string, (sid: string) => string][]} */
const SPELLINGS = [
  ['upper case', sid => sid.toUpperCase()],
  ['braces', sid => `{${sid}}`],
  ['no hyphens', sid => sid.replaceAll('-', '')],
  ['upper case, braces, no hyphens', sid => `{${sid.replaceAll('-', '').toUpperCase()}}`]
]

/** @param {(t: any, fields: object, sessionLength?: number) => Promise<Operations>} open */
function sessionsSuite(open) {
  test('create resolves to the row: an id, three dates, the fields in their order', async t => {
    const { create } = await open(t, FIELDS)

    const row = await create(ALICE)

    assert.deepEqual(Object.keys(row), KEYS)
    assert.match(row.sess_id, /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/)
    for (const name of KEYS.slice(1, 4)) assert.ok(row[name] instanceof Date, name)
    assert.deepEqual(fieldsOf(row), ALICE)
  })

  test('create writes that row into the table', async t => {
    const { create, query } = await open(t, FIELDS)

    const { sess_id } = await create(ALICE)

    const rows = await query('SELECT * FROM sess')
    assert.equal(rows.length, 1)
    assert.ok(storedIds(sess_id).includes(rows[0].sess_id))
    assert.deepEqual(fieldsOf(rows[0]), ALICE)
  })

  test('values may be given as a list of { field, value }', async t => {
    const { create } = await open(t, FIELDS)
    const values = Object.entries(ALICE).map(([field, value]) => ({ field, value }))

    const row = await create(values.reverse())

    assert.deepEqual(fieldsOf(row), ALICE)
  })

  test('a field that is not given, or undefined, takes its DEFAULT, which is NULL if it has none', async t => {
    const { create } = await open(t, FIELDS)

    const rows = [await create({}), await create([]), await create({ theme: undefined, roles: undefined })]

    const empty = { user_id: null, user_name: null, roles: null, theme: 'light', cart: null }
    assert.deepEqual(rows.map(fieldsOf), [empty, empty, empty])
  })

  test('null is NULL, also where there is a DEFAULT', async t => {
    const { create, DatabaseError } = await open(t, FIELDS)

    const error = await create({ theme: null }).catch(error => error)

    assert.ok(error instanceof DatabaseError)
    assert.deepEqual([error.code, error.table, error.column], ['23502', 'sess', 'theme'])
  })

  test('a value that PostgreSQL refuses rejects with its error', async t => {
    const { create, DatabaseError } = await open(t, FIELDS)

    const error = await create({ user_name: 'more than twelve characters' }).catch(error => error)

    assert.ok(error instanceof DatabaseError)
    assert.equal(error.code, '22001')
    assert.equal(error.message, 'value too long for type character varying(12)')
  })

  test('an unknown field is an error that names it and lists the known ones, and nothing is created', async t => {
    const { create, query } = await open(t, FIELDS)

    await assert.rejects(create({ user_id: 1, user_nam: 'Alice' }), error => {
      for (const name of ['user_nam', ...Object.keys(FIELDS)]) assert.match(error.message, new RegExp(`\\b${name}\\b`))
      return error instanceof TypeError
    })
    assert.deepEqual(await query('SELECT 1 FROM sess'), [])
  })

  test('validate resolves to the row that create gave', async t => {
    const { create, validate } = await open(t, FIELDS)
    const row = await create(ALICE)

    assert.deepEqual(await validate(row.sess_id), row)
  })

  test('an id that nobody has is no session', async t => {
    const operations = await open(t, FIELDS)
    await operations.create(ALICE)

    assert.deepEqual(await askAll(operations, randomUUID()), NO_SESSION)
  })

  test('what is not an id is no session', async t => {
    const operations = await open(t, FIELDS)
    const { sess_id } = await operations.create(ALICE)

    for (const sid of NO_IDS) assert.deepEqual(await askAll(operations, sid), NO_SESSION, `for ${String(sid)}`)
    assert.equal((await operations.validate(sess_id)).user_id, 1)
  })

  test('an id is known in each spelling that PostgreSQL reads', async t => {
    const { create, validate, extend, destroy } = await open(t, FIELDS)

    for (const [name, spell] of SPELLINGS) {
      const row = await create(ALICE)
      const spelled = spell(row.sess_id)

      assert.deepEqual(await validate(spelled), row, name)
      assert.equal(await extend(spelled), true, name)
      assert.equal(await destroy(spelled), true, name)
      assert.equal(await validate(row.sess_id), null, name)
    }
  })

  test('extend moves the end and the last update to now, and nothing else', async t => {
    const { create, validate, extend, ageSession } = await open(t, FIELDS, 60 * MINUTE)
    const { sess_id } = await create(ALICE)
    await ageSession(sess_id, '15 minutes')
    const before = await validate(sess_id)

    assert.equal(await extend(sess_id), true)

    const { sess_last_updated, sess_expiration, ...others } = await validate(sess_id)
    const { sess_last_updated: updatedBefore, sess_expiration: _, ...othersBefore } = before
    assert.deepEqual(others, othersBefore)
    assert.ok(sess_last_updated - updatedBefore >= 15 * MINUTE)
    assert.ok(sess_last_updated - updatedBefore < 20 * MINUTE)
    assert.equal(sess_expiration - sess_last_updated, 60 * MINUTE)
  })

  test('extend leaves other sessions alone', async t => {
    const { create, extend, validate } = await open(t, FIELDS)
    const [one, other] = [await create(ALICE), await create(ALICE)]

    await extend(one.sess_id)

    assert.deepEqual(await validate(other.sess_id), other)
  })

  test('a session lives for its length and not longer', async t => {
    const { create, validate, ageSession } = await open(t, FIELDS, 60 * MINUTE)
    const { sess_id } = await create(ALICE)

    await ageSession(sess_id, '59 minutes')
    assert.equal((await validate(sess_id)).user_id, 1)

    await ageSession(sess_id, '1 minute')
    assert.equal(await validate(sess_id), null)
  })

  test('an expired session is not revived by extend', async t => {
    const { create, validate, extend, ageSession } = await open(t, FIELDS, MINUTE)
    const { sess_id } = await create(ALICE)
    await ageSession(sess_id, '61 seconds')

    assert.equal(await extend(sess_id), false)
    assert.equal(await validate(sess_id), null)
  })

  test('destroy removes the row, once', async t => {
    const { create, destroy, validate, query } = await open(t, FIELDS)
    const { sess_id } = await create(ALICE)

    assert.equal(await destroy(sess_id), true)
    assert.equal(await destroy(sess_id), false)

    assert.equal(await validate(sess_id), null)
    assert.deepEqual(await query('SELECT 1 FROM sess'), [])
  })

  test('destroy removes the row of an expired session, too', async t => {
    const { create, destroy, ageSession, query } = await open(t, FIELDS, MINUTE)
    const { sess_id } = await create(ALICE)
    await ageSession(sess_id, '61 seconds')

    assert.equal(await destroy(sess_id), true)

    assert.deepEqual(await query('SELECT 1 FROM sess'), [])
  })

  test('destroy leaves other sessions alone', async t => {
    const { create, destroy, validate } = await open(t, FIELDS)
    const [one, other] = [await create(ALICE), await create(ALICE)]

    await destroy(one.sess_id)

    assert.deepEqual(await validate(other.sess_id), other)
  })

  test('calls made at once get each its own answer', async t => {
    const { create, validate, extend, destroy } = await open(t, FIELDS)
    const numbers = Array.from({ length: 40 }, (_, number) => number)

    const rows = await Promise.all(numbers.map(user_id => create({ user_id, user_name: `user ${user_id}` })))
    const found = await Promise.all(rows.map(row => validate(row.sess_id)))
    const done = await Promise.all(
      rows.map(({ sess_id }, at) => (at % 2 === 0 ? extend(sess_id) : destroy(at % 3 === 0 ? sess_id : randomUUID())))
    )

    assert.deepEqual(
      rows.map(row => row.user_id),
      numbers
    )
    assert.equal(new Set(rows.map(row => row.sess_id)).size, numbers.length)
    assert.deepEqual(found, rows)
    assert.deepEqual(
      done,
      numbers.map(at => at % 2 === 0 || at % 3 === 0)
    )
  })
}

const NO_SESSION = [null, false, false]

/**
 * @param {Operations} operations
 * @param {unknown} sid
 */
async function askAll({ validate, extend, destroy }, sid) {
  return [await validate(sid), await extend(sid), await destroy(sid)]
}

/** @param {{ [name: string]: unknown }} row */
function fieldsOf(row) {
  return Object.fromEntries(Object.keys(FIELDS).map(name => [name, row[name]]))
}

module.exports = { sessionsSuite }
