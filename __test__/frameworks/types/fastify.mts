// The plugin with Fastify's own typings.

import fastify from 'fastify'
import { connect } from 'pg-sess-rs'
import { type FieldsOf, requireSession, type SessionRow, sessionPlugin } from 'pg-sess-rs/fastify'

const sessions = await connect('postgres://localhost/app', { fields: { user_id: 'INT NOT NULL', role: 'TEXT' } })

declare module 'pg-sess-rs/fastify' {
  interface SessionFields extends FieldsOf<typeof sessions> {}
}

const app = fastify()
await app.register(sessionPlugin, { sessions, rolling: true })
// @ts-expect-error the sessions are missing
app.register(sessionPlugin, { rolling: true })
// @ts-expect-error no such option
app.register(sessionPlugin, { sessions, nmae: 'visit' })
// @ts-expect-error no such field
requireSession({ where: { rôle: 'admin' } })

const guard = requireSession({ redirect: request => `/login?from=${request.url}`, where: { role: ['admin', null] } })
app.get('/', { onRequest: guard, preHandler: [guard] }, async request => {
  // @ts-expect-error there may be no session
  request.session.sess_id
  const name: number | undefined = request.session?.user_id
  // @ts-expect-error a number
  await request.sessions.create({ user_id: 'one' })
  const row: SessionRow = await request.sessions.create({ user_id: 1 })
  return { name, row }
})
