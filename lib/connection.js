'use strict'

// What `pg` itself would connect to, as plain settings. pg's own code decides: precedence of strings, objects and PG*
// variables is not ours to know. No socket is opened here, and the given object is not changed.

const { EventEmitter } = require('node:events')
const ownPg = require('pg')
// @ts-expect-error -- it has no typings
const pgpass = require('pgpass')
const { describe, withCode } = require('./errors.js')
const { readHosts } = require('./hosts.js')
const { isOwnKind } = require('./kinds.js')
const { resolveTls } = require('./tls.js')

/**
 * @typedef {import('./rows.js').GetParser} GetParser
 * @typedef {import('./values.js').PrepareValue} PrepareValue
 * @typedef {{ getParser: GetParser, prepareValue: PrepareValue, DatabaseError: any }} PgFacts what is taken from the
 *   caller's copy of pg
 * @typedef {{ password: () => Promise<string | null>, identity: (asked: string) => Promise<void> }} Answers what the
 *   core asks while it makes a connection; `asked`: the host's place, and certificates, DER in hexadecimal, one after
 *   the other
 * @typedef {{ hosts?: string[], targetSessionAttrs?: 'any' | 'read-write' }} Servers
 * @typedef {{
 *   settings: import('../native/binding.js').ConnectionSettings,
 *   answers: Answers,
 *   pg: PgFacts,
 *   timeouts: { connectTimeout?: number, queryTimeout?: number },
 *   maxConnections: number | undefined,
 *   address: string,
 *   throughCaller: boolean
 * }} Resolved `address`: what tells the connection from others; `throughCaller`: the caller watches or changes
 *   statements, so they must run through its own object
 */

/** pg-promise's initialisation options that see or change what is sent or what comes back. */
const WATCHING_OPTIONS = ['connect', 'query', 'receive']
/** Events of a pool whose listeners may change a connection before it is used. */
const WATCHING_EVENTS = ['connect', 'acquire']
/** Options of a connection that make it something else than a connection of ours. */
const FOREIGN_OPTIONS = ['stream', 'connection', 'Client', 'onConnect', 'verify', 'enableChannelBinding']
/** pg gives up on a server that asks for more rounds of hashing; tokio-postgres has no such limit. */
const SCRAM_ITERATIONS = 'scramMaxIterations'
const DEFAULT_SCRAM_ITERATIONS = 100_000
/** Timeouts that are start-up parameters. */
const TIMEOUTS = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout']
const PORTS = 65536
/** The shortest ErrorResponse: tag, length, and no field at all. */
const EMPTY_ERROR = Buffer.from([0x45, 0, 0, 0, 5, 0])

/**
 * @param {any} source a pg-promise database, `pg.Pool`, connection string or config object
 * @param {Servers} [servers]
 * @returns {Resolved}
 */
function resolveConnection(source, { hosts = [], targetSessionAttrs } = {}) {
  const pool = isOwnKind.pgPromise(source) ? source.$pool : isOwnKind.pool(source) ? source : undefined
  checkOpen(source)
  const config = pool === undefined ? ownCopy(source) : pool.options
  const Client = pool?.Client ?? ownPg.Client
  refuseForeign(config, Client)
  // pg makes a client of its own for each connection, and then looks at a pool's options and the environment anew.
  const newClient = () => new Client(ownCopy(config))
  const client = newClient()
  const startUp = client.getStartupConf()
  if (startUp.replication) throw foreign('replication')
  const own = readSettings(client, startUp)
  const others = readHosts(hosts, own.port)
  const { ssl, sslnegotiation } = client.connectionParameters
  const names = ssl ? [own.host, ...others.map(({ name }) => name)] : []
  const tls = names.map(name => resolveTls(ssl, name, sslnegotiation === 'direct'))
  const throughCaller = pool !== undefined && isWatched(source, pool)
  if (throughCaller && (others.length > 0 || targetSessionAttrs === 'read-write')) throw notForCaller()
  return {
    settings: {
      ...own,
      hosts: others.map((other, at) => ({ ...other, serverName: tls[at + 1]?.settings.serverName })),
      readWrite: targetSessionAttrs && targetSessionAttrs === 'read-write',
      asksPassword: true,
      keepAlive: keepAlive(config),
      afterConnecting: searchPath(source),
      tls: tls[0]?.settings
    },
    answers: {
      password: () => askPassword(newClient()),
      identity: async asked => {
        const [place, certificates] = asked.split(' ')
        tls[Number(place)].checkIdentity(Buffer.from(certificates, 'hex'))
      }
    },
    pg: {
      getParser: oid => client.getTypeParser(oid, 'text'),
      prepareValue: prepareValueOf(client),
      DatabaseError: databaseErrorOf(client)
    },
    timeouts: givenTimeouts(client, config),
    maxConnections: givenMax(source, pool),
    address: addressOf(client.connectionParameters),
    throughCaller
  }
}

/**
 * Throws if the caller has ended its pool, in the words of pg-promise or of pg-pool.
 *
 * @param {any} source
 */
function checkOpen(source) {
  if (isOwnKind.pgPromise(source) && source.$pool.ending) {
    throw new Error('Connection pool of the database object has been destroyed.')
  }
  if (isOwnKind.pool(source) && source.ending) throw new Error('Cannot use a pool after calling end on the pool')
}

/**
 * What pg may change, as it does: it hides the key in `ssl`.
 *
 * @param {any} config
 */
function ownCopy(config) {
  if (typeof config === 'string') return config
  // Pools hide the password from those who list their options.
  const copy = { ...config, password: config.password }
  const { ssl } = copy
  if (ssl?.key !== undefined) copy.ssl = { ...ssl, key: ssl.key }
  return copy
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

/**
 * The class of errors that the client's own copy of pg makes of what the server says.
 *
 * @param {any} client
 */
function databaseErrorOf({ connection }) {
  /** @type {any} */
  let found
  const stream = new EventEmitter()
  connection.once('errorMessage', (/** @type {Error} */ error) => {
    found = error.constructor
  })
  connection.attachListeners(stream)
  stream.emit('data', EMPTY_ERROR)
  return found ?? ownPg.DatabaseError
}

/**
 * @param {any} config
 * @param {any} Client
 */
function refuseForeign(config, Client) {
  if (!isPgClient(Client)) {
    throw new TypeError(
      'db: only connections of pg itself can be carried over to the native pool, ' +
        `not those of ${typeof Client.prototype?.getStartupConf === 'function' ? 'a Client of your own' : 'pg-native'}`
    )
  }
  if (typeof config === 'string') return
  for (const name of FOREIGN_OPTIONS) if (isGiven(config[name]) && !isPoolDefault(name, config)) throw foreign(name)
  const iterations = config[SCRAM_ITERATIONS]
  if (iterations > 0 && iterations < DEFAULT_SCRAM_ITERATIONS) throw foreign(SCRAM_ITERATIONS)
}

/** @param {string} option */
function foreign(option) {
  return new TypeError(`connection option ${JSON.stringify(option)} cannot be carried over to the native pool`)
}

function notForCaller() {
  return new TypeError(
    'hosts, targetSessionAttrs: statements run through your own database object, which somebody watches, and go where it leads'
  )
}

/** @param {unknown} value */
function isGiven(value) {
  return value !== undefined && value !== null && value !== false
}

/**
 * Whether it is pg's own, of whatever copy of pg, and not made from it.
 *
 * @param {any} Client
 */
function isPgClient(Client) {
  const hasStartUp = (/** @type {any} */ prototype) => typeof prototype?.getStartupConf === 'function'
  return hasStartUp(Client.prototype) && !hasStartUp(Object.getPrototypeOf(Client.prototype))
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
function readSettings({ connectionParameters: { host, port } }, startUp) {
  return {
    host,
    port: checkPort(port),
    user: text('user', startUp.user) ?? '',
    database: text('database', startUp.database) ?? startUp.user ?? '',
    applicationName: text('application_name', startUp.application_name),
    options: text('options', startUp.options),
    parameters: timeoutsOf(startUp)
  }
}

/**
 * @param {string} option
 * @param {unknown} value
 */
function text(option, value) {
  if (value === undefined || value === null) return undefined
  if (typeof value === 'string') return value
  throw new TypeError(`connection option "${option}": expected a string, got ${describe(value)}`)
}

/** @param {number} port */
function checkPort(port) {
  if (Number.isInteger(port) && port >= 0 && port < PORTS) return port
  // The words are Node's.
  const error = new RangeError(`Port should be >= 0 and < ${PORTS}. Received type number (${port}).`)
  throw withCode(error, 'ERR_SOCKET_BAD_PORT')
}

/**
 * @param {any} client
 * @returns {Promise<string | null>}
 */
async function askPassword({ password, connectionParameters }) {
  if (password === null || password === undefined) return fromPassFile(connectionParameters)
  if (typeof password !== 'function') return checkPassword(password)
  const given = await password(connectionParameters)
  if (given === undefined) return null
  if (typeof given !== 'string') throw new TypeError('Password must be a string')
  return given
}

/** @param {unknown} password */
function checkPassword(password) {
  if (typeof password === 'string') return password
  // The words are pg's.
  throw new Error('SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string')
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
 * @param {any} config
 */
function keepAlive({ keepAlive, keepAliveInitialDelayMillis }) {
  return keepAlive ? Number(keepAliveInitialDelayMillis) || 0 : undefined
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
function timeoutsOf(startUp) {
  return Object.fromEntries(TIMEOUTS.flatMap(name => (startUp[name] === undefined ? [] : [[name, startUp[name]]])))
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
  const names = Array.isArray(schema) ? schema.filter(name => name && typeof name === 'string') : schema
  const isGiven = Array.isArray(names) ? names.length > 0 : names && typeof names === 'string'
  return isGiven ? pgp.as.format('SET search_path TO $1:name', [names]) : undefined
}

/**
 * @param {any} source
 * @param {any} pool
 */
function isWatched(source, pool) {
  const handlers = source.$config?.options ?? {}
  const isHandled = WATCHING_OPTIONS.some(name => typeof handlers[name] === 'function')
  return isHandled || WATCHING_EVENTS.some(event => pool.listenerCount(event) > 0)
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
 * What two connections made from the same settings have in common. Options are part of it: they hold the search_path.
 *
 * @param {any} connectionParameters of a client of pg
 */
function addressOf({ user, host, port, database, options }) {
  return JSON.stringify([user, host, Number(port), database, options ?? null])
}

exports.addressOf = addressOf
exports.checkOpen = checkOpen
exports.resolveConnection = resolveConnection
