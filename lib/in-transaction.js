'use strict'

// The same statements through an object of the caller: a task, a transaction, a connection. They commit and roll back
// with the caller's own work, and pg reads their rows with its own type parsers. The SQL comes from the core.

const { isOwnKind } = require('./kinds.js')
const { checkValues } = require('./options.js')

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
    const [row] = await this.#query(this.#table.createStatement(given), [this.#table.newId(), ...values])
    return this.#table.reader.finish(row)
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

exports.InTransaction = InTransaction
