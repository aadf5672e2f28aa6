'use strict'

// Whatever text a field, a name or an array holds comes back as it went in.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const fc = require('fast-check')
const { connect } = require('../index.js')
const { createDatabase } = require('./support/server.js')

const RUNS = 60
const MOST_NAME_BYTES = 63
const SYSTEM_COLUMNS = ['tableoid', 'xmin', 'cmin', 'xmax', 'cmax', 'ctid']

/** Any text that PostgreSQL can hold: no U+0000, no half of a surrogate pair. */
const text = fc.string({ unit: 'binary' }).filter(value => !value.includes('\0') && value.isWellFormed())

test('any text comes back from text, varchar and jsonb fields, and from arrays of text', async t => {
  const { url, drop } = await createDatabase()
  t.after(drop)
  const fields = { plain: 'TEXT', short: 'VARCHAR(500)', list: 'TEXT[]', table_: 'TEXT[][]', data: 'JSONB' }
  const sessions = await connect(url, { fields })
  t.after(() => sessions.close())
  const values = fc.record({
    plain: text,
    short: text,
    list: fc.array(fc.option(text)),
    table_: fc.array(fc.tuple(text, fc.option(text)), { minLength: 1 }),
    data: fc.dictionary(
      text.filter(key => key !== '__proto__'),
      fc.array(text)
    )
  })

  await fc.assert(
    fc.asyncProperty(fc.array(values, { minLength: 1, maxLength: 5 }), async burst => {
      const rows = await Promise.all(burst.map(one => sessions.create(one)))
      const found = await Promise.all(rows.map(({ sess_id }) => sessions.validate(sess_id)))

      for (const [at, { plain, short, list, table_, data }] of found.entries()) {
        assert.deepEqual(
          { plain, short, list, table_, data: { ...data } },
          { ...burst[at], data: { ...burst[at].data } }
        )
      }
    }),
    { numRuns: RUNS }
  )
})

test('any name that PostgreSQL can hold names a field', async t => {
  const { url, drop } = await createDatabase()
  t.after(drop)
  const name = text.filter(
    value => value !== '' && Buffer.byteLength(value) <= MOST_NAME_BYTES && !SYSTEM_COLUMNS.includes(value)
  )
  let tables = 0

  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(name, { minLength: 1, maxLength: 20 }), async names => {
      const fields = names.map(field => ({ field, datatype: 'INT' }))
      const sessions = await connect(url, { fields, tableName: `names_${tables++}`, maxConnections: 1 })
      const row = await sessions.create(names.map((field, value) => ({ field, value })))
      await sessions.close()

      for (const [value, field] of names.entries()) {
        assert.equal(Object.getOwnPropertyDescriptor(row, field)?.value, value)
      }
    }),
    { numRuns: RUNS }
  )
})

test('no text in place of an id is an error', async t => {
  const { url, drop } = await createDatabase()
  t.after(drop)
  const sessions = await connect(url, { fields: { user_id: 'INT' } })
  t.after(() => sessions.close())
  const cookie = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: 'binary', minLength: 36, maxLength: 36 }),
    fc.string({ unit: fc.constantFrom(...'0123456789abcdef-'), minLength: 32, maxLength: 38 })
  )

  await fc.assert(
    fc.asyncProperty(fc.array(cookie), async cookies => {
      const { sess_id } = await sessions.create({ user_id: 1 })
      const asked = [...cookies, sess_id].map(sid => sessions.validate(sid))
      const found = await Promise.all(asked)

      assert.deepEqual(
        found.map(row => row?.user_id ?? null),
        [...cookies.map(() => null), 1]
      )
    }),
    { numRuns: RUNS }
  )
})

test('whatever is taken for ids in one turn, each call gets the answer that is its own', async t => {
  const { url, drop } = await createDatabase()
  t.after(drop)
  const sessions = await connect(url, { fields: { user_id: 'INT' } })
  t.after(() => sessions.close())
  const rows = await Promise.all(Array.from({ length: 8 }, (_, user_id) => sessions.create({ user_id })))
  const forms = [
    sid => sid,
    sid => sid.toUpperCase(),
    sid => `{${sid}}`,
    sid => sid.replaceAll('-', ''),
    sid => `{${sid.replaceAll('-', '')}}`
  ]
  const known = fc.record({ row: fc.constantFrom(...rows), write: fc.constantFrom(...forms) })
  // The length of an id, counted as JavaScript does and otherwise; halves of surrogate pairs among them.
  const unit = fc.constantFrom('a', '0', '-', 'é', '\u20ac', '\u{1f600}', '\ud83d', '\udc00', '\0', '"', '{', '}')
  const nobody = fc.oneof(fc.string({ unit, minLength: 30, maxLength: 40 }), fc.uuid(), fc.anything())

  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.oneof(
          known,
          nobody.map(sid => ({ sid }))
        ),
        { maxLength: 40 }
      ),
      async burst => {
        const given = burst.map(({ row, write, sid }) => (row === undefined ? sid : write(row.sess_id)))
        const [validated, extended, updated] = await Promise.all(
          ['validate', 'extend', 'update'].map(operation =>
            Promise.all(given.map(sid => sessions[operation](sid, ...more(operation))))
          )
        )
        for (const [at, { row }] of burst.entries()) {
          const user_id = row?.user_id
          assert.deepEqual(
            [validated[at]?.user_id, extended[at], updated[at]?.user_id],
            [user_id, row !== undefined, user_id]
          )
        }
      }
    ),
    { numRuns: RUNS }
  )
})

test('whatever a search excepts or means, only what it names is found', async t => {
  const { url, drop } = await createDatabase()
  t.after(drop)
  const sessions = await connect(url, { fields: { name: 'TEXT' } })
  t.after(() => sessions.close())
  const names = ['a', '', '\\x61', '{a}', 'null', '"']
  await Promise.all(names.map(name => sessions.create({ name })))
  const anything = fc.oneof(fc.anything(), fc.array(fc.anything()), text)

  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.constantFrom(...names), text), anything, text, async (name, except, only) => {
      const listed = await sessions.list({ name })
      assert.equal(listed.length, names.includes(name) ? 1 : 0)
      assert.equal(await sessions.destroyAll({ name }, { except, only }), 0)
    }),
    { numRuns: RUNS }
  )
})

/** @param {string} operation */
function more(operation) {
  return operation === 'update' ? [{}] : []
}
