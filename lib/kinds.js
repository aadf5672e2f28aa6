'use strict'

// Which of the things that `db` and `pgp` can be something is.

const { describe } = require('./errors.js')

/** @type {{ [kind: string]: (value: any) => boolean }} */
const isOwnKind = {
  /** pg-promise's root object. */
  root: value => typeof value === 'function' && value.pg !== undefined && value.as !== undefined,
  /** A pg-promise database. */
  pgPromise: value => isObject(value) && value.$pool !== undefined && value.$config !== undefined,
  /** A pg-promise task or transaction. */
  task: value => isObject(value) && 'ctx' in value && typeof value.any === 'function',
  /** What pg-promise's `db.connect()` gives. */
  connected: value => isObject(value) && typeof value.done === 'function' && typeof value.any === 'function',
  /** A `pg.Pool`. */
  pool: value =>
    isObject(value) &&
    typeof value.Client === 'function' &&
    typeof value.connect === 'function' &&
    isObject(value.options),
  /** A `pg.Client`, also one from a pool. */
  client: value => isObject(value) && isObject(value.connectionParameters) && typeof value.query === 'function',
  /** A config object for pg. */
  config: value => isObject(value) && isPlain(value)
}

/**
 * @param {unknown} value
 * @returns {value is { [member: string]: any }}
 */
function isObject(value) {
  return typeof value === 'object' && value !== null
}

/**
 * Of whatever realm: Jest, for one, gives each test file an `Object` of its own.
 *
 * @param {object} value
 */
function isPlain(value) {
  const prototype = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/**
 * Whether statements run through this very object, because it holds a connection of the caller.
 *
 * @param {unknown} db
 */
function holdsConnection(db) {
  return isOwnKind.task(db) || isOwnKind.connected(db) || isOwnKind.client(db)
}

/**
 * Whether there is a database to connect to behind it.
 *
 * @param {unknown} db
 */
function namesDatabase(db) {
  return typeof db === 'string' || isOwnKind.pgPromise(db) || isOwnKind.pool(db) || isOwnKind.config(db)
}

/**
 * Throws unless `pgp` and `db` are what they may be.
 *
 * @param {unknown} pgp
 * @param {unknown} db
 */
function checkPgpAndDb(pgp, db) {
  const isPgPromise = isOwnKind.pgPromise(db) || isOwnKind.task(db) || isOwnKind.connected(db)
  if (!isOwnKind.root(pgp) && (isPgPromise || (pgp !== null && pgp !== undefined))) {
    const expected = isPgPromise ? 'the root object of pg-promise' : 'the root object of pg-promise, or null'
    throw new TypeError(`pgp: expected ${expected}, got ${describe(pgp)}`)
  }
  if (!holdsConnection(db) && !namesDatabase(db)) throw new TypeError(wrongDatabase('db', db))
}

/**
 * @param {string} argument
 * @param {unknown} value
 */
function wrongDatabase(argument, value) {
  return (
    `${argument}: expected a pg-promise database, a pg.Pool, a connection string or a config object, ` +
    `got ${typeof value === 'string' ? 'a string' : describe(value)}`
  )
}

exports.checkPgpAndDb = checkPgpAndDb
exports.holdsConnection = holdsConnection
exports.isOwnKind = isOwnKind
exports.namesDatabase = namesDatabase
exports.wrongDatabase = wrongDatabase
