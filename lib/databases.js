'use strict'

// Which `db` has which Sessions. Objects are known by their identity, strings by their text. A task, transaction or
// connection of the caller does not know its database: it is found among those that were initialised.

const { addressOf, checkOpen } = require('./connection.js')
const { withCode } = require('./errors.js')
const { holdsConnection, isOwnKind } = require('./kinds.js')
const { Sessions } = require('./sessions.js')

/**
 * @typedef {Sessions | import('./watched.js').Watched} Operations
 * @typedef {{ sessions: Sessions, pgp: unknown, dc: unknown, address: string }} Home an initialised database, and what
 *   tells it from others
 */

/** @type {WeakMap<object, Home>} */
const byObject = new WeakMap()
/** @type {Map<string, Home>} */
const byString = new Map()
/** All of them, as long as their databases live. @type {Set<WeakRef<Home>>} */
const all = new Set()

/**
 * What a database is known by. pg-promise's `$pool` stays the same object for the life of a database.
 *
 * @param {any} db
 */
function keyOf(db) {
  return isOwnKind.pgPromise(db) ? db.$pool : db
}

/** @param {any} db */
function homeOf(db) {
  const key = keyOf(db)
  return typeof key === 'string' ? byString.get(key) : byObject.get(key)
}

/**
 * Makes `sessions` those of `db`, in place of earlier ones.
 *
 * @param {any} db
 * @param {Sessions} sessions
 * @returns {() => void} brings the earlier ones back
 */
function remember(db, sessions) {
  const [pgp, dc] = isOwnKind.pgPromise(db) ? [db.$config.pgp, db.$dc] : [undefined, undefined]
  const home = { sessions, pgp, dc, address: Sessions.address(sessions) }
  const earlier = homeOf(db)
  settle(db, home, earlier)
  return () => {
    if (earlier !== undefined && homeOf(db) === home) settle(db, earlier, home)
  }
}

/**
 * @param {any} db
 * @param {Home} home
 * @param {Home | undefined} former
 */
function settle(db, home, former) {
  const key = keyOf(db)
  if (typeof key === 'string') byString.set(key, home)
  else byObject.set(key, home)
  for (const reference of all) {
    const known = reference.deref()
    if (known === undefined || known === former) all.delete(reference)
  }
  all.add(new WeakRef(home))
}

/**
 * Who answers for `db`: its Sessions, or the same operations through the object that `db` is.
 *
 * @param {unknown} pgp
 * @param {any} db
 * @returns {Operations}
 */
function sessionsOf(pgp, db) {
  if (holdsConnection(db)) return Sessions.through(findHome(pgp, db).sessions, db)
  const home = homeOf(db)
  if (home === undefined) throw notInitialised('this `db`')
  checkOpen(db)
  return home.sessions
}

/**
 * @param {unknown} pgp
 * @param {any} caller
 * @returns {Home}
 */
function findHome(pgp, caller) {
  const homes = [...all].flatMap(reference => reference.deref() ?? [])
  const found = homes.filter(home => mayBelong(home, pgp, caller))
  if (found.length === 1) return found[0]
  if (found.length === 0) throw notInitialised('the database of this task, transaction or connection')
  const advice = isOwnKind.client(caller)
    ? 'initialise only one of those that connect alike'
    : 'give each database a context of its own, the second argument of pgp(…), to tell them apart'
  const message = `this task, transaction or connection may belong to ${found.length} initialised databases; ${advice}`
  throw withCode(new Error(message), 'PGSESS_NOT_INITIALISED')
}

/**
 * @param {Home} home
 * @param {unknown} pgp
 * @param {any} caller
 */
function mayBelong(home, pgp, caller) {
  if (isOwnKind.task(caller)) return home.pgp === pgp && home.dc === caller.ctx.dc
  const client = isOwnKind.client(caller) ? caller : caller.client
  return home.address === addressOf(client.connectionParameters)
}

/** @param {string} what */
function notInitialised(what) {
  return withCode(
    new Error(`${what} was never initialised: call init(pgp, db, FIELDS) with the same database first`),
    'PGSESS_NOT_INITIALISED'
  )
}

exports.remember = remember
exports.sessionsOf = sessionsOf
