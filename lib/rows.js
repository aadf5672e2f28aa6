'use strict'

// Rows on their way out: texts go through the type parsers that pg would use at this moment. The three times are
// right in every time zone, which pg's own reading of `timestamp` as local time is not.

const { isDate } = require('node:util/types')

/**
 * @typedef {import('./packed.js').Answer} Answer
 * @typedef {(text: string) => unknown} Parser
 * @typedef {(day: number, microseconds: number) => unknown} TimeParser takes days since 1970, infinite if the time is,
 *   and the time of the day
 * @typedef {(oid: number) => Parser} GetParser pg's type parsers as they are now
 * @typedef {{ asked: string, column: string, oid: number, array: boolean }} FieldInfo
 * @typedef {{ id: number, times: [number, number, number] }} SessionTypes OIDs of the columns that every session has
 */

const SECOND_MICROSECONDS = 1_000_000
const DAY_SECONDS = 86_400
const DAY_MS = DAY_SECONDS * 1000
/** What pg's own parsers make of a time without infinities. */
const PROBE_TEXT = '2001-02-03 04:05:06.789'
const PROBE_LOCAL = new Date(2001, 1, 3, 4, 5, 6, 789).getTime()
const PROBE_UTC = Date.UTC(2001, 1, 3, 4, 5, 6, 789)
const TIMESTAMPTZ = 1184

/** What a user's own parser of ids is given where there is none to read. */
const NO_ID = '00000000-0000-0000-0000-000000000000'

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
  /** That answer's number. */
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
   * Reads the next row.
   *
   * @param {Answer} answer parsers are looked up once for all of it
   * @param {string} sid the row's id
   */
  read(answer, sid) {
    if (this.#answer !== answer.serial) this.#look(answer.serial)
    const created = answer.day()
    const createdAt = answer.microseconds()
    const updated = answer.day()
    const updatedAt = answer.microseconds()
    const expires = answer.day()
    const expiresAt = answer.microseconds()
    const names = this.#names
    const first = answer.skipTexts(names.length)
    const { id, times, fields } = this.#parsers
    /** @type {{ [column: string]: unknown }} */
    const row = {
      sess_id: id(sid),
      sess_creation_date: times[0](created, createdAt),
      sess_last_updated: times[1](updated, updatedAt),
      sess_expiration: times[2](expires, expiresAt)
    }
    for (let place = 0; place < names.length; place++) {
      const text = answer.textAt(first + place)
      const value = text === null ? null : fields[place](text)
      if (this.#hasProto) define(row, names[place], value)
      else row[names[place]] = value
    }
    return row
  }

  /**
   * Reads the rows of a list, which have handles in the place of ids.
   *
   * @param {Answer} answer
   */
  list(answer) {
    const rows = []
    for (let left = answer.rows(); left > 0; left--) {
      const handle = answer.text()
      const { sess_id: _, ...row } = this.read(answer, NO_ID)
      rows.push({ handle, ...row })
    }
    return rows
  }

  /**
   * The same for a row that pg read itself: only the id and the times are left to do.
   *
   * @param {{ [column: string]: unknown }} row times as seconds since 1970, in text
   * @param {string} sid the id that opens the session; the table may hold a hash of it
   */
  finish(row, sid) {
    this.#look(-1)
    row.sess_id = this.#parsers.id(sid)
    return this.#finishTimes(row)
  }

  /**
   * The same for a row of a list, which has no id.
   *
   * @param {{ [column: string]: unknown }} row
   */
  finishListed(row) {
    this.#look(-1)
    return this.#finishTimes(row)
  }

  /** @param {{ [column: string]: unknown }} row */
  #finishTimes(row) {
    const { times } = this.#parsers
    row.sess_creation_date = readSeconds(row.sess_creation_date, times[0])
    row.sess_last_updated = readSeconds(row.sess_last_updated, times[1])
    row.sess_expiration = readSeconds(row.sess_expiration, times[2])
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
  return readsTimesAsPg(parser, oid) ? toDate : (day, microseconds) => parser(timeText(day, microseconds, oid))
}

/** @type {TimeParser} */
function toDate(day, microseconds) {
  return Number.isFinite(day) ? new Date(day * DAY_MS + Math.floor(microseconds / 1000)) : day
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
  const answer = isDate(read) && read.getTime() === time
  readsAsPg.set(parser, answer)
  return answer
}

/**
 * The time as PostgreSQL writes it, in UTC.
 *
 * @param {number} day
 * @param {number} microseconds
 * @param {number} oid
 */
function timeText(day, microseconds, oid) {
  if (!Number.isFinite(day)) return day > 0 ? 'infinity' : '-infinity'
  const fraction = microseconds % SECOND_MICROSECONDS
  const date = new Date(day * DAY_MS + (microseconds - fraction) / 1000)
  const seconds = date.toISOString().slice(0, 19).replace('T', ' ')
  const digits = fraction === 0 ? '' : `.${String(fraction).padStart(6, '0').replace(/0+$/, '')}`
  return `${seconds}${digits}${oid === TIMESTAMPTZ ? '+00' : ''}`
}

/**
 * @param {unknown} text seconds since 1970, such as `1700000000.123456`
 * @param {TimeParser} parse
 */
function readSeconds(text, parse) {
  const seconds = Number(text)
  if (!Number.isFinite(seconds)) return parse(seconds, 0)
  const day = Math.floor(seconds / DAY_SECONDS)
  return parse(day, Math.round((seconds - day * DAY_SECONDS) * SECOND_MICROSECONDS))
}

exports.RowReader = RowReader
