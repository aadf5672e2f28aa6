// The middleware with Express, its fields declared. Apart from the other programs: express-session's typings own
// `req.session`, too.

import express from 'express'
import { connect } from 'pg-sess-rs'
import { type FieldsOf, requireSession, type SessionRow, sessionMiddleware } from 'pg-sess-rs/express'

const sessions = await connect('postgres://localhost/app', {
  fields: { user_id: 'INT NOT NULL', role: 'TEXT', account: 'BIGINT' }
})

declare module 'pg-sess-rs/express' {
  interface SessionFields extends FieldsOf<typeof sessions> {}
}

const app = express()
app.use(sessionMiddleware(sessions))
app.use(sessionMiddleware(sessions, { name: 'visit', secret: ['new', 'old'], rolling: true, onError: 'anonymous' }))
// @ts-expect-error no such option
sessionMiddleware(sessions, { nmae: 'visit' })
// @ts-expect-error one of three
sessionMiddleware(sessions, { sameSite: 'Lax' })
// @ts-expect-error what connect resolves to
sessionMiddleware('postgres://localhost/app')

app.get('/', requireSession({ redirect: '/login', where: { role: ['admin', null] } }))
app.get('/', requireSession({ where: row => row.sess_expiration > new Date() }))
// @ts-expect-error no such field
requireSession({ where: { rôle: 'admin' } })
// @ts-expect-error a status
requireSession({ status: '401' })

app.get('/', async (req, res) => {
  // @ts-expect-error there may be no session
  req.session.sess_id
  // @ts-expect-error no such field
  req.session?.user_nam
  const name: number | undefined = req.session?.user_id
  const role: string | null | undefined = req.session?.role
  // @ts-expect-error no such field
  await req.sessions.update({ user_nam: 1 })
  // @ts-expect-error a number
  await req.sessions.list({ user_id: 'one' })
  const row: SessionRow = await req.sessions.create({ user_id: 1, account: 1n })
  const until: Date | undefined = req.session?.sess_expiration
  const updated: SessionRow | null = await req.sessions.update({ role: 'admin' })
  const done: boolean = (await req.sessions.extend()) && (await req.sessions.destroy())
  const others: number = await req.sessions.destroyAll({ user_id: 1 }, { except: row.sess_id })
  const handles: string[] = (await req.sessions.list({ user_id: [1, 2] })).map(({ handle }) => handle)
  const signal = AbortSignal.timeout(500)
  await req.sessions.create({ user_id: 1 }, { signal })
  await req.sessions.update({ role: null }, { signal: undefined })
  await req.sessions.list({ user_id: 1 }, { limit: 10, signal })
  await req.sessions.list({}, { all: true })
  await req.sessions.destroyAll({ user_id: 1 }, { only: 'handle', signal })
  const either: boolean = (await req.sessions.extend({ signal })) || (await req.sessions.destroy({ signal }))
  // @ts-expect-error no such option
  await req.sessions.refresh({ singal: signal })
  // @ts-expect-error no signal
  await req.sessions.destroy({ signal: 5 })
  // @ts-expect-error no such option
  await req.sessions.list({ user_id: 1 }, { only: 'handle' })
  // @ts-expect-error a listed session has no id
  ;(await req.sessions.list({ user_id: 1 }))[0]?.sess_id.length
  res.json({
    name,
    role,
    until,
    updated,
    done,
    either,
    others,
    handles,
    own: req.sessions.handle(),
    refreshed: await req.sessions.refresh()
  })
})

export { sessions }
