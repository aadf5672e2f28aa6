'use strict'

// PgBouncer: examples/pgbouncer.js, and what several programs of their own do through one.

const assert = require('node:assert/strict')
const { after, before, describe, test } = require('node:test')
const { newPgBouncer } = require('../../examples/support/pgbouncer.js')
const { ask, newServer } = require('../../examples/support/postgres.js')
const { Stage } = require('../../examples/support/stage.js')
const { connect } = require('../../index.js')
const { eventually } = require('../support/eventually.js')
const { folderForExamples, lacksPrograms, remains, startExample } = require('../support/examples.js')
const { runScript } = require('../support/script.js')

const skip = lacksPrograms('pgbouncer')
const FIELDS = { user_id: 'INT' }

test('the example works in both modes, with fewer connections to the server in transaction mode', { skip }, async t => {
  const folder = folderForExamples(t)

  const { code, stdout, stderr } = await startExample('pgbouncer', folder).ended

  assert.equal(code, 0, stdout + stderr)
  assert.match(stdout, /transaction mode: 10 programs, \d+ connections to PgBouncer, [1-5] to the server\n/)
  assert.match(stdout, /session mode: 10 programs, \d+ connections to PgBouncer, ([1-3]?\d|40) to the server\n/)
  assert.equal(stdout.match(/ logins, 0 calls failed, 0 sessions wrong\n/g)?.length, 2, stdout)
  assert.deepEqual(await remains(folder), [])
})

describe('behind PgBouncer in transaction mode', { skip }, () => {
  /** @type {Stage} */
  let stage
  /** @type {Awaited<ReturnType<typeof newServer>>} */
  let server

  before(async () => {
    stage = new Stage()
    server = await newServer(stage, 'server')
  })
  after(() => stage.clear())

  for (const [name, settings] of [
    ['that keeps what a transaction leaves behind', {}],
    ['that discards all after each transaction', { server_reset_query_always: 1 }]
  ]) {
    test(`${name}, programs that were not told of it do not meet each other's statements`, async () => {
      const { url } = await newPgBouncer(stage, server, 'transaction', { default_pool_size: 3, ...settings })

      // Programs count their statements from one. In another order, a number means another statement.
      const programs = [0, 1, 2].map(at => runScript(comeAndGo(at), { url }))

      for (const { code, stderr } of await Promise.all(programs)) {
        assert.equal(stderr, '')
        assert.equal(code, 0)
      }
    })
  }

  test('nothing is prepared, whatever the option says', async t => {
    const { url } = await newPgBouncer(stage, server, 'transaction')
    const sessions = await connect(url, { fields: FIELDS, prepare: true, maxConnections: 1 })
    t.after(() => sessions.close())
    await sessions.create({ user_id: 1 })

    const [{ count }] = await ask(url, 'SELECT count(*)::int FROM pg_prepared_statements')

    assert.equal(count, 0)
  })

  test('statements of several steps stay in one transaction', async t => {
    const { url } = await newPgBouncer(stage, server, 'transaction', { server_reset_query_always: 1 })
    const options = { fields: { user_id: 'INT' }, tableName: 'limited', maxSessions: { by: 'user_id', limit: 3 } }
    const programs = await Promise.all([1, 2, 3].map(() => connect(url, options)))
    t.after(() => Promise.all(programs.map(sessions => sessions.close())))

    await Promise.all(Array.from({ length: 30 }, (_, at) => programs[at % 3].create({ user_id: at % 2 })))

    assert.equal((await programs[0].list({ user_id: 1 })).length, 3)
    const { sess_id } = await programs[0].create({ user_id: 2 })
    const [one, two] = await Promise.all(programs.slice(0, 2).map(sessions => sessions.refresh(sess_id)))
    assert.equal(one.sess_id, two.sess_id)
  })

  test('a start-up parameter that it does not know is named', async () => {
    const { url } = await newPgBouncer(stage, server, 'transaction')

    const connecting = connect({ connectionString: url, statement_timeout: 5000 }, { fields: FIELDS })

    await assert.rejects(connecting, { message: /unsupported startup parameter: statement_timeout/ })
  })

  test('one that waits for a connection of the server longer than a call may take rejects in time', async t => {
    const { url } = await newPgBouncer(stage, server, 'transaction', { default_pool_size: 1 })
    const sessions = await connect(url, { fields: FIELDS, connectTimeout: 500, queryTimeout: 500 })
    t.after(() => sessions.close())
    const holder = await connect(url, { fields: FIELDS })
    t.after(() => holder.close())
    const blocker = ask(url, 'SELECT pg_sleep(3)')
    const isAsleep = () => ask(server.url, "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
    await eventually(isAsleep, rows => rows.length > 0)

    await assert.rejects(sessions.create({ user_id: 1 }), { code: 'PGSESS_TIMEOUT' })

    await blocker
    assert.equal((await holder.create({ user_id: 1 })).user_id, 1)
  })
})

/**
 * @param {number} at which of the programs it is
 */
function comeAndGo(at) {
  return `
    const operations = ['validate', 'extend', 'destroy']
    const sessions = await pgSess.connect(url, { fields: { user_id: 'INT' } })
    for (let step = 0; step < 3; step++) {
      await sessions[operations[(${at} + step) % 3]]('0f8fad5b-d9cb-469f-a165-70867728950e')
    }
    await Promise.all(Array.from({ length: 20 }, async () => {
      for (let visit = 0; visit < 20; visit++) {
        const { sess_id } = await sessions.create({ user_id: visit })
        assert.equal(await sessions.extend(sess_id), true)
        assert.equal((await sessions.validate(sess_id)).user_id, visit)
        assert.equal(await sessions.destroy(sess_id), true)
        assert.equal(await sessions.validate(sess_id), null)
      }
    }))
    await sessions.close()
    pgp.end()`
}
