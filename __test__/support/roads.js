'use strict'

// The ways a call can take to the database. All of them promise the same, so one suite runs over each.

const pg = require('pg')
const { createSession, destroySession, extendSession, init, validateSession } = require('../../index.js')
const { age } = require('./place.js')

/**
 * @typedef {object} Operations
 * @property {(values: unknown) => Promise<any>} create
 * @property {(sid: unknown) => Promise<any>} validate
 * @property {(sid: unknown) => Promise<boolean>} extend
 * @property {(sid: unknown) => Promise<boolean>} destroy
 * @property {(text: string, values?: unknown[]) => Promise<any[]>} query asks where the sessions' rows can be seen
 * @property {(sid: string, interval: string) => Promise<void>} ageSession
 * @property {new (...args: any[]) => Error} DatabaseError
 */

/** @typedef {(place: any, fields: object, sessionLength?: number) => Promise<Operations>} Open */

/** @type {{ name: string, ownDatabase?: boolean, open: Open }[]} */
const ROADS = [
  { name: 'connect', open: overConnect({}) },
  { name: 'connect without batches', open: overConnect({ batch: false }) },
  { name: 'connect without prepared statements', open: overConnect({ prepare: false }) },
  { name: 'the functions with a pg-promise database', open: overPgPromise },
  { name: 'the functions with a pg.Pool', open: overInit(place => place.pool()) },
  { name: 'the functions with a connection string', open: overInit(place => place.url) },
  { name: 'the functions with a config object', open: overInit(place => place.config()) },
  { name: 'the functions in a pg-promise transaction', open: overTransaction },
  // A client of pg says where it is connected to, not which pool it came from: no other test may have used its address.
  { name: 'the functions with a client of a pg.Pool, after BEGIN', ownDatabase: true, open: overPoolClient }
]

/**
 * @param {object} options
 * @returns {Open}
 */
function overConnect(options) {
  return async (place, fields, sessionLength) => {
    const sessions = await place.sessions({ fields, sessionLength, ...options })
    return {
      create: values => sessions.create(values),
      validate: sid => sessions.validate(sid),
      extend: sid => sessions.extend(sid),
      destroy: sid => sessions.destroy(sid),
      ...besides((text, values) => place.query(text, values), pg)
    }
  }
}

/** @type {Open} */
async function overPgPromise(place, fields, sessionLength) {
  const { pgp, db } = place.pgPromise()
  await place.closing(init(pgp, db, fields, sessionLength))
  return theFunctions(pgp, db, (text, values) => place.query(text, values))
}

/**
 * @param {(place: any) => unknown} connection
 * @returns {Open}
 */
function overInit(connection) {
  return async (place, fields, sessionLength) => {
    const db = connection(place)
    await place.closing(init(null, db, fields, sessionLength))
    return theFunctions(null, db, (text, values) => place.query(text, values))
  }
}

/** @type {Open} */
async function overTransaction(place, fields, sessionLength) {
  const { pgp, db } = place.pgPromise()
  await place.closing(init(pgp, db, fields, sessionLength))
  const tx = await beginTransaction(place, db)
  return theFunctions(pgp, tx, (text, values) => tx.any({ text, values }))
}

/** @type {Open} */
async function overPoolClient(place, fields, sessionLength) {
  const pool = place.pool()
  await place.closing(init(null, pool, fields, sessionLength))
  const client = await pool.connect()
  place.defer(() => client.release(true))
  await client.query('BEGIN')
  return theFunctions(null, client, async (text, values) => (await client.query(text, values)).rows)
}

/**
 * A transaction that stays open until the test is over.
 *
 * @param {any} place
 * @param {any} db
 * @returns {Promise<any>}
 */
function beginTransaction(place, db) {
  return new Promise((resolve, reject) => {
    const ended = db.tx(
      tx =>
        new Promise(end => {
          place.defer(() => {
            end(undefined)
            return ended
          })
          resolve(tx)
        })
    )
    ended.catch(reject)
  })
}

/**
 * @param {any} pgp
 * @param {any} db
 * @param {Operations['query']} query
 * @returns {Operations}
 */
function theFunctions(pgp, db, query) {
  return {
    create: values => createSession(pgp, db, values),
    validate: sid => validateSession(pgp, db, sid),
    extend: sid => extendSession(pgp, db, sid),
    destroy: sid => destroySession(pgp, db, sid),
    ...besides(query, pgp?.pg ?? pg)
  }
}

/**
 * @param {Operations['query']} query
 * @param {{ DatabaseError: any }} classes
 */
function besides(query, { DatabaseError }) {
  /** @type {Operations['ageSession']} */
  const ageSession = (sid, interval) => age(query, sid, interval)
  return { query, ageSession, DatabaseError }
}

module.exports = { ROADS }
