// The sessions of the app, once for the process, also where `next dev` loads this file again.

import { cookies } from 'next/headers'
import { connect } from 'pg-sess-rs'
import { nextSessions } from 'pg-sess-rs/next'

async function open() {
  const sessions = await connect(process.env.DATABASE_URL, {
    fields: { user_id: 'INT NOT NULL', role: 'TEXT' },
    refreshInterval: 10 * 60 * 1000
  })
  return nextSessions(sessions, { cookies, secure: false })
}

export async function auth() {
  await cookies() // there is a request: `next build` must not connect
  globalThis.auth ??= open()
  return globalThis.auth
}
