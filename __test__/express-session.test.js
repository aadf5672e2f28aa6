'use strict'

// The Store beside connect-pg-simple: what both do, and how they share a table.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const { called, load, openOurs, openTheirs, sessionOf } = require('./support/stores.js')
const { useDatabase } = require('./support/place.js')
const { runScript } = require('./support/script.js')
const { expiry, storeSuite } = require('./suites/store.suite.js')

/** @typedef {import('node:test').TestContext} TestContext */

const MINUTE = 60_000
const database = useDatabase('express_session')
const emptyPlace = (/** @type {TestContext} */ t) => database.emptySchema(t)

describe('pg-sess-rs/express-session', () => storeSuite(openOurs, emptyPlace))
describe('connect-pg-simple', () => storeSuite(openTheirs, emptyPlace))
describe('one call a statement', () =>
  storeSuite((place, options) => openOurs(place, { batch: false, prepare: false, ...options }), emptyPlace))
describe("through the caller's own pool", () => storeSuite(openThroughPool, emptyPlace))
describe("through the caller's own pg-promise", () => storeSuite(openThroughPgPromise, emptyPlace))

describe('both on one table', () => {
  for (const zone of ['UTC', 'America/New_York', 'Asia/Kolkata']) {
    test(`each reads what the other wrote, expiry included, in ${zone}`, async t => {
      const place = await emptyPlace(t)
      const url = new URL(place.url)
      url.searchParams.set('options', `${url.searchParams.get('options')} -c TimeZone=${zone}`)
      const [ours, theirs] = [openOurs(place, { conString: url.href }), openTheirs(place, { conString: url.href })]
      const session = sessionOf({ one: 1 }, 10 * MINUTE)
      session.cookie.expires?.setMilliseconds(0)

      await called(ours, 'set', 'ours', session)
      await called(theirs, 'set', 'theirs', session)

      assert.deepEqual(await load(ours, 'theirs'), await load(theirs, 'ours'))
      const rows = await place.query('SELECT sid, expire::text, sess::text FROM session ORDER BY sid')
      assert.equal(rows[0].expire, rows[1].expire)
      assert.deepEqual(JSON.parse(rows[0].sess), JSON.parse(rows[1].sess))
      const later = sessionOf({}, -MINUTE)
      await called(ours, 'touch', 'theirs', later)
      await called(theirs, 'touch', 'ours', later)
      assert.equal(await load(theirs, 'theirs'), undefined)
      assert.equal(await load(ours, 'ours'), undefined)
    })
  }

  test('the tables that they make have the same columns, key and index', async t => {
    const place = await emptyPlace(t)
    await called(openOurs(place, { tableName: 'ours' }), 'length')
    await called(openTheirs(place, { tableName: 'theirs' }), 'set', 'a', sessionOf({}))

    const [ours, theirs] = await Promise.all(['ours', 'theirs'].map(table => shape(place, table)))

    assert.deepEqual(ours, theirs)
    assert.equal(ours.indexes.length, 2)
  })
})

test('the end of a session is kept to the millisecond', async t => {
  const place = await emptyPlace(t)
  const session = sessionOf({}, 12_345)

  await called(openOurs(place), 'set', 'a', session)

  assert.equal(await expiry(place, 'a'), session.cookie.expires?.getTime())
})

test('any number of stores make their tables at the same time, also a second table in a schema', async t => {
  const place = await emptyPlace(t)
  const stores = Array.from({ length: 12 }, (_, at) => openOurs(place, { tableName: at % 2 ? 'one' : 'two' }))

  await Promise.all(stores.map((store, at) => called(store, 'set', `sid ${at}`, sessionOf({}))))

  const counts = await Promise.all(stores.slice(0, 2).map(store => store.length()))
  assert.deepEqual(counts, [6, 6])
})

test('calls of one turn travel together', async t => {
  const store = openOurs(await emptyPlace(t))
  const sids = Array.from({ length: 100 }, (_, at) => `sid ${at}`)
  await store.length()
  const before = store.stats()

  await Promise.all(sids.map(sid => store.set(sid, sessionOf({ sid }))))
  const found = await Promise.all(sids.map(sid => store.get(sid)))
  await Promise.all(sids.map(sid => store.touch(sid, sessionOf({}))))
  await Promise.all(sids.map(sid => store.destroy(sid)))

  assert.deepEqual(
    found.map(data => data.sid),
    sids
  )
  const { calls, batches } = store.stats()
  assert.equal(calls - before.calls, 400)
  assert.ok(batches - before.batches <= 40, `${batches - before.batches} batches`)
  assert.equal(await store.length(), 0)
})

test('the server plans a statement once, not anew for the sessions of each call', async t => {
  const place = await emptyPlace(t)
  const [pool, client] = [place.pool(), await place.client()]
  pool.on('connect', () => {})
  const { query } = pool
  /** @type {Set<string>} */
  const texts = new Set()
  pool.query = /** @type {any} */ (
    (/** @type {any} */ asked) => {
      texts.add(asked.text)
      return query.call(pool, asked)
    }
  )
  const stores = [true, false].map(merge => openOurs(place, { conString: undefined, pool, merge }))
  for (const store of stores) {
    await store.set('a', sessionOf({}, MINUTE))
    await store.set('a', store.createSession({ sessionID: 'a', sessionStore: store }, await store.get('a')))
    await store.touch('a', sessionOf({}, MINUTE))
    await store.destroy('a')
  }
  await place.query(
    "INSERT INTO session SELECT 's' || n, '{}', now() FROM generate_series(1, 1000) AS n; ANALYZE session"
  )
  const values = [`'{s1}'`, `'{2000000000}'`, `'{NULL}'`, `'{"{}"}'`, `'{"[]"}'`]

  for (const [at, text] of [...texts].entries()) {
    const given = values.filter((_, at) => text.includes(`$${at + 1}`))
    await client.query(`PREPARE s${at} AS ${text}`)
    for (let time = 0; time < 6; time++) await client.query(`EXECUTE s${at}(${given})`)
    const { rows } = await client.query(`EXPLAIN (VERBOSE) EXECUTE s${at}(${given})`)

    assert.doesNotMatch(rows.map(row => row['QUERY PLAN']).join('\n'), /\{s1\}/, text)
  }
  assert.equal(texts.size, 6)
})

test('one bad call of a turn fails alone', async t => {
  const place = await emptyPlace(t)
  await place.query('CREATE TABLE session (sid varchar(5) PRIMARY KEY, sess json NOT NULL, expire timestamp NOT NULL)')
  const store = openOurs(place)

  const outcomes = await Promise.allSettled(['a', 'much too long', 'b'].map(sid => store.set(sid, sessionOf({ sid }))))

  assert.deepEqual(
    outcomes.map(outcome => outcome.status),
    ['fulfilled', 'rejected', 'fulfilled']
  )
  assert.equal(/** @type {any} */ (outcomes[1]).reason.code, '22001')
  assert.deepEqual((await store.ids()).sort(), ['a', 'b'])
})

test('a row that somebody else holds holds up nobody but its own calls', async t => {
  const place = await emptyPlace(t)
  const store = openOurs(place)
  const sids = ['a', 'b', 'c', 'd', 'e', 'f']
  await Promise.all(sids.map(sid => store.set(sid, sessionOf({ sid }, MINUTE))))
  const session = store.createSession({ sessionID: 'd', sessionStore: store }, await store.get('d'))
  session.more = 1
  const holder = await place.client()
  await holder.query("BEGIN; SELECT FROM session WHERE sid = 'a' FOR UPDATE")
  let held = 0
  const waiting = [
    store.set('a', sessionOf({ late: true }, MINUTE)),
    store.touch('a', sessionOf({}, MINUTE)),
    store.destroy('a')
  ].map(call => call.then(() => held++))

  await Promise.all([
    store.set('b', sessionOf({ n: 2 }, MINUTE)),
    store.touch('c', sessionOf({}, 2 * MINUTE)),
    store.set('d', session),
    store.destroy('e'),
    store.get('a')
  ])

  assert.equal(held, 0)
  assert.deepEqual((await store.ids()).sort(), ['a', 'b', 'c', 'd', 'f'])
  await holder.query('COMMIT')
  await Promise.all(waiting)
  assert.equal(held, 3)
})

test('several stores that write the same sessions at once never deadlock', async t => {
  const place = await database.emptyDatabase(t)
  // Found before anybody's patience ends.
  const [{ name }] = await place.query('SELECT quote_ident(current_database()) AS name')
  await place.query(`ALTER DATABASE ${name} SET deadlock_timeout = '2ms'`)
  const stores = [openOurs(place), openOurs(place), openOurs(place, { merge: false })]
  const sids = Array.from({ length: 20 }, (_, at) => `sid ${at}`)
  await stores[0].length()
  const loaded = async (/** @type {any} */ store, /** @type {string} */ sid) => {
    const data = await store.get(sid)
    return data === null ? sessionOf({}, MINUTE) : store.createSession({ sessionID: sid, sessionStore: store }, data)
  }
  const works = [
    (/** @type {any} */ store, /** @type {string} */ sid) => store.set(sid, sessionOf({ sid }, MINUTE)),
    (/** @type {any} */ store, /** @type {string} */ sid) => store.touch(sid, sessionOf({}, MINUTE)),
    (/** @type {any} */ store, /** @type {string} */ sid) => store.destroy(sid),
    (/** @type {any} */ store) => store.endBy('sid', 'sid 3'),
    async (/** @type {any} */ store, /** @type {string} */ sid) => {
      const session = await loaded(store, sid)
      session.n = 1
      await store.set(sid, session)
    }
  ]

  const calls = Array.from({ length: 3000 }, (_, at) => {
    const sid = sids[(at * 7) % sids.length]
    return works[at % works.length](stores[at % stores.length], sid)
  })
  await Promise.all(calls)
  for (let round = 0; round < 50; round++) {
    await Promise.all(
      stores.flatMap((store, at) => {
        const own = at % 2 ? sids : sids.toReversed()
        return own.map(sid => store.set(sid, sessionOf({ sid }, MINUTE)))
      })
    )
  }

  await Promise.all(stores.map(store => store.close()))
  const [{ deadlocks }] = await place.query(
    'SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()'
  )
  assert.equal(deadlocks, 0)
})

test('all, length, ids and listBy know live sessions, clear removes all', async t => {
  const place = await emptyPlace(t)
  const store = openOurs(place)
  const sessions = [sessionOf({ n: 1 }, MINUTE), sessionOf({ n: 2 }, MINUTE)]
  await Promise.all(sessions.map((session, at) => store.set(`sid ${at}`, session)))
  await store.set('expired', sessionOf({ n: 3 }, -MINUTE))

  assert.deepEqual(byN(await store.all()), JSON.parse(JSON.stringify(sessions)))
  assert.equal(await store.length(), 2)
  assert.deepEqual((await store.ids()).sort(), ['sid 0', 'sid 1'])
  assert.deepEqual(await called(store, 'length'), [2])
  assert.deepEqual(byN((await called(store, 'all'))[0]), JSON.parse(JSON.stringify(sessions)))

  assert.equal(await store.clear(), undefined)
  assert.deepEqual(await store.all(), [])
  assert.deepEqual(await place.query('SELECT sid FROM session'), [])
})

test('pruneSessions removes any number', async t => {
  const place = await emptyPlace(t)
  const store = openOurs(place)
  await store.set('live', sessionOf({}, MINUTE))
  await place.query(
    "INSERT INTO session SELECT 'old ' || n, '{}', now() - interval '1 hour' FROM generate_series(1, 2500) AS n"
  )

  await store.pruneSessions()

  assert.equal(store.stats().pruned, 2500)

  assert.deepEqual(await place.query('SELECT sid FROM session'), [{ sid: 'live' }])
})

test('an interval that is too long for a timer prunes seldom, not all the time', async t => {
  const place = await emptyPlace(t)
  const store = openOurs(place, { pruneSessionInterval: 86_400_000, pruneSessionRandomizedInterval: false })
  await store.set('expired', sessionOf({}, -MINUTE))
  const before = store.stats().batches

  for (let call = 0; call < 50; call++) await store.length()

  assert.equal(store.stats().batches - before, 50)
  assert.deepEqual(await place.query('SELECT sid FROM session'), [{ sid: 'expired' }])
})

describe('listBy and endBy', () => {
  test('they find sessions by a value in the data, of this very type', async t => {
    const store = openOurs(await emptyPlace(t))
    const users = { a: 7, b: 7, c: '7', d: 8, e: true, f: null }
    await Promise.all(
      Object.entries(users).map(([sid, user]) => store.set(sid, sessionOf({ passport: { user } }, MINUTE)))
    )

    const found = await store.listBy('passport.user', 7)

    assert.deepEqual(found.map(({ sid }) => sid).sort(), ['a', 'b'])
    assert.equal(found[0].session.passport.user, 7)
    assert.ok(Math.abs(found[0].expires - Date.now() - MINUTE) < 30_000)
    assert.deepEqual(
      (await store.listBy(['passport', 'user'], '7')).map(({ sid }) => sid),
      ['c']
    )
    assert.deepEqual(
      (await store.listBy('passport.user', true)).map(({ sid }) => sid),
      ['e']
    )
    assert.deepEqual(await store.listBy('passport.user', 9), [])
    assert.deepEqual(await called(store, 'listBy', 'passport.nothing', 9), [[]])
  })

  test('endBy ends them but for those that are excepted', async t => {
    const store = openOurs(await emptyPlace(t))
    for (const sid of ['a', 'b', 'c']) await store.set(sid, sessionOf({ user: 7 }, MINUTE))
    await store.set('d', sessionOf({ user: 8 }, MINUTE))

    assert.equal(await store.endBy('user', 7, { except: 'b' }), 2)
    assert.deepEqual((await store.ids()).sort(), ['b', 'd'])
    assert.equal(await store.endBy('user', 7, { except: ['b', 'x'] }), 0)
    assert.deepEqual(await called(store, 'endBy', 'user', 7), [1])
    assert.deepEqual(await store.ids(), ['d'])
  })

  for (const sess of ['json', 'text', 'jsonb']) {
    test(`data that PostgreSQL cannot take apart neither hides a session nor keeps others from being found: ${sess}`, async t => {
      const place = await emptyPlace(t)
      await place.query(
        `CREATE TABLE session (sid varchar PRIMARY KEY, sess ${sess} NOT NULL, expire timestamp(6) NOT NULL)`
      )
      const [ours, theirs] = [openOurs(place), openTheirs(place)]
      const texts =
        sess === 'jsonb' ? ['plain'] : ['half \ud83c', '\udf6a\ud83c', '\\ud83c \\\ud83c', 'nul \0', '🍪 \ud83c']
      for (const [at, text] of texts.entries()) {
        await called(theirs, 'set', `odd ${at}`, sessionOf({ user: 7, [text]: text }, MINUTE))
      }
      await called(theirs, 'set', 'plain', sessionOf({ user: 7 }, MINUTE))
      await called(theirs, 'set', 'other', sessionOf({ user: '7', text: texts[0] }, MINUTE))
      const all = [...texts.map((_, at) => `odd ${at}`), 'plain']

      const found = await ours.listBy('user', 7)

      assert.deepEqual(found.map(({ sid }) => sid).sort(), all)
      assert.equal(found.find(({ sid }) => sid === 'odd 0')?.session[texts[0]], texts[0])
      assert.equal(await ours.endBy('user', 7, { except: 'odd 0' }), all.length - 1)
      assert.deepEqual((await ours.ids()).sort(), ['odd 0', 'other'])
    })
  }

  test('a text that cannot be in the table is an error of its own call', async t => {
    const store = openOurs(await emptyPlace(t))
    await store.set('a', sessionOf({ one: 1 }, MINUTE))

    for (const text of ['\ud83c', 'a\0']) {
      const calls = [
        store.listBy('user', text),
        store.listBy([text], 7),
        store.endBy('user', 7, { except: text }),
        store.get('a')
      ]
      const outcomes = await Promise.allSettled(calls)

      assert.deepEqual(
        outcomes.map(outcome => /** @type {any} */ (outcome).reason?.name),
        ['TypeError', 'TypeError', 'TypeError', undefined]
      )
      assert.equal(/** @type {any} */ (outcomes[3]).value.one, 1)
    }
  })

  test('what names nobody is an error, and ends nobody', async t => {
    const store = openOurs(await emptyPlace(t))
    await store.set('a', sessionOf({}, MINUTE))

    for (const value of [undefined, null, {}, Number.NaN, () => {}]) {
      await assert.rejects(store.endBy('user', value), { name: 'TypeError', message: /^value: expected/ })
    }
    for (const path of [undefined, '', [], 'a..b', [7]]) {
      await assert.rejects(store.endBy(path, 7), { name: 'TypeError', message: /^path: expected/ })
    }
    for (const options of [{ except: undefined }, { except: 7 }, { excpt: 'a' }, 'a']) {
      await assert.rejects(store.endBy('user', 7, options), { name: 'TypeError', message: /^options/ })
    }
    assert.equal(await store.length(), 1)
  })
})

test('hashIds: what the table holds opens no session', async t => {
  const place = await emptyPlace(t)
  const store = openOurs(place, { hashIds: true })
  await Promise.all(['a', 'b'].map(sid => store.set(sid, sessionOf({ sid, user: 7 }, MINUTE))))

  const rows = await place.query('SELECT sid FROM session')

  assert.equal((await store.get('a')).sid, 'a')
  for (const { sid } of rows) {
    assert.match(sid, /^[0-9a-f]{64}$/)
    assert.equal(await store.get(sid), null)
  }
  await store.touch('a', sessionOf({}, MINUTE))
  assert.equal(await store.endBy('user', 7, { except: 'a' }), 1)
  assert.equal(await store.get('b'), null)
  await store.destroy('a')
  assert.deepEqual(await place.query('SELECT sid FROM session'), [])
})

describe('calls without a callback', () => {
  test('give promises', async t => {
    const store = openOurs(await emptyPlace(t))

    assert.equal(await store.set('a', sessionOf({ one: 1 })), undefined)
    assert.equal((await store.get('a')).one, 1)
    assert.equal(await store.touch('a', sessionOf({})), undefined)
    assert.equal(await store.destroy('a'), undefined)
    assert.equal(await store.get('a'), null)
  })

  test('that fail unseen are logged, and end no program', async t => {
    const place = await emptyPlace(t)
    /** @type {any[][]} */
    const logged = []
    const store = openOurs(place, { createTableIfMissing: false, errorLog: (...args) => logged.push(args) })

    store.set('a', sessionOf({}))
    await assert.rejects(store.get('a'), { code: '42P01' })
    await new Promise(resolve => setImmediate(resolve))

    assert.deepEqual(
      logged.map(([, error]) => error.code),
      ['42P01']
    )
  })
})

test('an error that a callback throws is its own, and deletes no row', async t => {
  const place = await emptyPlace(t)
  const store = openOurs(place)
  await store.set('a', sessionOf({ one: 1 }))
  const thrown = new Error('from the callback')

  const caught = await new Promise(resolve => {
    process.setUncaughtExceptionCaptureCallback(resolve)
    store.get('a', () => {
      throw thrown
    })
  })
  process.setUncaughtExceptionCaptureCallback(null)

  assert.equal(caught, thrown)
  assert.equal((await store.get('a')).one, 1)
})

test('a row whose data is not JSON is an error that does not show it, and stays', async t => {
  const place = await emptyPlace(t)
  await place.query('CREATE TABLE session (sid text PRIMARY KEY, sess text NOT NULL, expire timestamp NOT NULL)')
  await place.query("INSERT INTO session VALUES ('a', 'secret', now() + interval '1 hour')")
  const store = openOurs(place)

  await assert.rejects(
    called(store, 'get', 'a'),
    error => error.code === 'PGSESS_TABLE' && !error.message.includes('secret')
  )
  assert.equal((await place.query('SELECT sid FROM session')).length, 1)
})

test('a NUL is an error that names the key', async t => {
  const store = openOurs(await emptyPlace(t))
  const expected = { name: 'TypeError', message: /^session: its key "cart" holds a NUL/ }

  await assert.rejects(store.set('a', sessionOf({ cart: ['\0'] })), expected)
  await assert.rejects(store.set('a', sessionOf({ cart: ['\\\0'] })), expected)
  await assert.rejects(store.set('a\0', sessionOf({})), { name: 'TypeError', message: /^sid: expected/ })
  await store.set('b', sessionOf({ cart: ['\\u0000', '\\\\u0000'] }))

  assert.deepEqual((await store.get('b')).cart, ['\\u0000', '\\\\u0000'])
  for (const sid of ['a\0', 'a\ud800', undefined, null, 7, {}]) {
    assert.equal(await store.get(sid), null)
    await store.touch(sid, sessionOf({}))
    await store.destroy(sid)
  }
})

test('a database that is away is an error of each call, and the next one tries again', async t => {
  const place = await emptyPlace(t)
  const url = new URL(place.url)
  url.port = '1'
  const store = openOurs(place, { conString: url.href })

  await assert.rejects(called(store, 'get', 'a'), { code: 'ECONNREFUSED' })
  await assert.rejects(store.set('a', sessionOf({})), { code: 'ECONNREFUSED' })
})

test('after close, calls reject, and closing again does not', async t => {
  const store = openOurs(await emptyPlace(t))
  await store.set('a', sessionOf({}))

  await store.close()

  await assert.rejects(store.get('a'), { code: 'PGSESS_CLOSED' })
  await store.close()
})

test('a program that uses a store and does not close it ends by itself', async t => {
  const place = await emptyPlace(t)

  const ran = await runScript(
    `const store = new (require('pg-sess-rs/express-session')(require('express-session')))({
       conString: url, createTableIfMissing: true })
     await store.set('a', { cookie: {}, one: 1 })
     store.get('a', (error, data) => console.log(error, data.one))`,
    { url: place.url }
  )

  assert.deepEqual([ran.code, ran.stdout, ran.stderr], [0, 'null 1\n', ''])
  assert.ok(ran.lingered < 5000, `${ran.lingered} ms`)
})

test("after the end of the caller's pool, calls reject as the pool's would", async t => {
  const place = await emptyPlace(t)
  const pool = place.pool()
  const store = openOurs(place, { conString: undefined, pool })
  await store.set('a', sessionOf({}))

  await pool.end()

  await assert.rejects(store.get('a'), /Cannot use a pool after calling end on the pool/)
})

describe('options', () => {
  for (const [options, Class, message] of /** @type {[any, any, RegExp][]} */ ([
    [{ ttl: -1 }, RangeError, /^options.ttl: expected a number of seconds greater than 0, got the number -1$/],
    [{ ttl: '60' }, TypeError, /^options.ttl: expected/],
    [{ tableName: 7 }, TypeError, /^options.tableName: expected the name of a table/],
    [{ pruneSessionInterval: true }, TypeError, /^options.pruneSessionInterval: expected false, or/],
    [{ pruneSessionRandomizedInterval: true }, TypeError, /^options.pruneSessionRandomizedInterval: expected/],
    [{ errorLog: 'x' }, TypeError, /^options.errorLog: expected/],
    [{ pool: {} }, TypeError, /^options.pool: expected a pg.Pool, got an object$/],
    [{ merge: 1 }, TypeError, /^options.merge: expected true or false/],
    [{ maxConnections: 0 }, RangeError, /^options.maxConnections: expected/],
    ['x', TypeError, /^options: expected an object/]
  ])) {
    test(`${JSON.stringify(options)} is refused`, () => {
      const open = () => openOurs(/** @type {any} */ ({ url: 'postgres://localhost/app', defer() {} }), options)
      const { default: connectPgStore } = require('pg-sess-rs/express-session')

      if (typeof options === 'object') assert.throws(open, { name: Class.name, message })
      else assert.throws(() => new (connectPgStore(require('express-session')))(options), { name: Class.name, message })
    })
  }

  test('an unknown one is a warning, since the other library ignores it', async t => {
    const place = await emptyPlace(t)
    const warned = new Promise(resolve => process.once('warning', resolve))

    const store = openOurs(place, { tabelName: 'x' })

    assert.match(String(await warned), /unknown option "tabelName"/)
    assert.equal(await store.length(), 0)
  })

  test('a schema within tableName is understood, with a warning', async t => {
    const place = await emptyPlace(t)
    const [{ current_schema: schema }] = await place.query('SELECT current_schema')
    const warned = new Promise(resolve => process.once('warning', resolve))

    await called(openOurs(place, { tableName: `${schema}"."visits` }), 'set', 'a', sessionOf({}))

    assert.match(String(await warned), /schemaName/)
    assert.equal((await place.query('SELECT sid FROM visits')).length, 1)
  })

  test('DATABASE_URL is used when nothing else says where', async t => {
    const place = await emptyPlace(t)
    const before = process.env.DATABASE_URL
    process.env.DATABASE_URL = place.url
    t.after(() => {
      if (before === undefined) delete process.env.DATABASE_URL
      else process.env.DATABASE_URL = before
    })

    await openOurs(place, { conString: undefined }).set('a', sessionOf({}))

    assert.equal((await place.query('SELECT sid FROM session')).length, 1)
  })
})

/**
 * Statements run through a pool whose owner changes its connections.
 *
 * @type {import('./support/stores.js').OpenStore}
 */
function openThroughPool(place, options = {}) {
  if ('pgPromise' in options || 'pool' in options || 'conObject' in options) return openOurs(place, options)
  const pool = place.pool({ max: 2 })
  pool.on('connect', () => {})
  return openOurs(place, { ...options, conString: undefined, pool })
}

/** @type {import('./support/stores.js').OpenStore} */
function openThroughPgPromise(place, options = {}) {
  if ('pgPromise' in options || 'pool' in options || 'conObject' in options) return openOurs(place, options)
  const { db } = place.pgPromise({ options: { query() {} } })
  return openOurs(place, { ...options, conString: undefined, pgPromise: db })
}

/** @param {any[]} sessions */
function byN(sessions) {
  return sessions.sort((one, other) => one.n - other.n)
}

/**
 * @param {import('./support/place.js').Place} place
 * @param {string} table
 */
async function shape(place, table) {
  const columns = await place.query(
    `SELECT attname, format_type(atttypid, atttypmod) AS type, attnotnull, atthasdef, attcollation
     FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 ORDER BY attnum`,
    [table]
  )
  const indexes = await place.query(
    `SELECT regexp_replace(pg_get_indexdef(indexrelid), '^.* USING ', '') AS definition, indisunique, indisprimary
     FROM pg_index WHERE indrelid = to_regclass($1) ORDER BY 1`,
    [table]
  )
  return { columns, indexes }
}
