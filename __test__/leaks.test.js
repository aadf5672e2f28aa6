'use strict'

// hashIds: neither a dump of the database, nor the server's log at its most talkative, nor an error holds an id that
// opens a session.

const assert = require('node:assert/strict')
const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { findBinaries } = require('../scripts/postgres-binaries.js')
const { startPostgres } = require('../scripts/postgres.js')
const { createSession, destroySession, extendSession, init, validateSession } = require('../index.js')
const { Place, useDatabase } = require('./support/place.js')

const database = useDatabase('leaks')
const FIELDS = { user_id: 'INT UNIQUE', user_name: 'VARCHAR(5)' }
const AN_ID = /[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}/gi

test('what the database holds opens no session', async t => {
  const { place, ids, sessions } = await live(t)

  const dumped = await dump(place)
  const leaked = [...new Set(dumped.match(AN_ID))]

  assert.ok(leaked.length >= 20, 'hashes are there')
  for (const id of leaked) assert.equal(await sessions.validate(id), null)
  assertHoldsNone(dumped, ids)
})

test('what the server logs opens no session, parameters included', async t => {
  const settings = { logging_collector: 'on', log_statement: 'all', log_duration: 'on' }
  const server = await startPostgres({ settings })
  const place = new Place(server.url)
  t.after(async () => {
    await place.leave()
    await server.stop()
  })

  const { ids } = await live(t, place)

  const folder = path.join(server.dataDir, 'log')
  const logged = fs
    .readdirSync(folder)
    .map(file => fs.readFileSync(path.join(folder, file), 'utf8'))
    .join()
  assert.match(logged, /UPDATE/)
  assert.match(logged, /[Pp]arameters: /)
  assertHoldsNone(logged, ids)
})

test('errors hold no id', async t => {
  const { sessions, ids } = await live(t)

  const outcomes = await Promise.allSettled([
    ...ids.map(id => sessions.update(id, { user_name: 'too long' })),
    ...ids.map(id => sessions.update(id, { user_id: 1 })),
    sessions.create({ user_id: 1 })
  ])

  const errors = outcomes.flatMap(({ reason }) => reason ?? [])
  assert.ok(errors.length > 10)
  const told = errors.map(error => JSON.stringify({ ...error, message: error.message, stack: error.stack })).join()
  assertHoldsNone(told, ids)
})

/**
 * Sessions that have been through everything, and all ids of them that work.
 *
 * @param {import('node:test').TestContext} t
 * @param {any} [given]
 */
async function live(t, given) {
  const place = given ?? (await database.emptyDatabase(t))
  const sessions = await place.sessions({ fields: FIELDS })
  const rows = await Promise.all(Array.from({ length: 10 }, (_, user_id) => sessions.create({ user_id })))
  const refreshed = await Promise.all(rows.map(row => sessions.refresh(row.sess_id)))
  const again = await sessions.refresh(refreshed[0].sess_id)
  const ids = [...rows, ...refreshed, again].map(row => row.sess_id)
  await Promise.all(ids.map(id => sessions.validate(id)))
  await Promise.all(ids.map(id => sessions.extend(id)))
  await Promise.all(ids.map(id => sessions.update(id, { user_name: 'Bob' })))
  const destroyed = await sessions.create({ user_id: 99 })
  await sessions.destroy(destroyed.sess_id)
  ids.push(...(await searched(place, sessions, ids)))
  for (const id of ids) assert.notEqual(await sessions.validate(id), null)
  const running = JSON.stringify(await place.query('SELECT query FROM pg_stat_activity'))
  assertHoldsNone(running, ids)
  return { place, sessions, ids }
}

/**
 * Lists, ends and limits, over the pool and through objects of the caller; none of the sessions ends by it.
 *
 * @param {any} place
 * @param {any} sessions
 * @param {string[]} ids
 * @returns {Promise<string[]>} the ids of further sessions
 */
async function searched(place, sessions, ids) {
  const options = { hashIds: true, refreshInterval: 9e8, maxSessions: { by: 'user_name', limit: 2 } }
  const watched = place.pgPromise({ options: { query: () => {} } })
  const through = await place.closing(init(watched.pgp, watched.db, FIELDS, options))
  const { pgp, db } = place.pgPromise()
  await place.closing(init(pgp, db, FIELDS, options))
  const limited = await place.sessions({ fields: FIELDS, ...options })
  const made = []
  for (const create of [
    values => limited.create(values),
    values => through.create(values),
    values => db.tx(tx => createSession(pgp, tx, values))
  ]) {
    made.push(await create({ user_id: 100 + made.length, user_name: 'Eve' }))
  }
  const except = [...ids, ...made.map(row => row.sess_id)]
  for (const all of [sessions, through]) {
    await all.list({ user_name: 'Bob' })
    assert.equal(await all.destroyAll({}, { all: true, except }), 0)
    assert.equal(await all.destroyAll({ user_id: 1000 }, { only: all.handle(ids[0]) }), 0)
    await all.prune()
  }
  const [id, other] = [made[1].sess_id, made[2].sess_id]
  const renewed = await through.refresh(id)
  await through.update(renewed.sess_id, { user_name: 'Joe' })
  await db.tx(async tx => {
    assert.ok(await validateSession(pgp, tx, id))
    assert.equal(await extendSession(pgp, tx, other), true)
    const gone = await createSession(pgp, tx, { user_id: 200 })
    assert.equal(await destroySession(pgp, tx, gone.sess_id), true)
  })
  return [id, renewed.sess_id, other]
}

/**
 * @param {string} text
 * @param {string[]} ids
 */
function assertHoldsNone(text, ids) {
  const found = text.toLowerCase().replaceAll('-', '')
  for (const id of ids) assert.equal(found.includes(id.replaceAll('-', '')), false)
}

/**
 * All that its tables hold; as pg_dump writes it where there is one, for not every package of PostgreSQL brings it.
 *
 * @param {any} place
 */
async function dump(place) {
  const program = path.join(findBinaries(), 'pg_dump')
  if (fs.existsSync(program)) return execFileSync(program, ['--dbname', place.url], { encoding: 'utf8' })
  const [{ held }] = await place.query(
    "SELECT set_config('xmlbinary', 'hex', false), database_to_xml(true, false, '')::text AS held"
  )
  return held
}
