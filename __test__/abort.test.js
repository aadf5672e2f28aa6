'use strict'

// Calls that are given up: the promise rejects at once with the signal's reason, and nobody else notices anything.

const assert = require('node:assert/strict')
const { randomUUID } = require('node:crypto')
const { getEventListeners } = require('node:events')
const { describe, test } = require('node:test')
const { setTimeout: pause } = require('node:timers/promises')
const { createSession, destroySession, extendSession, init, validateSession } = require('pg-sess-rs')
const apps = require('./support/apps.js')
const { Browser } = require('./support/browser.js')
const { eventually } = require('./support/eventually.js')
const { startGate } = require('./support/gate.js')
const { useDatabase } = require('./support/place.js')

const database = useDatabase('abort')

const FIELDS = { user_id: 'INT' }
const REASON = new Error('the browser left')

/** Each operation, on a session. */
const OPERATIONS = {
  create: (sessions, _, options) => sessions.create({ user_id: 7 }, options),
  validate: (sessions, sid, options) => sessions.validate(sid, options),
  extend: (sessions, sid, options) => sessions.extend(sid, options),
  update: (sessions, sid, options) => sessions.update(sid, { user_id: 8 }, options),
  refresh: (sessions, sid, options) => sessions.refresh(sid, options),
  destroy: (sessions, sid, options) => sessions.destroy(sid, options),
  list: (sessions, _, options) => sessions.list({ user_id: 1 }, options),
  destroyAll: (sessions, _, options) => sessions.destroyAll({ user_id: 1 }, options),
  prune: (sessions, _, options) => sessions.prune(options)
}

for (const [name, call] of Object.entries(OPERATIONS)) {
  describe(name, () => {
    test('with a signal that is aborted already rejects, and asks nothing', async t => {
      const { sessions, place, sid } = await start(t)
      const before = await place.query('SELECT * FROM sess')
      const { calls } = sessions.stats()

      await assert.rejects(call(sessions, sid, { signal: AbortSignal.abort() }), { name: 'AbortError' })
      await rejectsWith(REASON, call(sessions, sid, { signal: AbortSignal.abort(REASON) }))

      assert.equal(sessions.stats().calls, calls)
      assert.deepEqual(await place.query('SELECT * FROM sess'), before)
    })

    test('under way rejects at once with the signal’s reason, and the connections are sound', async t => {
      const { sessions, place, sid, pids } = await start(t)
      const known = await pids()
      const holder = await lockTable(place)
      const controller = new AbortController()

      const given = call(sessions, sid, { signal: controller.signal })
      await waitsForLock(place)
      controller.abort(REASON)
      await rejectsWith(REASON, given)
      await hasNoListeners(controller.signal)

      await holder.query('COMMIT')
      const { sess_id } = await sessions.create({ user_id: 2 })
      assert.equal((await sessions.validate(sess_id)).user_id, 2)
      assert.deepEqual(
        known.filter(pid => pid !== undefined),
        (await pids()).filter(pid => known.includes(pid)),
        'none was closed'
      )
      assert.equal(sessions.stats().errors, 0)
    })

    test('with a signal that is never aborted, or undefined, does what it does', async t => {
      const { sessions, sid } = await start(t)
      const { signal } = new AbortController()

      await call(sessions, sid, { signal: undefined })
      const { sess_id } = await sessions.create({ user_id: 1 })
      assert.ok((await call(sessions, sess_id, { signal })) !== null)

      await hasNoListeners(signal)
    })

    test('says what is wrong with its options', async t => {
      const { sessions, sid } = await start(t)

      for (const [options, message] of [
        [{ signal: 5 }, /^signal: expected an AbortSignal, got /],
        [{ signal: null }, /^signal: expected an AbortSignal, got null/],
        [{ signal: {} }, /^signal: /],
        [{ singal: AbortSignal.abort() }, /"singal"/],
        [5, /^options: /],
        [null, /^options: /]
      ]) {
        await assert.rejects(call(sessions, sid, options), { name: 'TypeError', message })
      }
    })
  })
}

describe('of calls made together', () => {
  test('those that still wait for their turn are not sent when they are aborted', async t => {
    const { sessions, place } = await start(t)
    const holder = await lockTable(place)
    const controller = new AbortController()
    const before = numbers(10).map(user_id => sessions.create({ user_id: 100 + user_id }))
    await waitsForLock(place)
    // Both batches that may be away are, once a second one left.
    const others = numbers(10).map(user_id => sessions.create({ user_id: 200 + user_id }))
    await pause(50)
    const withdrawn = numbers(500).map(user_id => sessions.create({ user_id }, { signal: controller.signal }))
    await eventually(
      async () => sessions.stats().waiting,
      waiting => waiting >= 500
    )

    controller.abort(REASON)
    await Promise.all(withdrawn.map(call => rejectsWith(REASON, call)))
    await eventually(
      async () => sessions.stats().waiting,
      waiting => waiting < 500
    )
    assert.ok(sessions.stats().waiting <= 10)
    await holder.query('COMMIT')

    assert.equal((await Promise.all([...before, ...others])).length, 20)
    await sessions.close()
    assert.deepEqual(await place.query('SELECT count(*)::int AS count FROM sess WHERE user_id BETWEEN 10 AND 499'), [
      { count: 20 }
    ])
  })

  test('each gets its own answer, whichever of them are aborted at whatever time', async t => {
    const { sessions } = await start(t)
    const sids = (await Promise.all(numbers(100).map(user_id => sessions.create({ user_id })))).map(row => row.sess_id)

    for (const round of numbers(30)) {
      const controllers = numbers(100).map(() => new AbortController())
      const calls = controllers.map(({ signal }, user_id) =>
        user_id % 3 === 0 ? sessions.validate(sids[user_id]) : sessions.validate(sids[user_id], { signal })
      )
      const settled = Promise.allSettled(calls)
      for (const [user_id, controller] of controllers.entries()) {
        if (user_id % 3 !== 1) continue
        if ((user_id + round) % 5 === 0) await null
        if ((user_id + round) % 11 === 0) await pause(0)
        controller.abort(REASON)
      }
      for (const [user_id, { status, value, reason }] of (await settled).entries()) {
        if (status === 'fulfilled') assert.equal(value.user_id, user_id)
        else assert.deepEqual([user_id % 3, reason], [1, REASON])
      }
    }
    assert.equal(sessions.stats().errors, 0)
  })

  test('thousands may share a long-lived signal: one listener at most, none in the end, and no warning', async t => {
    const { sessions, sid } = await start(t)
    const warnings = []
    const listen = warning => warnings.push(warning)
    process.on('warning', listen)
    t.after(() => process.off('warning', listen))
    const { signal } = new AbortController()

    for (const _ of numbers(5)) {
      const calls = numbers(1_000).map(() => sessions.validate(sid, { signal }))
      assert.equal(getEventListeners(signal, 'abort').length, 1)
      await Promise.all(calls)
      await hasNoListeners(signal)
    }
    for (const _ of numbers(50)) await sessions.validate(sid, { signal })

    await pause(20)
    await hasNoListeners(signal)
    assert.deepEqual(warnings, [])
  })

  test('a signal that is aborted after the end does nothing', async t => {
    const { sessions, sid } = await start(t)
    const controller = new AbortController()

    const [row] = await Promise.all([
      sessions.validate(sid, { signal: controller.signal }),
      sessions.validate('nobody', { signal: controller.signal })
    ])
    controller.abort(REASON)

    assert.equal(row.user_id, 1)
    assert.equal((await sessions.validate(sid)).user_id, 1)
  })
})

test('a call that waits for a database that is not up rejects at once, and is not made later', async t => {
  const place = await database.emptySchema(t)
  const gate = await startGate(place)
  const { pgp, db } = place.pgPromise({ connection: gate.url })
  const sessions = place.closing(init(pgp, db, FIELDS))
  sessions.catch(() => {})
  const controller = new AbortController()

  const given = createSession(pgp, db, { user_id: 1 }, { signal: controller.signal })
  controller.abort(REASON)
  await rejectsWith(REASON, given)

  await sessions.catch(() => {})
  await gate.open()
  await createSession(pgp, db, { user_id: 2 })
  assert.deepEqual(await place.query('SELECT user_id FROM sess'), [{ user_id: 2 }])
})

test('a signal of another library is as good', async t => {
  const { sessions, sid } = await start(t)
  const target = new EventTarget()
  const signal = Object.assign(target, { aborted: false, reason: undefined })
  const { promise, go } = held()

  const given = promise.then(() => sessions.validate(sid, { signal }))
  go()
  await null
  Object.assign(signal, { aborted: true, reason: REASON })
  target.dispatchEvent(new Event('abort'))

  await rejectsWith(REASON, given)
})

describe('the functions of pg-sess', () => {
  test('take a signal after their own arguments, and ignore what is no object, as pg-sess does', async t => {
    const { place } = await start(t)
    const { pgp, db } = place.pgPromise()
    await place.closing(init(pgp, db, FIELDS))
    const { sess_id } = await createSession(pgp, db, { user_id: 1 }, 86_400_000)
    const aborted = { signal: AbortSignal.abort(REASON) }

    await rejectsWith(REASON, createSession(pgp, db, { user_id: 1 }, aborted))
    for (const call of [validateSession, extendSession, destroySession]) {
      await rejectsWith(REASON, call(pgp, db, sess_id, aborted))
    }
    assert.equal((await validateSession(pgp, db, sess_id, { signal: new AbortController().signal })).user_id, 1)
    assert.equal(await extendSession(pgp, db, sess_id, 'what is this'), true)
    await assert.rejects(extendSession(pgp, db, sess_id, { sessionLength: 1 }), { name: 'TypeError' })
  })

  test('in a transaction reject at once, and the transaction is the caller’s to end', async t => {
    const { place } = await start(t)
    const { pgp, db } = place.pgPromise()
    await place.closing(init(pgp, db, FIELDS))
    const { sess_id } = await createSession(pgp, db, { user_id: 1 })
    const holder = await lockTable(place)
    const controller = new AbortController()

    const work = db.tx(async tx => {
      await tx.none('CREATE TABLE begun ()')
      await createSession(pgp, tx, { user_id: 3 }, { signal: controller.signal })
    })
    await waitsForLock(place)
    controller.abort(REASON)
    // pg-promise rolls back behind the statement, which still waits.
    await pause(20)
    await holder.query('COMMIT')
    await rejectsWith(REASON, work)

    assert.deepEqual(await place.query(`SELECT to_regclass('begun') AS begun`), [{ begun: null }])
    assert.deepEqual(await place.query('SELECT 1 FROM sess WHERE user_id = 3'), [])
    await db.tx(async tx => {
      await rejectsWith(REASON, validateSession(pgp, tx, sess_id, { signal: AbortSignal.abort(REASON) }))
      assert.equal((await validateSession(pgp, tx, sess_id)).user_id, 1)
      await createSession(pgp, tx, { user_id: 4 })
    })
    assert.equal((await place.query('SELECT 1 FROM sess WHERE user_id = 4')).length, 1)
  })

  test('on a client of the caller reject at once, and the client goes on', async t => {
    const { place } = await start(t)
    const pool = place.pool()
    await place.closing(init(null, pool, FIELDS))
    const { sess_id } = await createSession(null, pool, { user_id: 1 })
    const client = await pool.connect()
    place.defer(() => client.release())
    const holder = await lockTable(place)
    const controller = new AbortController()

    const given = validateSession(null, client, sess_id, { signal: controller.signal })
    await waitsForLock(place)
    controller.abort(REASON)
    await rejectsWith(REASON, given)

    await holder.query('COMMIT')
    assert.equal((await validateSession(null, client, sess_id)).user_id, 1)
    assert.deepEqual((await client.query('SELECT 1 AS one')).rows, [{ one: 1 }])
  })
})

/** Each method of `req.sessions`. */
const METHODS = {
  create: (sessions, options) => sessions.create({ user_id: 7 }, options),
  update: (sessions, options) => sessions.update({ role: 'admin' }, options),
  extend: (sessions, options) => sessions.extend(options),
  refresh: (sessions, options) => sessions.refresh(options),
  destroy: (sessions, options) => sessions.destroy(options),
  list: (sessions, options) => sessions.list({ user_id: 1 }, options),
  destroyAll: (sessions, options) => sessions.destroyAll({ user_id: 1 }, options)
}

describe('of a request', () => {
  for (const [name, call] of Object.entries(METHODS)) {
    test(`${name} with a signal that is aborted already asks nothing, with a session and without`, async t => {
      const { sessions, request, browser } = await startApp(t)
      const ask = () =>
        request(async req => {
          const [{ calls }, row] = [sessions.stats(), req.session]
          await rejectsWith(REASON, call(req.sessions, { signal: AbortSignal.abort(REASON) }))
          assert.equal(sessions.stats().calls, calls)
          assert.equal(req.session, row)
        })

      assert.deepEqual(await ask(), [])
      browser.cookies.clear()
      assert.deepEqual(await ask(), [])
    })

    test(`${name} that is aborted under way leaves req.session and the cookie as they are`, async t => {
      const { place, request } = await startApp(t)

      const setCookies = await request(async req => {
        const { session } = req
        const controller = new AbortController()
        const holder = await lockTable(place)
        const given = call(req.sessions, { signal: controller.signal })
        await waitsForLock(place)
        controller.abort(REASON)
        await rejectsWith(REASON, given)
        await hasNoListeners(controller.signal)
        assert.equal(req.session, session)
        await holder.query('COMMIT')
      })

      assert.deepEqual(setCookies, [])
    })

    test(`${name} with a signal that is not aborted does what it does`, async t => {
      const { request } = await startApp(t)
      const { signal } = new AbortController()

      await request(async req => {
        await call(req.sessions, { signal: undefined })
        await call(req.sessions, { signal })
        await hasNoListeners(signal)
      })
    })

    test(`${name} says what is wrong with its options, with a session and without`, async t => {
      const { request, browser } = await startApp(t)
      const ask = () =>
        request(async req => {
          await assert.rejects(call(req.sessions, { singal: 1 }), { name: 'TypeError', message: /"singal"/ })
          await assert.rejects(call(req.sessions, { signal: 5 }), { name: 'TypeError', message: /^signal: / })
          await assert.rejects(call(req.sessions, null), { name: 'TypeError', message: /^options: / })
        })

      assert.deepEqual(await ask(), [])
      browser.cookies.clear()
      assert.deepEqual(await ask(), [])
    })
  }

  test('create, aborted while the session from before is ended, ends the new one and gives no cookie', async t => {
    const { place, request } = await startApp(t)

    const setCookies = await request(async req => {
      const { session } = req
      const controller = new AbortController()
      const holder = await place.client()
      await holder.query('BEGIN; SELECT FROM sess FOR UPDATE')
      const given = METHODS.create(req.sessions, { signal: controller.signal })
      await eventually(
        async () => req.session.user_id,
        user => user === 7
      )
      controller.abort(REASON)
      await rejectsWith(REASON, given)
      assert.equal(req.session, session)
      await holder.query('COMMIT')
    })

    assert.deepEqual(setCookies, [])
    const left = await eventually(
      () => place.query('SELECT FROM sess WHERE user_id = 7'),
      rows => rows.length === 0
    )
    assert.deepEqual(left, [])
  })

  test('destroy of a session that could not be read rejects with the signal’s reason, too', async t => {
    const { place, request } = await startApp(t, { options: { onError: 'anonymous' }, onError() {} })
    await place.query('ALTER TABLE sess RENAME TO away')

    const setCookies = await request(async req => {
      await place.query('ALTER TABLE away RENAME TO sess')
      const controller = new AbortController()
      const holder = await lockTable(place)
      const given = METHODS.destroy(req.sessions, { signal: controller.signal })
      await waitsForLock(place)
      controller.abort(REASON)
      await rejectsWith(REASON, given)
      await holder.query('COMMIT')
    })

    assert.deepEqual(setCookies, [])
  })
})

/** An app of Express, and what a browser that is logged in as user 1 is answered when a request of its does some work. */
async function startApp(t, { options, ...sessionOptions } = {}) {
  const place = await database.emptySchema(t)
  let failure
  let work
  const routes = {
    'POST /work': async (req, res) => {
      failure = await work(req).catch(error => error)
      res.json({})
    }
  }
  const { sessions, origin } = await apps.start(t, place, { options, routes, sessionOptions })
  const browser = new Browser(origin)
  await browser.post('/login', { user_id: 1 })
  const request = async given => {
    work = given
    const { setCookies } = await browser.post('/work')
    assert.equal(failure, undefined)
    return setCookies
  }
  return { place, sessions, browser, request }
}

/** Sessions with one session of user 1, and their connections on the server. */
async function start(t) {
  const place = await database.emptySchema(t)
  const address = new URL(place.url)
  const name = `abort_${randomUUID()}`
  address.searchParams.set('application_name', name)
  const sessions = await place.sessions({ fields: FIELDS, pruneInterval: false }, address.href)
  const { sess_id: sid } = await sessions.create({ user_id: 1 })
  const pids = async () => {
    const rows = await place.query('SELECT pid FROM pg_stat_activity WHERE application_name = $1 ORDER BY pid', [name])
    return rows.map(({ pid }) => pid)
  }
  return { sessions, place, sid, pids }
}

async function lockTable(place) {
  const holder = await place.client()
  await holder.query('BEGIN')
  await holder.query('LOCK TABLE sess')
  return holder
}

async function waitsForLock(place) {
  const sql = `SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'sess'::regclass`
  const waiting = await eventually(
    () => place.query(sql),
    rows => rows.length > 0
  )
  assert.ok(waiting.length > 0, 'a statement waits for the lock')
}

/** The very reason, and not one like it. */
async function rejectsWith(reason, promise) {
  await assert.rejects(promise, error => error === reason)
}

/** The last one goes in the turn in which the call settles. */
async function hasNoListeners(signal) {
  await pause(0)
  assert.deepEqual(getEventListeners(signal, 'abort'), [])
}

/** A promise that is settled by hand. */
function held() {
  let go
  const promise = new Promise(resolve => {
    go = resolve
  })
  return { promise, go }
}

function numbers(length) {
  return Array.from({ length }, (_, number) => number)
}
