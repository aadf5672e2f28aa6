// From a CommonJS module in TypeScript.

import pgSess = require('pg-sess-rs')

import byDefault, { type init, type Sessions } from 'pg-sess-rs'
import { type Equal, expect } from './equal.js'

const dropIn = require('pg-sess-rs').default

expect<Equal<typeof pgSess.init, typeof init>>()
expect<Equal<typeof pgSess.default, typeof pgSess>>()
expect<Equal<typeof byDefault, typeof pgSess>>()
expect<Equal<typeof byDefault.validateSession, typeof pgSess.validateSession>>()
expect<Equal<byDefault.Sessions, Sessions>>()
// @ts-expect-error no such function
byDefault.refreshSession

export = { dropIn }
