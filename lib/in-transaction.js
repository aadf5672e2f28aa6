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

/** The four operations, through an object that holds a connection. */
class InTransaction {
  #caller
  #table

  /**
   * @param {any} caller
   * @param {Table} table
   */
  constructor(caller, table) {
    this.#caller = caller
    this.#table = table
  }

  /**
   * @param {unknown} fields
   * @param {string} argument what errors call the fields
   */
  async create(fields, argument) {
    return this.createFrom(checkValues(fields, argument))
  }

  /** @param {[string, unknown][]} entries values that were checked */
  async createFrom(entries) {
    const { given, values } = this.#table.forPg(entries)
    const { limit } = this.#table
    const isUnlimited = limit === null || isNull(values, given.indexOf(limit[0]))
    const row = isUnlimited
      ? await this.#insert(given, values)
      : await inTransaction(this.#caller, caller =>
          new InTransaction(caller, this.#table).#createLimited(limit, given, values)
        )
    return this.#table.reader.finish(row)
  }

  /**
   * @param {number[]} given
   * @param {unknown[]} values
   * @param {string} [id]
   */
  async #insert(given, values, id = this.#table.newId()) {
    const [row] = await this.#query(this.#table.createStatement(given), [id, ...values])
    return row
  }

  /**
   * See src/operations/limit.rs.
   *
   * @param {import('./table.js').Limit} limit
   * @param {number[]} given
   * @param {unknown[]} values
   */
  async #createLimited([place, [lockValue, lockInserted, trim]], given, values) {
    const id = this.#table.newId()
    const at = given.indexOf(place)
    if (at >= 0) checkIsolation(await this.#query(lockValue, [values[at]]))
    const row = await this.#insert(given, values, id)
    if (at < 0) checkIsolation(await this.#query(lockInserted, [[id]]))
    await this.#query(trim, [[id]])
    return row
  }

  /** @param {unknown} sid */
  async validate(sid) {
    const [row] = await this.#ask('validate', sid)
    return row === undefined ? null : this.#table.reader.finish(row)
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
    const rows = await this.#query(this.#table.listStatement(search), [limit, ...parametersForPg(search)])
    return rows.map(row => this.#table.reader.finish(row))
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
      const [{ found, gone }] = await this.#query(statement, parametersForPg(search))
      ended += Number(gone)
      if (Number(gone) === Number(found)) return ended
      if (Number(gone) > 0) inVain = 0
    }
    throw new Error('destroyAll: a trigger or a policy of the table keeps some of these sessions')
  }

  /**
   * @param {'validate' | 'extend' | 'destroy'} operation
   * @param {unknown} sid
   * @returns {Promise<Row[]>}
   */
  async #ask(operation, sid) {
    const id = this.#table.readId(sid)
    return id === null ? [] : this.#query(this.#table.statements[operation], [[id]])
  }

  /**
   * @param {string} text
   * @param {unknown[]} values
   * @returns {Promise<Row[]>}
   */
  async #query(text, values) {
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
