// The Store, from an ES module.

import session from 'express-session'
import { Pool } from 'pg'
import pgPromise from 'pg-promise'
import connectPgStore, { type FoundSession, type PgStoreOptions } from 'pg-sess-rs/express-session'
import { type Equal, expect } from './equal.js'

declare module 'express-session' {
  interface SessionData {
    user: number
  }
}

const PgStore = connectPgStore(session)
const options: PgStoreOptions = { pool: new Pool(), ttl: 60, merge: false, hashIds: true, pruneSessionInterval: false }
const store = new PgStore(options)
session({ store, secret: 'hush' })
const anyStore: session.Store = store

new PgStore()
new PgStore({ pgPromise: pgPromise()('postgres://localhost/app') })
new PgStore({ conObject: { host: 'localhost' }, conString: 'postgres://localhost/app', createTableIfMissing: true })
new PgStore({ pruneSessionRandomizedInterval: delay => delay / 2, errorLog: console.error })
// @ts-expect-error a number of seconds
new PgStore({ ttl: '60' })
// @ts-expect-error no such option
new PgStore({ tabelName: 'x' })
// @ts-expect-error express-session itself has to be given
connectPgStore()

store.get('sid', (error, data) => error ?? data?.user.toFixed())
const data = await store.get('sid')
// @ts-expect-error there may be no session
data.user
data?.user.toFixed()
if (data) await store.set('sid', data)
store.set('sid', { cookie: new session.Cookie(), user: 1 }, error => error)
// @ts-expect-error a number
store.set('sid', { cookie: new session.Cookie(), user: '1' })
expect<Equal<ReturnType<typeof store.destroy>, Promise<void>>>()
expect<Equal<Awaited<ReturnType<typeof store.length>>, number>>()
store.length((_error, length) => length?.toFixed())
const found: FoundSession[] = await store.listBy('passport.user', 7)
const ended: number = await store.endBy(['passport', 'user'], 7, { except: ['a', 'b'] })
store.endBy('user', 7, (_error, count) => count?.toFixed())
// @ts-expect-error a value must be given
store.listBy('user')
// @ts-expect-error no such value
store.endBy('user', undefined)
await store.close()

export { anyStore, ended, found }
