// A table of many fields is no burden to the compiler.

import { connect, type Row, type Sessions } from 'pg-sess-rs'
import { type Equal, expect } from './equal.js'

type Digit = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9
type Name = `field_${Digit}${Digit}`
type Datatype<N extends string> = `numeric(10, 2)[] DEFAULT '{}' CHECK (cardinality(${N}) < (1 + (2))) not null`

/** A hundred fields, no datatype twice. */
type Fields = { [N in Name]: Datatype<N> }
expect<Equal<Omit<Row<Fields>, `sess_${string}`>, Record<Name, (number | null)[]>>>()

type AsList = readonly { [N in Name]: { field: `userField_${N}`; datatype: Datatype<N> } }[Name][]
declare const list: AsList
const sessions: Sessions<AsList> = await connect('postgres://localhost/app', { fields: list })
const row = await sessions.create({ userField_field_42: ['1.10'] })
expect<Equal<typeof row.userField_field_42, (number | null)[]>>()
// @ts-expect-error no such field
row.userField_field_100

// A long datatype, near the 2 000 bytes that are allowed, of many quotes and parentheses.
type Twice<S extends string> = `${S}, ${S}`
type Many<S extends string> = Twice<Twice<Twice<Twice<Twice<S>>>>>
type Nested<S extends string> = `((((((((${S}))))))))`
type Long = `TEXT CHECK (f IN (${Many<"'it''s NOT NULL'">}) OR f IN (${Many<Nested<'f IS NOT NULL'>>}))`
expect<Equal<Row<{ f: Long }>['f'], string | null>>()
expect<Equal<Row<{ f: `${Long} NOT NULL` }>['f'], string>>()
