'use strict'

// The table of a Store, whichever way its statements go: on the core's own connections, or through the caller's object
// where the caller watches or changes statements. The SQL comes from the core either way.

const { checkOpen, resolveConnection } = require('../connection.js')
const { withCode } = require('../errors.js')
const { isOwnKind } = require('../kinds.js')
const { StoreCore } = require('./core.js')

/**
 * @typedef {{ at: number | null, after: number | null }} Expiry in seconds, since 1970 or from now; one of them is null
 * @typedef {import('./changes.js').Part} Part
 * @typedef {'list' | 'end'} LooksInside
 * @typedef {import('../../native/binding.js').GivenStoreOptions} GivenStoreOptions
 */

const UNREADABLE = ['22P02', '22P05', '22021', '22023']

class StoreTable {
  #core
  #source
  /** Set when statements have to run through the caller's own database object. */
  #throughCaller
  /** Set once the table was found. @type {import('./core.js').Statements | undefined} */
  #statements
  /** @type {Promise<import('./core.js').Statements> | undefined} */
  #settingUp
  #closed = false

  /**
   * @param {unknown} source what to connect to
   * @param {GivenStoreOptions & import('../connection.js').Servers} given
   * @param {(error: Error, table: string) => void} report takes an error to which no call belongs
   */
  constructor(source, { hosts, targetSessionAttrs, ...options }, report) {
    const resolved = resolveConnection(source, { hosts, targetSessionAttrs })
    const { settings, answers, pg, timeouts, maxConnections, throughCaller } = resolved
    this.#core = new StoreCore(settings, { maxConnections, ...timeouts, ...options }, pg, answers, report)
    this.#source = source
    this.#throughCaller = throughCaller
  }

  facts() {
    return this.#core.facts()
  }

  stats() {
    return this.#core.stats()
  }

  async close() {
    this.#closed = true
    await this.#core.close()
  }

  /**
   * @param {string} sid
   * @returns {Promise<string | null>} its data, in JSON
   */
  async get(sid) {
    const statements = await this.#ready()
    if (!this.#throughCaller) return this.#core.call(['get', sid])
    const [row] = await this.#query(statements.get, [[this.#core.key(sid)]])
    return row === undefined ? null : row.sess
  }

  /** @param {string} sid */
  async destroy(sid) {
    const statements = await this.#ready()
    if (!this.#throughCaller) return this.#core.call(['destroy', sid])
    await this.#query(statements.destroy, [[this.#core.key(sid)]])
  }

  /**
   * @param {string} sid
   * @param {Expiry} expiry
   */
  async touch(sid, { at, after }) {
    const statements = await this.#ready()
    if (!this.#throughCaller) return this.#core.call(['touch', sid, at, after])
    await this.#query(statements.touch, [[this.#core.key(sid)], [at], [after]])
  }

  /**
   * Writes a session whole.
   *
   * @param {'put' | 'update'} how whether one that is not there is made
   * @param {string} sid
   * @param {Expiry} expiry
   * @param {string} json
   */
  async write(how, sid, { at, after }, json) {
    const statements = await this.#ready()
    if (!this.#throughCaller) return this.#core.call([how, sid, at, after, json])
    await this.#query(statements[how], [[this.#core.key(sid)], [at], [after], [json]])
  }

  /**
   * Changes parts of a session that is there.
   *
   * @param {string} sid
   * @param {Expiry} expiry
   * @param {Part[]} parts
   */
  async merge(sid, { at, after }, parts) {
    const statements = await this.#ready()
    if (!this.#throughCaller) return this.#core.call(['merge', sid, at, after, parts])
    const values = parts.flatMap(([key, value]) => (value === null ? [] : [`${key}:${value}`]))
    const names = parts.map(([key]) => key)
    const contents = [[`{${values}}`], [`[${names}]`]]
    await this.#query(statements.merge, [[this.#core.key(sid)], [at], [after], ...contents])
  }

  /**
   * @param {'all' | 'ids' | 'length' | 'clear' | 'prune' | LooksInside | `${LooksInside}Repaired`} question
   * @param {[] | import('./match.js').Match} match
   * @param {string[]} [except] ids
   * @returns {Promise<any>}
   */
  async ask(question, match = [], except) {
    const statements = await this.#ready()
    if (!this.#throughCaller) return JSON.parse(await this.#core.call([question, ...match, except ?? null]))
    const values = except === undefined ? match : [...match, except.map(sid => this.#core.key(sid))]
    const [row] = await this.#query(statements[question], values)
    return JSON.parse(row.answer)
  }

  /**
   * A question about what is in the data. One row that PostgreSQL cannot take apart fails it for all, so then it is asked
   * anew, in the slower form that can.
   *
   * @param {LooksInside} question
   * @param {import('./match.js').Match} match
   * @param {string[]} [except] ids
   * @returns {Promise<any>}
   */
  async askInside(question, match, except) {
    try {
      return await this.ask(question, match, except)
    } catch (error) {
      if (!isUnreadable(error)) throw error
      return this.ask(`${question}Repaired`, match, except)
    }
  }

  /** The table, found or made if that has not been done. A failure is followed by another try at the next call. */
  async #ready() {
    if (this.#closed) throw withCode(new Error('this store is closed'), 'PGSESS_CLOSED')
    checkOpen(this.#source)
    if (this.#statements !== undefined) return this.#statements
    this.#settingUp ??= this.#core.setUp().finally(() => {
      this.#settingUp = undefined
    })
    this.#statements = await this.#settingUp
    return this.#statements
  }

  /**
   * @param {string} text
   * @param {unknown[]} values
   * @returns {Promise<any[]>}
   */
  async #query(text, values) {
    /** @type {any} */
    const caller = this.#source
    if (!isOwnKind.pool(caller)) return caller.any({ text, values })
    const { rows } = await caller.query({ text, values })
    return rows
  }
}

/**
 * Whether PostgreSQL says that it cannot take data apart: it was written by somebody else, or holds half a character.
 *
 * @param {any} error
 */
function isUnreadable(error) {
  return UNREADABLE.includes(error?.code)
}

exports.StoreTable = StoreTable
exports.isUnreadable = isUnreadable
