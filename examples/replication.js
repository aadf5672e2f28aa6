'use strict'

// Two servers, the second a synchronous standby of the first. The first one crashes, the second is promoted, and the
// sessions go on: `npm run example -- replication`

const { connect } = require('pg-sess-rs')
const { ask, newServer, newStandby } = require('./support/postgres.js')
const { onStage } = require('./support/stage.js')
const { Visitors, backAgain } = require('./support/visitors.js')

const VISITORS = 20

onStage(async stage => {
  console.log('1. A primary, and a standby that has every session before it is acknowledged')
  const primary = await newServer(stage, 'primary', { wal_level: 'replica', max_wal_senders: 5 })
  const standby = await newStandby(stage, 'standby', primary)
  await ask(primary.url, "ALTER SYSTEM SET synchronous_standby_names = 'standby'")
  await ask(primary.url, 'SELECT pg_reload_conf()')
  await stage.until('the standby is synchronous', async () => {
    const [row] = await ask(primary.url, 'SELECT sync_state FROM pg_stat_replication')
    return row?.sync_state === 'sync'
  })

  console.log('2. Sessions that know both servers')
  const sessions = await connect(primary.url, {
    fields: { user_id: 'INT' },
    hosts: [`${stage.host}:${standby.port}`],
    // With `hosts` this is the default: the standby is passed over as long as it takes no writes.
    targetSessionAttrs: 'read-write',
    connectTimeout: 2000,
    queryTimeout: 2000
  })
  const visitors = new Visitors(sessions, VISITORS)
  await stage.until('some logins', async () => visitors.loggedIn.size > 200)

  console.log('3. The primary crashes')
  const crash = Date.now()
  await primary.program.kill('SIGQUIT')
  await stage.until('calls fail meanwhile', async () => visitors.failures.length > 0)
  const { code, message } = await sessions.create({ user_id: 0 }).then(
    () => ({ code: 'none', message: 'a session was created without a primary' }),
    error => error
  )
  console.log(`   meanwhile: ${code}: ${message}`)

  console.log('4. The standby is promoted')
  // It has nobody to wait for now: synchronous_standby_names is the primary's setting, and came along in the copy only
  // if it was set before.
  await ask(standby.url, 'SELECT pg_promote(true, 60)')
  const promoted = Date.now()
  const back = await backAgain(sessions)
  await visitors.leave()

  const { lost, revived } = await visitors.account()
  console.log(
    `   calls work again after ${Math.max(0, back - promoted)} ms (crash to promotion: ${promoted - crash} ms)`
  )
  console.log(`   ${visitors.calls} calls, ${visitors.failures.length} failed, the longest took ${visitors.longest} ms`)
  console.log(`   ${visitors.loggedIn.size} sessions acknowledged, ${lost} lost`)
  console.log(`   ${visitors.loggedOut.size} ends acknowledged, ${revived} undone`)
  await sessions.close()
  if (code !== 'PGSESS_READ_ONLY') throw new Error(`expected PGSESS_READ_ONLY while there was no primary, got ${code}`)
  if (lost + revived > 0) throw new Error('what was acknowledged did not last')
  console.log('Everything went as it should.')
})
