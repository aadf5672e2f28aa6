'use strict'

// The middleware under the real Koa.

const { once } = require('node:events')
const { PassThrough } = require('node:stream')
const { requireSession, sessionMiddleware } = require('pg-sess-rs/koa')
const { doorSuite } = require('../suites/door.suite.js')
const { serve } = require('../support/browser.js')
const { framework, lacksFrameworks } = require('../support/needs.js')

/** @typedef {(ctx: any) => unknown} Handler */

/** @type {{ [route: string]: Handler }} */
const HANDLERS = {
  'GET /': ctx => {
    const { session } = ctx
    ctx.body = JSON.stringify(session && { user_id: session.user_id, role: session.role })
  },
  'POST /login': async ctx => {
    const row = await ctx.sessions.create(JSON.parse(await bodyOf(ctx.req)))
    ctx.body = { isOwn: row === ctx.session }
  },
  'POST /logout': async ctx => {
    ctx.body = JSON.stringify(await ctx.sessions.destroy())
  },
  'POST /refresh': async ctx => {
    ctx.body = JSON.stringify((await ctx.sessions.refresh()) !== null)
  },
  'GET /late': ctx => {
    const stream = new PassThrough()
    ctx.body = stream
    stream.write('begun\n')
    late(ctx).then(code => stream.end(code))
  },
  'GET /members': guarded(requireSession()),
  'GET /admin': guarded(requireSession({ where: { role: 'admin' } })),
  'GET /redirected': guarded(requireSession({ redirect: '/login' })),
  'POST /redirected': guarded(requireSession({ redirect: '/login' }))
}

/** @param {any} ctx */
async function late(ctx) {
  // Koa sends the headers when it begins to pipe.
  while (!ctx.headerSent) await new Promise(resolve => setImmediate(resolve))
  return ctx.sessions.create({ user_id: 1 }).then(
    () => 'no error',
    (/** @type {any} */ error) => error.code
  )
}

/**
 * @param {(ctx: any, next: () => Promise<void>) => unknown} guard
 * @returns {Handler}
 */
function guarded(guard) {
  return ctx =>
    guard(ctx, async () => {
      ctx.body = 'in'
    })
}

/** @param {import('node:http').IncomingMessage} req */
async function bodyOf(req) {
  let text = ''
  req.setEncoding('utf8').on('data', part => {
    text += part
  })
  await once(req, 'end')
  return text
}

/** @type {import('../suites/door.suite.js').Start} */
async function start(t, sessions, options) {
  const required = framework('koa')
  const Koa = required.default ?? required
  const app = new Koa()
  app.proxy = true
  // It logs what it answers with 5xx.
  app.silent = true
  app.use(sessionMiddleware(sessions, options))
  app.use((/** @type {any} */ ctx) => HANDLERS[`${ctx.method} ${ctx.path}`]?.(ctx))
  return serve(t, app.callback())
}

doorSuite('Koa', start, { skip: lacksFrameworks() })
