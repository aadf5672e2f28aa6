'use strict'

// What `pg` itself would connect to, as plain settings. pg's own code decides: precedence of strings, objects and PG*
// variables is not ours to know. No socket is opened here, and the given object is not changed.

const ownPg = require('pg')
// @ts-expect-error -- pg offers it, its typings do not
const { prepareValue } = require('pg/lib/utils')
const { describe } = require('./errors.js')
const { isOwnKind } = require('./kinds.js')

/**
 * @typedef {import('./rows.js').GetParser} GetParser
 * @typedef {import('./values.js').PrepareValue} PrepareValue
 * @typedef {{ getParser: GetParser, prepareValue: PrepareValue, DatabaseError: any }} PgFacts what is taken from the
 *   caller's copy of pg
 * @typedef {{
 *   settings: import('../native/binding.js').ConnectionSettings,
 *   pg: PgFacts,
 *   maxConnections: number | undefined,
 *   throughCaller: boolean
 * }} Resolved `throughCaller`: the caller watches or changes statements, so they must run through its own object
 */

/** pg-promise's initialisation options that see or change what is sent or what comes back. */
const WATCHING_OPTIONS = ['connect', 'query', 'receive']
/** Options of a connection that make it something else than a connection of ours. */
const FOREIGN_OPTIONS = ['stream', 'Client', 'onConnect', 'verify']
/** Timeouts that pg sends as start-up parameters; the driver can send them only inside `options`. */
const TIMEOUTS = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout']

/**
 * @param {any} source a pg-promise database, `pg.Pool`, connection string or config object
 * @returns {Resolved}
 */
function resolveConnection(source) {
  const pool = isOwnKind.pgPromise(source) ? source.$pool : isOwnKind.pool(source) ? source : undefined
  const config = pool === undefined ? source : pool.options
  const pg = isOwnKind.pgPromise(source) ? source.$config.pgp.pg : ownPg
  refuseForeign(config)
  const client = new (pool?.Client ?? ownPg.Client)(config)
  if (typeof client.getStartupConf !== 'function') {
    throw new TypeError('db: pg-native cannot be used; its connections are made by another library')
  }
  return {
    settings: readSettings(client, searchPath(source)),
    pg: { getParser: oid => client.getTypeParser(oid, 'text'), prepareValue, DatabaseError: pg.DatabaseError },
    maxConnections: givenMax(source, pool),
    throughCaller: isOwnKind.pgPromise(source) && isWatched(source)
  }
}

/** @param {any} config */
function refuseForeign(config) {
  if (typeof config === 'string') return
  for (const name of FOREIGN_OPTIONS) {
    if (config[name] !== undefined && config[name] !== null && !isPoolDefault(name, config)) {
      throw new TypeError(`connection option ${JSON.stringify(name)} cannot be carried over to the native pool`)
    }
  }
}

/**
 * pg-pool keeps its own stand-in for `verify`.
 *
 * @param {string} name
 * @param {any} config
 */
function isPoolDefault(name, config) {
  return name === 'verify' && typeof config.verify !== 'function'
}

/**
 * @param {any} client a client of pg that is never connected
 * @param {string | undefined} afterConnecting
 * @returns {import('../native/binding.js').ConnectionSettings}
 */
function readSettings(client, afterConnecting) {
  const { host, port, ssl } = client.connectionParameters
  if (ssl) throw new TypeError('connection option "ssl" is not supported by this version; connect without TLS')
  const startUp = client.getStartupConf()
  if (startUp.replication) {
    throw new TypeError('connection option "replication" cannot be carried over to the native pool')
  }
  return {
    host,
    port: Number(port),
    user: startUp.user ?? '',
    password: readPassword(client.password),
    database: startUp.database ?? startUp.user ?? '',
    applicationName: startUp.application_name,
    options: withTimeouts(startUp),
    afterConnecting
  }
}

/** @param {unknown} password */
function readPassword(password) {
  if (password === null || password === undefined) return undefined
  if (typeof password === 'string') return password
  throw new TypeError(`connection option "password": expected a string, got ${describe(password)}`)
}

/** @param {{ [name: string]: any }} startUp */
function withTimeouts(startUp) {
  const timeouts = TIMEOUTS.filter(name => startUp[name] !== undefined).map(name => `-c ${name}=${startUp[name]}`)
  const all = startUp.options ? [startUp.options, ...timeouts] : timeouts
  return all.length > 0 ? all.join(' ') : undefined
}

/**
 * What pg-promise's option `schema` makes it send on each new connection.
 *
 * @param {any} source
 */
function searchPath(source) {
  if (!isOwnKind.pgPromise(source)) return undefined
  const { options, pgp } = source.$config
  const schema = typeof options.schema === 'function' ? options.schema.call(source.$dc, source.$dc) : options.schema
  const names = [schema].flat().filter(name => typeof name === 'string' && name !== '')
  return names.length > 0 ? pgp.as.format('SET search_path TO $1:name', [names]) : undefined
}

/** @param {any} db */
function isWatched(db) {
  return WATCHING_OPTIONS.some(name => typeof db.$config.options[name] === 'function')
}

/**
 * pg-pool fills in 10 where the user gave no `max`, and then it cannot be told from a given one.
 *
 * @param {any} source
 * @param {any} pool
 */
function givenMax(source, pool) {
  if (typeof source === 'string') return undefined
  const config = isOwnKind.pgPromise(source) ? source.$cn : pool === undefined ? source : pool.options
  const max = config?.max ?? config?.poolSize
  const isFilledIn = config === pool?.options && max === 10
  return Number.isInteger(max) && max > 0 && !isFilledIn ? max : undefined
}

/**
 * What two connections to one database by one user have in common.
 *
 * @param {{ user?: string, host: string, port: number | string, database?: string | null }} settings
 */
function addressOf({ user, host, port, database }) {
  return JSON.stringify([user, host, Number(port), database])
}

exports.addressOf = addressOf
exports.resolveConnection = resolveConnection
