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
