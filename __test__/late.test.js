'use strict'

// A connection can break while the server works on a statement, which goes on then. What is sent again on another
// connection must be the last word: otherwise an earlier attempt, late, would bring back what was ended meanwhile.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const { eventually } = require('./support/eventually.js')
const { startGate } = require('./support/gate.js')
const { useDatabase } = require('./support/place.js')

const database = useDatabase('late')

/** @type {{ [name: string]: (sessions: any, id: string) => Promise<unknown> }} */
const CALLS = {
  create: sessions => sessions.create({ user_id: 2 }),
  update: (sessions, id) => sessions.update(id, { user_id: 2 }),
  destroy: (sessions, id) => sessions.destroy(id),
  destroyAll: sessions => sessions.destroyAll({ user_id: 1 })
}

describe('when a connection breaks under a statement that waits, the statement is called off before the next attempt', () => {
  for (const [name, call] of Object.entries(CALLS)) {
    test(name, async t => {
      const { sessions, sess_id, gate, holder, waiting } = await start(t)
      await holder.query('BEGIN; LOCK TABLE sess')
      const outcome = call(sessions, sess_id)
      const [first] = await eventually(waiting, pids => pids.length > 0)
      gate.cut()
      await eventually(waiting, pids => pids.some(pid => pid !== first))

      const left = await eventually(waiting, pids => !pids.includes(first))

      assert.equal(left.includes(first), false)
      await holder.query('COMMIT')
      assert.ok(await outcome)
    })
  }
})

/** @param {import('node:test').TestContext} t */
async function start(t) {
  const place = await database.emptySchema(t)
  const gate = await startGate(place)
  await gate.open()
  const url = new URL(gate.url)
  url.searchParams.set('application_name', 'through the gate')
  const [{ version }] = await place.query("SELECT current_setting('server_version_num')::int AS version")
  // By itself the server notices only with this.
  const unnoticed = '-c client_connection_check_interval=0'
  if (version >= 140_000) url.searchParams.set('options', `${url.searchParams.get('options')} ${unnoticed}`)
  const sessions = await place.sessions({ fields: { user_id: 'INT' }, pruneInterval: false }, url.href)
  const { sess_id } = await sessions.create({ user_id: 1 })
  const holder = await place.client()
  const waiting = async () => {
    const rows = await place.query(
      `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
       AND application_name = 'through the gate' ORDER BY query_start`
    )
    return rows.map(({ pid }) => pid)
  }
  return { sessions, sess_id, gate, holder, waiting }
}
