'use strict'

// The schema changes under a program that runs.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const {
  CALLS,
  FIELDS,
  Load,
  PATIENT,
  assertDone,
  assertRejected,
  assertWorksAgain,
  callAll,
  oneForEach,
  outcomeOf
} = require('../support/faults.js')
const { useDatabase } = require('../support/place.js')
const { called, openOurs, sessionOf } = require('../support/stores.js')

const database = useDatabase('faults_schema')

/** What administrators do to a table that is in use. */
const CHANGES = [
  'ALTER TABLE sess ADD COLUMN extra int',
  'CREATE INDEX extra ON sess (user_id)',
  'ANALYZE sess',
  'ALTER TABLE sess ALTER COLUMN extra TYPE text',
  'ALTER TABLE sess ALTER COLUMN note TYPE varchar(100)',
  'VACUUM FULL sess',
  'REINDEX TABLE sess',
  'ALTER TABLE sess ALTER COLUMN note TYPE text',
  'ALTER TABLE sess DROP COLUMN extra',
  'DROP INDEX extra',
  'ALTER TABLE sess ADD CHECK (user_id > -10)',
  'ALTER TABLE sess ALTER COLUMN note SET DEFAULT $$none$$',
  'ALTER TABLE sess ALTER COLUMN note DROP DEFAULT',
  'DISCARD PLANS'
]

for (const [name, options] of Object.entries({
  'prepared statements': {},
  'no prepared statements': { prepare: false },
  'maxSessions, whose statements travel in transactions': { maxSessions: { by: 'user_id', limit: 3 } }
})) {
  test(`with ${name}, changes of the table under load fail no call`, async t => {
    const { place, sessions } = await start(t, options)
    const load = new Load(t, sessions)

    for (const change of [...CHANGES, ...CHANGES]) {
      await place.query(change)
      await sleep(20)
    }
    await load.stop()

    assert.ok(load.calls > 200, `${load.calls} calls`)
    assert.deepEqual(load.failures, [])
    await load.assertKept()
  })
}

test('a table that is gone is named by each call, and used again once it is back, without anything done', async t => {
  const { place, sessions } = await start(t)
  const store = openOurs(place, PATIENT)
  await called(store, 'set', 'a', sessionOf({}, 60_000))
  const rows = await oneForEach(sessions)
  await callAll(sessions, rows)
  const fresh = await oneForEach(sessions)
  await place.query('CREATE SCHEMA elsewhere')
  for (const table of ['sess', 'sess_ids', 'session']) await place.query(`ALTER TABLE ${table} SET SCHEMA elsewhere`)

  for (const outcome of [
    ...(await callAll(sessions, fresh)),
    await outcomeOf('get', called(store, 'get', 'a')),
    await outcomeOf('set', called(store, 'set', 'a', sessionOf({}, 60_000)))
  ]) {
    assertRejected(outcome, '42P01')
    assert.match(outcome.error.message, /sess/)
  }
  const [{ schema }] = await place.query('SELECT current_schema() AS schema')
  for (const table of ['sess', 'sess_ids', 'session']) {
    await place.query(`ALTER TABLE elsewhere.${table} SET SCHEMA ${schema}`)
  }

  for (const outcome of await callAll(sessions, fresh)) assertDone(outcome)
  assert.ok(await called(store, 'get', 'a'))
  await place.query('DROP TABLE sess')
  assertRejected(await outcomeOf('validate', sessions.validate(rows[0].sess_id)), '42P01')
  await place.sessions({ fields: FIELDS })
  await assertWorksAgain(sessions)
})

test('a column that is gone is an error that names it, and works again when it is back', async t => {
  const { place, sessions } = await start(t)
  const { sess_id } = await sessions.create({ user_id: 1 })

  await place.query('ALTER TABLE sess DROP COLUMN note')
  for (const name of ['create', 'validate', 'update']) {
    const outcome = await outcomeOf(name, CALLS[name](sessions, sess_id))
    assertRejected(outcome, '42703')
    assert.match(outcome.error.message, /note/)
  }
  assert.equal(await sessions.extend(sess_id), true)
  await place.query('ALTER TABLE sess ADD COLUMN note text')

  assert.equal((await sessions.validate(sess_id)).user_id, 1)
  await assertWorksAgain(sessions)
})

test('a primary key that is gone is an error of create, and works again when it is back', async t => {
  const { place, sessions } = await start(t)
  const rows = await oneForEach(sessions)
  await place.query('ALTER TABLE sess DROP CONSTRAINT sess_pkey')

  for (const outcome of await callAll(sessions, rows)) {
    if (outcome.name === 'create') assertRejected(outcome, '42P10')
    else assertDone(outcome)
  }
  await place.query('ALTER TABLE sess ADD PRIMARY KEY (sess_id)')

  for (const outcome of await callAll(sessions, await oneForEach(sessions))) assertDone(outcome)
})

test('a table that is emptied has no sessions, and takes new ones', async t => {
  const { place, sessions } = await start(t)
  const rows = await oneForEach(sessions)

  await place.query('TRUNCATE sess')

  for (const { sess_id } of rows) assert.equal(await sessions.validate(sess_id), null)
  await assertWorksAgain(sessions)
})

/**
 * What a field is declared as, a value of it, what its column becomes, and what the value is then.
 *
 * @type {[datatype: string, value: unknown, type: string, expected: unknown][]}
 */
const TYPES = [
  ['INT', 7, 'bigint', '7'],
  ['INT', 7, 'numeric', '7'],
  ['INT', 7, 'text', '7'],
  ['INT', 7, 'double precision', 7],
  ['BIGINT', '7', 'int', 7],
  ['TEXT', '2024-02-29', 'date USING value::date', new Date(2024, 1, 29)],
  ['TEXT', '{1,2}', 'int[] USING value::int[]', [1, 2]],
  ['BOOLEAN', true, 'text', 'true'],
  ['JSONB', { a: 1 }, 'text', '{"a": 1}'],
  ['UUID', '0f8fad5b-d9cb-469f-a165-70867728950e', 'text', '0f8fad5b-d9cb-469f-a165-70867728950e']
]

describe('a column that changes its type under a program', () => {
  for (const options of [{}, { prepare: false }, { batch: false }]) {
    for (const [datatype, value, type, expected] of TYPES) {
      const name = `${datatype} to ${type}${Object.keys(options).map(option => `, ${option}: false`)}`
      test(`is read as what it is now, by every call, and nothing happens twice: ${name}`, async t => {
        const { place, sessions, notes } = await startWith(t, { value: datatype }, options)
        const rows = await Promise.all(Array.from({ length: 3 }, () => sessions.create({ value })))
        await Promise.all(rows.map(({ sess_id }) => sessions.validate(sess_id)))

        await place.query(`ALTER TABLE sess ALTER COLUMN value TYPE ${type}`)
        const [one, other, third] = rows.map(({ sess_id }) => sess_id)
        const found = await Promise.all([
          sessions.validate(one),
          sessions.update(other, { value: datatype === 'JSONB' ? '{"a": 1}' : value }),
          sessions.refresh(third),
          sessions.create({ value: datatype === 'JSONB' ? '{"a": 1}' : value }),
          datatype === 'JSONB' ? sessions.validate(one) : sessions.list({ value }).then(([row]) => row)
        ])

        for (const row of found) assert.deepEqual(row.value, expected)
        assert.equal((await place.query('SELECT FROM sess')).length, 4)
        assert.equal(notes.length, 1)
        assert.match(notes[0].message, /column "value" of table .*sess.* was .* and is .* now/)
        const listed = await sessions.list({ value: found[0].value })
        assert.deepEqual(
          listed.map((/** @type {any} */ row) => row.value),
          Array(4).fill(expected)
        )
        const { sess_id } = await sessions.create({ value: found[0].value })
        assert.deepEqual((await sessions.validate(sess_id)).value, expected)
      })
    }
  }

  test('under load fails no call', async t => {
    const { place, sessions } = await startWith(t, { ...FIELDS, value: 'INT DEFAULT 7' })
    const load = new Load(t, sessions)

    for (const type of ['bigint', 'numeric', 'int', 'text', 'numeric USING value::numeric']) {
      await sleep(100)
      await place.query(`ALTER TABLE sess ALTER COLUMN value TYPE ${type}${type === 'int' ? ' USING value::int' : ''}`)
    }
    await sleep(100)
    await load.stop()

    assert.deepEqual(load.failures, [])
    await load.assertKept()
  })

  test('times, too: sessions end when they should, also where the server is in another zone', async t => {
    const { place, sessions } = await startWith(t, { value: 'INT' }, {}, 'Pacific/Auckland')
    const row = await sessions.create({ value: 1 })
    for (const column of ['sess_creation_date', 'sess_last_updated', 'sess_expiration']) {
      await place.query(`ALTER TABLE sess ALTER COLUMN ${column} TYPE timestamptz USING ${column} AT TIME ZONE 'UTC'`)
    }

    const found = await sessions.validate(row.sess_id)

    assert.deepEqual(found, row)
    const { sess_id, sess_creation_date, sess_expiration } = await sessions.create({ value: 2 })
    assert.equal(sess_expiration - sess_creation_date, row.sess_expiration - row.sess_creation_date)
    assert.ok(Math.abs(sess_creation_date - Date.now()) < 60_000)
    assert.equal((await sessions.validate(sess_id)).value, 2)
  })
})

/**
 * @param {import('node:test').TestContext} t
 * @param {object} [options]
 */
async function start(t, options) {
  return startWith(t, FIELDS, options)
}

/**
 * @param {import('node:test').TestContext} t
 * @param {object} fields
 * @param {object} [options]
 * @param {string} [zone]
 */
async function startWith(t, fields, options, zone = 'UTC') {
  const place = await database.emptySchema(t)
  /** @type {Error[]} */
  const notes = []
  const onError = (/** @type {Error} */ error) => notes.push(error)
  const url = new URL(place.url)
  url.searchParams.set('options', `${url.searchParams.get('options')} -c TimeZone=${zone}`)
  const sessions = await place.sessions({ fields, onError, pruneInterval: false, ...PATIENT, ...options }, url.href)
  return { place, sessions, notes }
}
