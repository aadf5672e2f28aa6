// biome-ignore-all lint/suspicious/noExplicitAny: `any` is one of the types to be given
// connect, its options, and what it gives.

import pg from 'pg'
import pgPromise from 'pg-promise'
import {
  type Connection,
  type ConnectOptions,
  connect,
  type DatabaseError,
  type NetworkError,
  type Row,
  type Sessions,
  type SessionsError,
  type Stats,
  type TimeoutError
} from 'pg-sess-rs'
import { type Equal, expect } from './equal.js'

const url = 'postgres://localhost/app'

const sessions = await connect(url, {
  fields: { userId: 'INT NOT NULL', user_name: 'VARCHAR(255)', roles: 'TEXT[]' }
})
// Names keep their capitals.
expect<
  Equal<
    Awaited<ReturnType<typeof sessions.create>>,
    {
      sess_id: string
      sess_creation_date: Date
      sess_last_updated: Date
      sess_expiration: Date
      userId: number
      user_name: string | null
      roles: (string | null)[] | null
    }
  >
>()

sessions.create({ userId: 1 })
sessions.create({ userId: '1', user_name: null, roles: ['admin', null] })
sessions.create({ userId: 1n, user_name: undefined })
// @ts-expect-error userId is missing
sessions.create({ user_name: 'Ann' })
// @ts-expect-error names keep their capitals
sessions.create({ userid: 1 })
// @ts-expect-error no such field
sessions.create({ userId: 1, user_nam: 'Ann' })
// @ts-expect-error a text
sessions.create({ userId: 1, user_name: 1 })
// @ts-expect-error values must be given
sessions.create()

const row = await sessions.validate('some id')
expect<Equal<typeof row, Row<{ userId: 'INT NOT NULL'; user_name: 'TEXT'; roles: 'TEXT[]' }> | null>>()
// @ts-expect-error there may be no session
row.userId
// @ts-expect-error no such field
row?.user_nam
expect<Equal<ReturnType<typeof sessions.extend>, Promise<boolean>>>()
expect<Equal<ReturnType<typeof sessions.destroy>, Promise<boolean>>>()
for (const sid of [undefined, null, 5, {}, 'some id']) {
  sessions.validate(sid)
  sessions.extend(sid)
  sessions.destroy(sid)
}
// @ts-expect-error an id must be given
sessions.extend()

expect<Equal<ReturnType<typeof sessions.stats>, Stats>>()
type Figure = 'size' | 'idle' | 'waiting' | 'calls' | 'batches' | 'errors' | 'pruned' | 'refreshed'
expect<Equal<Stats, Record<Figure, number>>>()
expect<Equal<ReturnType<typeof sessions.close>, Promise<void>>>()
{
  await using short = await connect(url, { fields: { user_id: 'INT' } })
  await short.create({})
}
// @ts-expect-error it closes asynchronously
Symbol.dispose in sessions && sessions[Symbol.dispose]()

// Many sessions.
const FIELD_LIST = [{ field: 'userId', datatype: 'INT NOT NULL' }] as const
const many = await connect(url, {
  fields: {
    user_id: 'INT NOT NULL',
    device: 'TEXT',
    roles: 'TEXT[]',
    n: 'INT GENERATED ALWAYS AS (1) STORED',
    own: 'my_enum'
  }
})
expect<
  Equal<
    Awaited<ReturnType<typeof many.list>>[number],
    {
      handle: string
      sess_creation_date: Date
      sess_last_updated: Date
      sess_expiration: Date
      user_id: number
      device: string | null
      roles: (string | null)[] | null
      n: number | null
      own: any
    }
  >
>()
many.list({ user_id: 1 })
many.list({ user_id: [1, '2', null], device: null }, { limit: 5 })
many.list({ roles: ['a', 'b'] })
many.list({ n: 1, own: {} })
many.list({}, { all: true })
expect<Equal<ReturnType<typeof many.destroyAll>, Promise<number>>>()
many.destroyAll({ user_id: 1 }, { except: ['some id', undefined], only: 'handle' })
many.destroyAll({}, { all: true, except: undefined })
expect<Equal<ReturnType<typeof many.handle>, string | null>>()
// @ts-expect-error everyone by mistake
many.list({})
// @ts-expect-error everyone by mistake
many.destroyAll({})
// @ts-expect-error everyone by mistake
many.destroyAll({ user_id: undefined })
// @ts-expect-error everyone by mistake
many.destroyAll()
// @ts-expect-error both some and everyone
many.destroyAll({ user_id: 1 }, { all: true })
// @ts-expect-error everything by mistake
many.destroyAll({ user_id: 1 }, { only: undefined })
// @ts-expect-error no such field
many.list({ user_nam: 1 })
// @ts-expect-error a number
many.list({ user_id: true })
// @ts-expect-error its arrays are values
many.list({ roles: [['a'], ['b']] })
// @ts-expect-error a listed row has no id
;(await many.list({ user_id: 1 }))[0]?.sess_id

// Limits.
await connect(url, { fields: { user_id: 'INT' }, maxSessions: { by: 'user_id', limit: 5, index: true } })
await connect(url, { fields: FIELD_LIST, maxSessions: { by: 'userId', limit: 5 } })
await connect(url, { fields: config, maxSessions: { by: 'whatever', limit: 5 } })
// @ts-expect-error no such field
await connect(url, { fields: { user_id: 'INT' }, maxSessions: { by: 'user', limit: 5 } })
// @ts-expect-error no limit
await connect(url, { fields: { user_id: 'INT' }, maxSessions: { by: 'user_id' } })

// Signals.
declare const signal: AbortSignal
many.create({ user_id: 1 }, { signal })
many.validate('some id', { signal })
many.validate('some id', {})
many.extend('some id', { signal: undefined })
many.update('some id', { device: null }, { signal })
many.refresh('some id', { signal })
many.destroy('some id', { signal: AbortSignal.any([signal, AbortSignal.timeout(5)]) })
many.list({ user_id: 1 }, { signal, limit: 5 })
many.list({}, { signal, all: true })
many.destroyAll({ user_id: 1 }, { signal, except: 'some id' })
// @ts-expect-error a controller is no signal
many.validate('some id', { signal: new AbortController() })
// @ts-expect-error null is no signal
many.validate('some id', { signal: null })
// @ts-expect-error the signal itself is no option
many.extend('some id', signal)
// @ts-expect-error no such option
many.create({ user_id: 1 }, { singal: signal })
// @ts-expect-error no such option
many.update('some id', {}, { timeout: 5 })
// @ts-expect-error everyone by mistake
many.list({}, { signal })

// Pruning.
expect<Equal<ReturnType<typeof many.prune>, Promise<number>>>()
many.prune({ signal: AbortSignal.timeout(5) })
many.prune({ signal: undefined })
await connect(url, { fields: {}, pruneInterval: false })
// @ts-expect-error true says not how often
await connect(url, { fields: {}, pruneInterval: true })

// A list of fields means the same.
const listed = await connect(url, { fields: [{ field: 'userId', datatype: 'INT NOT NULL' }] })
expect<Equal<Awaited<ReturnType<typeof listed.create>>, Row<{ userId: 'INT NOT NULL' }>>>()
const FIELDS = [{ field: 'userId', datatype: 'INT NOT NULL' }] as const
const named: Sessions<typeof FIELDS> = await connect(url, { fields: FIELDS })
many satisfies Sessions
const other: Sessions<{ userId: 'INT NOT NULL' }> = listed
const whatever: Sessions = sessions
// @ts-expect-error other fields
const wrong: Sessions<{ userId: 'TEXT' }> = listed
// @ts-expect-error it has no constructor
new Sessions()

// Fields that come from elsewhere.
declare const config: Record<string, string>
const loose = await connect(url, { fields: config })
expect<Equal<Awaited<ReturnType<typeof loose.create>>['whatever'], any>>()
;(await loose.create({ whatever: 1 })).whatever.toFixed()
loose.list({ whatever: 1 })

// Changes: each field alone, none required, the same values as in create.
const changing = await connect(url, { fields: { user_id: 'INT NOT NULL', big: 'BIGINT', theme: 'TEXT' } })
const changed = await changing.update('sid', { theme: null, big: 1n, user_id: undefined })
expect<Equal<NonNullable<typeof changed>['user_id'], number>>()
expect<Equal<Awaited<ReturnType<typeof changing.update>>, Awaited<ReturnType<typeof changing.validate>>>>()
changing.update('sid', {})
// @ts-expect-error may be null
changed.theme
// @ts-expect-error no such field
changing.update('sid', { them: 'dark' })
// @ts-expect-error not of this type
changing.update('sid', { user_id: true })
// @ts-expect-error NOT NULL
changing.update('sid', { user_id: null })
// @ts-expect-error no changes
changing.update('sid')
expect<Equal<Awaited<ReturnType<typeof changing.refresh>>, Awaited<ReturnType<typeof changing.validate>>>>()
// @ts-expect-error a length or a switch
connect(url, { fields: FIELDS, refreshInterval: 'hourly' })
expect<Equal<Awaited<ReturnType<typeof changing.hashPlainIds>>, number>>()

// Options.
const options: ConnectOptions<{ user_id: 'INT' }>[] = [
  { fields: { user_id: 'INT' } },
  {
    fields: { user_id: 'INT' },
    sessionLength: 1,
    absoluteLength: 1,
    extendInterval: 0,
    hashIds: false,
    refreshInterval: true,
    refreshGrace: 1,
    tableName: 'logins',
    schemaName: 'app',
    createTable: false,
    maxConnections: 1,
    connectTimeout: 1,
    queryTimeout: 1,
    prepare: false,
    batch: false,
    onError: error => console.error(error.message)
  },
  {
    fields: { user_id: 'INT' },
    sessionLength: undefined,
    absoluteLength: undefined,
    extendInterval: undefined,
    hashIds: undefined,
    refreshInterval: undefined,
    refreshGrace: undefined,
    tableName: undefined,
    schemaName: undefined,
    createTable: undefined,
    maxConnections: undefined,
    connectTimeout: undefined,
    queryTimeout: undefined,
    prepare: undefined,
    batch: undefined,
    onError: undefined
  }
]
// @ts-expect-error no options
connect(url)
// @ts-expect-error no fields
connect(url, { tableName: 'logins' })
// @ts-expect-error no such option
connect(url, { fields: FIELDS, sessionLenght: 1 })
// @ts-expect-error a number
connect(url, { fields: FIELDS, sessionLength: '1' })
// @ts-expect-error true or false
connect(url, { fields: FIELDS, prepare: 'no' })
// @ts-expect-error null is not a default
connect(url, { fields: FIELDS, tableName: null })
// @ts-expect-error it is given an Error
connect(url, { fields: FIELDS, onError: (error: string) => error })
// @ts-expect-error a field needs a datatype
connect(url, { fields: [{ field: 'user_id' }] })
// @ts-expect-error a list has { field, datatype }
connect(url, { fields: ['user_id'] })

// Connections.
const pgp = pgPromise()
const db = pgp(url)
const pool = new pg.Pool()
declare const poolConfig: pg.PoolConfig
declare const clientConfig: pg.ClientConfig
declare const pgPromiseConfig: Parameters<typeof pgp>[0]
const connections: Connection[] = [
  url,
  { connectionString: url, max: 2 },
  { host: 'localhost', port: '5432', user: 'app', password: async () => 'secret', database: 'app', ssl: true },
  {},
  pool,
  db,
  poolConfig,
  clientConfig,
  pgPromiseConfig
]
// @ts-expect-error no such setting
connect({ hostname: 'localhost' }, { fields: FIELDS })
// @ts-expect-error a client is one connection already
connect(new pg.Client(), { fields: FIELDS })
// @ts-expect-error a task has no settings
db.task(t => connect(t, { fields: FIELDS }))
// @ts-expect-error pgp is not a database
connect(pgp, { fields: FIELDS })
// @ts-expect-error a connection must be given
connect(undefined, { fields: FIELDS })

// Errors.
function explain(error: SessionsError | TimeoutError | DatabaseError | NetworkError): string | undefined {
  switch (error.code) {
    case 'PGSESS_TIMEOUT':
      return 'step' in error ? error.step : undefined
    case '23505':
      return 'constraint' in error ? error.constraint : undefined
    case 'ECONNREFUSED':
      return 'port' in error ? `${error.syscall} ${error.address}:${error.port}` : undefined
    default:
      return error.message
  }
}
declare const timeout: TimeoutError
expect<Equal<typeof timeout.step, 'waiting for a connection' | 'connecting' | 'waiting for the answer'>>()
declare const ours: SessionsError
// @ts-expect-error no such code
ours.code === 'PGSESS_TIME'

export const all = { named, other, whatever, wrong, options, connections, explain }
