'use strict'

// What `pg` itself would connect to, as plain settings. pg's own code decides: precedence of strings, objects and PG*
// variables is not ours to know. No socket is opened here, and the given object is not changed.

const ownPg = require('pg')
// @ts-expect-error -- it has no typings
const pgpass = require('pgpass')
const { isOwnKind } = require('./kinds.js')
const { resolveTls } = require('./tls.js')

/**
 * @typedef {import('./rows.js').GetParser} GetParser
 * @typedef {import('./values.js').PrepareValue} PrepareValue
 * @typedef {{ getParser: GetParser, prepareValue: PrepareValue, DatabaseError: any }} PgFacts what is taken from the
 *   caller's copy of pg
 * @typedef {{ password: () => Promise<string | null>, identity: (certificate: string) => Promise<void> }} Answers what
 *   the core asks while it makes a connection; a certificate is DER in hexadecimal
 * @typedef {{
 *   settings: import('../native/binding.js').ConnectionSettings,
 *   answers: Answers,
 *   pg: PgFacts,
 *   timeouts: { connectTimeout?: number, queryTimeout?: number },
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
  const startUp = client.getStartupConf()
  if (startUp.replication) {
    throw new TypeError('connection option "replication" cannot be carried over to the native pool')
  }
  const { host, ssl, sslnegotiation } = client.connectionParameters
  const tls = ssl ? resolveTls(ssl, host, sslnegotiation === 'direct') : undefined
  return {
    settings: {
      ...readSettings(client, startUp),
      ...passwordSettings(client),
      keepAlive: keepAlive(client, config),
      afterConnecting: searchPath(source),
      tls: tls?.settings
    },
    answers: {
      password: () => askPassword(client),
      identity: async certificate => tls?.checkIdentity(Buffer.from(certificate, 'hex'))
    },
    pg: {
      getParser: oid => client.getTypeParser(oid, 'text'),
      prepareValue: prepareValueOf(client),
      DatabaseError: pg.DatabaseError
    },
    timeouts: givenTimeouts(client, config),
    maxConnections: givenMax(source, pool),
    throughCaller: isOwnKind.pgPromise(source) && isWatched(source)
  }
}

/**
 * How the client's own copy of pg converts values, its `defaults` included: what its queries bind parameters with.
 *
 * @param {any} client
 * @returns {PrepareValue}
 */
function prepareValueOf(client) {
  /** @type {PrepareValue | undefined} */
  let found
  const nothing = () => {}
  const bind = (/** @type {{ valueMapper: PrepareValue }} */ { valueMapper }) => {
    found = valueMapper
  }
  const query = new client.constructor.Query({ text: 'SELECT', values: [] })
  query.prepare({ parse: nothing, bind, describe: nothing, execute: nothing, flush: nothing, sync: nothing })
  if (found === undefined) throw new TypeError('db: its version of pg does not convert values as pg 8 does')
  return found
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
 * @param {any} startUp the start-up parameters that it would send
 */
function readSettings(client, startUp) {
  const { host, port } = client.connectionParameters
  return {
    host,
    port: Number(port),
    user: startUp.user ?? '',
    database: startUp.database ?? startUp.user ?? '',
    applicationName: startUp.application_name,
    options: withTimeouts(startUp)
  }
}

/**
 * A function is called, and `.pgpass` read, for each new connection, so that a new password is taken up.
 *
 * @param {any} client
 */
function passwordSettings({ password }) {
  const asksPassword = typeof password === 'function' || (password === null && process.env.PGPASSWORD === undefined)
  return { asksPassword, password: asksPassword || password === null ? undefined : checkPassword(password) }
}

/** @param {unknown} password */
function checkPassword(password) {
  if (typeof password !== 'string') {
    // pg's own words, of the moment when it needs the password.
    throw new TypeError('SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string')
  }
  return password
}

/**
 * @param {any} client
 * @returns {Promise<string | null>}
 */
async function askPassword({ password, connectionParameters }) {
  if (typeof password !== 'function') return fromPassFile(connectionParameters)
  const given = await password(connectionParameters)
  if (given === undefined || given === null) return null
  if (typeof given !== 'string') throw new TypeError('Password must be a string')
  return given
}

/**
 * @param {any} connectionParameters
 * @returns {Promise<string | null>}
 */
function fromPassFile(connectionParameters) {
  return new Promise(resolve => {
    pgpass(connectionParameters, (/** @type {string | undefined} */ found) => resolve(found ?? null))
  })
}

/**
 * ms of silence before a connection is probed, 0 for the system's default.
 *
 * @param {any} client
 * @param {any} config
 */
function keepAlive({ connectionParameters }, config) {
  if (connectionParameters.keepalives !== 1) return undefined
  return config.keepAliveInitialDelayMillis ?? 0
}

/**
 * The user's own limits: ours never go beyond them.
 *
 * @param {any} client
 * @param {any} config
 */
function givenTimeouts({ connectionParameters }, config) {
  return {
    connectTimeout: positive(config.connectionTimeoutMillis),
    queryTimeout: positive(connectionParameters.query_timeout)
  }
}

/** @param {unknown} milliseconds */
function positive(milliseconds) {
  const number = Number(milliseconds)
  return milliseconds && number > 0 ? Math.ceil(number) : undefined
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
