'use strict'

// The table as the core found it: which field is where, and how its rows are read.

const { RowReader } = require('./rows.js')
const { forPg, toParameter } = require('./values.js')

/**
 * @typedef {import('./rows.js').FieldInfo} FieldInfo
 * @typedef {{
 *   fields: FieldInfo[],
 *   types: import('./rows.js').SessionTypes,
 *   notes: string[],
 *   statements: { validate: string, extend: string, destroy: string }
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
    return this.#arrange(entries, (value, oid) => toParameter(value, oid, prepare))
  }

  /**
   * The same for pg, which prepares values itself.
   *
   * @param {[string, unknown][]} entries
   */
  forPg(entries) {
    return this.#arrange(entries, forPg)
  }

  /** @param {number[]} given */
  createStatement(given) {
    return this.#core.createStatement(given)
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
   * @param {(value: unknown, oid: number) => T} convert
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
      values: placed.map(([place, value]) => convert(value, this.#fields[place].oid))
    }
  }

  /** @param {string} name */
  #placeOf(name) {
    const place = this.#places.get(name) ?? (this.#foldNames ? this.#places.get(name.toLowerCase()) : undefined)
    if (place !== undefined) return place
    const known = this.#fields.map(field => field.column).join(', ')
    throw new TypeError(`unknown field ${JSON.stringify(name)}; this table has ${known || 'no fields'}`)
  }
}

exports.Table = Table
