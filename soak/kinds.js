'use strict'

// The kinds of sessions that are at work at the same time, each with a table of its own: all programs that use one
// table must have the same settings.

/** Longer than a run, so that every id that was ever given works until the session ends. */
const GRACE = 24 * 60 * 60 * 1000

/** What each session remembers: `nonce` tells sessions apart whose ids nobody learnt. */
const FIELDS = { nonce: 'TEXT', owner: 'TEXT', one: 'INT', other: 'INT' }

/**
 * No call takes longer than both together, so a run meets many that fail.
 */
const TIMEOUTS = { connectTimeout: 2000, queryTimeout: 2000 }

/**
 * @typedef {object} Kind
 * @property {string} table
 * @property {number} [length] of a session, in ms, where sessions expire during the run
 * @property {number} [limit] of one owner's sessions
 * @property {object} options
 */

/** @type {Kind[]} */
const KINDS = [
  { table: 'plain', options: { hashIds: false } },
  { table: 'rotated', options: { refreshInterval: 500 } },
  { table: 'limited', limit: 3, options: { maxSessions: { by: 'owner', limit: 3 } } },
  { table: 'brief', length: 3000, options: { sessionLength: 3000, pruneInterval: 1000, hashIds: false } }
].map(kind => ({
  ...kind,
  options: {
    fields: FIELDS,
    tableName: kind.table,
    maxConnections: 2,
    refreshGrace: GRACE,
    ...TIMEOUTS,
    ...kind.options
  }
}))

module.exports = { KINDS, TIMEOUTS }
