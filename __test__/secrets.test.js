'use strict'

// Ids of sessions and passwords show in no error, warning, message, counter or inspection, whatever fails.

const assert = require('node:assert/strict')
const { tracingChannel } = require('node:diagnostics_channel')
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')
const { describe, test } = require('node:test')
const { inspect } = require('node:util')
const session = require('express-session')
const pgPromise = require('pg-promise')
const connectPgStore = require('../express-session.js')
const { connect, init, createSession, validateSession } = require('../index.js')
const { eventually } = require('./support/eventually.js')
const { storedIds } = require('./support/ids.js')
const { useLogins } = require('./support/logins.js')
const { runCommand } = require('./support/script.js')
const { sessionOf } = require('./support/stores.js')

const PASSWORD = 'canary-password-0f8fad5b'
const NO_SESSION = '0f8fad5b-d9cb-469f-a165-70867728950e'
const HIDDEN = { showHidden: true, depth: Number.POSITIVE_INFINITY, getters: true, maxStringLength: null }
const CALLS = ['create', 'validate', 'extend', 'update', 'refresh', 'destroy', 'list', 'destroyAll', 'prune']
const FIELDS = { user_id: 'INT CHECK (user_id > 0)', device: 'TEXT' }
const FLAGS = ['--fields', '--config', '--from', '--map']
/** In ms: long enough to connect in on a busy machine. */
const LATE = 2000

const server = useLogins({}, () => server.query('ALTER ROLE scram SUPERUSER'))

describe('ids and passwords show nowhere', () => {
  for (const hashIds of [false, true]) {
    for (const [name, fail] of Object.entries(failures())) {
      test(`${name}, ${hashIds ? 'hashed' : 'plain'} ids`, async t => {
        const witness = new Witness(t)
        const options = { hashIds, onError: (/** @type {unknown} */ error) => witness.hear(error) }
        const { sessions, sql, ids } = await start(t, options)

        await fail({ t, options, sessions, sql, ids, witness })

        assert.ok(witness.errors > 0, 'something failed')
        witness.hear(sessions)
        witness.hear(sessions.stats())
        witness.assertSilent([...ids.flatMap(storedIds), PASSWORD])
      })
    }
  }
})

test('an id of a Store shows in no error of its calls, whatever it looks like', async t => {
  const witness = new Witness(t)
  const admin = pgPromise({ noWarnings: true })(server.config({ max: 1 }))
  t.after(() => admin.$pool.end())
  const PgStore = connectPgStore(session)
  const options = { conObject: server.config(), tableName: 'canaries', createTableIfMissing: true }
  const stores = [true, false].map(merge => new PgStore({ ...options, merge }))
  for (const store of stores) t.after(() => store.close())
  const ids = [
    'mPf3-canary_Zq8XtR0bLw5yNc2Vh7Kd',
    `canary:${'long-'.repeat(20)}`,
    `ünïcödé-${'ß'.repeat(60)}`,
    '$&$1-canary'
  ]
  const forms = ids.flatMap(id => [id, id.slice(0, 8), encodeURIComponent(id)])
  for (const id of ids) await stores[0].set(id, sessionOf({ user: 1 }))

  await admin.none(`CREATE FUNCTION loud() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION 'not %', OLD.sid USING DETAIL = OLD, HINT = OLD.sid; END $$`)
  await admin.none("ALTER TABLE canaries ADD CHECK (sess->>'user' <> 'x')")
  await admin.none('CREATE TABLE carts (sid varchar REFERENCES canaries)')
  await admin.none('INSERT INTO carts SELECT sid FROM canaries')
  const touched = sessionOf({ user: 1 }, 60_000)
  const callAll = () =>
    witness.watch(
      stores.flatMap(store =>
        ids.flatMap(id => [
          store.set(id, sessionOf({ user: 'x' })),
          store.set(`${id}-new`, sessionOf({ user: 'x' })),
          store.touch(id, touched),
          store.destroy(id)
        ])
      )
    )
  await callAll()
  await admin.none('CREATE TRIGGER loud BEFORE UPDATE OR DELETE ON canaries FOR EACH ROW EXECUTE FUNCTION loud()')
  await callAll()

  assert.ok(witness.errors >= 2 * 2 * 3 * ids.length, String(witness.errors))
  witness.assertSilent(forms)
})

test('a wrong password of a pg-promise database shows nowhere', async t => {
  const witness = new Witness(t)
  const pgp = pgPromise({ noWarnings: true })
  const db = pgp(server.config({ user: 'odd', password: PASSWORD }))
  t.after(() => db.$pool.end())

  await witness.watch([init(pgp, db, FIELDS), validateSession(pgp, db, NO_SESSION), createSession(pgp, db, {})])

  assert.equal(witness.errors, 3)
  witness.assertSilent([PASSWORD, NO_SESSION])
})

test('a wrong password shows in nothing that the command prints', async () => {
  const url = `postgres://odd:${PASSWORD}@127.0.0.1:${server.port}/app`

  for (const command of ['check', 'prune', 'stats', 'sql']) {
    for (const args of [[command, '--url', url], [command, url], [url], ...FLAGS.map(flag => [command, flag, url])]) {
      const { stdout, stderr } = await runCommand(args, { DATABASE_URL: url })
      assert.ok(!(stdout + stderr).includes(PASSWORD), stdout + stderr)
    }
  }
})

test('a password in a config file that is not JSON shows in nothing that the command prints', async t => {
  const folder = mkdtempSync(path.join(tmpdir(), 'pgsess-config-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = path.join(folder, 'config.json')

  for (const connection of [PASSWORD, `"postgres://odd:${PASSWORD}@localhost`, `{ password: '${PASSWORD}' }`]) {
    writeFileSync(file, `{ "connection": ${connection} }`)

    const { stdout, stderr, code } = await runCommand(['check', '--config', file])

    assert.equal(code, 2)
    assert.match(stderr, /^pg-sess-rs: --config: .+ cannot be read: it is not JSON\n/)
    assert.ok(!(stdout + stderr).includes('canary'), stdout + stderr)
  }
})

/**
 * What goes wrong, and calls that meet it.
 *
 * @returns {{ [name: string]: (scene: Scene) => Promise<unknown> }}
 */
function failures() {
  return {
    'a statement that waits for a lock until it is late': async ({ t, options, sql, ids, witness }) => {
      const sessions = await open(t, { ...options, queryTimeout: LATE, maxConnections: 16 })
      await sql('BEGIN; LOCK TABLE sess')
      await callAll(sessions, ids, witness)
      await sql('ROLLBACK')
      witness.assertHeard('PGSESS_TIMEOUT')
      witness.hear(sessions)
      witness.hear(sessions.stats())
    },
    'a statement that is cancelled': async ({ sql, sessions, ids, witness }) => {
      await sql('BEGIN; LOCK TABLE sess')
      const calls = callAll(sessions, ids, witness)
      await eventually(
        () => sql(`SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'`),
        (/** @type {any} */ found) => found.length > 0
      )
      await sql('ROLLBACK')
      await calls
      witness.assertHeard('57014')
    },
    'a constraint that a change violates': ({ sessions, ids, witness }) =>
      witness.watch(ids.map(id => sessions.update(id, { user_id: -1 }))),
    'a reference to a session that is ended': async ({ sql, sessions, ids, witness }) => {
      await sql('CREATE TABLE carts (sess uuid REFERENCES sess)')
      await sql('INSERT INTO carts SELECT sess_id FROM sess')
      await witness.watch([
        ...ids.map(id => sessions.destroy(id)),
        ...ids.map(id => sessions.refresh(id)),
        sessions.destroyAll({}, { all: true })
      ])
    },
    'a value that is none of its type, while parameters are reported': async ({ sql, sessions, ids, witness }) => {
      // PostgreSQL 12 reports none and does not know the setting.
      await sql(`DO $$ BEGIN ALTER ROLE scram SET log_parameter_max_length_on_error = -1;
        EXCEPTION WHEN undefined_object THEN NULL; END $$`)
      await sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'canary'")
      await witness.watch(ids.map(id => sessions.update(id, { user_id: 'x' })))
      await witness.watch(ids.map(id => sessions.update(id, { user_id: -1 })))
    },
    'a trigger that says too much': async ({ sql, sessions, ids, witness }) => {
      await sql(`CREATE FUNCTION loud() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'not %', OLD.sess_id USING DETAIL = OLD, HINT = OLD; END $$;
        CREATE TRIGGER loud BEFORE UPDATE OR DELETE ON sess FOR EACH ROW EXECUTE FUNCTION loud()`)
      await callAll(sessions, ids, witness)
    },
    'a table that is gone': async ({ sql, sessions, ids, witness }) => {
      await sql('DROP TABLE sess')
      await callAll(sessions, ids, witness)
    },
    'connections that are ended': async ({ sql, sessions, ids, witness }) => {
      await sql('ALTER ROLE scram NOLOGIN')
      await sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'canary'")
      await callAll(sessions, ids, witness)
    },
    'a password that is changed': async ({ sql, sessions, ids, witness }) => {
      await sql("ALTER ROLE scram PASSWORD 'another'")
      await sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'canary'")
      await callAll(sessions, ids, witness)
    },
    'a server that is away': async ({ sessions, ids, witness }) => {
      await server.stop()
      await callAll(sessions, ids, witness)
      await server.start()
    },
    'sessions that are closed': async ({ sessions, ids, witness }) => {
      await sessions.close()
      await callAll(sessions, ids, witness)
    },
    'a queue that is full': async ({ t, options, ids, sql, witness }) => {
      const sessions = await open(t, { ...options, maxQueue: 1 })
      await sql('BEGIN; LOCK TABLE sess')
      const calls = Array.from({ length: 20 }, () => callAll(sessions, ids, witness))
      await sql('ROLLBACK')
      await Promise.all(calls)
      witness.assertHeard('PGSESS_QUEUE_FULL')
    },
    'arguments that are wrong': ({ sessions, ids, witness }) =>
      witness.watch(
        ids.flatMap(id => [
          sessions.create(id),
          sessions.create({ [id]: 1 }),
          sessions.update(id, id),
          sessions.update(id, { [id]: id }),
          sessions.list(id),
          sessions.list({ user_id: 1 }, { limit: id }),
          sessions.destroyAll({ user_id: 1 }, id),
          sessions.destroyAll({ user_id: undefined }, { except: id })
        ])
      )
  }
}

/**
 * @typedef {object} Scene
 * @property {any} t
 * @property {object} options of its sessions
 * @property {any} sessions
 * @property {(text: string) => Promise<any[]>} sql
 * @property {string[]} ids
 * @property {Witness} witness
 */

/**
 * Every operation with every id, all at once.
 *
 * @param {any} sessions
 * @param {string[]} ids
 * @param {Witness} witness
 */
function callAll(sessions, ids, witness) {
  return witness.watch([
    ...ids.flatMap(id => [
      sessions.validate(id),
      sessions.extend(id),
      sessions.update(id, { device: 'x' }),
      sessions.refresh(id),
      sessions.destroy(id),
      sessions.destroyAll({ user_id: 1 }, { except: id })
    ]),
    sessions.create({ user_id: 1 }),
    sessions.list({ user_id: 1 }),
    sessions.destroyAll({ user_id: 1 }, { only: sessions.handle(ids[0]) }),
    sessions.prune()
  ])
}

/** Hears everything that somebody could log. */
class Witness {
  errors = 0
  /** The codes of these errors. @type {Set<unknown>} */
  #codes = new Set()
  /** @type {string[]} */
  #heard = []

  /** @param {any} t */
  constructor(t) {
    const hear = (/** @type {unknown} */ thing) => this.hear(thing)
    process.on('warning', hear)
    t.after(() => process.off('warning', hear))
    for (const call of CALLS) {
      const channel = tracingChannel(`pg-sess-rs:${call}`)
      const all = { start: hear, end: hear, asyncStart: hear, asyncEnd: hear, error: hear }
      channel.subscribe(all)
      t.after(() => channel.unsubscribe(all))
    }
  }

  /** @param {any} thing */
  hear(thing) {
    this.#heard.push(inspect(thing, HIDDEN))
    if (!(thing instanceof Error)) return
    this.#heard.push(thing.message, String(thing.stack), JSON.stringify(thing), JSON.stringify({ ...thing }))
    if (thing.cause !== undefined) this.hear(thing.cause)
  }

  /** @param {Promise<unknown>[]} calls */
  async watch(calls) {
    for (const { reason } of await Promise.allSettled(calls)) {
      if (reason === undefined) continue
      this.errors++
      this.#codes.add(reason.code)
      this.hear(reason)
    }
  }

  /** @param {string} code */
  assertHeard(code) {
    assert.ok(this.#codes.has(code), `${code} is among ${[...this.#codes].join(', ')}`)
  }

  /** @param {string[]} secrets */
  assertSilent(secrets) {
    const forms = secrets.flatMap(secret => [secret, secret.replaceAll('-', '')])
    for (const text of this.#heard) {
      for (const form of forms) assert.ok(!text.toLowerCase().includes(form.toLowerCase()), text)
    }
  }
}

/**
 * @param {any} t
 * @param {object} options
 */
async function open(t, options) {
  const config = server.config({ user: 'scram', password: PASSWORD, database: 'app', application_name: 'canary' })
  const sessions = await connect(config, { fields: FIELDS, ...options })
  t.after(() => sessions.close())
  return sessions
}

/**
 * @param {any} t
 * @param {object} options
 */
async function start(t, options) {
  // As PostgreSQL 12 would not do by itself.
  await server.query(`SET password_encryption = 'scram-sha-256'; ALTER ROLE scram LOGIN PASSWORD '${PASSWORD}'`)
  await server.query('ALTER ROLE scram RESET ALL')
  const admin = pgPromise({ noWarnings: true })(server.config({ max: 1 }))
  t.after(() => admin.$pool.end())
  const sql = (/** @type {string} */ text) => admin.any(text)
  await sql('DROP TABLE IF EXISTS carts, sess, sess_ids; DROP FUNCTION IF EXISTS loud')
  const sessions = await open(t, options)
  const rows = await Promise.all([1, 2, 3].map(() => sessions.create({ user_id: 1 })))
  const { sess_id: renewed } = await sessions.refresh(rows[0].sess_id)
  return { sessions, sql, ids: [...rows.map(row => row.sess_id), renewed] }
}
