'use strict'

// Node's own beginnings and ends while much is under way: worker threads, exits, signals, exceptions, close. Each
// program runs on its own, with any unhandled rejection an error.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const { eventually } = require('../support/eventually.js')
const { useDatabase } = require('../support/place.js')
const { runScript } = require('../support/script.js')

const database = useDatabase('node')

const STRICT = ['--unhandled-rejections=strict']
/** What the tests below have in common. */
const COMMON = `
  const { once } = require('node:events')
  const net = require('node:net')
  const { setTimeout: pause } = require('node:timers/promises')
  const { Client } = require('pg')
  const { Worker } = require('node:worker_threads')
  const FIELDS = { user_id: 'INT' }
  const numbers = length => Array.from({ length }, (_, number) => number)
  const open = (options, where = url) => pgSess.connect(where, { fields: FIELDS, ...options })
  /** Accepts, and never speaks. */
  const blackHole = async () => {
    const server = net.createServer(() => {}).unref()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return 'postgres://nobody@127.0.0.1:' + server.address().port + '/nothing'
  }
  const mixed = (sessions, sid, count) => numbers(count).map(number =>
    [() => sessions.create({ user_id: number }), () => sessions.validate(sid), () => sessions.extend(sid)][number % 3]()
  )
`

/**
 * @param {any} t
 * @param {string} script
 * @param {string[]} [args]
 */
async function run(t, script, args = STRICT) {
  const place = await database.emptyDatabase(t)
  const address = new URL(place.url)
  address.searchParams.set('application_name', 'program')
  const outcome = await runScript(`${COMMON}\n${script}`, { url: address.href, args })
  const others = "SELECT pid FROM pg_stat_activity WHERE application_name = 'program' AND datname = current_database()"
  const backends = await eventually(
    () => place.query(others),
    rows => rows.length === 0
  )
  assert.deepEqual(backends, [], 'no connection is left')
  return { place, ...outcome }
}

// A program that waits for a signal has a timer: a listener keeps none running, and on a busy machine the calls may be over
// before the signal comes.
describe('a program with 600 calls under way', () => {
  for (const [name, end, expected] of [
    ['that exits', 'process.exit(7)', { code: 7, signal: null }],
    ['that throws', "throw new Error('the end')", { code: 1, signal: null }],
    ['that gets SIGTERM', "process.kill(process.pid, 'SIGTERM')", { code: null, signal: 'SIGTERM' }],
    [
      'that exits at SIGTERM',
      "process.once('SIGTERM', () => process.exit(9)); setTimeout(() => {}, 60_000); process.kill(process.pid, 'SIGTERM')",
      { code: 9, signal: null }
    ]
  ]) {
    test(`${name} ends with the right code`, async t => {
      const { code, signal, stderr } = await run(
        t,
        `const sessions = await open()
         const { sess_id } = await sessions.create({ user_id: 1 })
         mixed(sessions, sess_id, 600)
         setImmediate(() => { ${end} })`
      )

      assert.deepEqual({ code, signal }, expected)
      if (!name.includes('throws')) assert.equal(stderr, '')
    })

    test(`${name} while it connects ends with the right code`, async t => {
      const { code, signal } = await run(
        t,
        `pgSess.init(null, await blackHole(), FIELDS).catch(() => {})
         open().catch(() => {})
         for (const user_id of numbers(100)) open({}, await blackHole()).catch(() => {})
         setTimeout(() => { ${end} }, 50)`
      )

      assert.deepEqual({ code, signal }, expected)
    })
  }

  test('that closes at SIGTERM settles all of them first, and ends by itself', async t => {
    const { place, code, stderr, stdout } = await run(
      t,
      `const sessions = await open()
       const { sess_id } = await sessions.create({ user_id: -1 })
       const waiting = setTimeout(() => {}, 60_000)
       process.once('SIGTERM', async () => {
         clearTimeout(waiting)
         await sessions.close()
         console.log('closed')
       })
       Promise.all(mixed(sessions, sess_id, 600)).then(answers => console.log(answers.every(Boolean)))
       setImmediate(() => process.kill(process.pid, 'SIGTERM'))`
    )

    assert.deepEqual({ code, stderr, stdout }, { code: 0, stderr: '', stdout: 'true\nclosed\n' })
    assert.equal((await place.query('SELECT 1 FROM sess WHERE user_id >= 0')).length, 200)
  })
})

describe('close', () => {
  test('during traffic: each call does its work or says that they are closed, and close ends', async t => {
    const { code, stderr, stdout } = await run(
      t,
      `const sessions = await open()
       const { sess_id } = await sessions.create({ user_id: 1 })
       const codes = new Set()
       let done = 0
       const caller = async () => {
         for (;;) {
           try {
             if ((await sessions.validate(sess_id)).user_id === 1) done++
           } catch (error) {
             codes.add(error.code)
             return
           }
         }
       }
       const callers = numbers(100).map(caller)
       await pause(200)
       await Promise.all([sessions.close(), sessions.close()])
       await Promise.all(callers)
       console.log([...codes].join(), done > 100, sessions.stats().size)`
    )

    assert.deepEqual({ code, stderr, stdout }, { code: 0, stderr: '', stdout: 'PGSESS_CLOSED true 0\n' })
  })

  test('where the server has fallen silent ends within the time that a call may take', async t => {
    const { code, stderr, stdout } = await run(
      t,
      `const { host, port } = new Client(url)
       let isSilent = false
       const proxy = net.createServer(near => {
         const far = net.connect(host.startsWith('/') ? host + '/.s.PGSQL.' + port : { host, port }).unref()
         near.unref()
         for (const [from, to] of [[near, far], [far, near]]) {
           from.on('data', bytes => isSilent || to.write(bytes)).on('error', () => {}).on('close', () => to.destroy())
         }
       }).listen(0, '127.0.0.1').unref()
       await once(proxy, 'listening')
       const address = new URL(url)
       address.host = '127.0.0.1:' + proxy.address().port
       const sessions = await open({ connectTimeout: 1000, queryTimeout: 1000 }, address.href)
       const { sess_id } = await sessions.create({ user_id: 1 })
       isSilent = true
       const calls = Promise.allSettled(mixed(sessions, sess_id, 300))
       const begin = Date.now()
       await sessions.close()
       const outcomes = await calls
       console.log(outcomes.every(({ reason }) => reason?.code === 'PGSESS_TIMEOUT'), Date.now() - begin < 10_000)`
    )

    assert.deepEqual({ code, stderr, stdout }, { code: 0, stderr: '', stdout: 'true true\n' })
  })
})

describe('worker threads', () => {
  const LOAD = `
    const { parentPort, workerData } = require('node:worker_threads')
    const { connect } = require('pg-sess-rs')
    connect(workerData, { fields: { user_id: 'INT' } }).then(async sessions => {
      const { sess_id } = await sessions.create({ user_id: 5 })
      let told = false
      const again = async () => {
        for (;;) {
          if ((await sessions.validate(sess_id)).user_id !== 5) throw new Error('the row of another')
          await sessions.create({ user_id: 6 })
          if (!told) parentPort.postMessage('under way')
          told = true
        }
      }
      for (let caller = 0; caller < 20; caller++) again()
    })
  `
  test('made and ended under load leave no connection, and the main thread’s answers stay right', async t => {
    const { code, signal, stderr, stdout } = await run(
      t,
      `const address = new URL(url)
       address.searchParams.set('application_name', 'worker')
       const sessions = await open()
       const client = new Client(url)
       await client.connect()
       let isOver = false
       const rows = await Promise.all(numbers(5).map(user_id => sessions.create({ user_id })))
       const callers = rows.map(async row => {
         while (!isOver) {
           assert.deepEqual(await sessions.validate(row.sess_id), row)
           await pause(1)
         }
       })
       const ours = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'worker' AND datname = current_database()"
       for (const round of numbers(6)) {
         const worker = new Worker(${JSON.stringify(LOAD)}, { eval: true, workerData: address.href })
         await once(worker, 'message')
         if (round === 0) assert.ok((await client.query(ours)).rowCount > 0)
         await worker.terminate()
         for (let left = 500; left > 0 && (await client.query(ours)).rowCount > 0; left--) await pause(20)
         assert.equal((await client.query(ours)).rowCount, 0)
       }
       isOver = true
       await Promise.all(callers)
       await client.end()
       console.log('right')`
    )

    assert.deepEqual({ code, signal, stderr, stdout }, { code: 0, signal: null, stderr: '', stdout: 'right\n' })
  })

  test('that exit by themselves or throw with calls under way end alone', async t => {
    const { code, stderr, stdout } = await run(
      t,
      `const sessions = await open()
       const begin = "const { connect } = require('pg-sess-rs'); const { workerData } = require('node:worker_threads');"
         + "connect(workerData, { fields: { user_id: 'INT' } }).then(sessions => {"
         + "for (let at = 0; at < 300; at++) sessions.create({ user_id: at });"
       const ends = { exit: 'setImmediate(() => process.exit(3))', error: "setImmediate(() => { throw new Error('the end') })" }
       for (const [event, end] of Object.entries(ends)) {
         const worker = new Worker(begin + end + '})', { eval: true, workerData: url })
         const [what] = await once(worker, event)
         assert.ok(event === 'exit' ? what === 3 : what.message === 'the end')
       }
       const { sess_id } = await sessions.create({ user_id: 1 })
       console.log((await sessions.validate(sess_id)).user_id)`
    )

    assert.deepEqual({ code, stderr, stdout }, { code: 0, stderr: '', stdout: '1\n' })
  })
})

test('no rejection is ever left unhandled that its caller handles', async t => {
  const { code, stderr, stdout } = await run(
    t,
    `const hole = await blackHole()
     const sessions = await open({ maxQueue: 10 })
     const { sess_id } = await sessions.create({ user_id: 1 })
     const controller = new AbortController()
     const { signal } = controller
     const calls = [
       pgSess.init(null, 'postgres://nobody@127.0.0.1:1/x', FIELDS),
       pgSess.createSession(null, 'postgres://nobody@127.0.0.1:1/x', { user_id: 1 }),
       pgSess.validateSession(null, 'never initialised', sess_id),
       open({ connectTimeout: 100 }, hole),
       open({ fields: { user_id: 'NO SUCH TYPE' } }),
       open({ sessionLength: -1 }),
       sessions.create({ user_id: 'one' }),
       sessions.create({ nobody: 1 }),
       sessions.list({}),
       sessions.prune({ signal: AbortSignal.abort() }),
       ...numbers(500).map(() => sessions.validate(sess_id, { signal }))
     ]
     controller.abort()
     const outcomes = await Promise.allSettled(calls)
     await sessions.close()
     await pause(100)
     console.log(outcomes.filter(({ status }) => status === 'rejected').length)`
  )

  assert.deepEqual({ code, stderr, stdout }, { code: 0, stderr: '', stdout: '510\n' })
})
