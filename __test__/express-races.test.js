'use strict'

// Calls of one request that overtake each other, and requests that live long: `req.session` and the cookie are those of the
// session that there is.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { sessionMiddleware } = require('pg-sess-rs/express')
const { express, FIELDS, start } = require('./support/apps.js')
const { Browser, serve } = require('./support/browser.js')
const { eventually } = require('./support/eventually.js')
const { useDatabase } = require('./support/place.js')

/** @typedef {import('node:test').TestContext} TestContext */
/** @typedef {import('./support/apps.js').Routes} Routes */

const database = useDatabase('express_races')

for (const [method, values] of /** @type {const} */ ([
  ['update', [{ role: 'admin' }]],
  ['extend', []],
  ['destroy', []]
])) {
  test(`${method} of the session from before, under way when create is called, leaves the new one in place`, async t => {
    /** @type {Routes} */
    const routes = {
      'POST /both': async (req, res) => {
        const holder = await place.client()
        await holder.query('BEGIN; SELECT FROM sess FOR UPDATE')
        const before = req.sessions[method](...values)
        await waitsForLock(place)
        const creating = req.sessions.create({ user_id: 8 })
        await eventually(
          async () => req.session.user_id,
          user => user === 8
        )
        await holder.query('COMMIT')
        await Promise.all([before, creating])
        res.json({ user_id: req.session?.user_id })
      }
    }
    const { place, browser } = await open(t, { routes })
    await browser.post('/login', { user_id: 7 })
    await place.ageSession(String(browser.cookies.get('sid')), '1 hour')

    assert.deepEqual((await browser.post('/both')).json(), { user_id: 8 })

    assert.equal((await browser.get('/')).json()?.user_id, 8)
    assert.deepEqual(await place.query('SELECT user_id FROM sess'), [{ user_id: 8 }])
  })
}

test('create, under way twice, leaves the one session that req.session and the cookie lead to', async t => {
  /** @type {Routes} */
  const routes = {
    'POST /both': async (req, res) => {
      await Promise.all([req.sessions.create({ user_id: 8 }), req.sessions.create({ user_id: 9 })])
      res.json({ user_id: req.session?.user_id })
    }
  }
  const { place, browser } = await open(t, { routes })
  await browser.post('/login', { user_id: 7 })

  const { user_id } = (await browser.post('/both')).json()

  assert.equal((await browser.get('/')).json()?.user_id, user_id)
  assert.deepEqual(await place.query('SELECT user_id FROM sess'), [{ user_id }])
})

for (const [what, use] of /** @type {[string, (sessions: any) => Promise<unknown>][]} */ ([
  ['extend its session', sessions => sessions.extend()],
  ['end others', sessions => sessions.destroyAll({ user_id: 8 })]
])) {
  test(`a request that streams for long may ${what}: the browser's id goes on working`, async t => {
    /** @type {Routes} */
    const routes = {
      'POST /stream': async (req, res) => {
        res.flushHeaders()
        await place.ageSession(req.session.sess_id, '1 hour')
        res.end(JSON.stringify(await use(req.sessions)))
      }
    }
    const { place, sessions, browser } = await open(t, { routes, sessionOptions: { refreshInterval: 900_000 } })
    await sessions.create({ user_id: 8 })
    await browser.post('/login', { user_id: 7 })

    assert.ok((await browser.post('/stream')).json())

    assert.deepEqual(await place.query('SELECT FROM sess_ids'), [])
  })
}

test('where the headers are sent before the session is read, the id stays as it is', async t => {
  const place = await database.emptySchema(t)
  const sessions = await place.sessions({ fields: FIELDS, refreshInterval: 900_000 })
  const { sess_id } = await sessions.create({ user_id: 7 })
  await place.ageSession(sess_id, '1 hour')
  const app = express()
  app.use((/** @type {any} */ _req, /** @type {any} */ res, /** @type {any} */ next) => {
    res.flushHeaders()
    next()
  })
  app.use(sessionMiddleware(sessions))
  app.use((/** @type {any} */ req, /** @type {any} */ res) => res.end(String(req.session.user_id)))
  const browser = new Browser(await serve(t, app))
  browser.cookies.set('sid', sess_id)

  assert.equal((await browser.get('/')).text, '7')

  assert.deepEqual(await place.query('SELECT FROM sess_ids'), [])
})

/**
 * @param {TestContext} t
 * @param {Parameters<typeof start>[2]} choices
 */
async function open(t, choices) {
  const place = await database.emptySchema(t)
  const { sessions, origin } = await start(t, place, choices)
  return { place, sessions, browser: new Browser(origin) }
}

/** @param {import('./support/place.js').Place} place */
async function waitsForLock(place) {
  const waiting = await eventually(
    () => place.query("SELECT FROM pg_locks WHERE NOT granted AND locktype <> 'relation'"),
    rows => rows.length > 0
  )
  assert.ok(waiting.length > 0, 'a statement waits for the row')
}
