'use strict'

// The same statements through an object of the caller: a task, a transaction, a connection. They commit and roll back
// with the caller's own work, and pg reads their rows with its own type parsers. The SQL comes from the core.

const { isOwnKind } = require('./kinds.js')
const { checkValues } = require('./options.js')
const { inTransaction } = require('./own-transaction.js')
const { parametersForPg } = require('./search.js')

/** How often rows that do not go are looked at. */
const MOST_LOOKS = 10

/**
 * @typedef {import('./table.js').Table} Table
 * @typedef {{ [column: string]: unknown }} Row
 */

/** The operations, through an object that holds a connection. */
class InTransaction {
  #caller
  #table
  #abort

  /**
   * @param {any} caller
   * @param {Table} table
   * @param {import('./abortable.js').Abort | undefined} abort
   */
  constructor(caller, table, abort) {
    this.#caller = caller
    this.#table = table
    this.#abort = abort
  }

  /**
   * @param {unknown} fields
   * @param {string} argument what errors call the fields
   */
  async create(fields, argument) {
    return this.createFrom(checkValues(fields, argument))
  }

  /**
   * @param {[string, unknown][]} entries values that were checked
   * @param {string | null} [replaced] the id of the session in whose place it comes
   */
  async createFrom(entries, replaced = null) {
    const { given, values } = this.#table.forPg(entries)
    const { limit } = this.#table
    const id = this.#table.newId()
    const old = replaced === null ? [] : this.#table.storedIds(replaced)
    const isUnlimited = limit === null || isNull(values, given.indexOf(limit[0]))
    const row = isUnlimited
      ? await this.#insert(id, given, values)
      : await inTransaction(this.#caller, caller =>
          new InTransaction(caller, this.#table, this.#abort).#createLimited(limit, [id, old], given, values)
        )
    return this.#table.reader.finish(row, id)
  }

  /**
   * @param {string} id
   * @param {number[]} given
   * @param {unknown[]} values
   */
  async #insert(id, given, values) {
    const stored = this.#table.storedId(id)
    const [row] = await this.#query(this.#table.createStatement(given), [stored, ...values])
    return row
  }

  /**
   * See src/operations/limit.rs.
   *
   * @param {import('./table.js').Limit} limit
   * @param {[id: string, old: string[]]} ids the new one, and those under which the session may stand in whose place it comes
   * @param {number[]} given
   * @param {unknown[]} values
   */
  async #createLimited([place, [lockValue, lockInserted, trim]], [id, old], given, values) {
    const made = [this.#table.storedId(id)]
    const at = given.indexOf(place)
    if (at >= 0) checkIsolation(await this.#query(lockValue, [values[at]]))
    const row = await this.#insert(id, given, values)
    if (at < 0) checkIsolation(await this.#query(lockInserted, [made]))
    // Twice: a session that gets a new id while its lock is awaited escapes the first.
    await this.#query(trim, [made, old])
    await this.#query(trim, [made, old])
    return row
  }

  /** @param {unknown} sid */
  async validate(sid) {
    const id = this.#table.readId(sid)
    if (id === null) return null
    const { validate, trail } = this.#table.statements
    const stored = this.#table.storedIds(id)
    const [row] = await this.#query(validate, [stored])
    if (row !== undefined || trail === null) return this.#row(id, row)
    return this.#rowOfTrail(id, await this.#query(trail, [stored]))
  }

  /** @param {unknown} sid */
  async extend(sid) {
    return (await this.#ask('extend', sid)).length > 0
  }

  /** @param {unknown} sid */
  async destroy(sid) {
    return (await this.#ask('destroy', sid)).length > 0
  }

  /**
   * @param {import('./search.js').Search} search
   * @param {number | undefined} limit
   */
  async list(search, limit = this.#table.listLimit) {
    const rows = await this.#query(this.#table.listStatement(search), [limit, ...this.#parameters(search)])
    return rows.map(row => this.#table.reader.finishListed(row))
  }

  /**
   * Goes on until a look finds none: a session may have got another id between the look and its lock.
   *
   * @param {import('./search.js').Search} search
   */
  async destroyAll(search) {
    const statement = this.#table.destroyAllStatement(search)
    if (statement === null) return 0
    let ended = 0
    for (let inVain = 0; inVain < MOST_LOOKS; inVain++) {
      const [{ found, gone }] = await this.#query(statement, this.#parameters(search))
      ended += Number(gone)
      if (Number(gone) === Number(found)) return ended
      if (Number(gone) > 0) inVain = 0
    }
    throw new Error('destroyAll: a trigger or a policy of the table keeps some of these sessions')
  }

  /**
   * Ids as the table holds them: a given one opens its session, and the server may log what it is asked.
   *
   * @param {import('./search.js').Search} search
   */
  #parameters([conditions, except, only]) {
    return parametersForPg([conditions, except.map(id => this.#table.storedId(id)), only])
  }

  /**
   * @param {unknown} sid
   * @param {[string, unknown][]} entries values that were checked
   */
  async update(sid, entries) {
    const { given, values } = this.#table.forPg(entries)
    if (given.length === 0) return this.validate(sid)
    const id = this.#table.readId(sid)
    if (id === null) return null
    const text = this.#table.updateStatement(given)
    const rows = await this.#find(text, [this.#table.storedIds(id), ...values])
    return this.#table.statements.trail === null ? this.#row(id, rows[0]) : this.#rowOfTrail(id, rows)
  }

  /**
   * Only through a database, where each statement commits: others would have to wait for the end of a transaction to
   * learn the new id. Only if there is a table to remember the old one in.
   *
   * @param {unknown} sid
   */
  async refresh(sid) {
    const id = this.#table.readId(sid)
    if (id === null) return null
    const { refresh, trail } = /** @type {{ refresh: string, trail: string }} */ (this.#table.statements)
    const successor = this.#table.newId()
    const old = this.#table.storedIds(id)
    const stored = this.#table.storedId(successor)
    const sealed = this.#table.seal(id, successor)
    const [row] = await this.#query(refresh, [old, old.map(() => stored), old.map(() => sealed), old.map(() => false)])
    if (row !== undefined) return this.#row(successor, row)
    return this.#rowOfTrail(id, await this.#query(trail, [old]))
  }

  /**
   * @param {'extend' | 'destroy'} operation
   * @param {unknown} sid
   * @returns {Promise<Row[]>}
   */
  async #ask(operation, sid) {
    const id = this.#table.readId(sid)
    return id === null ? [] : this.#find(this.#table.statements[operation], [this.#table.storedIds(id)])
  }

  /**
   * A row may get another id while a statement waits for it, which then finds nothing. The next one finds it.
   *
   * @param {string} text
   * @param {unknown[]} values
   */
  async #find(text, values) {
    const rows = await this.#query(text, values)
    return rows.length > 0 || this.#table.statements.trail === null ? rows : this.#query(text, values)
  }

  /**
   * @param {string} id
   * @param {Row | undefined} row
   */
  #row(id, row) {
    return row === undefined ? null : this.#table.reader.finish(row, id)
  }

  /**
   * @param {string} id
   * @param {Row[]} rows whose `sess_id` is a path of ids
   */
  #rowOfTrail(id, [row]) {
    if (row === undefined) return null
    const current = this.#table.follow(id, String(row.sess_id))
    return current === null ? null : this.#table.reader.finish(row, current)
  }

  /**
   * @param {string} text
   * @param {unknown[]} values
   * @returns {Promise<Row[]>}
   */
  async #query(text, values) {
    // The caller may have given the connection back since.
    this.#abort?.check()
    const isOfPg = isOwnKind.client(this.#caller) || isOwnKind.pool(this.#caller)
    if (!isOfPg) return this.#caller.any({ text, values })
    const { rows } = await this.#caller.query({ text, values })
    return rows
  }
}

/**
 * @param {unknown[]} values
 * @param {number} at
 */
function isNull(values, at) {
  return at >= 0 && values[at] === null
}

/**
 * Under other levels a transaction does not see what was committed while it waited for its turn.
 *
 * @param {Row[]} rows
 */
function checkIsolation([row]) {
  if (row === undefined || row.isolation === 'read committed') return
  throw new Error(`maxSessions cannot be kept to in a ${row.isolation} transaction; create needs read committed`)
}

exports.InTransaction = InTransaction
