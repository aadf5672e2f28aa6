// biome-ignore-all lint/suspicious/noExplicitAny: `any` is one of the types to be given
// What a new session takes for its fields, and what a row is made of.

import type { PostgresInterval, Row, Values } from 'pg-sess-rs'
import { type Equal, expect } from './equal.js'

const fields = {
  user_id: 'INT NOT NULL',
  user_name: 'VARCHAR(255)',
  theme: "TEXT NOT NULL DEFAULT 'light'",
  number: 'BIGSERIAL',
  total: 'INT GENERATED ALWAYS AS (1) STORED'
} as const

expect<
  Equal<
    Row<typeof fields>,
    {
      sess_id: string
      sess_creation_date: Date
      sess_last_updated: Date
      sess_expiration: Date
      user_id: number
      user_name: string | null
      theme: string
      number: string
      total: number | null
    }
  >
>()

expect<
  Equal<
    Values<typeof fields>,
    {
      user_id: number | bigint | string
      user_name?: string | null | undefined
      theme?: string | undefined
      number?: number | bigint | string | undefined
      total?: undefined
    }
  >
>()

const list = [
  { field: 'user_id', datatype: 'INT NOT NULL' },
  { field: 'user_name', datatype: 'VARCHAR(255)' }
] as const
expect<Equal<Row<typeof list>, Row<{ user_id: 'INT NOT NULL'; user_name: 'TEXT' }>>>()
expect<Equal<Values<typeof list>, Values<{ user_id: 'INT NOT NULL'; user_name: 'TEXT' }>>>()
declare const twoFields: Row<typeof list>
// @ts-expect-error no such field
twoFields.user_nam

// Required fields.
const given: Values<typeof fields>[] = [
  { user_id: 1 },
  { user_id: 1, user_name: null, theme: undefined, number: undefined, total: undefined },
  // @ts-expect-error user_id is missing
  {},
  // @ts-expect-error undefined would take a DEFAULT that user_id has not
  { user_id: undefined },
  // @ts-expect-error user_id may not be NULL
  { user_id: null },
  // @ts-expect-error a DEFAULT does not help against null
  { user_id: 1, theme: null },
  // @ts-expect-error PostgreSQL computes it
  { user_id: 1, total: 1 },
  // @ts-expect-error no such field
  { user_id: 1, user_nam: 'x' }
]

type In<D extends string> = Values<{ f: D }> extends { f?: infer V } ? NonNullable<V> : never

const numbers: (In<'INT'> & In<'BIGINT'> & In<'NUMERIC'> & In<'REAL'>)[] = [1, 1n, '1']
// @ts-expect-error no number
const noNumber: In<'INT'> = true
const texts: (In<'TEXT'> & In<'UUID'> & In<'TIME'> & In<'INET'> & In<'POINT'> & In<'CIRCLE'>)[] = ['x']
// @ts-expect-error a number is no text
const noText: In<'TEXT'> = 1
// @ts-expect-error a point goes in as '(1,2)'
const noPoint: In<'POINT'> = { x: 1, y: 2 }
const booleans: In<'BOOLEAN'>[] = [true, 'yes', 1]
// @ts-expect-error a Date is no boolean
const noBoolean: In<'BOOLEAN'> = new Date()
const dates: (In<'DATE'> & In<'TIMESTAMP'> & In<'TIMESTAMPTZ'>)[] = [new Date(), '2026-01-01']
// @ts-expect-error milliseconds are no date
const noDate: In<'TIMESTAMPTZ'> = Date.now()
declare const span: PostgresInterval
const intervals: In<'INTERVAL'>[] = ['2 days', 30, span]
// @ts-expect-error PostgreSQL would read one second
const noInterval: In<'INTERVAL'> = { days: 1 }
const bytes: In<'BYTEA'>[] = [Buffer.from('x'), new Uint8Array(1), '\\x00']
// @ts-expect-error a list is no bytes
const noBytes: In<'BYTEA'> = [1, 2]
const json: In<'JSONB'>[] = [{ a: [1] }, [1, 2], '"text"', 1, true]
expect<Equal<Values<{ f: 'JSON' }>, { f?: unknown }>>()
// @ts-expect-error null is NULL, not JSON's null
const noJson: Values<{ f: 'JSON NOT NULL' }> = { f: null }
const arrays: In<'INT[]'>[] = [[1, 2n, '3', null], '{1,2}', [1, 2] as const]
// @ts-expect-error an element that is no number
const noArray: In<'INT[]'> = [true]
const nested: In<'TEXT[][]'> = [['a', null], ['b']]
// @ts-expect-error two pairs of brackets are two levels
const notNested: In<'TEXT[][]'> = ['a']
const unparsed: In<'CITEXT[]'>[] = [['a', null], '{a}']
const own: In<'mood'>[] = ['happy', 1, {}]

// ON DELETE SET DEFAULT is not a DEFAULT.
// @ts-expect-error user_id is missing
const reference: Values<{ user_id: 'INT NOT NULL REFERENCES users (id) ON DELETE SET DEFAULT' }> = {}

// Without literal datatypes everything is allowed.
const loose = { user_id: 'INT' }
expect<Equal<Row<typeof loose>['user_id'], any>>()
const looseList = [{ field: 'user_id', datatype: 'INT' }]
expect<Equal<Row<typeof looseList>['user_id'], any>>()
expect<Equal<Row<typeof looseList>['sess_id'], string>>()
const anything: Values<typeof looseList> = { user_id: 1, whatever: new Map() }

export const all = {
  given,
  numbers,
  noNumber,
  texts,
  noText,
  noPoint,
  booleans,
  noBoolean,
  dates,
  noDate,
  intervals,
  noInterval,
  bytes,
  noBytes,
  json,
  noJson,
  arrays,
  noArray,
  nested,
  notNested,
  unparsed,
  own,
  reference,
  anything
}
