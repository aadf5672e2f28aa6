'use strict'

// Errors after which the answer has status 503: the database could not be asked.

const { withCode } = require('../errors.js')

/** As http-errors marks its own, which Express and other frameworks ask for. */
const MARKS = { status: 503, statusCode: 503, expose: false }
/** Ours, and those of the system such as ECONNREFUSED; Node's own begin with ERR_. */
const CODE = /^(PGSESS_(TIMEOUT|CLOSED|QUEUE_FULL|READ_ONLY)|E(?!RR_)[A-Z]+)$/
/**
 * Connections, conflicts, resources, locks, operators, systems, defects of the server, and a server that takes no writes.
 *
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const SQLSTATE = /^((08|40|53|55|57|58|XX)[0-9A-Z]{3}|25006)$/
/** A connection that broke has pg's words, and no code. */
const BROKEN = 'Connection terminated unexpectedly'

/**
 * Why it is not known whether there is a session.
 *
 * @param {unknown} cause
 */
function unavailable(cause) {
  const error = new Error('the sessions cannot be reached', { cause })
  return Object.assign(withCode(error, 'PGSESS_UNAVAILABLE'), MARKS)
}

/**
 * What came of a call of the app's. Its error stays what it is, but has status 503 if it says nothing of what was asked.
 *
 * @template T
 * @param {Promise<T>} call
 * @returns {Promise<T>}
 */
async function marked(call) {
  try {
    return await call
  } catch (error) {
    throw isAway(error) ? Object.assign(error, MARKS) : error
  }
}

/**
 * @param {any} error
 * @returns {error is Error}
 */
function isAway(error) {
  if (!(error instanceof Error)) return false
  const { code } = /** @type {{ code?: unknown }} */ (error)
  if (code === undefined) return error.message === BROKEN
  return typeof code === 'string' && (CODE.test(code) || SQLSTATE.test(code))
}

exports.marked = marked
exports.unavailable = unavailable
