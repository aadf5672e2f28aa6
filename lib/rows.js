'use strict'

// Rows on their way out: texts go through the type parsers that pg would use at this moment. The three times are
// right in every time zone, which pg's own reading of `timestamp` as local time is not.

/**
 * @typedef {(text: string) => unknown} Parser
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
   */
  read(packed, sid) {
    if (packed === null) return null
    const { id, times } = this.#types
    /** @type {{ [column: string]: unknown }} */
    const row = {
      sess_id: this.#getParser(id)(packed[0] === 0 ? sid : String(packed[0])),
      sess_creation_date: this.#time(Number(packed[1]), times[0]),
      sess_last_updated: this.#time(Number(packed[2]), times[1]),
      sess_expiration: this.#time(Number(packed[3]), times[2])
    }
    for (let place = 0; place < this.#names.length; place++) {
      const text = packed[place + 4]
      const value = text === null ? null : this.#getParser(this.#oids[place])(String(text))
      this.#set(row, this.#names[place], value)
    }
    return row
  }

  /**
   * The same for a row that pg read itself: only the times are left to do.
   *
   * @param {{ [column: string]: unknown }} row times as seconds since 1970, in text
   */
  finish(row) {
    const { times } = this.#types
    row.sess_creation_date = this.#time(toMicroseconds(row.sess_creation_date), times[0])
    row.sess_last_updated = this.#time(toMicroseconds(row.sess_last_updated), times[1])
    row.sess_expiration = this.#time(toMicroseconds(row.sess_expiration), times[2])
    return row
  }

  /**
   * @param {number} microseconds
   * @param {number} oid
   */
  #time(microseconds, oid) {
    const parser = this.#getParser(oid)
    if (!readsTimesAsPg(parser, oid)) return parser(timeText(microseconds, oid))
    return Number.isFinite(microseconds) ? new Date(Math.floor(microseconds / 1000)) : microseconds
  }

  /**
   * @param {{ [column: string]: unknown }} row
   * @param {string} name
   * @param {unknown} value
   */
  #set(row, name, value) {
    if (this.#hasProto && name === '__proto__') {
      Object.defineProperty(row, name, { value, enumerable: true, configurable: true, writable: true })
    } else {
      row[name] = value
    }
  }
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
