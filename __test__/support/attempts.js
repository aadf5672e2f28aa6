'use strict'

// Lets pg and us connect to the same, and tells what each reached or how it failed. What pg does is what we promise.

const { setTimeout: pause } = require('node:timers/promises')
const pg = require('pg')
const { connect } = require('../../index.js')

/** Nobody waits longer for a connection. */
const LIMIT = 20_000
/** What tells one failure from another. */
const FACTS_OF_ERRORS = [
  'name',
  'message',
  'code',
  'severity',
  'errno',
  'syscall',
  'address',
  'port',
  'hostname',
  'length'
]

/** @typedef {{ reached: any } | { failed: any }} Outcome */

/**
 * Both, one after the other, with these variables of the environment that pg reads, and no others.
 *
 * @param {unknown | (() => unknown)} connection a function makes a fresh one for each
 * @param {{ [name: string]: string }} [variables]
 * @returns {Promise<{ pg: Outcome, ours: Outcome }>}
 */
async function attempts(connection, variables = {}) {
  const fresh = () => (typeof connection === 'function' ? connection() : connection)
  return withVariables(variables, async () => ({
    pg: await outcome(() => byPg(fresh())),
    ours: await outcome(() => byUs(fresh()))
  }))
}

/**
 * @template T
 * @param {{ [name: string]: string }} variables
 * @param {() => Promise<T>} work
 */
async function withVariables(variables, work) {
  const before = Object.entries(process.env).filter(([name]) => /^PG[A-Z]/.test(name))
  for (const [name] of before) delete process.env[name]
  Object.assign(process.env, variables)
  try {
    return await work()
  } finally {
    for (const name of Object.keys(variables)) delete process.env[name]
    Object.assign(process.env, Object.fromEntries(before))
  }
}

/** @param {any} connection */
async function byPg(connection) {
  const client = new pg.Client(connection)
  // A connection that breaks tells it twice.
  client.on('error', () => {})
  try {
    await client.connect()
    const { rows } = await client.query('SELECT public.facts()')
    return rows[0].facts
  } finally {
    client.end().catch(() => {})
  }
}

/**
 * Sessions whose rows tell what their connection reached.
 *
 * @param {any} connection
 * @param {object} [options]
 * @returns {Promise<any>}
 */
function open(connection, options) {
  const reached = { tableName: 'reached', schemaName: 'public', fields: { facts: 'JSONB' } }
  return connect(connection, /** @type {any} */ ({ ...reached, ...options }))
}

/**
 * @param {any} connection
 * @param {object} [options]
 */
async function byUs(connection, options) {
  const sessions = await open(connection, options)
  try {
    return (await sessions.create({})).facts
  } finally {
    await sessions.close()
  }
}

/**
 * @param {() => Promise<any>} attempt
 * @returns {Promise<Outcome>}
 */
async function outcome(attempt) {
  const over = new AbortController()
  const limit = pause(LIMIT, undefined, { signal: over.signal }).then(() => {
    throw new Error(`no outcome within ${LIMIT} ms`)
  })
  try {
    return { reached: await Promise.race([attempt(), limit]) }
  } catch (error) {
    return { failed: factsOf(error) }
  } finally {
    limit.catch(() => {})
    over.abort()
  }
}

/** @param {any} error */
function factsOf(error) {
  return Object.fromEntries(FACTS_OF_ERRORS.map(name => [name, error[name]]))
}

module.exports = { attempts, byUs, factsOf, open, outcome, withVariables }
