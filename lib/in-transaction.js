'use strict'

// The same statements through an object of the caller: a task, a transaction, a connection. They commit and roll back
// with the caller's own work, and pg reads their rows with its own type parsers. The SQL comes from the core.

const { isOwnKind } = require('./kinds.js')
const { checkValues } = require('./options.js')

/**
 * @typedef {import('./table.js').Table} Table
 * @typedef {{ [column: string]: unknown }} Row
 */

/** The operations, through an object that holds a connection. */
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
    const { given, values } = this.#table.forPg(checkValues(fields, argument))
    const id = this.#table.newId()
    const [stored] = this.#table.storedIds(id)
    const [row] = await this.#query(this.#table.createStatement(given), [stored, ...values])
    return this.#table.reader.finish(row, id)
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
   * @param {unknown} sid
   * @param {unknown} fields
   * @param {string} argument what errors call the fields
   */
  async update(sid, fields, argument) {
    const { given, values } = this.#table.forPg(checkValues(fields, argument))
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
    const [stored] = this.#table.storedIds(successor)
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
    const isOfPg = isOwnKind.client(this.#caller) || isOwnKind.pool(this.#caller)
    if (!isOfPg) return this.#caller.any({ text, values })
    const { rows } = await this.#caller.query({ text, values })
    return rows
  }
}

exports.InTransaction = InTransaction
