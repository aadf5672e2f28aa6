'use strict'

// Many programs, few connections of the server: PgBouncer in transaction mode, and in session mode.
// `npm run example -- pgbouncer`

const { connect } = require('pg-sess-rs')
const { newPgBouncer } = require('./support/pgbouncer.js')
const { ask, newServer } = require('./support/postgres.js')
const { onStage } = require('./support/stage.js')
const { Visitors } = require('./support/visitors.js')

const PROGRAMS = 10
const VISITORS = 5
const LOGINS = 500

onStage(async stage => {
  const server = await newServer(stage, 'server')
  for (const [mode, settings] of /** @type {const} */ ([
    // Even where nothing at all is left behind from one transaction to the next.
    ['transaction', { server_reset_query_always: 1 }],
    // Each of our connections keeps one of the server's for itself: as many as all programs have together.
    ['session', { default_pool_size: PROGRAMS * 4 }]
  ])) {
    const { url, program } = await newPgBouncer(stage, server, mode, settings)
    // Behind a pooler nothing is prepared, with or without `prepare: false`.
    const opening = Array.from({ length: PROGRAMS }, () =>
      connect(url, { fields: { user_id: 'INT' }, prepare: mode === 'session' })
    )
    const programs = await Promise.all(opening)
    const visitors = programs.map(sessions => new Visitors(sessions, VISITORS))
    const logins = () => visitors.reduce((sum, { loggedIn }) => sum + loggedIn.size, 0)
    await stage.until('some logins', async () => logins() >= LOGINS)
    const ours = programs.reduce((sum, sessions) => sum + sessions.stats().size, 0)
    const [{ count }] = await ask(
      server.url,
      "SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    await Promise.all(visitors.map(visitor => visitor.leave()))

    // What one program wrote is found by the next.
    const accounts = await Promise.all(visitors.map((visitor, at) => visitor.account(programs[(at + 1) % PROGRAMS])))
    const wrong = accounts.reduce((sum, { lost, revived }) => sum + lost + revived, 0)
    const failures = visitors.flatMap(visitor => visitor.failures)
    console.log(`${mode} mode: ${PROGRAMS} programs, ${ours} connections to PgBouncer, ${count} to the server`)
    console.log(`  ${logins()} logins, ${failures.length} calls failed, ${wrong} sessions wrong`)
    await Promise.all(programs.map(sessions => sessions.close()))
    await program.kill('SIGTERM') // else its connections to the server would be counted with those of the next one
    if (failures.length + wrong > 0) throw new Error(`a call failed: ${failures[0]?.why ?? 'a session is wrong'}`)
  }
  console.log('Everything went as it should.')
})
