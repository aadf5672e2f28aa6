'use strict'

// `import`: what is asked, the pieces one after the other, what came of them.

const { checkFields } = require('../options.js')
const { Sessions } = require('../sessions.js')
const { readMap } = require('./pairs.js')
const { UsageError } = require('./usage.js')

/**
 * @typedef {import('../native.js').Import} Import
 * @typedef {import('./progress.js').Progress} Progress
 */

const LIBRARY = 'connect-pg-simple'
const SECRET = 'PGSESS_IMPORT_SECRET'

/**
 * @param {import('./arguments.js').From} from
 * @returns {(fields: unknown) => Import} what is to be copied into a table with these fields
 */
function toImport({ library, table, schema, map, dry }) {
  if (library !== LIBRARY) throw new UsageError(`--from: expected ${LIBRARY}`)
  if (map === undefined) throw new UsageError("--fields: expected where values stand, such as 'user_id=passport.user'")
  const secret = process.env[SECRET]
  if (!secret) {
    throw new UsageError(`${SECRET}: expected the secret that signs express-session's cookies, in the environment`)
  }
  return fields => ({ schema, table, paths: places(map, checkFields(fields, 'fields')), secret, dry })
}

/**
 * @param {string} map
 * @param {{ field: string }[]} fields
 * @returns {Import['paths']}
 */
function places(map, fields) {
  const names = fields.map(({ field }) => field)
  const entries = readMap(map)
  const unknown = entries.find(([name]) => !names.includes(name))
  if (unknown !== undefined) {
    throw new UsageError(`--map: ${JSON.stringify(unknown[0])} is no field; known are ${names.join(', ') || 'none'}`)
  }
  if (new Set(entries.map(([name]) => name)).size < entries.length) {
    throw new UsageError('--map: a field stands there twice')
  }
  return entries.map(([name, path]) => [names.indexOf(name), path])
}

/** One run over the whole table. */
class Copying {
  #sessions
  #asked
  /** @type {Map<string, number>} */
  #unmapped = new Map()
  #sums = { live: 0, expired: 0, copied: 0, known: 0 }

  /**
   * @param {Sessions} sessions
   * @param {Import} asked
   */
  constructor(sessions, asked) {
    this.#sessions = sessions
    this.#asked = asked
  }

  /** @param {Progress} progress */
  async run(progress) {
    const total = await Sessions.importTotal(this.#sessions, this.#asked)
    /** @type {string | null} */
    let after = null
    do {
      const piece = await Sessions.import(this.#sessions, this.#asked, after)
      this.#add(piece)
      after = piece.next
      progress.show(this.#sums.live + this.#sums.expired, total)
    } while (after !== null)
    return this.#result()
  }

  /** In words, a line each. */
  report() {
    const { live, expired, copied, known, unmapped } = this.#result()
    const reasons = Object.entries(unmapped).map(([reason, count]) => `unmapped ${count}: ${reason}`)
    const done = this.#asked.dry ? 'would be copied' : 'copied'
    return [`live ${live}`, `expired ${expired}`, ...reasons, `copied before ${known}`, `${done} ${copied}`].join('\n')
  }

  #result() {
    return { dryRun: this.#asked.dry, ...this.#sums, unmapped: Object.fromEntries(this.#unmapped) }
  }

  /** @param {import('../native.js').Imported} piece */
  #add({ copied, known, expired, unmapped }) {
    for (const [reason, count] of unmapped) {
      this.#unmapped.set(reason, (this.#unmapped.get(reason) ?? 0) + count)
      this.#sums.live += count
    }
    this.#sums.live += copied + known
    this.#sums.expired += expired
    this.#sums.copied += copied
    this.#sums.known += known
  }
}

exports.Copying = Copying
exports.toImport = toImport
