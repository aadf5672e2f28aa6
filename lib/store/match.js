'use strict'

// What `listBy` and `endBy` look for: a value at a path in the data.

const { describe } = require('../errors.js')
const { isObject } = require('../options.js')

/** @typedef {[path: string[], value: string, type: string]} Match */

const TYPES = ['string', 'number', 'boolean']

/**
 * @param {unknown} path `passport.user` or `['passport', 'user']`
 * @param {unknown} value
 * @returns {Match}
 */
function toMatch(path, value) {
  const keys = typeof path === 'string' ? path.split('.') : path
  if (!Array.isArray(keys) || keys.length === 0 || !keys.every(isKey)) {
    throw new TypeError(`path: expected 'passport.user' or ['passport', 'user'], got ${describe(path)}`)
  }
  // `undefined` must not end everybody's sessions, nor those that have no such value.
  if (!TYPES.includes(typeof value) || Number.isNaN(value)) {
    throw new TypeError(`value: expected a string, a number or a boolean, got ${describe(value)}`)
  }
  if (typeof value === 'string' && !isStorable(value)) {
    throw new TypeError('value: expected a text without NUL and halves of characters')
  }
  return [keys, typeof value === 'string' ? value : JSON.stringify(value), typeof value]
}

/** @param {unknown} key */
function isKey(key) {
  return isStorable(key) && key !== ''
}

/**
 * Whether it is a text that PostgreSQL can keep: it has no NUL and no half of a character.
 *
 * @param {unknown} value
 * @returns {value is string}
 */
function isStorable(value) {
  return typeof value === 'string' && value.isWellFormed() && !value.includes('\0')
}

/**
 * The ids that `endBy` is to leave.
 *
 * @param {unknown} options
 * @returns {string[]}
 */
function toExcept(options) {
  if (options === undefined || options === null) return []
  if (!isObject(options)) throw new TypeError(`options: expected { except }, got ${describe(options)}`)
  const { except, ...others } = options
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) throw new TypeError(`options: unknown option ${JSON.stringify(unknown)}; known is except`)
  if (except === undefined) {
    // Somebody who says `except` means to leave one, and would end them all.
    if ('except' in options) throw new TypeError('options.except: expected a session id or several, got undefined')
    return []
  }
  const ids = Array.isArray(except) ? except : [except]
  for (const id of ids) {
    if (typeof id !== 'string')
      throw new TypeError(`options.except: expected a session id or several, got ${describe(id)}`)
    if (!isStorable(id)) throw new TypeError('options.except: expected texts without NUL and halves of characters')
  }
  return ids
}

exports.isStorable = isStorable
exports.toExcept = toExcept
exports.toMatch = toMatch
