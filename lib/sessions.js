'use strict'

// class Sessions: one method an operation, one call each. Sets the table up before the first of them.

const { resolveConnection } = require('./connection.js')
const { withCode } = require('./errors.js')
const { InTransaction } = require('./in-transaction.js')
const { Core } = require('./native.js')
const { checkValues } = require('./options.js')
const { Table } = require('./table.js')

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
    try {
      const entries = checkValues(values, argument)
      const table = this.#readyTable()
      return table === undefined ? this.#createSlowly(entries) : this.#create(table, entries)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** @param {unknown} sid */
  validate(sid) {
    return this.#ask('validate', sid, null)
  }

  /** @param {unknown} sid */
  extend(sid) {
    return this.#ask('extend', sid, false)
  }

  /** @param {unknown} sid */
  destroy(sid) {
    return this.#ask('destroy', sid, false)
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

  /** The table, if calls can go to the core right away. */
  #readyTable() {
    return this.#closed || this.#caller !== undefined ? undefined : this.#table
  }

  /**
   * @param {Table} table
   * @param {[string, unknown][]} entries
   * @returns {Promise<any>}
   */
  #create(table, entries) {
    const { given, values } = table.forCore(entries)
    return this.#core.create(given, values)
  }

  /** @param {[string, unknown][]} entries */
  async #createSlowly(entries) {
    if (this.#closed) throw closed()
    const table = await Sessions.ready(this)
    return this.#caller === undefined
      ? this.#create(table, entries)
      : new InTransaction(this.#caller, table).createFrom(entries)
  }

  /**
   * @param {'validate' | 'extend' | 'destroy'} operation
   * @param {unknown} sid
   * @param {null | false} missing
   * @returns {Promise<any>}
   */
  #ask(operation, sid, missing) {
    return this.#readyTable() === undefined
      ? this.#askSlowly(operation, sid, missing)
      : this.#core.ask(operation, sid, missing)
  }

  /**
   * @param {'validate' | 'extend' | 'destroy'} operation
   * @param {unknown} sid
   * @param {null | false} missing
   */
  async #askSlowly(operation, sid, missing) {
    if (this.#closed) throw closed()
    const table = await Sessions.ready(this)
    return this.#caller === undefined
      ? this.#core.ask(operation, sid, missing)
      : new InTransaction(this.#caller, table)[operation](sid)
  }

  async #setUp() {
    const description = await this.#core.setUp()
    const table = new Table(this.#core, description, this.#connection.pg, this.#foldNames)
    this.#core.setReader((answer, sid) => table.reader.read(answer, sid))
    this.#table = table
    for (const note of description.notes) Sessions.report(this, withCode(new Error(note), 'PGSESS_TABLE'))
    return table
  }
}

function closed() {
  return withCode(new Error('these sessions are closed'), 'PGSESS_CLOSED')
}

exports.Sessions = Sessions
