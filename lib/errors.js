'use strict'

// What users catch: pg's own error class for what the server said, plain errors in Node's manner for the network,
// errors with a `code` of ours for the rest. Ids and values of fields never appear in a message.

/**
 * A failure as the core describes it, see src/node/packed.rs.
 *
 * @typedef {{ kind: string, message: string, code?: string, step?: string, [fact: string]: unknown }} Failure
 * @typedef {{ DatabaseError: new (message: string, length: number, name: any) => Error }} ErrorClasses
 */

/** The fields that pg's DatabaseError always has, absent ones as `undefined`. */
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

/** @type {{ [kind: string]: string }} */
const CODES = {
  timeout: 'PGSESS_TIMEOUT',
  closed: 'PGSESS_CLOSED',
  table: 'PGSESS_TABLE',
  internal: 'PGSESS_INTERNAL'
}

/**
 * @param {Failure | undefined} failure
 * @param {ErrorClasses} classes
 * @returns {Error}
 */
function toError(failure, classes) {
  if (failure === undefined) return withCode(new Error('an outcome without its failure'), 'PGSESS_INTERNAL')
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
 * @param {string} message
 * @param {{ [fact: string]: unknown }} facts
 * @param {ErrorClasses} classes
 */
function databaseError(message, facts, { DatabaseError }) {
  // The length of the server's message is not handed on by the driver.
  const error = new DatabaseError(message, 0, 'error')
  for (const name of DATABASE_FACTS) Object.assign(error, { [name]: facts[name] })
  return error
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
    return value.length > 40 ? `a string of ${value.length} characters` : JSON.stringify(value)
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
exports.toError = toError
exports.withCode = withCode
