'use strict'

// Beginning and end: of programs, of worker threads, of connections, and of Sessions themselves.

const assert = require('node:assert/strict')
const { randomUUID } = require('node:crypto')
const { describe, test } = require('node:test')
const pgSess = require('pg-sess-rs')
const { eventually } = require('./support/eventually.js')
const { useDatabase } = require('./support/place.js')
const { runScript } = require('./support/script.js')

const database = useDatabase('lifecycle')

const FIELDS = { user_id: 'INT' }
/** An idle connection of pg itself holds a program for 10 s. */
const AT_ONCE = 5_000

describe('a program that only calls the package ends by itself', () => {
  for (const [name, script, rows] of [
    ['after init', `await pgSess.init(pgp, db, { user_id: 'INT' })`, 0],
    ['after init that nobody waits for', `pgSess.init(pgp, db, { user_id: 'INT' })`, 0],
    [
      'after a call that was waited for',
      `pgSess.init(pgp, db, { user_id: 'INT' })
       await pgSess.createSession(pgp, db, { user_id: 1 })`,
      1
    ],
    [
      'after calls that nobody waits for, and these are done',
      `pgSess.init(pgp, db, { user_id: 'INT' })
       for (let user_id = 0; user_id < 50; user_id++) pgSess.createSession(pgp, db, { user_id })`,
      50
    ],
    [
      'with idle connections and its sessions within reach',
      `globalThis.sessions = await pgSess.connect(url, { fields: { user_id: 'INT' } })
       await Promise.all(Array.from({ length: 500 }, (_, user_id) => globalThis.sessions.create({ user_id })))`,
      500
    ],
    [
      'after a call for no session',
      `const sessions = await pgSess.connect(url, { fields: { user_id: 'INT' } })
       assert.equal(await sessions.validate('nobody'), null)`,
      0
    ],
    [
      'after close',
      `const sessions = await pgSess.connect(url, { fields: { user_id: 'INT' } })
       await sessions.create({ user_id: 1 })
       await sessions.close()`,
      1
    ],
    [
      'after a call that failed',
      `const sessions = await pgSess.connect(url, { fields: { user_id: 'INT' } })
       await assert.rejects(sessions.create({ user_id: 'one' }), { code: '22P02' })`,
      0
    ],
    [
      'after a transaction whose database it ended',
      `pgSess.init(pgp, db, { user_id: 'INT' })
       await db.tx(tx => pgSess.createSession(pgp, tx, { user_id: 1 }))
       await db.$pool.end()`,
      1
    ]
  ]) {
    test(name, async t => {
      const place = await database.emptySchema(t)

      const { code, stderr, lingered } = await runScript(`${script}\nconsole.log('done')`, { url: place.url })

      assert.equal(stderr, '')
      assert.equal(code, 0)
      assert.ok(lingered < AT_ONCE, `it lingered for ${lingered} ms`)
      assert.equal((await place.query('SELECT 1 FROM sess')).length, rows)
    })
  }

  test('with the exit code it chose, at once, also with 200 calls under way', async t => {
    const place = await database.emptySchema(t)
    const script = `
      const sessions = await pgSess.connect(url, { fields: { user_id: 'INT' } })
      for (let user_id = 0; user_id < 200; user_id++) sessions.create({ user_id })
      setImmediate(() => process.exit(7))
    `

    const { code, stderr } = await runScript(script, { url: place.url })

    assert.deepEqual({ code, stderr }, { code: 7, stderr: '' })
  })

  test('with exit code 1 if an exception ends it, also with 200 calls under way', async t => {
    const place = await database.emptySchema(t)
    const script = `
      const sessions = await pgSess.connect(url, { fields: { user_id: 'INT' } })
      for (let user_id = 0; user_id < 200; user_id++) sessions.create({ user_id })
      setImmediate(() => { throw new Error('the end') })
    `

    const { code, stderr } = await runScript(script, { url: place.url })

    assert.match(stderr, /the end/)
    assert.equal(code, 1)
  })
})

describe('close', () => {
  test('waits for 300 calls under way; later ones reject; no connection is left', async t => {
    const { sessions, place, backends } = await startNamed(t)

    const calls = numbers(300).map(user_id => sessions.create({ user_id }))
    const closing = sessions.close()
    const rows = await Promise.all(calls)
    await closing

    assert.deepEqual(
      rows.map(row => row.user_id),
      numbers(300)
    )
    assert.equal((await place.query('SELECT 1 FROM sess')).length, 300)
    await assertClosed(sessions)
    assert.deepEqual(await eventually(backends, isEmpty), [])
  })

  test('may come again, and twice at once', async t => {
    const { sessions } = await startNamed(t)
    await sessions.create({ user_id: 1 })

    assert.deepEqual(await Promise.all([sessions.close(), sessions.close()]), [undefined, undefined])
    assert.equal(await sessions.close(), undefined)
    await assertClosed(sessions)
  })

  test('before anything was asked leaves no connection either', async t => {
    const { sessions, backends } = await startNamed(t)

    await sessions.close()

    assert.deepEqual(await eventually(backends, isEmpty), [])
  })

  test('is what await using does at the end of a block', async t => {
    const { sessions, backends } = await startNamed(t)
    await sessions.create({ user_id: 1 })

    await sessions[Symbol.asyncDispose]()

    await assertClosed(sessions)
    assert.deepEqual(await eventually(backends, isEmpty), [])
  })

  test('of the sessions that init gave closes the functions for this database, until init is called again', async t => {
    const place = await database.emptySchema(t)
    const { pgp, db } = place.pgPromise()
    const sessions = await pgSess.init(pgp, db, FIELDS)
    const { sess_id } = await pgSess.createSession(pgp, db, { user_id: 1 })

    await sessions.close()
    await assert.rejects(pgSess.validateSession(pgp, db, sess_id), { code: 'PGSESS_CLOSED' })

    await place.closing(pgSess.init(pgp, db, FIELDS))
    assert.equal((await pgSess.validateSession(pgp, db, sess_id)).user_id, 1)
  })

  for (const [name, fields] of [
    ['on a table that does not fit', { user_id: 'TEXT' }],
    ['on a type that does not exist', { ...FIELDS, mood: 'NO_SUCH_TYPE' }]
  ]) {
    test(`is not needed after a connect that failed ${name}: no connection is left`, async t => {
      const { url, backends, place } = await named(t)
      await place.sessions({ fields: FIELDS })

      await assert.rejects(pgSess.connect(url, { fields }))

      assert.deepEqual(await eventually(backends, isEmpty), [])
    })
  }

  test('leaves stats to be read', async t => {
    const { sessions } = await startNamed(t)
    await sessions.create({ user_id: 1 })

    await sessions.close()

    const { size, idle, waiting, calls } = sessions.stats()
    assert.deepEqual({ size, idle, waiting, calls }, { size: 0, idle: 0, waiting: 0, calls: 1 })
  })
})

describe('a connection that the server ended', () => {
  test('while it was idle fails no call', async t => {
    const { sessions, terminate } = await startNamed(t)
    const { sess_id } = await sessions.create({ user_id: 1 })

    for (const call of [
      () => sessions.validate(sess_id),
      () => sessions.extend(sess_id),
      () => sessions.create({ user_id: 2 }),
      () => sessions.destroy(sess_id)
    ]) {
      assert.ok((await terminate()) > 0)

      assert.ok(await call())
    }
  })

  test('and all others with it, under load, fails no call and does nothing twice', async t => {
    const { sessions, place, terminate } = await startNamed(t)

    for (const round of numbers(10)) {
      const rows = await Promise.all(numbers(100).map(user_id => sessions.create({ user_id })))
      const sids = rows.map(row => row.sess_id)
      const calls = Promise.all([
        ...sids.slice(0, 25).map(sid => sessions.validate(sid)),
        ...sids.slice(25, 50).map(sid => sessions.extend(sid)),
        ...sids.slice(50, 75).map(sid => sessions.destroy(sid)),
        ...numbers(25).map(user_id => sessions.create({ user_id }))
      ])
      await terminate()

      const answers = await calls
      assert.deepEqual(answers.slice(0, 25), rows.slice(0, 25))
      assert.deepEqual(answers.slice(25, 75), Array(50).fill(true))
      assert.deepEqual(
        answers.slice(75).map(row => row.user_id),
        numbers(25)
      )
      assert.equal((await place.query('SELECT 1 FROM sess')).length, 100 * (round + 1))
    }
  })

  test('is not missed: the next ones are no more than there may be', async t => {
    const { sessions, backends, terminate } = await startNamed(t, { maxConnections: 2 })

    for (const _ of numbers(3)) {
      await Promise.all(numbers(300).map(user_id => sessions.create({ user_id })))
      await terminate()
    }
    await sessions.validate(randomUUID())

    assert.ok((await backends()).length <= 2)
    assert.ok(sessions.stats().size <= 2)
  })
})

describe('worker threads', () => {
  const WORKER = `
    const { parentPort, workerData: url } = require('node:worker_threads')
    const { connect } = require('pg-sess-rs')
    connect(url, { fields: { user_id: 'INT' } }).then(async sessions => {
      const numbers = Array.from({ length: 200 }, (_, number) => number)
      const rows = await Promise.all(numbers.map(user_id => sessions.create({ user_id })))
      const found = await Promise.all(rows.map(row => sessions.validate(row.sess_id)))
      parentPort.postMessage(found.every((row, number) => row.user_id === number))
    })
  `
  const ENDLESS = `
    const { parentPort, workerData: url } = require('node:worker_threads')
    const { connect } = require('pg-sess-rs')
    connect(url, { fields: { user_id: 'INT' } }).then(sessions => {
      const again = () => sessions.create({ user_id: 1 }).then(again)
      for (let at = 0; at < 100; at++) again()
      sessions.create({ user_id: 2 }).then(() => parentPort.postMessage('under way'))
    })
  `
  const IN_MAIN = `
    const { once } = require('node:events')
    const { Worker } = require('node:worker_threads')
    const start = source => new Worker(source, { eval: true, workerData: url })
    const WORKER = ${JSON.stringify(WORKER)}
    const ENDLESS = ${JSON.stringify(ENDLESS)}
    const work = async () => {
      const worker = start(WORKER)
      const [[answer], [code]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')])
      assert.deepEqual([answer, code], [true, 0])
    }
    const workHere = async sessions => {
      const rows = await Promise.all(Array.from({ length: 200 }, (_, user_id) => sessions.create({ user_id })))
      assert.ok(rows.every((row, number) => row.user_id === number))
    }
  `

  for (const [name, script] of [
    [
      'two of them and the main thread may work at once, and end by themselves',
      `const sessions = await pgSess.connect(url, { fields: { user_id: 'INT' } })
       await Promise.all([work(), work(), workHere(sessions)])`
    ],
    ['may load the package where the main thread does not use it, one after the other', 'await work(); await work()'],
    [
      'may be ended with calls under way, again and again, and the others notice nothing',
      `const sessions = await pgSess.connect(url, { fields: { user_id: 'INT' } })
       for (let round = 0; round < 10; round++) {
         const worker = start(ENDLESS)
         await once(worker, 'message')
         await Promise.all([worker.terminate(), workHere(sessions)])
       }
       await work()`
    ],
    [
      'may be ended with calls under way where the main thread does not use the package',
      `for (let round = 0; round < 10; round++) {
         const worker = start(ENDLESS)
         await once(worker, 'message')
         await worker.terminate()
       }
       await work()`
    ]
  ]) {
    test(name, async t => {
      const place = await database.emptySchema(t)

      const source = `${IN_MAIN}\n${script}\nconsole.log('done')`
      const { code, stderr, stdout, lingered } = await runScript(source, { url: place.url })

      assert.deepEqual({ code, stderr, stdout }, { code: 0, stderr: '', stdout: 'done\n' })
      assert.ok(lingered < AT_ONCE, `it lingered for ${lingered} ms`)
    })
  }

  test('that end leave no connection behind', async t => {
    const { url, place, backends } = await named(t)
    const script = `
      ${IN_MAIN}
      await work()
      const worker = start(ENDLESS)
      await once(worker, 'message')
      await worker.terminate()
      const { Client } = require('pg')
      const client = new Client(url)
      await client.connect()
      const others = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'named' AND pid <> pg_backend_pid() AND datname = current_database()"
      for (let left = 500; left > 0 && (await client.query(others)).rowCount > 0; left--) {
        await new Promise(resolve => setTimeout(resolve, 20))
      }
      assert.equal((await client.query(others)).rowCount, 0)
      await client.end()
    `

    const { code, stderr } = await runScript(script, { url })

    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
    assert.deepEqual(await eventually(backends, isEmpty), [])
    assert.ok((await place.query('SELECT 1 FROM sess')).length >= 200)
  })
})

test('the package may be loaded again beside itself, and each copy works', async t => {
  const place = await database.emptySchema(t)
  const script = `
    const sessions = await pgSess.connect(url, { fields: { user_id: 'INT' } })
    for (const file of Object.keys(require.cache)) if (!file.includes('node_modules')) delete require.cache[file]
    const again = require('pg-sess-rs')
    assert.notEqual(again, pgSess)
    const others = await again.connect(url, { fields: { user_id: 'INT' } })
    const { sess_id } = await sessions.create({ user_id: 1 })
    assert.equal((await others.validate(sess_id)).user_id, 1)
    await sessions.close()
    assert.equal((await others.validate(sess_id)).user_id, 1)
  `

  const { code, stderr } = await runScript(script, { url: place.url })

  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
})

/** A place in a database of its own whose connections of the package can be told from others. */
async function named(t) {
  const place = await database.emptyDatabase(t)
  const address = new URL(place.url)
  address.searchParams.set('application_name', 'named')
  const ours = "FROM pg_stat_activity WHERE application_name = 'named' AND datname = current_database()"
  const backends = () => place.query(`SELECT pid, state, query ${ours}`)
  const terminate = async () => (await place.query(`SELECT pg_terminate_backend(pid) ${ours}`)).length
  return { place, url: address.href, backends, terminate }
}

async function startNamed(t, options) {
  const { place, url, backends, terminate } = await named(t)
  const sessions = await place.sessions({ fields: FIELDS, ...options }, url)
  return { place, sessions, backends, terminate }
}

async function assertClosed(sessions) {
  const sid = randomUUID()
  const closed = { code: 'PGSESS_CLOSED' }
  await assert.rejects(sessions.create({ user_id: 1 }), closed)
  await assert.rejects(sessions.validate(sid), closed)
  await assert.rejects(sessions.extend(sid), closed)
  await assert.rejects(sessions.destroy(sid), closed)
}

function isEmpty({ length }) {
  return length === 0
}

function numbers(length) {
  return Array.from({ length }, (_, number) => number)
}
