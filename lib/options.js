'use strict'

// The shapes of what callers pass: options, fields, lengths. Defaults are the core's.

const { describe } = require('./errors.js')
const { checkHosts } = require('./hosts.js')

/**
 * @typedef {import('../native/binding.js').SessionsOptions} NativeOptions
 * @typedef {NativeOptions & import('./connection.js').Servers & { onError?: (error: Error) => void }} CheckedOptions
 * @typedef {(name: string, value: unknown) => void} Check throws if the value is not what the option takes
 */

/** The longest time that a number of ms can say exactly. */
const LONGEST = Number.MAX_SAFE_INTEGER
/** A timer of Rust takes more, but nobody waits longer than this many ms for an answer (about 24 days). */
const LONGEST_TIMEOUT = 2 ** 31 - 1
const MOST_CONNECTIONS = 10_000
/** Whoever wants more wants no limit. */
const MOST_SESSIONS = 1_000_000

/** @type {{ [option: string]: Check }} */
const OPTIONS = {
  sessionLength: wholeNumber('a whole number of ms greater than 0', LONGEST),
  absoluteLength: wholeNumber('a whole number of ms greater than 0', LONGEST),
  extendInterval: wholeNumber('a whole number of ms, 0 or greater', LONGEST, 0),
  refreshInterval: lengthOrSwitch,
  refreshGrace: wholeNumber('a whole number of ms greater than 0', LONGEST),
  hashIds: typed('boolean', 'true or false'),
  tableName: typed('string', 'the name of a table'),
  schemaName: typed('string', 'the name of a schema'),
  createTable: typed('boolean', 'true or false'),
  hosts: checkHosts,
  targetSessionAttrs: oneOf('any', 'read-write'),
  maxConnections: wholeNumber('a whole number greater than 0', MOST_CONNECTIONS),
  maxQueue: wholeNumber('a whole number greater than 0', LONGEST),
  connectTimeout: wholeNumber('a whole number of ms greater than 0', LONGEST_TIMEOUT),
  queryTimeout: wholeNumber('a whole number of ms greater than 0', LONGEST_TIMEOUT),
  prepare: typed('boolean', 'true or false'),
  batch: typed('boolean', 'true or false'),
  allowedFunctions: texts('a list of names of SQL functions'),
  pruneInterval: orFalse(wholeNumber('false, or a whole number of ms greater than 0', LONGEST_TIMEOUT)),
  maxSessions: checkMaxSessions,
  onError: typed('function', 'a function that takes an Error')
}

/**
 * @param {string} type
 * @param {string} expected
 * @returns {Check}
 */
function typed(type, expected) {
  return (name, value) => {
    if (typeof value !== type) throw new TypeError(`${name}: expected ${expected}, got ${describe(value)}`)
  }
}

/**
 * @param {string[]} choices
 * @returns {Check}
 */
function oneOf(...choices) {
  return (name, value) => {
    const message = () =>
      `${name}: expected ${choices.map(choice => `'${choice}'`).join(' or ')}, got ${describe(value)}`
    if (typeof value !== 'string') throw new TypeError(message())
    if (!choices.includes(value)) throw new RangeError(message())
  }
}

/**
 * @param {string} expected
 * @returns {Check}
 */
function texts(expected) {
  return (name, value) => {
    if (!Array.isArray(value)) throw new TypeError(`${name}: expected ${expected}, got ${describe(value)}`)
    for (const [at, text] of value.entries()) typed('string', 'the name of an SQL function')(`${name}[${at}]`, text)
  }
}

/** @type {Check} */
function lengthOrSwitch(name, value) {
  if (typeof value === 'boolean') return
  wholeNumber('true, false or a whole number of ms greater than 0', LONGEST)(name, value)
}

/**
 * @param {Check} check
 * @returns {Check}
 */
function orFalse(check) {
  return (name, value) => {
    if (value !== false) check(name, value)
  }
}

/** @type {Check} */
function checkMaxSessions(name, value) {
  if (!isObject(value)) throw new TypeError(`${name}: expected { by, limit }, got ${describe(value)}`)
  const { by, limit, index, ...others } = value
  for (const other of Object.keys(others)) {
    throw new TypeError(`${name}: unknown member ${JSON.stringify(other)}; known are by, limit, index`)
  }
  typed('string', 'the name of a field')(`${name}.by`, by)
  wholeNumber('a whole number greater than 0', MOST_SESSIONS)(`${name}.limit`, limit)
  if (index !== undefined) typed('boolean', 'true or false')(`${name}.index`, index)
}

/**
 * @param {string} expected
 * @param {number} most
 * @param {number} [least]
 * @returns {Check}
 */
function wholeNumber(expected, most, least = 1) {
  return (name, value) => {
    const message = () => `${name}: expected ${expected}, got ${describe(value)}`
    if (typeof value !== 'number') throw new TypeError(message())
    if (!Number.isInteger(value) || value < least || value > most) throw new RangeError(message())
  }
}

/**
 * Checks options; those that are `undefined` stay out.
 *
 * @param {unknown} options
 * @param {string} argument the argument's name, for errors
 * @returns {CheckedOptions}
 */
function checkOptions(options, argument) {
  if (!isObject(options)) throw new TypeError(`${argument}: expected an object, got ${describe(options)}`)
  /** @type {{ [option: string]: unknown }} */
  const checked = {}
  for (const [name, value] of Object.entries(options)) {
    const check = Object.hasOwn(OPTIONS, name) ? OPTIONS[name] : undefined
    if (check === undefined) {
      throw new TypeError(
        `${argument}: unknown option ${JSON.stringify(name)}; known are ${Object.keys(OPTIONS).join(', ')}`
      )
    }
    if (value === undefined) continue
    check(name, value)
    // For the core, "never" is an interval of zero.
    checked[name] = name === 'pruneInterval' && value === false ? 0 : value
  }
  return checked
}

/**
 * The fourth argument of `init`.
 *
 * @param {unknown} length
 * @returns {CheckedOptions}
 */
function checkLength(length) {
  if (length === undefined) return {}
  if (isObject(length)) return checkOptions(length, 'SLENGTH')
  if (typeof length !== 'number') {
    throw new TypeError(`SLENGTH: expected a whole number of ms or an object of options, got ${describe(length)}`)
  }
  OPTIONS.sessionLength('SLENGTH', length)
  return { sessionLength: length }
}

/**
 * The options of a call that knows no others.
 *
 * @param {unknown} options
 * @returns {AbortSignal | undefined}
 */
function checkCallOptions(options = {}) {
  if (!isObject(options)) throw new TypeError(`options: expected an object, got ${describe(options)}`)
  for (const name of Object.keys(options)) {
    if (name !== 'signal') throw new TypeError(`options: unknown option ${JSON.stringify(name)}; known is signal`)
  }
  return checkSignal(options.signal)
}

/**
 * As Node.js does, by what it can do: a signal of another realm or another library is as good.
 *
 * @param {unknown} signal
 * @returns {AbortSignal | undefined}
 */
function checkSignal(signal) {
  if (signal === undefined || isSignal(signal)) return signal
  throw new TypeError(`signal: expected an AbortSignal, got ${describe(signal)}`)
}

/**
 * @param {unknown} value
 * @returns {value is AbortSignal}
 */
function isSignal(value) {
  return isObject(value) && typeof value.aborted === 'boolean' && typeof value.removeEventListener === 'function'
}

/**
 * The fields of a table: `[{ field, datatype }]` or `{ field: datatype }`.
 *
 * @param {unknown} fields
 * @param {string} argument
 * @returns {{ field: string, datatype: string }[]}
 */
function checkFields(fields, argument) {
  return entries(fields, argument, 'datatype').map(([field, datatype, place]) => {
    if (typeof datatype !== 'string') {
      throw new TypeError(`${place}: expected a PostgreSQL datatype such as 'INT', got ${describe(datatype)}`)
    }
    return { field, datatype }
  })
}

/**
 * The values of a session: `[{ field, value }]` or `{ field: value }`.
 *
 * @param {unknown} values
 * @param {string} argument
 * @returns {[string, unknown][]}
 */
function checkValues(values, argument) {
  return entries(values, argument, 'value').map(([field, value]) => [field, value])
}

/**
 * @param {unknown} given
 * @param {string} argument
 * @param {'datatype' | 'value'} member
 * @returns {[name: string, member: unknown, place: string][]}
 */
function entries(given, argument, member) {
  if (!isObject(given) && !Array.isArray(given)) {
    throw new TypeError(
      `${argument}: expected [{ field, ${member} }, …] or { field: ${member}, … }, got ${describe(given)}`
    )
  }
  if (!Array.isArray(given)) return Object.entries(given).map(([name, value]) => [name, value, `${argument}.${name}`])
  return given.map((entry, at) => {
    const place = `${argument}[${at}]`
    if (!isObject(entry)) throw new TypeError(`${place}: expected { field, ${member} }, got ${describe(entry)}`)
    if (typeof entry.field !== 'string') {
      throw new TypeError(`${place}.field: expected the field's name, got ${describe(entry.field)}`)
    }
    return [entry.field, entry[member], `${place}.${member}`]
  })
}

/**
 * @param {unknown} value
 * @returns {value is { [name: string]: unknown }}
 */
function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

exports.checkFields = checkFields
exports.checkLength = checkLength
exports.checkCallOptions = checkCallOptions
exports.checkOptions = checkOptions
exports.checkSignal = checkSignal
exports.checkValues = checkValues
exports.isObject = isObject
exports.oneOf = oneOf
exports.typed = typed
exports.wholeNumber = wholeNumber
