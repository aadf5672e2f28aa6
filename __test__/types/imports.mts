// From an ES module.

import type * as star from 'pg-sess-rs'
import type { Row, Sessions } from 'pg-sess-rs'
import pgSess, {
  type connect,
  type createSession,
  type destroySession,
  type extendSession,
  type init,
  type validateSession
} from 'pg-sess-rs'
import { type Equal, expect } from './equal.js'

expect<Equal<typeof pgSess.init, typeof init>>()
expect<Equal<typeof pgSess.createSession, typeof createSession>>()
expect<Equal<typeof pgSess.validateSession, typeof validateSession>>()
expect<Equal<typeof pgSess.extendSession, typeof extendSession>>()
expect<Equal<typeof pgSess.destroySession, typeof destroySession>>()
expect<Equal<typeof pgSess.connect, typeof connect>>()
expect<Equal<typeof pgSess.default, typeof pgSess>>()
expect<Equal<typeof star.init, typeof init>>()
expect<Equal<typeof star.default, typeof pgSess>>()
expect<Equal<pgSess.Row<{ user_id: 'INT' }>, Row<{ user_id: 'INT' }>>>()
expect<Equal<pgSess.Sessions, Sessions>>()
// @ts-expect-error no such function
pgSess.refreshSession
// @ts-expect-error Sessions is a type, not a class
pgSess.Sessions
// @ts-expect-error how datatypes are read is nobody's business
export type Inside = pgSess.Column<'INT'>
