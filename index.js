'use strict'

// The functions of pg-sess, and `connect`. Argument shapes only: no SQL and no default lives here. Described in
// index.d.ts.

const { remember, sessionsOf } = require('./lib/databases.js')
const { checkPgpAndDb, holdsConnection, namesDatabase, wrongDatabase } = require('./lib/kinds.js')
const { MaybeIgnored } = require('./lib/maybe-ignored.js')
const { checkFields, checkLength, checkOptions, isObject } = require('./lib/options.js')
const { Sessions } = require('./lib/sessions.js')

/**
 * @param {unknown} pgp
 * @param {any} db
 * @param {unknown} FIELDS
 * @param {unknown} [SLENGTH]
 * @returns {Promise<Sessions>}
 */
function init(pgp, db, FIELDS, SLENGTH) {
  try {
    checkPgpAndDb(pgp, db)
    if (holdsConnection(db)) {
      throw new TypeError('db: init takes the database itself, not a task, a transaction or a connection')
    }
    const sessions = new Sessions(db, checkFields(FIELDS, 'FIELDS'), checkLength(SLENGTH), true)
    const takeBack = remember(db, sessions)
    return new MaybeIgnored(setUp(sessions), (error, isIgnored) => {
      if (isWrongArgument(error)) {
        // What can never work must not push out sessions that do; and a mistake of the program has to be seen.
        takeBack()
        if (isIgnored) throw error
      } else if (isIgnored) {
        // A database that is not up yet is no reason to end the program; the next call tries again.
        Sessions.report(sessions, error)
      }
    })
  } catch (error) {
    return Promise.reject(error)
  }
}

/** @param {unknown} error */
function isWrongArgument(error) {
  return error instanceof TypeError || error instanceof RangeError
}

/** @param {Sessions} sessions */
async function setUp(sessions) {
  await Sessions.ready(sessions)
  return sessions
}

/**
 * @param {unknown} pgp
 * @param {unknown} db
 * @param {unknown} FIELDS
 * @param {unknown} [options]
 */
function createSession(pgp, db, FIELDS, options) {
  return call(pgp, db, options, (sessions, known) => sessions.create(FIELDS, known, 'FIELDS'))
}

/**
 * @param {unknown} pgp
 * @param {unknown} db
 * @param {unknown} SID
 * @param {unknown} [options]
 */
function validateSession(pgp, db, SID, options) {
  return call(pgp, db, options, (sessions, known) => sessions.validate(SID, known))
}

/**
 * @param {unknown} pgp
 * @param {unknown} db
 * @param {unknown} SID
 * @param {unknown} [options]
 */
function extendSession(pgp, db, SID, options) {
  return call(pgp, db, options, (sessions, known) => sessions.extend(SID, known))
}

/**
 * @param {unknown} pgp
 * @param {unknown} db
 * @param {unknown} SID
 * @param {unknown} [options]
 */
function destroySession(pgp, db, SID, options) {
  return call(pgp, db, options, (sessions, known) => sessions.destroy(SID, known))
}

/**
 * Not an async function: its caller awaits the operation's own promise, and is so seen in the stack of a failure.
 *
 * @param {unknown} pgp
 * @param {unknown} db
 * @param {unknown} options what is no object is ignored, as pg-sess ignores arguments that it does not know
 * @param {(sessions: import('./lib/databases.js').Operations, options: unknown) => Promise<any>} operation
 * @returns {Promise<any>}
 */
function call(pgp, db, options, operation) {
  try {
    checkPgpAndDb(pgp, db)
    return operation(sessionsOf(pgp, db), isObject(options) ? options : undefined)
  } catch (error) {
    return Promise.reject(error)
  }
}

/**
 * @param {unknown} connection
 * @param {unknown} options
 */
async function connect(connection, options) {
  if (!namesDatabase(connection) || holdsConnection(connection)) {
    throw new TypeError(wrongDatabase('connection', connection))
  }
  const { fields, ...others } = /** @type {{ fields?: unknown }} */ (options ?? {})
  const checked = checkOptions(others, 'options')
  const sessions = new Sessions(connection, checkFields(fields, 'options.fields'), checked, false)
  try {
    return await setUp(sessions)
  } catch (error) {
    await sessions.close()
    throw error
  }
}

exports.init = init
exports.createSession = createSession
exports.validateSession = validateSession
exports.extendSession = extendSession
exports.destroySession = destroySession
exports.connect = connect
exports.default = exports
