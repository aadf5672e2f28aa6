'use strict'

// Apps on express-session: one that moves over from connect-pg-simple as it is, and requests that race each other.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const flash = require('connect-flash')
const express = require('express')
const express4 = require('express4')
const session = require('express-session')
const passport = require('passport')
const LocalStrategy = require('passport-local')
const { Browser, serve } = require('./support/browser.js')
const { useDatabase } = require('./support/place.js')
const { called, openOurs, openTheirs, sessionOf } = require('./support/stores.js')

/** @typedef {import('node:test').TestContext} TestContext */
/** @typedef {import('./support/stores.js').OpenStore} OpenStore */

const MINUTE = 60_000
const SETTINGS = { secret: 'hush', resave: false, saveUninitialized: false, cookie: { maxAge: 10 * MINUTE } }
const database = useDatabase('express_session_app')

/**
 * An app as there are many: a log-in by passport, which gives a new id, a cart, flash messages.
 *
 * @param {any} framework
 * @param {any} store
 */
function shop(framework, store) {
  const auth = new passport.Passport()
  auth.use(new LocalStrategy((name, password, done) => done(null, password === 'right' && { name })))
  auth.serializeUser((user, done) => done(null, /** @type {any} */ (user).name))
  auth.deserializeUser((name, done) => done(null, { name: String(name) }))

  const app = framework()
  app.use(framework.json(), session({ ...SETTINGS, store }), auth.initialize(), auth.session(), flash())
  app.post('/login', auth.authenticate('local', { failureRedirect: '/', failureFlash: 'no such user' }), (req, res) => {
    req.flash('info', `Hello ${req.user.name}`)
    res.redirect('/')
  })
  app.post('/cart', (req, res) => {
    req.session.cart = [...(req.session.cart ?? []), req.body.item]
    res.end()
  })
  app.get('/', (req, res) => {
    const messages = { ...req.flash() }
    res.json({ user: req.user?.name ?? null, cart: req.session.cart ?? [], messages })
  })
  app.post('/logout', (req, res, next) => req.logout(error => (error ? next(error) : res.redirect('/'))))
  app.post('/forget', (req, res, next) => req.session.destroy(error => (error ? next(error) : res.redirect('/'))))
  return app
}

for (const [version, framework] of Object.entries({ 'Express 4': express4, 'Express 5': express })) {
  for (const [name, open] of Object.entries({ 'connect-pg-simple': openTheirs, 'pg-sess-rs': openOurs })) {
    describe(`a shop on ${version} with ${name}`, () => {
      test('log-in gives a new id, the cart and messages stay, log-out ends it', async t => {
        const place = await database.emptySchema(t)
        const browser = new Browser(await serve(t, shop(framework, open(place))))

        assert.deepEqual((await browser.get('/')).json(), { user: null, cart: [], messages: {} })
        await browser.post('/cart', { item: 1 })
        const guest = browser.cookies.get('connect.sid')
        await browser.post('/login', { username: 'ann', password: 'wrong' })
        const { messages } = (await browser.get('/')).json()
        assert.deepEqual(messages, { error: ['no such user'] })

        await browser.post('/login', { username: 'ann', password: 'right' })
        assert.notEqual(browser.cookies.get('connect.sid'), guest)
        const hello = (await browser.get('/')).json()
        assert.deepEqual(hello, { user: 'ann', cart: [], messages: { info: ['Hello ann'] } })
        await browser.post('/cart', { item: 2 })
        await browser.post('/cart', { item: 3 })
        assert.deepEqual((await browser.get('/')).json(), { user: 'ann', cart: [2, 3], messages: {} })

        const other = new Browser(await serve(t, shop(framework, open(place))))
        other.cookies.set('connect.sid', String(guest))
        assert.equal((await other.get('/')).json().user, null)
        await browser.post('/logout')
        assert.equal((await browser.get('/')).json().user, null)
      })

      test('destroy ends the session', async t => {
        const place = await database.emptySchema(t)
        const browser = new Browser(await serve(t, shop(framework, open(place))))
        await browser.post('/login', { username: 'ann', password: 'right' })

        await browser.post('/forget')

        assert.deepEqual(await place.query('SELECT sid FROM session'), [])
        assert.equal((await browser.get('/')).json().user, null)
      })
    })
  }

  test(`a shop on ${version} moves over and back without logging anybody out`, async t => {
    const place = await database.emptySchema(t)
    const [before, after] = [
      new Browser(await serve(t, shop(framework, openTheirs(place)))),
      new Browser(await serve(t, shop(framework, openOurs(place, { createTableIfMissing: false }))))
    ]
    await before.post('/login', { username: 'ann', password: 'right' })
    await before.get('/')
    await before.post('/cart', { item: 1 })
    after.cookies = before.cookies

    assert.deepEqual((await after.get('/')).json(), { user: 'ann', cart: [1], messages: {} })
    await after.post('/cart', { item: 2 })
    assert.deepEqual((await before.get('/')).json(), { user: 'ann', cart: [1, 2], messages: {} })
    await before.post('/cart', { item: 3 })
    assert.deepEqual((await after.get('/')).json(), { user: 'ann', cart: [1, 2, 3], messages: {} })
    await after.post('/forget')
    assert.equal((await before.get('/')).json().user, null)
  })
}

/**
 * An app whose requests to `/work` wait until they are let go, and then do what the test says.
 *
 * @param {any} store
 * @param {object} [settings]
 */
function workshop(store, settings) {
  /** @type {Map<string, { started: () => void, done: Promise<void>, work: (req: any) => unknown }>} */
  const works = new Map()
  const app = express()
  app.use(session({ ...SETTINGS, ...settings, store }))
  app.get('/work/:name', async (req, res) => {
    const { started, done, work } = /** @type {any} */ (works.get(req.params.name))
    started()
    await done
    await work(req)
    res.end()
  })
  app.get('/start', (req, res) => {
    Object.assign(req.session, { user: 'ann', a: 1, b: 1 })
    res.end()
  })
  app.get('/renew', (req, res) => req.session.regenerate(() => res.end()))
  app.get('/end', (req, res) => req.session.destroy(() => res.end()))

  /**
   * Begins a request, and gives what lets it go on: resolves when its answer has come.
   *
   * @param {Browser} browser
   * @param {(req: any) => unknown} work
   */
  async function begin(browser, work) {
    const name = String(works.size)
    /** @type {() => void} */
    let finish = () => {}
    const done = new Promise(resolve => {
      finish = () => resolve(undefined)
    })
    const started = new Promise(resolve => {
      works.set(name, { started: () => resolve(undefined), done, work })
    })
    const answer = browser.get(`/work/${name}`)
    await started
    return () => {
      finish()
      return answer
    }
  }
  return { app, begin }
}

/**
 * @param {TestContext} t
 * @param {{ open?: OpenStore, options?: object, settings?: object }} [choices]
 */
async function start(t, { open = openOurs, options, settings } = {}) {
  const place = await database.emptySchema(t)
  const store = open(place, options)
  const { app, begin } = workshop(store, settings)
  const browser = new Browser(await serve(t, app))
  await browser.get('/start')
  /** What the table holds of the only session. */
  const data = async () => {
    const [{ sess }] = await place.query('SELECT sess FROM session')
    const { cookie, ...others } = sess
    return others
  }
  return { place, store, browser, begin: (/** @type {(req: any) => unknown} */ work) => begin(browser, work), data }
}

describe('logged out stays logged out', () => {
  for (const [how, path, left] of /** @type {const} */ ([
    ['destroy', '/end', 0],
    ['regenerate', '/renew', 0]
  ])) {
    for (const settings of [{}, { resave: true }, { rolling: true }]) {
      for (const options of [{}, { merge: false }]) {
        test(`a request that outlives ${how} brings nothing back: ${JSON.stringify({ ...settings, ...options })}`, async t => {
          const { place, browser, begin } = await start(t, { options, settings })
          const release = await begin(req => {
            req.session.late = true
          })

          await browser.get(path)
          assert.equal((await release()).status, 200)

          assert.equal((await place.query("SELECT FROM session WHERE sess->>'user' = 'ann'")).length, left)
        })
      }
    }
  }

  test('as it does with connect-pg-simple', async t => {
    const { place, browser, begin } = await start(t, { open: openTheirs })
    const release = await begin(req => {
      req.session.late = true
    })

    await browser.get('/end')
    await release()

    assert.equal((await place.query('SELECT FROM session')).length, 1)
  })

  test('a session that was made and saved in a request is one that was loaded from then on', async t => {
    const { place, store, begin } = await start(t)
    const release = await begin(async req => {
      await new Promise(resolve => req.session.regenerate(resolve))
      req.session.fresh = true
      await new Promise(resolve => req.session.save(resolve))
      await store.destroy(req.sessionID)
      req.session.late = true
      await new Promise(resolve => req.session.save(resolve))
    })

    await release()

    assert.deepEqual(await place.query('SELECT sid FROM session'), [])
  })

  test('saveUninitialized: true saves new sessions', async t => {
    const place = await database.emptySchema(t)
    const { app } = workshop(openOurs(place), { saveUninitialized: true })
    const browser = new Browser(await serve(t, app))

    await browser.get('/renew')

    assert.equal((await place.query('SELECT FROM session')).length, 1)
  })
})

test('a socket that is away, as while the server restarts, is an error and logs nobody out', async t => {
  const { place, browser } = await start(t)
  const { app } = workshop(openOurs(place, { conString: 'postgres://trusted@/app?host=/nowhere' }))
  const away = new Browser(await serve(t, app))
  away.cookies = new Map(browser.cookies)

  const { status } = await away.get('/start')

  assert.equal(status, 500)
  assert.deepEqual(away.cookies, browser.cookies)
})

describe('parallel requests', () => {
  test('keep what the others changed, added and removed', async t => {
    const { begin, data } = await start(t)
    const releases = [
      await begin(req => {
        req.session.a = 2
      }),
      await begin(req => {
        delete req.session.b
      }),
      await begin(req => {
        req.session.c = { deep: [1] }
      }),
      await begin(() => {})
    ]

    for (const release of releases) await release()

    assert.deepEqual(await data(), { user: 'ann', a: 2, c: { deep: [1] } })
  })

  for (const [how, value] of /** @type {[string, any][]} */ ([
    ['undefined', undefined],
    ['a function', () => {}]
  ])) {
    test(`a key that is set to ${how} is gone from the row, as JSON has it`, async t => {
      const { begin, data } = await start(t)
      const release = await begin(req => {
        req.session.user = value
      })

      await release()

      assert.deepEqual(await data(), { a: 1, b: 1 })
    })
  }

  test('merge: false: the last write wins whole', async t => {
    const { begin, data } = await start(t, { options: { merge: false } })
    const first = await begin(req => {
      req.session.a = 2
    })
    const second = await begin(req => {
      req.session.b = 2
    })

    await first()
    await second()

    assert.deepEqual(await data(), { user: 'ann', a: 1, b: 2 })
  })

  test('of one key the last write wins', async t => {
    const { begin, data } = await start(t)
    const [first, second] = [
      await begin(req => {
        req.session.a = 2
      }),
      await begin(req => {
        req.session.a = 3
      })
    ]

    await second()
    await first()

    assert.equal((await data()).a, 2)
  })

  test('a request saves more than once, each time what it has changed since', async t => {
    const { begin, data } = await start(t)
    const slow = await begin(async req => {
      req.session.a = 2
      await new Promise(resolve => req.session.save(resolve))
      await other()
      req.session.c = 1
    })
    const other = await begin(req => {
      req.session.a = 3
    })

    await slow()

    assert.deepEqual(await data(), { user: 'ann', a: 3, b: 1, c: 1 })
  })

  test('reload brings what the others did', async t => {
    const { begin, data } = await start(t)
    const slow = await begin(async req => {
      await other()
      await new Promise(resolve => req.session.reload(resolve))
      req.session.a += 1
    })
    const other = await begin(req => {
      req.session.a = 10
    })

    await slow()

    assert.equal((await data()).a, 11)
  })

  for (const sess of ['json', 'jsonb', 'text']) {
    test(`any number of changes of one session survive, through several stores, in ${sess}`, async t => {
      const place = await database.emptySchema(t)
      await place.query(
        `CREATE TABLE session (sid varchar PRIMARY KEY, sess ${sess} NOT NULL, expire timestamp(6) NOT NULL)`
      )
      const stores = [openOurs(place), openOurs(place), openOurs(place, { batch: false })]
      const keys = Array.from({ length: 120 }, (_, at) => `key "${at}"`)
      await stores[0].set('a', sessionOf({ before: true }, MINUTE))
      const loaded = await Promise.all(
        keys.map(async (key, at) => {
          const store = stores[at % stores.length]
          const [data] = await called(store, 'get', 'a')
          return { key, store, session: store.createSession({ sessionID: 'a', sessionStore: store }, data) }
        })
      )

      await Promise.all(
        loaded.map(({ key, store, session }) => {
          session[key] = key
          return store.set('a', session)
        })
      )

      const { cookie, ...data } = await stores[0].get('a')
      assert.deepEqual(data, { before: true, ...Object.fromEntries(keys.map(key => [key, key])) })
    })
  }

  test('data of the other library that PostgreSQL cannot take apart is replaced whole', async t => {
    const place = await database.emptySchema(t)
    const [ours, theirs] = [openOurs(place), openTheirs(place)]
    await called(theirs, 'set', 'a', sessionOf({ nul: '\0', half: '\ud800', a: 1 }, MINUTE))
    const session = ours.createSession({ sessionID: 'a', sessionStore: ours }, await ours.get('a'))
    assert.equal(session.nul, '\0')

    delete session.nul
    session.a = 2
    await ours.set('a', session)

    const { cookie, ...data } = await ours.get('a')
    assert.deepEqual(data, { half: '\ud800', a: 2 })
    await called(theirs, 'set', 'b', sessionOf({ cart: [1], half: '\ud800' }, MINUTE))
    const other = ours.createSession({ sessionID: 'b', sessionStore: ours }, await ours.get('b'))
    other.half = '\udfff'
    await ours.set('b', other)
    assert.equal((await ours.get('b')).half, '\udfff')
  })

  test('what a session hides behind its methods stays in the row', async t => {
    const place = await database.emptySchema(t)
    const store = openOurs(place)
    await store.set('a', sessionOf({ reload: 'a text', id: 7 }, MINUTE))
    const session = store.createSession({ sessionID: 'a', sessionStore: store }, await store.get('a'))

    session.more = 1
    await store.set('a', session)

    const { cookie, ...data } = await store.get('a')
    assert.deepEqual(data, { reload: 'a text', id: 7, more: 1 })
  })
})

test('2 000 parallel requests of 50 users: nobody sees another, nobody is logged out', async t => {
  const place = await database.emptySchema(t)
  const address = await serve(t, shop(express, openOurs(place)))
  const users = await Promise.all(
    Array.from({ length: 50 }, async (_, at) => {
      const browser = new Browser(address)
      await browser.post('/login', { username: `user ${at}`, password: 'right' })
      return browser
    })
  )

  const seen = await Promise.all(
    Array.from({ length: 2000 }, async (_, at) => {
      const browser = users[at % users.length]
      if (at % 10 < 3) await browser.post('/cart', { item: at % users.length })
      return (await browser.get('/')).json()
    })
  )

  for (const [at, { user, cart }] of seen.entries()) {
    assert.equal(user, `user ${at % users.length}`)
    assert.ok(cart.every((/** @type {number} */ item) => item === at % users.length))
  }
})
