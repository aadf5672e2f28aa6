'use strict'

// The table as the core found it: which field is where, and how its rows are read.

const { describe } = require('./errors.js')
const { RowReader } = require('./rows.js')
const { forPg, toParameter } = require('./values.js')

/**
 * @typedef {import('./rows.js').FieldInfo} FieldInfo
 * @typedef {[place: number, statements: [lockValue: string, lockInserted: string, trim: string]]} Limit what keeps to
 *   `maxSessions`
 * @typedef {{
 *   fields: FieldInfo[],
 *   types: import('./rows.js').SessionTypes,
 *   notes: string[],
 *   limit: Limit | null,
 *   statements: { validate: string, extend: string, destroy: string, refresh: string | null, trail: string | null }
 * }} Description as src/node/packed.rs writes it
 */

class Table {
  #core
  #pg
  #fields
  /** @type {Map<string, number>} */
  #places = new Map()
  #foldNames

  /**
   * @param {import('./native.js').Core} core
   * @param {Description} description
   * @param {import('./connection.js').PgFacts} pg
   * @param {boolean} foldNames whether names are found in any case
   */
  constructor(core, description, pg, foldNames) {
    this.#core = core
    this.#pg = pg
    this.#fields = description.fields
    this.#foldNames = foldNames
    this.limit = description.limit
    this.statements = description.statements
    this.reader = new RowReader(description.fields, description.types, pg.getParser)
    description.fields.forEach(({ asked, column }, place) => {
      this.#places.set(asked, place).set(column, place)
    })
  }

  /**
   * Values for the core: places of the given fields, ascending, and their parameters.
   *
   * @param {[string, unknown][]} entries
   */
  forCore(entries) {
    const prepare = this.#pg.prepareValue
    return this.#arrange(entries, (value, { oid }) => toParameter(value, oid, prepare))
  }

  /**
   * The same for pg, which prepares values itself.
   *
   * @param {[string, unknown][]} entries
   */
  forPg(entries) {
    return this.#arrange(entries, (value, { oid }) => forPg(value, oid))
  }

  /**
   * A search for the core.
   *
   * @param {{ where: import('./search.js').Where, except?: unknown[], only?: string | null }} search
   * @returns {import('./search.js').Search}
   */
  search({ where, except = [], only = null }) {
    return [this.#conditions(where), except.flatMap(sid => this.readId(sid) ?? []), only]
  }

  /** @param {import('./search.js').Search} search */
  listStatement(search) {
    return this.#core.listStatement(JSON.stringify(search))
  }

  /** @param {import('./search.js').Search} search */
  destroyAllStatement(search) {
    return this.#core.destroyAllStatement(JSON.stringify(search))
  }

  get listLimit() {
    return this.#core.listLimit
  }

  /**
   * What `where` says of the fields: a value, or any of several.
   *
   * @param {import('./search.js').Where} where
   * @returns {import('./search.js').Condition[]}
   */
  #conditions(where) {
    const prepare = this.#pg.prepareValue
    const { given, values } = this.#arrange(where, (value, { oid, array }) => {
      if (!Array.isArray(value) || array) return { value: toParameter(value, oid, prepare), anyOf: null }
      return { value: null, anyOf: value.map(one => toParameter(one, oid, prepare)) }
    })
    return values.map(({ value, anyOf }, at) => [given[at], value, anyOf])
  }

  /** Whether a list can show handles beside the fields. */
  get hasHandleField() {
    return this.#fields.some(({ column }) => column === 'handle')
  }

  /** @param {number[]} given */
  createStatement(given) {
    return this.#core.createStatement(given)
  }

  /** @param {number[]} given */
  updateStatement(given) {
    return this.#core.updateStatement(given)
  }

  /**
   * @param {string} id
   * @param {string} path
   */
  follow(id, path) {
    return this.#core.follow(id, path)
  }

  /**
   * @param {string} id
   * @param {string} successor
   */
  seal(id, successor) {
    return this.#core.seal(id, successor)
  }

  /**
   * Under which ids the row of a session may stand.
   *
   * @param {string} id
   */
  storedIds(id) {
    return this.#core.storedIds(id)
  }

  /**
   * Under which id the row of a new session stands, and every row once plain ids have been hashed.
   *
   * @param {string} id
   */
  storedId(id) {
    return this.#core.storedId(id)
  }

  newId() {
    return this.#core.newId()
  }

  /** @param {unknown} sid */
  readId(sid) {
    return this.#core.readId(sid)
  }

  /**
   * A value that is `undefined` is not given: the field gets its DEFAULT.
   *
   * @template T
   * @param {[string, unknown][]} entries
   * @param {(value: unknown, field: FieldInfo) => T} convert
   * @returns {{ given: number[], values: T[] }}
   */
  #arrange(entries, convert) {
    const given = entries.filter(([, value]) => value !== undefined)
    const placed = given.map(([name, value]) => /** @type {const} */ ([this.#placeOf(name), value]))
    placed.sort(([one], [other]) => one - other)
    const twice = placed.find(([place], at) => at > 0 && placed[at - 1][0] === place)
    if (twice) throw new TypeError(`field ${JSON.stringify(this.#fields[twice[0]].column)} is given twice`)
    return {
      given: placed.map(([place]) => place),
      values: placed.map(([place, value]) => convert(value, this.#fields[place]))
    }
  }

  /** @param {string} name */
  #placeOf(name) {
    const place = this.#places.get(name) ?? (this.#foldNames ? this.#places.get(name.toLowerCase()) : undefined)
    if (place !== undefined) return place
    const known = this.#fields.map(field => field.column).join(', ')
    throw new TypeError(`unknown field ${describe(name)}; this table has ${known || 'no fields'}`)
  }
}

exports.Table = Table
