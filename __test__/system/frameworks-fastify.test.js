'use strict'

// The plugin under the real Fastify, and the Store under @fastify/session.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const { requireSession, sessionPlugin } = require('pg-sess-rs/fastify')
const connectPgStore = require('pg-sess-rs/express-session')
const { doorSuite } = require('../suites/door.suite.js')
const { FIELDS } = require('../support/apps.js')
const { Browser } = require('../support/browser.js')
const { framework, lacksFrameworks } = require('../support/needs.js')
const { useDatabase } = require('../support/place.js')

const skip = lacksFrameworks()
const database = useDatabase('fastify')

/**
 * @param {any} t
 * @param {(app: any) => unknown} build
 * @returns {Promise<string>}
 */
async function listen(t, build) {
  const app = framework('fastify')({ trustProxy: true, forceCloseConnections: true })
  t.after(() => app.close())
  await build(app)
  return app.listen({ port: 0, host: '127.0.0.1' })
}

/**
 * @param {any} t
 * @param {any} sessions
 * @param {object} [options]
 */
function start(t, sessions, options) {
  return listen(t, async app => {
    await app.register(sessionPlugin, { sessions, ...options })
    app.get('/', async (/** @type {any} */ { session }) =>
      JSON.stringify(session && { user_id: session.user_id, role: session.role })
    )
    app.post('/login', async (/** @type {any} */ request) => {
      const row = await request.sessions.create(request.body)
      return { isOwn: row === request.session }
    })
    app.post('/logout', async (/** @type {any} */ request) => JSON.stringify(await request.sessions.destroy()))
    app.post('/refresh', async (/** @type {any} */ request) =>
      JSON.stringify((await request.sessions.refresh()) !== null)
    )
    app.get('/late', async (/** @type {any} */ request, /** @type {any} */ reply) => {
      reply.hijack()
      reply.raw.writeHead(200).write('begun\n')
      await request.sessions.create({ user_id: 1 }).catch((/** @type {any} */ error) => reply.raw.end(error.code))
    })
    app.get('/members', { onRequest: requireSession() }, async () => 'in')
    app.get('/admin', { preHandler: requireSession({ where: { role: 'admin' } }) }, async () => 'in')
    const redirected = { onRequest: requireSession({ redirect: '/login' }) }
    app.get('/redirected', redirected, async () => 'in')
    app.post('/redirected', redirected, async () => 'in')
  })
}

doorSuite('Fastify', start, { skip })

describe('Fastify', { skip }, () => {
  test('cookies of the app and of @fastify/cookie stay', async t => {
    const place = await database.emptySchema(t)
    const sessions = await place.sessions({ fields: FIELDS })
    const origin = await listen(t, async app => {
      await app.register(framework('@fastify/cookie'))
      await app.register(sessionPlugin, { sessions })
      app.get('/', async (/** @type {any} */ request, /** @type {any} */ reply) => {
        await request.sessions.create({ user_id: 7 })
        return reply.setCookie('theme', 'dark').header('Set-Cookie', 'lang=en').send('done')
      })
    })
    const browser = new Browser(origin)

    await browser.get('/')

    assert.deepEqual([...browser.cookies.keys()].sort(), ['lang', 'sid', 'theme'])
  })

  test('it is for the whole app, and says when request.session is taken', async t => {
    const place = await database.emptySchema(t)
    const sessions = await place.sessions({ fields: FIELDS })
    const building = listen(t, async app => {
      app.decorateRequest('session', null)
      await app.register(sessionPlugin, { sessions })
    })

    await assert.rejects(building, /request\.session is taken/)
  })
})

describe('the Store under @fastify/session', { skip }, () => {
  const SECRET = 'a secret with at least 32 characters'

  test('log-in, use, a new id, log-out', async t => {
    const place = await database.emptySchema(t)
    const PgStore = connectPgStore(framework('@fastify/session'))
    const store = new PgStore({ conString: place.url, createTableIfMissing: true })
    place.defer(() => store.close())
    const origin = await listen(t, async app => {
      await app.register(framework('@fastify/cookie'))
      const cookie = { secure: false, maxAge: 3_600_000 }
      await app.register(framework('@fastify/session'), { store, secret: SECRET, saveUninitialized: false, cookie })
      app.get('/', async (/** @type {any} */ request) => JSON.stringify(request.session.user_id ?? null))
      app.post('/login', async (/** @type {any} */ request) => {
        await request.session.regenerate()
        request.session.user_id = request.body.user_id
        return '{}'
      })
      app.post('/logout', async (/** @type {any} */ request) => {
        await request.session.destroy()
        return '{}'
      })
    })
    const browser = new Browser(origin)

    assert.equal((await browser.get('/')).json(), null)
    await browser.post('/login', { user_id: 7 })
    const first = browser.cookies.get('sessionId')
    assert.equal((await browser.get('/')).json(), 7)
    await browser.post('/login', { user_id: 8 })
    assert.notEqual(browser.cookies.get('sessionId'), first)
    assert.equal((await browser.get('/')).json(), 8)
    const [{ left, count }] = await place.query(
      "SELECT max(expire) - now()::timestamp BETWEEN '59 minutes' AND '61 minutes' AS left, count(*)::int FROM session"
    )
    assert.deepEqual({ left, count }, { left: true, count: 1 })
    await browser.post('/logout')
    assert.equal((await browser.get('/')).json(), null)
    assert.deepEqual(await place.query('SELECT FROM session'), [])
  })
})
