'use strict'

// What came of the calls of one thread.

/** Nobody waits longer than `connectTimeout` and `queryTimeout` together; a busy machine may need some time to tell. */
const HUNG = 30_000

/** Ways in which a call may fail while server and network do: every other one is a defect. */
const EXPECTED = new Set([
  'PGSESS_TIMEOUT',
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'Connection terminated unexpectedly',
  '08006',
  '25006',
  '53300',
  '57P01',
  '57P02',
  '57P03',
  // A column's type is changed there and back, faster than the table can be looked at.
  'PGSESS_TABLE'
])

/**
 * @typedef {object} Outcome
 * @property {any} [value]
 * @property {any} [error]
 * @property {{ begin: number, end: number }} time
 */

class Tally {
  /** By operation. @type {Record<string, number>} */
  calls = {}
  /** By code. @type {Record<string, number>} */
  errors = {}
  /** What no fault explains. @type {string[]} */
  unexpected = []
  /** The first of each session. @type {Map<string, { kind: string, message: string }>} */
  #violations = new Map()
  hung = 0
  longest = { operation: '', ms: 0 }
  #open = 0

  /**
   * @param {string} operation
   * @param {() => Promise<any>} call
   * @returns {Promise<Outcome>} never rejects
   */
  async watch(operation, call) {
    this.calls[operation] = (this.calls[operation] ?? 0) + 1
    this.#open++
    const begin = Date.now()
    /** @type {any} */
    const outcome = await call().then(
      value => ({ value }),
      error => ({ error })
    )
    const end = Date.now()
    this.#open--
    if (end - begin > this.longest.ms) this.longest = { operation, ms: end - begin }
    if (end - begin > HUNG) this.hung++
    if ('error' in outcome) this.#failed(operation, outcome.error)
    return { ...outcome, time: { begin, end } }
  }

  /**
   * @param {string} operation
   * @param {any} error
   */
  #failed(operation, error) {
    const code = error?.code ?? error?.message ?? String(error)
    this.errors[code] = (this.errors[code] ?? 0) + 1
    if (!EXPECTED.has(code)) this.unexpected.push(`${operation}: ${code}: ${error?.message}`)
  }

  /** @param {{ kind: string, whose: string, message: string }} violation */
  violated({ kind, whose, message }) {
    if (!this.#violations.has(whose)) this.#violations.set(whose, { kind, message })
  }

  report() {
    const { calls, errors, unexpected, hung, longest } = this
    return { calls, errors, unexpected, violations: [...this.#violations.values()], hung: hung + this.#open, longest }
  }
}

exports.HUNG = HUNG
exports.Tally = Tally
