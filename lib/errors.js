'use strict'

// What users catch: pg's own error class for what the server said, plain errors in Node's manner for the network,
// errors with a `code` of ours for the rest. Ids and values of fields never appear in a message.

/**
 * A failure as the core describes it, see src/node/packed.rs.
 *
 * @typedef {{ kind: string, message: string, code?: string, step?: string, [fact: string]: unknown }} Failure
 * @typedef {{ DatabaseError: new (message: string, length: number, name: any) => Error }} ErrorClasses
 */

/** The fields that pg's DatabaseError always has, absent ones as `undefined`. The server sends the severity twice. */
const DATABASE_FACTS = [
  'severity',
  'code',
  'detail',
  'hint',
  'position',
  'internalPosition',
  'internalQuery',
  'where',
  'schema',
  'table',
  'column',
  'dataType',
  'constraint',
  'file',
  'line',
  'routine'
]

/** The facts that may quote a row. */
const QUOTING_FACTS = ['message', 'detail', 'hint', 'where', 'internalQuery']
/** An id that is shorter is no secret, and to hide it would hide words. */
const SHORTEST_SECRET = 8
/** Where PostgreSQL shows a whole row, it cuts each value to so many bytes. */
const QUOTED_BYTES = 64

/** A string that may be shown: not a URL, which may hold a password, nor a session id. */
const SHOWN_STRING = /^(?!.*[\da-f-]{32})[^@:/]{0,40}$/is

/** @type {{ [kind: string]: string }} */
const CODES = {
  timeout: 'PGSESS_TIMEOUT',
  readOnly: 'PGSESS_READ_ONLY',
  closed: 'PGSESS_CLOSED',
  queueFull: 'PGSESS_QUEUE_FULL',
  tooLarge: 'PGSESS_TOO_LARGE',
  table: 'PGSESS_TABLE',
  internal: 'PGSESS_INTERNAL'
}

/**
 * @param {Failure} failure
 * @param {ErrorClasses} classes
 * @returns {Error}
 */
function toError(failure, classes) {
  const { kind, message, ...facts } = failure
  switch (kind) {
    case 'database':
      return databaseError(message, facts, classes)
    case 'network':
      return Object.assign(new Error(message), facts)
    case 'argument':
      return new TypeError(message)
    default:
      return Object.assign(withCode(new Error(message), CODES[kind] ?? 'PGSESS_INTERNAL'), facts)
  }
}

/**
 * A promise that rejects with the failure's error. A promise that is resolved with it lets V8 show in the error's stack
 * who awaits it: the error is made where an answer arrives, and there is no caller on the stack any more.
 *
 * @param {Failure} failure
 * @param {ErrorClasses} classes
 * @returns {Promise<never>}
 */
async function rejected(failure, classes) {
  // A promise takes up one that it was resolved with in the next turn: only from then on it is known who waits.
  await undefined
  await undefined
  const error = toError(failure, classes)
  Error.captureStackTrace(error, rejected)
  throw error
}

/**
 * @param {string} message
 * @param {{ [fact: string]: unknown }} facts
 * @param {ErrorClasses} classes
 */
function databaseError(message, facts, { DatabaseError }) {
  const texts = [message, facts.severity, ...DATABASE_FACTS.map(name => facts[name])]
  const error = new DatabaseError(message, lengthOf(texts), 'error')
  for (const name of DATABASE_FACTS) Object.assign(error, { [name]: facts[name] })
  return error
}

/**
 * The length that the server's message had, which the driver does not hand on: its own length in four bytes, each field
 * with its letter and an end, and the end of all.
 *
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 *
 * @param {unknown[]} texts
 */
function lengthOf(texts) {
  const given = texts.filter(text => text !== undefined)
  return given.reduce((/** @type {number} */ sum, text) => sum + Buffer.byteLength(String(text)) + 2, 5)
}

/**
 * The failure with stars for the id of the call that failed, wherever the server quotes it. Ids that look like ours are
 * hidden by the core; those of a Store can be any text.
 *
 * @param {Failure} failure of one call, or of several
 * @param {string} sid
 * @returns {Failure}
 */
function withoutId(failure, sid) {
  if (sid.length < SHORTEST_SECRET) return failure
  const cut = Buffer.from(sid)
    .subarray(0, QUOTED_BYTES)
    .toString()
    .replace(/\ufffd$/, '')
  const hidden = { ...failure }
  for (const name of QUOTING_FACTS) {
    const text = hidden[name]
    if (typeof text !== 'string') continue
    hidden[name] = [sid, cut].reduce((rest, form) => rest.replaceAll(form, '*'.repeat(form.length)), text)
  }
  return hidden
}

/**
 * @param {Error} error
 * @param {string} code
 */
function withCode(error, code) {
  return Object.assign(error, { code })
}

/**
 * What came, in words for an error about an argument.
 *
 * @param {unknown} value
 * @returns {string}
 */
function describe(value) {
  if (value === null || value === undefined) return String(value)
  if (typeof value === 'string')
    return SHOWN_STRING.test(value) ? JSON.stringify(value) : `a string of ${value.length} characters`
  if (typeof value === 'number' || typeof value === 'boolean') return `the ${typeof value} ${value}`
  if (typeof value === 'bigint') return `the bigint ${value}`
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object') {
    const name = Object.getPrototypeOf(value)?.constructor?.name
    return typeof name === 'string' && name !== 'Object' ? `an object of class ${name}` : 'an object'
  }
  return `a ${typeof value}`
}

exports.describe = describe
exports.rejected = rejected
exports.toError = toError
exports.withCode = withCode
exports.withoutId = withoutId
