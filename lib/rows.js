'use strict'

// Rows on their way out: texts go through the type parsers that pg would use at this moment. The three times are
// right in every time zone, which pg's own reading of `timestamp` as local time is not.

/**
 * @typedef {(text: string) => unknown} Parser
 * @typedef {(microseconds: number) => unknown} TimeParser since 1970
 * @typedef {(oid: number) => Parser} GetParser pg's type parsers as they are now
 * @typedef {{ asked: string, column: string, oid: number }} FieldInfo
 * @typedef {{ id: number, times: [number, number, number] }} SessionTypes OIDs of the columns that every session has
 */

const SECOND_MICROSECONDS = 1_000_000
/** What pg's own parsers make of a time without infinities. */
const PROBE_TEXT = '2001-02-03 04:05:06.789'
const PROBE_LOCAL = new Date(2001, 1, 3, 4, 5, 6, 789).getTime()
const PROBE_UTC = Date.UTC(2001, 1, 3, 4, 5, 6, 789)
const TIMESTAMPTZ = 1184

/** @type {WeakMap<Parser, boolean>} */
const readsAsPg = new WeakMap()

/** Turns packed rows into the objects that callers get. */
class RowReader {
  #getParser
  #types
  #names
  #oids
  /** Set if a name cannot simply be assigned. */
  #hasProto
  /** The parsers as they are for the answer that is being read. @type {{ id: Parser, times: TimeParser[], fields: Parser[] }} */
  #parsers = { id: String, times: [], fields: [] }
  /** The number of that answer. */
  #answer = -1

  /**
   * @param {FieldInfo[]} fields in the table's order
   * @param {SessionTypes} types
   * @param {GetParser} getParser
   */
  constructor(fields, types, getParser) {
    this.#getParser = getParser
    this.#types = types
    this.#names = fields.map(field => field.column)
    this.#oids = fields.map(field => field.oid)
    this.#hasProto = this.#names.includes('__proto__')
  }

  /**
   * @param {(string | number | null)[] | null} packed `[id, created, updated, expires, field, …]`, see
   *   src/node/packed.rs
   * @param {string} sid the id where the row does not hold it
   * @param {number} answer the number of the answer that the row came with: parsers are looked up once for all of it
   */
  read(packed, sid, answer) {
    if (packed === null) return null
    if (this.#answer !== answer) this.#look(answer)
    const { id, times, fields } = this.#parsers
    /** @type {{ [column: string]: unknown }} */
    const row = {
      sess_id: id(packed[0] === 0 ? sid : String(packed[0])),
      sess_creation_date: times[0](Number(packed[1])),
      sess_last_updated: times[1](Number(packed[2])),
      sess_expiration: times[2](Number(packed[3]))
    }
    const names = this.#names
    for (let place = 0; place < names.length; place++) {
      const text = packed[place + 4]
      const value = text === null ? null : fields[place](/** @type {string} */ (text))
      if (this.#hasProto) define(row, names[place], value)
      else row[names[place]] = value
    }
    return row
  }

  /**
   * The same for a row that pg read itself: only the id and the times are left to do.
   *
   * @param {{ [column: string]: unknown }} row times as seconds since 1970, in text
   * @param {string} sid the id that opens the session; the table may hold a hash of it
   */
  finish(row, sid) {
    this.#look(-1)
    const { id, times } = this.#parsers
    row.sess_id = id(sid)
    row.sess_creation_date = times[0](toMicroseconds(row.sess_creation_date))
    row.sess_last_updated = times[1](toMicroseconds(row.sess_last_updated))
    row.sess_expiration = times[2](toMicroseconds(row.sess_expiration))
    return row
  }

  /** @param {number} answer */
  #look(answer) {
    const getParser = this.#getParser
    this.#parsers = {
      id: getParser(this.#types.id),
      times: this.#types.times.map(oid => timeParser(getParser(oid), oid)),
      fields: this.#oids.map(getParser)
    }
    this.#answer = answer
  }
}

/**
 * @param {Parser} parser
 * @param {number} oid
 * @returns {TimeParser}
 */
function timeParser(parser, oid) {
  return readsTimesAsPg(parser, oid) ? toDate : microseconds => parser(timeText(microseconds, oid))
}

/** @param {number} microseconds */
function toDate(microseconds) {
  return Number.isFinite(microseconds) ? new Date(Math.floor(microseconds / 1000)) : microseconds
}

/**
 * Assigning `__proto__` would not make a property of it.
 *
 * @param {object} row
 * @param {string} name
 * @param {unknown} value
 */
function define(row, name, value) {
  Object.defineProperty(row, name, { value, enumerable: true, configurable: true, writable: true })
}

/**
 * Whether a parser gives the Date that pg's own would give. A parser that the user set gets the text as stored.
 *
 * @param {Parser} parser
 * @param {number} oid
 */
function readsTimesAsPg(parser, oid) {
  const known = readsAsPg.get(parser)
  if (known !== undefined) return known
  const [text, time] = oid === TIMESTAMPTZ ? [`${PROBE_TEXT}+00`, PROBE_UTC] : [PROBE_TEXT, PROBE_LOCAL]
  const read = parser(text)
  const answer = read instanceof Date && read.getTime() === time
  readsAsPg.set(parser, answer)
  return answer
}

/**
 * The time as PostgreSQL writes it, in UTC.
 *
 * @param {number} microseconds
 * @param {number} oid
 */
function timeText(microseconds, oid) {
  if (!Number.isFinite(microseconds)) return microseconds > 0 ? 'infinity' : '-infinity'
  const fraction = ((microseconds % SECOND_MICROSECONDS) + SECOND_MICROSECONDS) % SECOND_MICROSECONDS
  const seconds = new Date((microseconds - fraction) / 1000).toISOString().slice(0, 19).replace('T', ' ')
  const digits = fraction === 0 ? '' : `.${String(fraction).padStart(6, '0').replace(/0+$/, '')}`
  return `${seconds}${digits}${oid === TIMESTAMPTZ ? '+00' : ''}`
}

/** @param {unknown} seconds such as `1700000000.123456` */
function toMicroseconds(seconds) {
  return Math.round(Number(seconds) * SECOND_MICROSECONDS)
}

exports.RowReader = RowReader
