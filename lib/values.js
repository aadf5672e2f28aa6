'use strict'

// Values of fields on their way in. What `pg` makes of a value is what the server gets; the one difference is that an
// array or object for a json or jsonb field is stored as JSON, which pg turns into an array literal that the server
// refuses.

const { isDate } = require('node:util/types')
const { types } = require('pg')

const JSON_TYPES = new Set([types.builtins.JSON, types.builtins.JSONB])

/**
 * @typedef {string | null | { hex: string }} Parameter what the core takes: text, NULL, or bytes
 * @typedef {(value: unknown) => string | Buffer | null} PrepareValue pg's own conversion
 */

/**
 * The value as pg is to be given it.
 *
 * @param {unknown} value
 * @param {number} oid the field's type
 * @returns {unknown}
 */
function forPg(value, oid) {
  return JSON_TYPES.has(oid) && isArrayOrObject(value) ? JSON.stringify(value) : value
}

/**
 * @param {unknown} value
 * @param {number} oid the field's type
 * @param {PrepareValue} prepareValue
 * @returns {Parameter}
 */
function toParameter(value, oid, prepareValue) {
  const prepared = prepareValue(forPg(value, oid))
  if (prepared === null || prepared === undefined) return null
  if (Buffer.isBuffer(prepared)) return { hex: prepared.toString('hex') }
  // Half of a surrogate pair is no character; UTF-8 writes U+FFFD for it.
  return String(prepared).toWellFormed()
}

/** @param {unknown} value */
function isArrayOrObject(value) {
  if (Array.isArray(value)) return true
  if (value === null || typeof value !== 'object') return false
  const isSpecial = isDate(value) || ArrayBuffer.isView(value) || 'toPostgres' in value
  return !isSpecial
}

exports.forPg = forPg
exports.toParameter = toParameter
