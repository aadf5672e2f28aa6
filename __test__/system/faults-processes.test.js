'use strict'

// Programs that are suspended, hold their own event loop up, may open no more files, start at once, run for long, and live
// in other time zones than their server.

const assert = require('node:assert/strict')
const { after, before, test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')
const { startPostgres } = require('../../scripts/postgres.js')
const { eventually } = require('../support/eventually.js')
const { FIELDS, Load, TIMEOUTS, assertWorksAgain } = require('../support/faults.js')
const { Place } = require('../support/place.js')
const { startProgram } = require('../support/program.js')

const MEGABYTE = 1 << 20
const SUSPENDED = 10_000
/** What a program takes besides after many calls, for a garbage collector that is late; and after many openings. */
const GROWTH = 30
const GROWTH_OF_OPENINGS = 20

/** What the time is for whoever looks here first. */
const CLOCK = `
  CREATE SCHEMA clock;
  CREATE TABLE clock.jump AS SELECT interval '0' AS by;
  CREATE FUNCTION clock.now() RETURNS timestamptz STABLE LANGUAGE sql AS
    'SELECT pg_catalog.now() + by FROM clock.jump';
  CREATE FUNCTION clock.clock_timestamp() RETURNS timestamptz VOLATILE LANGUAGE sql AS
    'SELECT pg_catalog.clock_timestamp() + by FROM clock.jump';
  CREATE FUNCTION clock.statement_timestamp() RETURNS timestamptz STABLE LANGUAGE sql AS
    'SELECT pg_catalog.statement_timestamp() + by FROM clock.jump'`

/** @type {Awaited<ReturnType<typeof startPostgres>>} */
let server

before(async () => {
  server = await startPostgres({ settings: { timezone: 'Pacific/Auckland' } })
})
after(() => server.remove())

test('a program that is suspended for ten seconds goes on: calls settle, and no live session is taken for none', async t => {
  const place = await freshPlace(t)
  const program = startProgram(
    t,
    `const load = new Load({ after() {} }, sessions)
     await sleep(300)
     report('loaded')
     await command('stop')
     await load.stop(${SUSPENDED})
     await load.assertKept()
     await assertWorksAgain(sessions)
     report({ calls: load.calls, failures: load.failures.map(({ error }) => error.code) })`,
    { url: server.url }
  )
  await program.heard()

  program.signal('SIGSTOP')
  await sleep(SUSPENDED)
  program.signal('SIGCONT')
  await sleep(300)
  program.tell('stop')
  const { calls, failures } = await program.heard()

  assert.ok(calls > 50, `${calls} calls`)
  // What was under way when time stood still may have been given up.
  for (const code of failures) assert.match(String(code), /^PGSESS_TIMEOUT$/)
  assert.equal((await program.ended()).code, 0)
  assert.ok((await place.query('SELECT FROM sess')).length > 0)
})

test('a program that holds its event loop up for longer than a call may take: what was answered meanwhile is no timeout', async t => {
  const place = await freshPlace(t)
  const timeouts = { connectTimeout: 1000, queryTimeout: 3000 }
  const sessions = await place.sessions({ fields: FIELDS, pruneInterval: false, ...timeouts }, server.url)
  const { sess_id } = await sessions.create({ user_id: 1 })
  for (let round = 0; round < 2; round++) {
    const calls = Array.from({ length: 100 }, (_, n) => [sessions.validate(sess_id), sessions.create({ user_id: n })])
    // The calls of a turn leave at its end.
    await sleep(0)
    const begin = performance.now()
    while (performance.now() - begin < 5000);

    const [row, made] = (await Promise.all(calls.flat())).slice(-2)

    assert.equal(row?.user_id, 1)
    assert.equal(made.user_id, 99)
  }
})

test('a program that may open no more files: its calls share the connections that it has, and none fails', {
  skip: process.platform === 'win32' && 'it has no such limit'
}, async t => {
  await freshPlace(t)
  const program = startProgram(
    t,
    `const fs = require('node:fs')
     const take = () => {
       const taken = []
       try {
         for (;;) taken.push(fs.openSync('/dev/null'))
       } catch ({ code }) {
         if (code !== 'EMFILE') throw code
       }
       return () => taken.forEach(file => fs.closeSync(file))
     }
     const calls = own => Promise.allSettled(Array.from({ length: 1500 }, (_, n) =>
       n % 2 ? own.validate(sess_id) : own.create({ user_id: n })))
     const codes = outcomes => [...new Set(outcomes.map(({ reason }) => reason && [reason.code, reason.message.slice(0, 14)].join()))]
     const own = await connect(url, { fields: FIELDS, connectTimeout: 10_000, queryTimeout: 10_000 })
     const { sess_id } = await own.create({ user_id: 1 })
     const give = take()
     const shared = codes(await calls(own))
     const others = codes(await Promise.allSettled([connect(url, { fields: FIELDS })]))
     give()
     report({ shared, others, later: codes(await calls(own)) })`,
    { url: server.url, files: 60 }
  )

  const told = await program.heard()

  assert.deepEqual(told, { shared: [null], others: ['EMFILE,connect EMFILE'], later: [null] })
  assert.equal((await program.ended()).code, 0)
})

test('a server whose processes are suspended: calls give up in time, and all works when it goes on', {
  skip: process.platform === 'win32' && 'it has no such signals'
}, async t => {
  const place = await freshPlace(t)
  const url = new URL(server.url)
  url.searchParams.set('application_name', 'suspended')
  const sessions = await place.sessions({ fields: FIELDS, pruneInterval: false, ...TIMEOUTS }, url.href)
  const load = new Load(t, sessions)
  await sleep(200)
  const backends = await place.query("SELECT pid FROM pg_stat_activity WHERE application_name = 'suspended'")
  const pids = [...backends.map(({ pid }) => pid), server.pid]

  for (const pid of pids) process.kill(pid, 'SIGSTOP')
  try {
    await sleep(2700)
  } finally {
    for (const pid of pids) process.kill(pid, 'SIGCONT')
  }
  await assertWorksAgain(sessions)
  await load.stop()

  assert.ok(load.failures.length > 0)
  for (const { error } of load.failures) assert.equal(error.code, 'PGSESS_TIMEOUT')
  await load.assertKept()
  const twice = await place.query('SELECT FROM sess WHERE user_id >= 0 GROUP BY user_id HAVING count(*) > 1')
  assert.equal(twice.length, 0)
})

test('eight programs that start at once on an empty database, in other zones than its: one table, everybody’s sessions', async t => {
  const place = await freshPlace(t)
  const zones = ['America/New_York', 'Asia/Kolkata']
  const programs = Array.from({ length: 8 }, (_, user_id) =>
    startProgram(
      t,
      `const row = await sessions.create({ user_id: ${user_id} })
       report(row)`,
      { url: server.url, env: { TZ: zones[user_id % 2] } }
    )
  )

  const rows = await Promise.all(programs.map(program => program.heard()))
  for (const { ended } of programs) assert.equal((await ended()).code, 0)

  const sessions = await place.sessions({ fields: FIELDS, ...TIMEOUTS }, server.url)
  const now = Date.now()
  for (const [user_id, row] of rows.entries()) {
    const found = await sessions.validate(row.sess_id)
    assert.equal(found?.user_id, user_id)
    assert.equal(found.sess_expiration.toISOString(), row.sess_expiration)
    assert.equal(found.sess_expiration - found.sess_creation_date, 14 * 86_400_000)
    assert.ok(Math.abs(found.sess_creation_date - now) < 120_000)
  }
  const tables = await place.query("SELECT FROM pg_tables WHERE tablename = 'sess'")
  assert.equal(tables.length, 1)
})

test('200 000 calls, 64 at a time, some of them bad: memory and threads stay', async t => {
  await freshPlace(t)
  const program = startProgram(
    t,
    `const fs = require('node:fs')
     const threads = () => Number(/Threads:\\s+(\\d+)/.exec(fs.readFileSync('/proc/self/status', 'utf8'))?.[1])
     const memory = () => { globalThis.gc(); globalThis.gc(); return process.memoryUsage.rss() }
     const lane = async (calls, lane) => {
       const { sess_id } = await sessions.create({ user_id: lane })
       for (let n = 0; n < calls; n++) {
         if (n % 50 === 0) await sessions.create({ user_id: 'bad' }).catch(() => {})
         else if (n % 25 === 0) await sessions.extend(sess_id)
         else if ((await sessions.validate(sess_id)).user_id !== lane) throw new Error('the row of another')
       }
       await sessions.destroy(sess_id)
     }
     const run = calls => Promise.all(Array.from({ length: 64 }, (_, number) => lane(calls / 64, number)))
     await run(40_000)
     const before = [memory(), threads()]
     await run(200_000)
     report({ before, after: [memory(), threads()] })`,
    { url: server.url, flags: ['--expose-gc'] }
  )

  const { before, after } = await program.heard()

  assert.equal((await program.ended()).code, 0)
  const grown = (after[0] - before[0]) / MEGABYTE
  assert.ok(grown < GROWTH, `${grown} MB more`)
  assert.equal(after[1], before[1], 'threads')
})

test('sessions that are opened and closed 20 times leave neither backends nor memory nor threads behind', async t => {
  const place = await freshPlace(t)
  const program = startProgram(
    t,
    `const fs = require('node:fs')
     const threads = () => fs.readdirSync('/proc/self/task').length
     const memory = () => { globalThis.gc(); globalThis.gc(); return process.memoryUsage.rss() }
     const rounds = async times => {
       for (let time = 0; time < times; time++) {
         const own = await connect(url, { fields: FIELDS })
         const rows = await Promise.all(Array.from({ length: 300 }, (_, user_id) => own.create({ user_id })))
         await Promise.all(rows.map(({ sess_id }) => own.destroy(sess_id)))
         await own.close()
       }
     }
     await sessions.close()
     await rounds(5)
     const before = [memory(), threads()]
     await rounds(20)
     report({ before, after: [memory(), threads()] })
     await command('end')`,
    { url: `${server.url}?application_name=opened`, flags: ['--expose-gc'] }
  )

  const { before, after } = await program.heard()
  const left = await eventually(
    () => place.query("SELECT FROM pg_stat_activity WHERE application_name = 'opened'"),
    rows => rows.length === 0
  )
  program.tell('end')

  assert.equal(left.length, 0)
  const grown = (after[0] - before[0]) / MEGABYTE
  assert.ok(grown < GROWTH_OF_OPENINGS, `${grown} MB more`)
  assert.ok(after[1] <= before[1], `${after[1]} threads, ${before[1]} before`)
})

test('the server’s clock jumps, ahead and back: sessions end by it and by nothing else', async t => {
  const place = await freshPlace(t)
  await place.query('DROP SCHEMA IF EXISTS clock CASCADE')
  await place.query(CLOCK)
  const url = new URL(server.url)
  url.searchParams.set('options', '-c search_path=public,clock,pg_catalog')
  const sessions = await place.sessions({ fields: FIELDS, sessionLength: 3_600_000, ...TIMEOUTS }, url.href)
  const jump = (/** @type {string} */ to) => place.query('UPDATE clock.jump SET by = $1', [to])
  const early = await sessions.create({ user_id: 1 })

  await jump('59 minutes')
  assert.equal((await sessions.validate(early.sess_id))?.user_id, 1)
  const late = await sessions.create({ user_id: 2 })
  assert.equal(late.sess_expiration - early.sess_expiration >= 59 * 60_000, true)
  await jump('61 minutes')
  assert.equal(await sessions.validate(early.sess_id), null)
  assert.equal(await sessions.extend(early.sess_id), false)
  assert.equal((await sessions.validate(late.sess_id))?.user_id, 2)

  await jump('-1 day')
  assert.equal((await sessions.validate(early.sess_id))?.user_id, 1)
  assert.equal(await sessions.extend(late.sess_id), true)
  const extended = await sessions.validate(late.sess_id)
  assert.ok(extended.sess_expiration < early.sess_expiration, 'an hour from the time that it is there')
  await jump('0')
  assert.equal(await sessions.validate(late.sess_id), null)
  await assertWorksAgain(sessions)
})

/** @param {import('node:test').TestContext} t */
async function freshPlace(t) {
  const place = new Place(server.url)
  t.after(() => place.leave())
  await place.query('DROP TABLE IF EXISTS sess, sess_ids')
  return place
}
