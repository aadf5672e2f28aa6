'use strict'

// A table whose partitions are in two databases: what is done to one session touches no other one on the far side.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const { CALLS, FIELDS, TIMEOUTS, assertDone, assertRejected, oneForEach, outcomeOf } = require('../support/faults.js')
const { storedIds } = require('../support/ids.js')
const { lacksForeignData } = require('../support/needs.js')
const { useDatabase } = require('../support/place.js')

const COLUMNS = `
  sess_id uuid NOT NULL, sess_creation_date timestamp NOT NULL, sess_last_updated timestamp NOT NULL,
  sess_expiration timestamp NOT NULL, user_id int, note text`
const database = useDatabase('foreign')

describe('a session in a foreign partition that somebody holds', { skip: lacksForeignData() }, () => {
  for (const [how, options] of Object.entries({ together: {}, 'one by one': { batch: false } })) {
    test(`holds up no other one there: calls ${how}`, async t => {
      const { far, sessions } = await start(t, options)
      const names = ['extend', 'update', 'destroy', 'validate']
      const [held, ...rows] = await oneForEach(sessions, ['held', ...names, ...names])
      const holder = await far.client()
      await holder.query('BEGIN')
      const locked = await holder.query('SELECT FROM sess_0 WHERE sess_id = ANY($1::uuid[]) FOR UPDATE', [
        storedIds(held.sess_id)
      ])
      assert.equal(locked.rowCount, 1)

      const outcomes = await Promise.all(
        rows.map(({ sess_id }, at) => outcomeOf(names[at % 4], CALLS[names[at % 4]](sessions, sess_id)))
      )
      const ended = await outcomeOf('destroyAll', sessions.destroyAll({ user_id: rows[0].user_id }))

      for (const outcome of [...outcomes, ended]) assertDone(outcome)
      assert.equal(ended.value, 1)
      assertRejected(await outcomeOf('extend', sessions.extend(held.sess_id)), 'PGSESS_TIMEOUT')
      await holder.query('COMMIT')
      assert.equal(await sessions.extend(held.sess_id), true)
      assert.equal(await sessions.destroy(held.sess_id), true)
    })
  }
})

/**
 * @param {import('node:test').TestContext} t
 * @param {object} options
 */
async function start(t, options) {
  const far = await database.emptyDatabase(t)
  const near = await database.emptyDatabase(t)
  await far.query(`CREATE TABLE sess_0 (${COLUMNS}, PRIMARY KEY (sess_id))`)
  const { hostname, port, username, password, pathname } = new URL(far.url)
  await near.query(
    `CREATE EXTENSION postgres_fdw;
     CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw
       OPTIONS (host '${hostname}', port '${port}', dbname '${decodeURIComponent(pathname.slice(1))}');
     CREATE USER MAPPING FOR CURRENT_USER SERVER far
       OPTIONS (user '${decodeURIComponent(username)}', password '${decodeURIComponent(password) || 'none'}');
     CREATE TABLE sess (${COLUMNS}) PARTITION BY HASH (sess_id);
     CREATE FOREIGN TABLE sess_0 PARTITION OF sess FOR VALUES WITH (MODULUS 1, REMAINDER 0) SERVER far`
  )
  const sessions = await near.sessions({ fields: FIELDS, pruneInterval: false, ...TIMEOUTS, ...options })
  return { far, sessions }
}
