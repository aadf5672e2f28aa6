'use strict'

// Patroni, etcd and HAProxy: the primary's machine dies, Patroni promotes the standby by itself, and the sessions go
// on, through HAProxy and, without it, with the option `hosts`. `npm run example -- patroni`

const { connect } = require('pg-sess-rs')
const { crash, newEtcd, newHaproxy, newNode } = require('./support/patroni.js')
const { ask } = require('./support/postgres.js')
const { onStage } = require('./support/stage.js')
const { Visitors, backAgain } = require('./support/visitors.js')

const VISITORS = 10
const OPTIONS = { fields: { user_id: 'INT' }, connectTimeout: 2000, queryTimeout: 2000 }

onStage(async stage => {
  console.log('1. etcd, two servers under Patroni, HAProxy')
  const etcd = await newEtcd(stage)
  const first = await newNode(stage, 'first', etcd)
  const second = await newNode(stage, 'second', etcd)
  const proxy = await newHaproxy(stage, [first, second])
  await stage.until('the standby is synchronous', async () => {
    const [row] = await ask(first.url, 'SELECT sync_state FROM pg_stat_replication')
    return row?.sync_state === 'sync'
  }, [first.patroni, second.patroni])

  console.log('2. Sessions through HAProxy, and sessions that know both servers')
  const ways = {
    'through HAProxy': await connect(proxy, { ...OPTIONS, targetSessionAttrs: 'read-write' }),
    'with `hosts`': await connect(first.url, { ...OPTIONS, hosts: [`${second.host}:${second.port}`] })
  }
  const visitors = Object.values(ways).map(sessions => new Visitors(sessions, VISITORS))
  await stage.until('some logins', async () => visitors.every(({ loggedIn }) => loggedIn.size > 100))

  console.log('3. The primary and its Patroni die')
  const crashed = Date.now()
  await crash(first)
  const whenBack = Promise.all(Object.values(ways).map(backAgain))
  await stage.until('Patroni promotes the standby', async () => {
    const [row] = await ask(second.url, 'SELECT pg_is_in_recovery() AS is_standby')
    return !row.is_standby
  }, [second.patroni])
  const promoted = Date.now()
  const back = await whenBack
  console.log(`   promoted ${promoted - crashed} ms after the crash`)
  await Promise.all(visitors.map(each => each.leave()))

  let wrong = 0
  for (const [at, way] of Object.keys(ways).entries()) {
    const { lost, revived } = await visitors[at].account()
    const { loggedIn, loggedOut, calls, failures, longest } = visitors[at]
    console.log(`4. ${way}: calls work again ${Math.max(0, back[at] - promoted)} ms after the promotion`)
    console.log(`   ${calls} calls, ${failures.length} failed, the longest took ${longest} ms`)
    console.log(`   ${loggedIn.size} sessions acknowledged, ${lost} lost; ${loggedOut.size} ends, ${revived} undone`)
    wrong += lost + revived
  }
  await Promise.all(Object.values(ways).map(sessions => sessions.close()))
  if (wrong > 0) throw new Error('what was acknowledged did not last')
  console.log('Everything went as it should.')
})
