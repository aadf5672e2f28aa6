'use strict'

// class Sessions: one method an operation, one call each. Sets the table up before the first of them.

const { resolveConnection } = require('./connection.js')
const { withCode } = require('./errors.js')
const { InTransaction } = require('./in-transaction.js')
const { Core } = require('./native.js')
const { checkPrune, checkValues } = require('./options.js')
const { checkDestroyAll, checkList } = require('./search.js')
const { Table } = require('./table.js')
const { Watched, isWatched, watched } = require('./watched.js')

/**
 * @typedef {import('./options.js').CheckedOptions} CheckedOptions
 * @typedef {'validate' | 'extend' | 'destroy' | 'refresh'} IdOperation
 */

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
  /** For those who listen. @type {import('./watched.js').Source} */
  #source

  /**
   * @param {unknown} source what to connect to
   * @param {{ field: string, datatype: string }[]} fields
   * @param {CheckedOptions} options
   * @param {boolean} foldNames
   */
  constructor(source, fields, { onError, hosts, targetSessionAttrs, ...options }, foldNames) {
    this.#connection = resolveConnection(source, { hosts, targetSessionAttrs })
    const { settings, answers, pg, timeouts, maxConnections, throughCaller } = this.#connection
    const all = { maxConnections, ...timeouts, ...options, forFunctions: foldNames }
    const report = (/** @type {Error} */ error, /** @type {string} */ table) => {
      tell(onError, Object.assign(new Error(`prune of table ${table}: ${error.message}`, { cause: error }), { table }))
    }
    // Weakly: the core is held by what holds its sessions.
    const itself = new WeakRef(this)
    const changed = () => {
      const sessions = itself.deref()
      if (sessions !== undefined) sessions.#describeAgain()
    }
    this.#core = new Core(settings, fields, all, pg, answers, { report, changed })
    this.#extendInterval = options.extendInterval ?? 0
    this.#foldNames = foldNames
    this.#onError = onError
    this.#source = { table: this.#core.tableName }
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
    return new Watched(new InTransaction(caller, await Sessions.ready(sessions)), sessions.#source)
  }

  /**
   * The statements that make the table where there is none. Asks no server.
   *
   * @param {Sessions} sessions
   * @returns {Promise<string[]>}
   */
  static tableStatements(sessions) {
    return sessions.#core.tableStatements()
  }

  /**
   * How many sessions the table holds, and how much room it takes.
   *
   * @param {Sessions} sessions
   * @returns {Promise<{ live: number, expired: number, bytes: number }>}
   */
  static async figures(sessions) {
    await Sessions.ready(sessions)
    return sessions.#core.figures()
  }

  /**
   * How many sessions there are to import.
   *
   * @param {Sessions} sessions
   * @param {import('./native.js').Import} asked
   * @returns {Promise<number>}
   */
  static async importTotal(sessions, asked) {
    await Sessions.ready(sessions)
    return sessions.#core.importTotal(asked)
  }

  /**
   * Copies the next sessions of an import.
   *
   * @param {Sessions} sessions
   * @param {import('./native.js').Import} asked
   * @param {string | null} after
   * @returns {Promise<import('./native.js').Imported>}
   */
  static async import(sessions, asked, after) {
    await Sessions.ready(sessions)
    return sessions.#core.import(asked, after)
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
    tell(sessions.#onError, error)
  }

  /**
   * @param {unknown} values
   * @param {string} [argument] what errors call the values
   */
  create(values, argument = 'values') {
    return isWatched('create') ? this.#createWatched(values, argument) : this.#create(values, argument)
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

  /**
   * @param {unknown} where
   * @param {unknown} [options]
   */
  list(where, options) {
    return watched('list', this.#source, () => this.#list(where, options))
  }

  /**
   * @param {unknown} where
   * @param {unknown} [options]
   */
  destroyAll(where, options) {
    return watched('destroyAll', this.#source, () => this.#destroyAll(where, options))
  }

  /** @param {unknown} [options] */
  prune(options) {
    return watched('prune', this.#source, () => this.#prune(options))
  }

  /** @param {unknown} sid */
  handle(sid) {
    return this.#core.handle(sid)
  }

  /** @param {unknown} sid */
  refresh(sid) {
    return this.#ask('refresh', sid, null)
  }

  /**
   * @param {unknown} sid
   * @param {unknown} values
   */
  update(sid, values) {
    return watched('update', this.#source, () => this.#update(sid, values))
  }

  async hashPlainIds() {
    if (this.#closed) throw closed()
    await Sessions.ready(this)
    return this.#core.hashPlainIds()
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
   * @param {unknown} values
   * @param {string} argument
   */
  #createWatched(values, argument) {
    return watched('create', this.#source, () => this.#create(values, argument))
  }

  /**
   * @param {unknown} values
   * @param {string} argument
   */
  #create(values, argument) {
    try {
      const entries = checkValues(values, argument)
      const table = this.#readyTable()
      return table === undefined ? this.#createSlowly(entries) : this.#submit(table, entries)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * @param {Table} table
   * @param {[string, unknown][]} entries
   * @returns {Promise<any>}
   */
  #submit(table, entries) {
    const { given, values } = table.forCore(entries)
    return this.#core.create(given, values)
  }

  /** @param {[string, unknown][]} entries */
  async #createSlowly(entries) {
    if (this.#closed) throw closed()
    const table = await Sessions.ready(this)
    return this.#caller === undefined
      ? this.#submit(table, entries)
      : new InTransaction(this.#caller, table).createFrom(entries)
  }

  /**
   * @param {unknown} where
   * @param {unknown} options
   */
  async #list(where, options) {
    const { limit, ...asked } = checkList(where, options)
    if (this.#closed) throw closed()
    const table = this.#table ?? (await Sessions.ready(this))
    if (table.hasHandleField) {
      throw withCode(
        new Error('list: this table has a field "handle", where the session\'s handle goes'),
        'PGSESS_TABLE'
      )
    }
    const search = table.search(asked)
    if (this.#caller !== undefined) return new InTransaction(this.#caller, table).list(search, limit)
    return this.#core.list(JSON.stringify(search), limit)
  }

  /**
   * On connections of the core in any case: it names no session, and one that the caller lends would be lent for long.
   *
   * @param {unknown} options
   */
  async #prune(options) {
    const signal = checkPrune(options)
    signal?.throwIfAborted()
    if (this.#closed) throw closed()
    await Sessions.ready(this)
    signal?.throwIfAborted()
    return this.#core.prune(signal)
  }

  /**
   * @param {unknown} where
   * @param {unknown} options
   */
  async #destroyAll(where, options) {
    const asked = checkDestroyAll(where, options)
    if (this.#closed) throw closed()
    const table = this.#table ?? (await Sessions.ready(this))
    const search = table.search(asked)
    if (this.#caller !== undefined) return new InTransaction(this.#caller, table).destroyAll(search)
    return this.#core.destroyAll(JSON.stringify(search))
  }

  /**
   * @param {unknown} sid
   * @param {unknown} values
   */
  #update(sid, values) {
    try {
      const entries = checkValues(values, 'values')
      const table = this.#readyTable()
      return table === undefined ? this.#updateSlowly(sid, entries) : this.#submitUpdate(table, sid, entries)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * @param {Table} table
   * @param {unknown} sid
   * @param {[string, unknown][]} entries
   */
  #submitUpdate(table, sid, entries) {
    const { given, values } = table.forCore(entries)
    return this.#core.update(sid, given, values)
  }

  /**
   * @param {unknown} sid
   * @param {[string, unknown][]} entries
   */
  async #updateSlowly(sid, entries) {
    if (this.#closed) throw closed()
    const table = await Sessions.ready(this)
    return this.#caller === undefined
      ? this.#submitUpdate(table, sid, entries)
      : new InTransaction(this.#caller, table).update(sid, entries)
  }

  /**
   * @param {IdOperation} operation
   * @param {unknown} sid
   * @param {null | false} missing
   * @returns {Promise<any>}
   */
  #ask(operation, sid, missing) {
    return isWatched(operation) ? this.#askWatched(operation, sid, missing) : this.#send(operation, sid, missing)
  }

  /**
   * Apart from `#ask`, which would have to make room for the function at each call.
   *
   * @param {IdOperation} operation
   * @param {unknown} sid
   * @param {null | false} missing
   */
  #askWatched(operation, sid, missing) {
    return watched(operation, this.#source, () => this.#send(operation, sid, missing))
  }

  /**
   * @param {IdOperation} operation
   * @param {unknown} sid
   * @param {null | false} missing
   * @returns {Promise<any>}
   */
  #send(operation, sid, missing) {
    return this.#readyTable() === undefined
      ? this.#askSlowly(operation, sid, missing)
      : this.#core.ask(operation, sid, missing)
  }

  /**
   * @param {IdOperation} operation
   * @param {unknown} sid
   * @param {null | false} missing
   */
  async #askSlowly(operation, sid, missing) {
    if (this.#closed) throw closed()
    const table = await Sessions.ready(this)
    // The core says what is missing.
    const isForCore = this.#caller === undefined || (operation === 'refresh' && table.statements.refresh === null)
    return isForCore ? this.#core.ask(operation, sid, missing) : new InTransaction(this.#caller, table)[operation](sid)
  }

  async #setUp() {
    const description = await this.#core.setUp()
    return this.#describe(description)
  }

  /** The type of a column has changed. */
  #describeAgain() {
    this.#describe(this.#core.describe())
  }

  /** @param {import('./table.js').Description} description */
  #describe(description) {
    const table = new Table(this.#core, description, this.#connection.pg, this.#foldNames)
    this.#core.setReader(table.reader)
    this.#table = table
    for (const note of description.notes) Sessions.report(this, withCode(new Error(note), 'PGSESS_TABLE'))
    return table
  }
}

/**
 * @param {((error: Error) => void) | undefined} onError
 * @param {Error} error
 */
function tell(onError, error) {
  if (onError === undefined) process.emitWarning(error)
  else onError(error)
}

function closed() {
  return withCode(new Error('these sessions are closed'), 'PGSESS_CLOSED')
}

exports.Sessions = Sessions
