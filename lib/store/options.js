'use strict'

// The options of a Store: those of connect-pg-simple with their meaning there, and ours.

const { describe } = require('../errors.js')
const { isOwnKind } = require('../kinds.js')
const { checkHosts } = require('../hosts.js')
const { isObject, oneOf, typed, wholeNumber } = require('../options.js')

/**
 * @typedef {import('../options.js').Check} Check
 * @typedef {import('../../native/binding.js').GivenStoreOptions} GivenStoreOptions
 * @typedef {{
 *   source: unknown,
 *   core: GivenStoreOptions & import('../connection.js').Servers,
 *   ttl: number | undefined,
 *   disableTouch: boolean,
 *   errorLog: (...args: any[]) => void,
 *   prunes: boolean,
 *   delay: (ms: number) => number
 * }} Checked `delay`: makes a delay of the interval
 */

const LONGEST_TIMEOUT = 2 ** 31 - 1
const MOST_CONNECTIONS = 10_000
/** Ours, which the core knows. @type {{ [option: string]: Check }} */
const OWN = {
  merge: typed('boolean', 'true or false'),
  hashIds: typed('boolean', 'true or false'),
  hosts: checkHosts,
  targetSessionAttrs: oneOf('any', 'read-write'),
  maxConnections: wholeNumber('a whole number greater than 0', MOST_CONNECTIONS),
  connectTimeout: wholeNumber('a whole number of ms greater than 0', LONGEST_TIMEOUT),
  queryTimeout: wholeNumber('a whole number of ms greater than 0', LONGEST_TIMEOUT),
  prepare: typed('boolean', 'true or false'),
  batch: typed('boolean', 'true or false')
}
/** @type {{ [option: string]: Check }} */
const THEIRS = {
  pool: (name, value) => {
    if (!isOwnKind.pool(value)) throw new TypeError(`${name}: expected a pg.Pool, got ${describe(value)}`)
  },
  pgPromise: (name, value) => {
    if (!isOwnKind.pgPromise(value))
      throw new TypeError(`${name}: expected a database of pg-promise, got ${describe(value)}`)
  },
  conString: typed('string', 'a connection string'),
  conObject: (name, value) => {
    if (!isOwnKind.config(value)) throw new TypeError(`${name}: expected a connection config, got ${describe(value)}`)
  },
  tableName: typed('string', 'the name of a table'),
  schemaName: typed('string', 'the name of a schema'),
  // Any value: that library asks only whether it is true.
  createTableIfMissing: () => {},
  disableTouch: () => {},
  ttl: positive('a number of seconds greater than 0'),
  pruneSessionInterval: (name, value) => {
    if (value !== false) positive('false, or a number of seconds greater than 0')(name, value)
  },
  pruneSessionRandomizedInterval: (name, value) => {
    if (value !== false) typed('function', 'false, or a function of the delay in ms')(name, value)
  },
  errorLog: typed('function', 'a function that logs an error')
}
/** A schema and a table as older versions of connect-pg-simple wanted them, in `tableName`. */
const SCHEMA_IN_NAME = /^([^"]+)"\."([^"]+)$/

/**
 * @param {string} expected
 * @returns {Check}
 */
function positive(expected) {
  return (name, value) => {
    const message = () => `${name}: expected ${expected}, got ${describe(value)}`
    if (typeof value !== 'number') throw new TypeError(message())
    if (!(value > 0 && value <= Number.MAX_SAFE_INTEGER)) throw new RangeError(message())
  }
}

/**
 * @param {unknown} options
 * @returns {Checked}
 */
function checkStoreOptions(options) {
  const given = /** @type {any} */ (check(options))
  const core = Object.fromEntries(Object.keys(OWN).map(name => [name, given[name]]))
  return {
    source: sourceOf(given),
    core: {
      ...core,
      ...namesOf(given),
      createTableIfMissing: Boolean(given.createTableIfMissing),
      ttl: given.ttl,
      pruneSessionInterval: given.pruneSessionInterval || undefined
    },
    ttl: given.ttl,
    disableTouch: Boolean(given.disableTouch),
    errorLog: given.errorLog ?? console.error.bind(console),
    prunes: given.pruneSessionInterval !== false,
    delay: delayOf(given.pruneSessionRandomizedInterval)
  }
}

/** @param {unknown} options */
function check(options) {
  if (!isObject(options)) throw new TypeError(`options: expected an object, got ${describe(options)}`)
  /** @type {{ [option: string]: unknown }} */
  const given = {}
  for (const [name, value] of Object.entries(options)) {
    const own = Object.hasOwn(OWN, name)
    if (!own && !Object.hasOwn(THEIRS, name)) {
      // That library ignores what it does not know, and an app that moves over has to start.
      process.emitWarning(`pg-sess-rs/express-session: unknown option ${JSON.stringify(name)}`)
      continue
    }
    if (value === undefined || (!own && isNothing(value))) continue
    const check = own ? OWN[name] : THEIRS[name]
    check(`options.${name}`, value)
    given[name] = value
  }
  return given
}

/**
 * What counts as not given in connect-pg-simple.
 *
 * @param {unknown} value
 */
function isNothing(value) {
  return value === null || value === '' || value === 0
}

/**
 * What to connect to; the first one counts.
 *
 * @param {any} options
 */
function sourceOf({ pool, pgPromise, conObject, conString }) {
  return pool ?? pgPromise ?? conObject ?? conString ?? (process.env.DATABASE_URL || {})
}

/** @param {any} options */
function namesOf({ tableName, schemaName }) {
  const [, schema, table] = (schemaName === undefined && SCHEMA_IN_NAME.exec(tableName ?? '')) || []
  if (schema === undefined) return { tableName, schemaName }
  process.emitWarning('give the schema as schemaName, not as part of tableName', 'DeprecationWarning')
  return { tableName: table, schemaName: schema }
}

/**
 * Makes a delay that a timer can have: a longer one would end at once.
 *
 * @param {undefined | false | ((ms: number) => number)} randomized
 * @returns {(ms: number) => number}
 */
function delayOf(randomized) {
  if (randomized === false) return ms => Math.min(ms, LONGEST_TIMEOUT)
  return ms => Math.min((randomized ?? aboutAsLong)(ms), LONGEST_TIMEOUT)
}

/**
 * From half the interval to one and a half, so that not all processes prune at once.
 *
 * @param {number} ms
 */
function aboutAsLong(ms) {
  return Math.ceil(ms / 2 + ms * Math.random())
}

exports.checkStoreOptions = checkStoreOptions
