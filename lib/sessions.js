'use strict'

// class Sessions: one method an operation, one call each. Sets the table up before the first of them.

const { resolveConnection } = require('./connection.js')
const { withCode } = require('./errors.js')
const { InTransaction } = require('./in-transaction.js')
const { Core } = require('./native.js')
const { checkValues } = require('./options.js')
const { Table } = require('./table.js')
const { traced } = require('./traced.js')

/** @typedef {import('./options.js').CheckedOptions} CheckedOptions */

/** One table of sessions. Users get it from `connect` and `init`, see index.d.ts. */
class Sessions {
  #core
  #connection
  #foldNames
  #onError
  /** Set once the table stands. @type {Table | undefined} */
  #table
  /** The set-up that is under way. @type {Promise<Table> | undefined} */
  #settingUp
  /** Set when statements have to run through the caller's own database object. @type {unknown} */
  #caller
  #closed = false
  #extendInterval

  /**
   * @param {unknown} source what to connect to
   * @param {{ field: string, datatype: string }[]} fields
   * @param {CheckedOptions} options
   * @param {boolean} foldNames
   */
  constructor(source, fields, { onError, ...options }, foldNames) {
    this.#connection = resolveConnection(source)
    const { settings, answers, pg, timeouts, maxConnections, throughCaller } = this.#connection
    this.#core = new Core(settings, fields, { maxConnections, ...timeouts, ...options, foldNames }, pg, answers)
    this.#extendInterval = Number(/** @type {any} */ (options).extendInterval ?? 0)
    this.#foldNames = foldNames
    this.#onError = onError
    this.#caller = throughCaller ? source : undefined
  }

  /**
   * The table, set up if that has not been done. A failed set-up is tried again by the next call.
   *
   * @param {Sessions} sessions
   * @returns {Promise<Table>}
   */
  static ready(sessions) {
    if (sessions.#table !== undefined) return Promise.resolve(sessions.#table)
    sessions.#settingUp ??= sessions.#setUp().finally(() => {
      sessions.#settingUp = undefined
    })
    return sessions.#settingUp
  }

  /**
   * The operations through an object that holds a connection of the caller.
   *
   * @param {Sessions} sessions
   * @param {unknown} caller
   */
  static async through(sessions, caller) {
    return new InTransaction(caller, await Sessions.ready(sessions))
  }

  /**
   * What tells its database from others.
   *
   * @param {Sessions} sessions
   */
  static address(sessions) {
    return sessions.#connection.address
  }

  /**
   * The option of this name, in ms.
   *
   * @param {Sessions} sessions
   */
  static extendInterval(sessions) {
    return sessions.#extendInterval
  }

  /**
   * Hands an error to which no call belongs to the user.
   *
   * @param {Sessions} sessions
   * @param {Error} error
   */
  static report(sessions, error) {
    if (sessions.#onError === undefined) process.emitWarning(error)
    else sessions.#onError(error)
  }

  /**
   * @param {unknown} values
   * @param {string} [argument] what errors call the values
   */
  create(values, argument = 'values') {
    return traced(this.#create(values, argument))
  }

  /** @param {unknown} sid */
  validate(sid) {
    return traced(this.#ask('validate', sid, null))
  }

  /** @param {unknown} sid */
  extend(sid) {
    return traced(this.#ask('extend', sid, false))
  }

  /** @param {unknown} sid */
  destroy(sid) {
    return traced(this.#ask('destroy', sid, false))
  }

  stats() {
    return this.#core.stats()
  }

  async close() {
    this.#closed = true
    await this.#core.close()
  }

  [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() {
    return this.close()
  }

  /**
   * @param {unknown} values
   * @param {string} argument
   */
  async #create(values, argument) {
    const entries = checkValues(values, argument)
    if (this.#closed) throw closed()
    const table = this.#table ?? (await Sessions.ready(this))
    if (this.#caller !== undefined) return new InTransaction(this.#caller, table).create(values, argument)
    const { given, values: parameters } = table.forCore(entries)
    return this.#core.create(given, parameters, table.readRow)
  }

  /**
   * @param {'validate' | 'extend' | 'destroy'} operation
   * @param {unknown} sid
   * @param {null | false} missing
   * @returns {Promise<any>}
   */
  #ask(operation, sid, missing) {
    const table = this.#table
    if (table === undefined || this.#closed || this.#caller !== undefined)
      return this.#askSlowly(operation, sid, missing)
    const decode = operation === 'validate' ? table.readRow : asItIs
    return this.#core.ask(operation, sid, missing, decode)
  }

  /**
   * @param {'validate' | 'extend' | 'destroy'} operation
   * @param {unknown} sid
   * @param {null | false} missing
   */
  async #askSlowly(operation, sid, missing) {
    if (this.#closed) throw closed()
    const table = await Sessions.ready(this)
    if (this.#caller !== undefined) return new InTransaction(this.#caller, table)[operation](sid)
    return this.#ask(operation, sid, missing)
  }

  async #setUp() {
    const description = await this.#core.setUp()
    this.#table = new Table(this.#core, description, this.#connection.pg, this.#foldNames)
    for (const note of description.notes) Sessions.report(this, withCode(new Error(note), 'PGSESS_TABLE'))
    return this.#table
  }
}

function closed() {
  return withCode(new Error('these sessions are closed'), 'PGSESS_CLOSED')
}

/** @param {unknown} outcome */
function asItIs(outcome) {
  return outcome
}

exports.Sessions = Sessions
