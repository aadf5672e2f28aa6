'use strict'

// The middleware under the real Hono, on @hono/node-server.

const { once } = require('node:events')
const { requireSession, sessionMiddleware } = require('pg-sess-rs/hono')
const { doorSuite } = require('../suites/door.suite.js')
const { framework, lacksFrameworks } = require('../support/needs.js')

/** @param {any} c */
function byProxy(c) {
  return c.req.header('X-Forwarded-Proto') === 'https'
}

/** @param {any} app */
function addRoutes(app) {
  app.get('/', (/** @type {any} */ c) => {
    const session = c.get('session')
    return c.json(session && { user_id: session.user_id, role: session.role })
  })
  app.post('/login', async (/** @type {any} */ c) => {
    const row = await c.var.sessions.create(await c.req.json())
    return c.json({ isOwn: row === c.get('session') })
  })
  app.post('/logout', async (/** @type {any} */ c) => c.json(await c.var.sessions.destroy()))
  app.post('/refresh', async (/** @type {any} */ c) => c.json((await c.var.sessions.refresh()) !== null))
  app.get('/late', (/** @type {any} */ c) =>
    framework('hono/streaming').stream(c, async (/** @type {any} */ stream) => {
      // The first part is only read once the headers are out.
      await stream.write('begun\n')
      const refused = await c.var.sessions.create({ user_id: 1 }).catch((/** @type {any} */ error) => error)
      await stream.write(String(refused.code))
    })
  )
  app.get('/members', requireSession(), (/** @type {any} */ c) => c.text('in'))
  app.get('/admin', requireSession({ where: { role: 'admin' } }), (/** @type {any} */ c) => c.text('in'))
  app.on(['GET', 'POST'], '/redirected', requireSession({ redirect: '/login' }), (/** @type {any} */ c) => c.text('in'))
}

/** @type {import('../suites/door.suite.js').Start} */
async function start(t, sessions, options) {
  const app = new (framework('hono').Hono)()
  app.use(sessionMiddleware(sessions, { isHttps: byProxy, ...options }))
  addRoutes(app)
  const server = framework('@hono/node-server').serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' })
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  if (!server.listening) await once(server, 'listening')
  return `http://127.0.0.1:${server.address().port}`
}

doorSuite('Hono', start, { skip: lacksFrameworks() })
