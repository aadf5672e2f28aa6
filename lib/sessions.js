'use strict'

// class Sessions: one method an operation, one call each. Sets the table up before the first of them.

const { abortable } = require('./abortable.js')
const { resolveConnection } = require('./connection.js')
const { withCode } = require('./errors.js')
const { InTransaction } = require('./in-transaction.js')
const { Core } = require('./native.js')
const { checkValues } = require('./options.js')
const { checkDestroyAll, checkList, signalOfSearch } = require('./search.js')
const { Table } = require('./table.js')
const { Watched, isWatched, watched } = require('./watched.js')

/**
 * @typedef {import('./options.js').CheckedOptions} CheckedOptions
 * @typedef {'validate' | 'extend' | 'destroy' | 'refresh'} IdOperation
 * @typedef {import('./abortable.js').Abort} Abort
 * @typedef {{ values: unknown, argument: string, replaced: string | null }} New a session to be made. `argument`: what errors
 *   call the values; `replaced`: the id of the session in whose place it comes
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
  static through(sessions, caller) {
    const through = async (/** @type {Abort | undefined} */ abort) => {
      return new InTransaction(caller, await Sessions.ready(sessions), abort)
    }
    return new Watched(through, sessions.#source)
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
   * The fields that the table has, whether they were asked for or not.
   *
   * @param {Sessions} sessions
   * @returns {Promise<{ field: string, datatype: string }[]>}
   */
  static async foundFields(sessions) {
    await Sessions.ready(sessions)
    return sessions.#core.foundFields()
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
   * A new session in the place of one that the caller ends afterwards. Where there is a limit, that one is the first to
   * end: it must not cost the user another.
   *
   * @param {Sessions} sessions
   * @param {string | undefined} replaced its id, if there is one
   * @param {unknown} values
   * @param {unknown} options
   */
  static replace(sessions, replaced, values, options) {
    return sessions.#createFor({ values, argument: 'values', replaced: replaced ?? null }, options)
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
   * @param {unknown} [options]
   * @param {string} [argument] what errors call the values
   */
  create(values, options, argument = 'values') {
    return this.#createFor({ values, argument, replaced: null }, options)
  }

  /**
   * @param {unknown} sid
   * @param {unknown} [options]
   */
  validate(sid, options) {
    return this.#ask('validate', sid, null, options)
  }

  /**
   * @param {unknown} sid
   * @param {unknown} [options]
   */
  extend(sid, options) {
    return this.#ask('extend', sid, false, options)
  }

  /**
   * @param {unknown} sid
   * @param {unknown} [options]
   */
  destroy(sid, options) {
    return this.#ask('destroy', sid, false, options)
  }

  /**
   * @param {unknown} where
   * @param {unknown} [options]
   */
  list(where, options) {
    return watched('list', this.#source, () =>
      abortable(options, abort => this.#list(where, options, abort), signalOfSearch)
    )
  }

  /**
   * @param {unknown} where
   * @param {unknown} [options]
   */
  destroyAll(where, options) {
    return watched('destroyAll', this.#source, () =>
      abortable(options, abort => this.#destroyAll(where, options, abort), signalOfSearch)
    )
  }

  /** @param {unknown} [options] */
  prune(options) {
    return watched('prune', this.#source, () => abortable(options, abort => this.#prune(abort)))
  }

  /** @param {unknown} sid */
  handle(sid) {
    return this.#core.handle(sid)
  }

  /**
   * @param {unknown} sid
   * @param {unknown} [options]
   */
  refresh(sid, options) {
    return this.#ask('refresh', sid, null, options)
  }

  /**
   * @param {unknown} sid
   * @param {unknown} values
   * @param {unknown} [options]
   */
  update(sid, values, options) {
    return watched('update', this.#source, () => abortable(options, abort => this.#update(sid, values, abort)))
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
   * @param {New} asked
   * @param {unknown} options
   */
  #createFor(asked, options) {
    if (options === undefined && !isWatched('create')) return this.#create(asked)
    return watched('create', this.#source, () => abortable(options, abort => this.#create(asked, abort)))
  }

  /**
   * @param {New} asked
   * @param {Abort} [abort]
   */
  #create({ values, argument, replaced }, abort) {
    try {
      const entries = checkValues(values, argument)
      const table = this.#readyTable()
      return table === undefined
        ? this.#createSlowly(entries, replaced, abort)
        : this.#submit(table, entries, replaced, abort)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * @param {Table} table
   * @param {[string, unknown][]} entries
   * @param {string | null} replaced
   * @param {Abort | undefined} abort
   * @returns {Promise<any>}
   */
  #submit(table, entries, replaced, abort) {
    const { given, values } = table.forCore(entries)
    return this.#core.create(given, values, replaced, abort)
  }

  /**
   * @param {[string, unknown][]} entries
   * @param {string | null} replaced
   * @param {Abort | undefined} abort
   */
  async #createSlowly(entries, replaced, abort) {
    const table = await this.#readyFor(abort)
    return this.#caller === undefined
      ? this.#submit(table, entries, replaced, abort)
      : new InTransaction(this.#caller, table, abort).createFrom(entries, replaced)
  }

  /**
   * The table, for a call that may have been aborted by the time it stands.
   *
   * @param {Abort | undefined} abort
   */
  async #readyFor(abort) {
    if (this.#closed) throw closed()
    const table = this.#table ?? (await Sessions.ready(this))
    abort?.check()
    return table
  }

  /**
   * @param {unknown} where
   * @param {unknown} options
   * @param {Abort | undefined} abort
   */
  async #list(where, options, abort) {
    const { limit, ...asked } = checkList(where, options)
    const table = await this.#readyFor(abort)
    if (table.hasHandleField) {
      throw withCode(
        new Error('list: this table has a field "handle", where the session\'s handle goes'),
        'PGSESS_TABLE'
      )
    }
    const search = table.search(asked)
    if (this.#caller !== undefined) return new InTransaction(this.#caller, table, abort).list(search, limit)
    return this.#core.list(JSON.stringify(search), limit, abort)
  }

  /**
   * On connections of the core in any case: it names no session, and one that the caller lends would be lent for long.
   *
   * @param {Abort | undefined} abort
   */
  async #prune(abort) {
    await this.#readyFor(abort)
    return this.#core.prune(abort)
  }

  /**
   * @param {unknown} where
   * @param {unknown} options
   * @param {Abort | undefined} abort
   */
  async #destroyAll(where, options, abort) {
    const asked = checkDestroyAll(where, options)
    const table = await this.#readyFor(abort)
    const search = table.search(asked)
    if (this.#caller !== undefined) return new InTransaction(this.#caller, table, abort).destroyAll(search)
    return this.#core.destroyAll(JSON.stringify(search), abort)
  }

  /**
   * @param {unknown} sid
   * @param {unknown} values
   * @param {Abort | undefined} abort
   */
  #update(sid, values, abort) {
    try {
      const entries = checkValues(values, 'values')
      const table = this.#readyTable()
      return table === undefined
        ? this.#updateSlowly(sid, entries, abort)
        : this.#submitUpdate(table, sid, entries, abort)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * @param {Table} table
   * @param {unknown} sid
   * @param {[string, unknown][]} entries
   * @param {Abort | undefined} abort
   */
  #submitUpdate(table, sid, entries, abort) {
    const { given, values } = table.forCore(entries)
    return this.#core.update(sid, given, values, abort)
  }

  /**
   * @param {unknown} sid
   * @param {[string, unknown][]} entries
   * @param {Abort | undefined} abort
   */
  async #updateSlowly(sid, entries, abort) {
    const table = await this.#readyFor(abort)
    return this.#caller === undefined
      ? this.#submitUpdate(table, sid, entries, abort)
      : new InTransaction(this.#caller, table, abort).update(sid, entries)
  }

  /**
   * @param {IdOperation} operation
   * @param {unknown} sid
   * @param {null | false} missing
   * @param {unknown} options
   * @returns {Promise<any>}
   */
  #ask(operation, sid, missing, options) {
    return options !== undefined || isWatched(operation)
      ? this.#askWatched(operation, sid, missing, options)
      : this.#send(operation, sid, missing)
  }

  /**
   * Apart from `#ask`, which would have to make room for the functions at each call.
   *
   * @param {IdOperation} operation
   * @param {unknown} sid
   * @param {null | false} missing
   * @param {unknown} options
   */
  #askWatched(operation, sid, missing, options) {
    return watched(operation, this.#source, () =>
      abortable(options, abort => this.#send(operation, sid, missing, abort))
    )
  }

  /**
   * @param {IdOperation} operation
   * @param {unknown} sid
   * @param {null | false} missing
   * @param {Abort} [abort]
   * @returns {Promise<any>}
   */
  #send(operation, sid, missing, abort) {
    return this.#readyTable() === undefined
      ? this.#askSlowly(operation, sid, missing, abort)
      : this.#core.ask(operation, sid, missing, abort)
  }

  /**
   * @param {IdOperation} operation
   * @param {unknown} sid
   * @param {null | false} missing
   * @param {Abort | undefined} abort
   */
  async #askSlowly(operation, sid, missing, abort) {
    const table = await this.#readyFor(abort)
    // The core says what is missing.
    const isForCore = this.#caller === undefined || (operation === 'refresh' && table.statements.refresh === null)
    return isForCore
      ? this.#core.ask(operation, sid, missing, abort)
      : new InTransaction(this.#caller, table, abort)[operation](sid)
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
