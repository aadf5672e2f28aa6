// The functions of pg-sess, with the real types of pg-promise and pg.

import type { DatabaseError as PgDatabaseError, PoolClient } from 'pg'
import pg from 'pg'
import pgPromise from 'pg-promise'
import pgSess from 'pg-sess-rs'
import { type Equal, expect } from './equal.js'

const pgp = pgPromise()
const db = pgp('postgres://localhost/app')
const pool = new pg.Pool()
const client = new pg.Client()
declare const poolClient: PoolClient
interface Extended {
  users(): Promise<string[]>
}
const extendedPgp = pgPromise<Extended>({
  extend(obj) {
    obj.users = async () => []
  }
})
const extended = extendedPgp('postgres://localhost/app')

const FIELDS = [
  { field: 'userId', datatype: 'INT NOT NULL' },
  { field: 'user_name', datatype: 'VARCHAR(255)' },
  { field: 'Größe', datatype: 'REAL' },
  { field: 'Two Words', datatype: 'TEXT' },
  { field: '2FA', datatype: 'BOOLEAN' }
] as const

/** What `userId` and its like become. */
interface MySession extends pgSess.SessionColumns {
  userid: number
  user_name: string | null
  Größe: number | null
  'Two Words': string | null
  '2FA': boolean | null
}
type Flat<T> = { [K in keyof T]: T[K] }

// init, whose names lose their capitals.
const sessions = await pgSess.init(pgp, db, FIELDS)
const created = await sessions.create({ userid: 1 })
expect<Equal<typeof created, Flat<MySession>>>()
expect<Equal<typeof created, pgSess.Row<pgSess.InitFields<typeof FIELDS>>>>()
// @ts-expect-error the row's key is userid
created.userId
// @ts-expect-error a required field
sessions.create({})
const written = await pgSess.init(pgp, db, [{ field: 'userId', datatype: 'INT' }])
expect<Equal<NonNullable<Awaited<ReturnType<typeof written.validate>>>['userid'], number | null>>()
const asObject = await pgSess.init(pgp, db, { userId: 'INT', Roles: 'TEXT[]' }, 60_000)
expect<Equal<NonNullable<Awaited<ReturnType<typeof asObject.validate>>>['roles'], (string | null)[] | null>>()
const untyped: { field: string; datatype: string }[] = [{ field: 'user_id', datatype: 'INT' }]
const loose = await pgSess.init(pgp, db, untyped)
const looseRow = await loose.create({ user_id: 1 })
looseRow.user_id.toFixed()
looseRow.sess_expiration.getTime()
const assignable: pgSess.Sessions[] = [sessions, written, asObject, loose]

pgSess.init(pgp, db, FIELDS, 60_000)
pgSess.init(pgp, db, FIELDS, { sessionLength: 60_000, maxConnections: 2 })
pgSess.init(pgp, db, FIELDS, undefined)
// @ts-expect-error a length is a number
pgSess.init(pgp, db, FIELDS, '60000')
// @ts-expect-error the fields are the third argument
pgSess.init(pgp, db, FIELDS, { fields: FIELDS })
// @ts-expect-error no such option
pgSess.init(pgp, db, FIELDS, { sessionLenght: 60_000 })
// @ts-expect-error no fields
pgSess.init(pgp, db)
// @ts-expect-error a field needs a datatype
pgSess.init(pgp, db, [{ field: 'user_id' }])
// @ts-expect-error a datatype is a string
pgSess.init(pgp, db, { user_id: 4 })

// Without a type parameter a field may be anything.
const row = await pgSess.validateSession(pgp, db, 'some id')
expect<Equal<typeof row, pgSess.SessionRow | null>>()
// @ts-expect-error there may be no session
row.user_id
if (row) {
  const same: boolean = row.user_id === 1
  expect<Equal<typeof row.sess_id, string>>()
  assignable.concat(same ? [] : [])
}
pgSess.createSession(pgp, db, [{ field: 'user_id', value: 1 }])
pgSess.createSession(pgp, db, { user_id: 1, user_name: null, whatever: undefined })
pgSess.createSession(pgp, db, [])
const values: { field: string; value: unknown }[] = []
const plain = await pgSess.createSession(pgp, db, values)
expect<Equal<typeof plain, pgSess.SessionRow>>()
// @ts-expect-error a list has { field, value }
pgSess.createSession(pgp, db, [{ field: 'user_id', datatype: 'INT' }])
// @ts-expect-error values are not optional
pgSess.createSession(pgp, db)

// With the fields as type parameter.
const typed = await pgSess.validateSession<typeof FIELDS>(pgp, db, 'some id')
expect<Equal<typeof typed, Flat<MySession> | null>>()
const typedCreated = await pgSess.createSession<typeof FIELDS>(pgp, db, { userid: 1, user_name: 'Ann' })
expect<Equal<typeof typedCreated, Flat<MySession>>>()
pgSess.createSession<typeof FIELDS>(pgp, db, { userId: 1 })
pgSess.createSession<typeof FIELDS>(pgp, db, [
  { field: 'userId', value: 1 },
  { field: 'Two Words', value: null }
])
// @ts-expect-error a required field
pgSess.createSession<typeof FIELDS>(pgp, db, { user_name: 'Ann' })
// @ts-expect-error no such field
pgSess.createSession<typeof FIELDS>(pgp, db, { userId: 1, user_nam: 'Ann' })
// @ts-expect-error no such field
pgSess.createSession<typeof FIELDS>(pgp, db, [{ field: 'user_nam', value: 'Ann' }])
// @ts-expect-error a text
pgSess.createSession<typeof FIELDS>(pgp, db, [{ field: 'user_name', value: 1 }])
const byObject = await pgSess.validateSession<{ user_id: 'BIGINT NOT NULL' }>(pgp, db, '')
expect<Equal<NonNullable<typeof byObject>['user_id'], string>>()

// With an interface as type parameter.
const mine = await pgSess.validateSession<MySession>(pgp, db, 'some id')
expect<Equal<typeof mine, MySession | null>>()
expect<Equal<Awaited<ReturnType<typeof pgSess.createSession<MySession>>>, MySession>>()
pgSess.createSession<MySession>(pgp, db, { userid: 1 })
// @ts-expect-error no such field
pgSess.createSession<MySession>(pgp, db, { user_nam: 'Ann' })
// @ts-expect-error the database makes the id
pgSess.createSession<MySession>(pgp, db, { sess_id: 'mine' })
// @ts-expect-error a row has the columns of SessionColumns
pgSess.validateSession<{ user_id: number }>(pgp, db, 'some id')

expect<Equal<ReturnType<typeof pgSess.extendSession>, Promise<boolean>>>()
expect<Equal<ReturnType<typeof pgSess.destroySession>, Promise<boolean>>>()

// A session id comes from outside.
for (const sid of [undefined, null, 5, {}, ['a'], Symbol('x'), 'some id']) {
  pgSess.validateSession(pgp, db, sid)
  pgSess.extendSession(pgp, db, sid)
  pgSess.destroySession(pgp, db, sid)
}
// @ts-expect-error but it must be given
pgSess.validateSession(pgp, db)

// Whatever knows a database.
db.task(t => pgSess.createSession(pgp, t, { user_id: 1 }))
db.tx('log in', async t => {
  await t.none('SELECT 1')
  await t.tx(inner => pgSess.destroySession(pgp, inner, 'some id'))
  return pgSess.createSession(pgp, t, [{ field: 'user_id', value: 1 }])
})
extended.tx(t => pgSess.extendSession(extendedPgp, t, 'some id'))
const connected = await db.connect()
pgSess.validateSession(pgp, connected, 'some id')
pgSess.init(extendedPgp, extended, FIELDS)
pgSess.init(null, pool, FIELDS)
pgSess.init(undefined, 'postgres://localhost/app', FIELDS)
pgSess.init(null, { host: 'localhost', port: 5432, ssl: { rejectUnauthorized: true } }, FIELDS)
pgSess.validateSession(null, client, 'some id')
pgSess.validateSession(null, poolClient, 'some id')
const base: pgPromise.IDatabase<unknown> = db
pgSess.validateSession(pgp, base, 'some id')
function inAnyOf(any: pgPromise.IDatabase<object> | pgPromise.ITask<object> | pgPromise.IConnected<object, never>) {
  return pgSess.validateSession(pgp, any, 'some id')
}
pgSess.createSession(pgp, db, { user_id: 1 }, { signal: AbortSignal.timeout(5) })
pgSess.validateSession(pgp, db, 'some id', { signal: undefined })
pgSess.extendSession(pgp, db, 'some id', {})
pgSess.destroySession(pgp, db, 'some id', { signal: AbortSignal.timeout(5) })
// @ts-expect-error the length is init's
pgSess.createSession(pgp, db, { user_id: 1 }, 86_400_000)
// @ts-expect-error no such option
pgSess.validateSession(pgp, db, 'some id', { timeout: 5 })
// @ts-expect-error pgp and db are two things
pgSess.init(db, pgp, FIELDS)
// @ts-expect-error pgp is not a database
pgSess.validateSession(pgp, pgp, 'some id')
// @ts-expect-error pgp is an object
pgSess.validateSession('pgp', db, 'some id')
// @ts-expect-error a port alone is not a database
pgSess.validateSession(null, 5432, 'some id')
// @ts-expect-error a function does not know a database
pgSess.validateSession(null, () => db, 'some id')
// @ts-expect-error a database must be given
pgSess.validateSession(pgp, undefined, 'some id')

// Errors.
declare const pgError: PgDatabaseError
const databaseError: pgSess.DatabaseError = pgError
// @ts-expect-error codes of PostgreSQL are strings
databaseError.code = 23505

export const all = { databaseError, inAnyOf, assignable }
