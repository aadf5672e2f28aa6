'use strict'

// Two programs do something with the same 500 sessions at the same time: each pair of operations, in opposite orders.

const assert = require('node:assert/strict')
const { fork } = require('node:child_process')
const { once } = require('node:events')
const path = require('node:path')
const { describe, test } = require('node:test')
const { makeCalls } = require('./support/racer.js')
const { useDatabase } = require('./support/place.js')

const database = useDatabase('races')

const FIELDS = { one: 'INT', other: 'INT' }
const OPERATIONS = ['validate', 'extend', 'update', 'refresh', 'destroy']
const PAIRS = OPERATIONS.flatMap((one, at) => OPERATIONS.slice(at).map(other => [one, other]))

const PARTITIONED = `
  CREATE TABLE sess (sess_id uuid PRIMARY KEY, sess_creation_date timestamptz NOT NULL,
    sess_last_updated timestamptz NOT NULL, sess_expiration timestamptz NOT NULL) PARTITION BY HASH (sess_id);
  CREATE TABLE part_0 PARTITION OF sess FOR VALUES WITH (MODULUS 2, REMAINDER 0);
  CREATE TABLE part_1 PARTITION OF sess FOR VALUES WITH (MODULUS 2, REMAINDER 1)`

/** @type {[string, number, object, string?][]} */
const TABLES = [
  ['hashed ids', 500, {}],
  ['plain ids, every limit on', 500, { hashIds: false, absoluteLength: 9e9, extendInterval: 1, refreshInterval: 1 }],
  ['a partitioned table', 150, {}, PARTITIONED]
]

for (const [name, count, options, ddl] of TABLES) {
  describe(`races of two programs, ${name}`, () => {
    for (const [mine, its] of PAIRS) {
      test(`${mine} and ${its}`, async t => {
        const place = await database.emptySchema(t)
        if (ddl !== undefined) await place.query(ddl)
        const all = { fields: FIELDS, ...options }
        const sessions = await place.sessions(all)
        const racer = await startRacer(place, all)
        const rows = await Promise.all(Array.from({ length: count }, () => sessions.create({ one: 0, other: 0 })))
        const sids = rows.map(row => row.sess_id)

        const [answers, itsAnswers] = await Promise.all([
          makeCalls(sessions, mine, sids, { one: 1 }),
          racer({ operation: its, sids: sids.toReversed(), values: { other: 1 } })
        ])
        const both = [answers, itsAnswers.toReversed()]

        for (const one of both.flat()) assert.equal(one.code, undefined)
        const ids = sids.map((sid, at) => new Set([sid, ...both.map(all => all[at].value)].filter(isId)))
        if (mine === 'destroy' || its === 'destroy') await assertDestroyed(place, sessions, ids, both)
        else await assertAlive(place, sessions, ids, [mine, its], 'refreshInterval' in options)
      })
    }
  })
}

/**
 * Whatever came first: no id validates any more, and nothing is left of the sessions.
 *
 * @param {any} place
 * @param {any} sessions
 * @param {Set<string>[]} ids
 * @param {{ value: any }[][]} answers
 */
async function assertDestroyed(place, sessions, ids, answers) {
  const found = await Promise.all(ids.flatMap(all => [...all].map(id => sessions.validate(id))))
  assert.equal(
    found.every(row => row === null),
    true
  )
  assert.deepEqual(await place.query('SELECT 1 FROM sess UNION ALL SELECT 1 FROM sess_ids'), [])
  for (const at of ids.keys()) assert.equal(answers.flatMap(all => all[at].value).includes(true), true)
}

/**
 * Each session is there once, every id leads to the one current id, and each update has survived.
 *
 * @param {any} place
 * @param {any} sessions
 * @param {Set<string>[]} ids
 * @param {string[]} operations
 * @param {boolean} isRefreshing
 */
async function assertAlive(place, sessions, ids, operations, isRefreshing) {
  const [{ count }] = await place.query('SELECT count(*)::int AS count FROM sess')
  assert.equal(count, ids.length)
  const found = await Promise.all(ids.map(all => Promise.all([...all].map(id => sessions.validate(id)))))
  for (const rows of found) {
    assert.equal(rows.includes(null), false)
    if (operations[0] === 'update') assert.equal(rows[0].one, 1)
    if (operations[1] === 'update') assert.equal(rows[0].other, 1)
  }
  const [{ most }] = await place.query(
    'SELECT coalesce(max(n), 0)::int AS most FROM (SELECT count(*) AS n FROM sess_ids GROUP BY old_id) AS notes'
  )
  assert.ok(most <= 1)
  // With an interval of a millisecond, the look itself gave new ids.
  if (!isRefreshing) for (const rows of found) assert.equal(new Set(rows.map(row => row.sess_id)).size, 1)
}

/** @param {unknown} value */
function isId(value) {
  return typeof value === 'string'
}

/**
 * @param {any} place
 * @param {object} options
 * @returns {Promise<(message: object) => Promise<any>>}
 */
async function startRacer(place, options) {
  const child = fork(path.join(__dirname, 'support/racer.js'))
  place.defer(() => {
    child.kill()
    return once(child, 'exit')
  })
  child.send({ url: place.url, options })
  await once(child, 'message')
  return async message => {
    child.send(message)
    const [answer] = await once(child, 'message')
    return answer
  }
}
