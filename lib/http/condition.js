'use strict'

// What a guard asks of a session: a function of the row, or the values that its fields must have.

const { isDate } = require('node:util/types')
const { describe } = require('../errors.js')
const { isObject } = require('../options.js')

/** @typedef {{ [column: string]: unknown }} Row */

/**
 * @param {unknown} where
 * @returns {(row: Row) => unknown}
 */
function toCondition(where) {
  if (where === undefined) return () => true
  if (typeof where === 'function') return row => where(row)
  if (!isObject(where)) {
    throw new TypeError(`options.where: expected { field: value, … } or a function of the row, got ${describe(where)}`)
  }
  const wanted = Object.entries(where)
  // A promise and a Map have none, either: nobody means a rule that all sessions keep.
  if (wanted.length === 0) throw new TypeError('options.where: names no field; leave it out if any session will do')
  for (const [field, value] of wanted) {
    // `{ role: user?.role }` must not let everybody in, nor nobody.
    if (value === undefined) throw new TypeError(`options.where.${field}: expected a value, got undefined`)
  }
  return row => wanted.every(([field, value]) => fits(row, field, value))
}

/**
 * @param {Row} row
 * @param {string} field
 * @param {unknown} value
 */
function fits(row, field, value) {
  if (!Object.hasOwn(row, field)) {
    throw new TypeError(`requireSession: where names ${JSON.stringify(field)}, which is no field of the session`)
  }
  const found = row[field]
  // Several values mean any of them, as in `list`; a field that is an array itself is for a function to judge.
  return Array.isArray(value) ? value.some(one => isSame(one, found)) : isSame(value, found)
}

/**
 * @param {unknown} one
 * @param {unknown} other
 */
function isSame(one, other) {
  if (isDate(one) && isDate(other)) return one.getTime() === other.getTime()
  return one === other
}

exports.toCondition = toCondition
