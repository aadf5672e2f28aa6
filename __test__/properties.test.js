'use strict'

// Whatever text a field, a name or an array holds comes back as it went in; whatever comes in a cookie or as a host is
// read as what it is, or refused.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { promisify } = require('node:util')
const signature = require('cookie-signature')
const fc = require('fast-check')
const { sessionMiddleware, sessionReader } = require('../express.js')
const { connect } = require('../index.js')
const { freePort } = require('../scripts/free-port.js')
const { createDatabase } = require('./support/server.js')

const RUNS = 60
const MOST_NAME_BYTES = 63
const MANY_FIELDS = 120
/** PostgreSQL holds no such text. */
const REFUSED = 'a\0b'
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
/** The value of a cookie, as browsers and others write it. @type {Write[]} */
const WAYS_TO_WRITE = [
  value => value,
  value => ` \t${value} `,
  value => `"${value}"`,
  value => encodeURIComponent(value),
  value => Buffer.from(value).toString('hex').replaceAll(/../g, '%$&')
]
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

test('whatever many fields hold and whichever calls fail, no value moves to a neighbour', async t => {
  const { url, drop } = await createDatabase()
  t.after(drop)
  const names = Array.from({ length: MANY_FIELDS }, (_, at) => `field_${at}`)
  const sessions = await connect(url, { fields: Object.fromEntries(['tag', ...names].map(name => [name, 'TEXT'])) })
  t.after(() => sessions.close())
  // What ends a text in JSON, what an answer begins with, digits of its numbers, halves of surrogate pairs.
  const unit = fc.constantFrom('"', '\\', ']', ',', 'null', 'B', '\u0001', '\u007f', '\u2028', '\ud83d', '\ude00', 'é')
  const value = fc.oneof(
    { weight: 20, arbitrary: fc.option(fc.oneof(text, fc.string({ unit }))) },
    { weight: 1, arbitrary: fc.constant(REFUSED) }
  )
  const values = fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 20 })
  const isRefused = (/** @type {object} */ given) => Object.values(given).includes(REFUSED)
  const outcome = (/** @type {any} */ { value: row, reason }) => reason?.code ?? names.map(name => row[name])
  const expected = (/** @type {any} */ given) =>
    isRefused(given) ? '22021' : names.map(name => given[name]?.toWellFormed() ?? null)
  let runs = 0

  await fc.assert(
    fc.asyncProperty(fc.array(values, { minLength: 1, maxLength: 8 }), async burst => {
      const [tag, changed] = [`run ${runs++}`, 'changed']
      const others = await Promise.all(burst.map(() => sessions.create({ tag: changed })))

      const created = await Promise.allSettled(burst.map(given => sessions.create({ tag, ...given })))
      const [updated, validated, listed] = await Promise.all([
        Promise.allSettled(burst.map((given, at) => sessions.update(others[at].sess_id, given))),
        Promise.allSettled(created.flatMap(({ value: row }) => (row ? sessions.validate(row.sess_id) : []))),
        sessions.list({ tag })
      ])

      const all = burst.map(expected)
      const kept = burst.filter(given => !isRefused(given)).map(expected)
      assert.deepEqual(created.map(outcome), all)
      assert.deepEqual(updated.map(outcome), all)
      assert.deepEqual(validated.map(outcome), kept)
      const asText = (/** @type {unknown[]} */ rows) => rows.map(row => JSON.stringify(row)).sort()
      assert.deepEqual(asText(listed.map(value => outcome({ value }))), asText(kept))
    }),
    { numRuns: RUNS / 2 }
  )
})

test('whatever a Cookie header holds, the first id that is well formed is asked for, and nothing else', async t => {
  const { url, drop } = await createDatabase()
  t.after(drop)
  const sessions = await connect(url, { fields: { user_id: 'INT' } })
  t.after(() => sessions.close())
  const { sess_id } = await sessions.create({ user_id: 7 })
  const asked = ['update', 'validate'].map(operation => t.mock.method(sessions, operation))
  const doors = [undefined, ['new', 'old']].flatMap(secret =>
    [false, true].map(encrypted => ({
      read: sessionReader(sessions, { secret }),
      middleware: sessionMiddleware(sessions, { secret }),
      socket: { encrypted },
      name: encrypted ? '__Host-sid' : 'sid',
      secrets: secret ?? [undefined]
    }))
  )
  const pair = fc.record({
    name: fc.constantFrom('sid', '__Host-sid', 'SID', 'xsid', 'sid.', '__proto__'),
    id: fc.oneof(
      fc.constantFrom(sess_id, sess_id.toUpperCase()),
      fc.uuid(),
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.constantFrom(...'0123456789abcdef-'), minLength: 35, maxLength: 37 })
    ),
    secret: fc.constantFrom(undefined, 'new', 'old', 'wrong'),
    write: fc.constantFrom(...WAYS_TO_WRITE)
  })
  const unit = fc.constantFrom('sid', '__Host-', '=', '"', '%', '%E0%A4', ' ', '\t', 's:', '.', ';', '\0', '\ud83d')
  const junk = fc.oneof(fc.string({ unit }), fc.string({ unit: 'binary' }))
  const parts = fc.array(fc.oneof({ weight: 2, arbitrary: pair }, { weight: 1, arbitrary: junk }), { maxLength: 12 })

  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...doors), parts, async (door, parts) => {
      const cookie = parts.map(part => (typeof part === 'string' ? part : written(part))).join(';')
      const ids = parts.flatMap(part => (typeof part !== 'string' && isFor(door, part) ? part.id : []))
      const first = ids.slice(0, 1)
      for (const { mock } of asked) mock.resetCalls()

      /** @type {any[]} */
      const [reading, passing] = [{}, {}].map(() => ({ headers: { cookie }, socket: door.socket }))
      const read = await door.read(reading)
      await promisify(door.middleware)(passing, {})

      const rows = first.map(id => (id.toLowerCase() === sess_id ? 7 : undefined))
      assert.deepEqual([read?.user_id, passing.session?.user_id], [rows[0], rows[0]])
      for (const { mock } of asked)
        assert.deepEqual(
          mock.calls.map(call => call.arguments[0]),
          first
        )
    }),
    { numRuns: 5 * RUNS }
  )
})

test('whatever is given as hosts is taken, or refused by that name', async t => {
  const { url, drop } = await createDatabase()
  t.after(drop)
  // The connection's own server comes first, and lets everybody in: no other is asked.
  const open = (/** @type {any} */ hosts) =>
    connect(url, { fields: { user_id: 'INT' }, hosts, maxConnections: 1 }).then(sessions => sessions.close())
  const unit = fc.constantFrom('a', '1', ':', '.', '[', ']', '%', '@', '/', ',', ' ', '\0', 'é', '\ud83d', ':65536')
  const host = fc.oneof(fc.string({ unit }), fc.string({ unit: 'binary' }), fc.ipV6(), fc.webAuthority())
  const hosts = fc.oneof(fc.array(host), fc.array(fc.oneof(host, fc.anything())), fc.anything(), host)
  const name = fc.oneof(
    fc.domain(),
    fc.ipV4(),
    fc.ipV6().map(address => `[${address}]`)
  )
  const server = fc
    .tuple(name, fc.option(fc.nat(65_535)))
    .map(([name, port]) => name + (port === null ? '' : `:${port}`))

  await fc.assert(
    fc.asyncProperty(hosts, fc.array(server), async (given, servers) => {
      await open(servers)
      const error = await open(given).catch(error => error)

      if (error === undefined) return
      const [, place] = /^hosts(?:\[(\d+)\])?: expected a (?:list of )?server/.exec(error.message) ?? assert.fail(error)
      const isText = place !== undefined && typeof given[place] === 'string'
      assert.equal(error.name, isText ? 'RangeError' : 'TypeError')
    }),
    { numRuns: RUNS }
  )
})

test('hosts are tried as they were named, each at its own port or the connection’s', async () => {
  const ports = await Promise.all([1, 2, 3].map(() => freePort('127.0.0.1')))
  const [own] = ports
  const host = fc.record({
    name: fc.constantFrom('127.0.0.1', '127.1', 'LocalHost', '[::1]', '[0:0:0:0:0:0:0:1]'),
    port: fc.constantFrom(undefined, ...ports)
  })

  await fc.assert(
    fc.asyncProperty(fc.array(host, { minLength: 1, maxLength: 6 }), async given => {
      const hosts = given.map(({ name, port }) => (port === undefined ? name : `${name}:${port}`))

      const error = await connect(`postgres://127.0.0.1:${own}/app`, { fields: { user_id: 'INT' }, hosts }).catch(
        error => error
      )

      const tried = error.message.split('; ').map((/** @type {string} */ told) => told.split(': ')[0])
      const named = given.map(({ name, port = own }) => `${name.replace('0:0:0:0:0:0:0:1', '::1')}:${port}`)
      assert.deepEqual(tried, [`127.0.0.1:${own}`, ...named])
    }),
    { numRuns: RUNS / 3 }
  )
})

/**
 * @typedef {(value: string) => string} Write
 * @typedef {{ name: string, id: string, secret: string | undefined, write: Write }} Pair of a Cookie header
 */

/** @param {Pair} pair */
function written({ name, id, secret, write }) {
  const value = secret === undefined ? id : signature.sign(id, secret)
  return `${name}=${write(value.toWellFormed())}`
}

/**
 * Whether the pair has an id that one of these secrets signed, or nobody if there is none.
 *
 * @param {{ name: string, secrets: (string | undefined)[] }} door
 * @param {Pair} pair
 */
function isFor(door, { name, id, secret }) {
  return name === door.name && door.secrets.includes(secret) && UUID.test(id)
}

/** @param {string} operation */
function more(operation) {
  return operation === 'update' ? [{}] : []
}
