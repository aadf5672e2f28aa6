// The middlewares with the typings of Koa and Hono, and Next.js' cookies.

import { Hono } from 'hono'
import Koa from 'koa'
import { cookies } from 'next/headers.js'
import { connect } from 'pg-sess-rs'
import { sessionReader } from 'pg-sess-rs/express'
import * as hono from 'pg-sess-rs/hono'
import * as koa from 'pg-sess-rs/koa'
import { nextSessions } from 'pg-sess-rs/next'

const sessions = await connect('postgres://localhost/app', { fields: { user_id: 'INT NOT NULL', role: 'TEXT' } })

const app = new Koa<Koa.DefaultState, koa.WithSession>()
app.use(koa.sessionMiddleware(sessions, { name: 'visit', importedFrom: { secret: ['new', 'old'] } }))
// @ts-expect-error no such option
koa.sessionMiddleware(sessions, { nmae: 'visit' })
// @ts-expect-error the secret is missing
koa.sessionMiddleware(sessions, { importedFrom: { name: 'connect.sid' } })
app.use(koa.requireSession({ redirect: '/login' }))
app.use(async ctx => {
  // @ts-expect-error there may be no session
  ctx.session.sess_id
  const row: koa.SessionRow | null = ctx.session
  ctx.body = [row, await ctx.sessions.destroy()]
})

const other = new Hono<{ Variables: hono.SessionVariables }>()
other.use(hono.sessionMiddleware(sessions, { isHttps: () => true }))
// @ts-expect-error a function
hono.sessionMiddleware(sessions, { isHttps: true })
other.get('/', hono.requireSession(), async c => {
  // @ts-expect-error there may be no session
  c.get('session').sess_id
  await c.var.sessions.update({ user_id: 1 })
  return c.text(String(c.get('session')?.user_id))
})

const auth = nextSessions(sessions, { cookies })
// @ts-expect-error nothing tells how a request came
nextSessions(sessions, { cookies, secure: 'auto' })
// @ts-expect-error the cookies are missing
nextSessions(sessions, {})
const own = await auth.open()
const until: Date | undefined = own.session?.sess_expiration
// @ts-expect-error it follows what the request does
own.session = null

const readSession = sessionReader(sessions, { secure: true })
const read: [koa.SessionRow | null, koa.SessionRow | null] = [await readSession({ headers: {} }), await auth.read()]
// @ts-expect-error a reader extends nothing
sessionReader(sessions, { rolling: true })

export { read, until }
