'use strict'

// Which sessions `list` and `destroyAll` mean. What could mean everyone by mistake is refused here.

const { describe } = require('./errors.js')
const { checkSignal, isObject } = require('./options.js')

/**
 * @typedef {[string, unknown][]} Where fields and what they are to be
 * @typedef {import('./values.js').Parameter} Parameter
 * @typedef {[place: number, value: Parameter, anyOf: Parameter[] | null]} Condition
 * @typedef {[conditions: Condition[], except: string[], only: string | null]} Search as src/node/searches.rs reads it
 */

/** A list is an array in memory. */
const HIGHEST_LIMIT = 100_000

/**
 * @param {unknown} where
 * @param {{ [option: string]: unknown }} options
 * @returns {Where}
 */
function checkWhere(where, { all }) {
  if (!isObject(where)) throw new TypeError(`where: expected { field: value, … }, got ${describe(where)}`)
  if (all !== undefined && typeof all !== 'boolean') {
    throw new TypeError(`all: expected true or false, got ${describe(all)}`)
  }
  const entries = Object.entries(where)
  if (entries.length === 0 && all !== true) {
    throw new TypeError('where: names no field; everyone is meant only by ({}, { all: true })')
  }
  if (entries.length > 0 && all === true) {
    throw new TypeError(`where: names ${entries[0][0]}, but { all: true } means everyone; leave out one of them`)
  }
  for (const [name, value] of entries) {
    const isMissing = value === undefined || (Array.isArray(value) && value.includes(undefined))
    if (isMissing) throw new TypeError(`where.${name}: expected a value, null or an array of them, got undefined`)
  }
  return entries
}

/**
 * @param {unknown} options
 * @param {string[]} known
 * @returns {{ [option: string]: unknown }}
 */
function checkSearchOptions(options, known) {
  if (options === undefined) return {}
  if (!isObject(options)) throw new TypeError(`options: expected an object, got ${describe(options)}`)
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) {
      throw new TypeError(`options: unknown option ${JSON.stringify(name)}; known are ${known.join(', ')}`)
    }
  }
  return options
}

/**
 * The signal among the options of a search; the others are checked with the rest of the call.
 *
 * @param {unknown} options
 */
function signalOfSearch(options) {
  return isObject(options) ? checkSignal(options.signal) : undefined
}

/**
 * The arguments of `list`.
 *
 * @param {unknown} where
 * @param {unknown} [options]
 */
function checkList(where, options) {
  const checked = checkSearchOptions(options, ['all', 'limit', 'signal'])
  return { where: checkWhere(where, checked), limit: checkLimit(checked.limit) }
}

/**
 * @param {unknown} limit
 * @returns {number | undefined}
 */
function checkLimit(limit) {
  if (limit === undefined) return undefined
  if (typeof limit !== 'number') throw new TypeError(`limit: expected a number, got ${describe(limit)}`)
  if (Number.isInteger(limit) && limit >= 1 && limit <= HIGHEST_LIMIT) return limit
  throw new RangeError(`limit: expected a whole number from 1 to ${HIGHEST_LIMIT}, got ${describe(limit)}`)
}

/**
 * The arguments of `destroyAll`. What is excepted comes from cookies: what is no session excepts none.
 *
 * @param {unknown} where
 * @param {unknown} [options]
 */
function checkDestroyAll(where, options) {
  const checked = checkSearchOptions(options, ['all', 'except', 'only', 'signal'])
  if ('only' in checked && checked.only === undefined) {
    throw new TypeError('only: expected a handle, got undefined; leave it out to end all of them')
  }
  const { except, only } = checked
  return {
    where: checkWhere(where, checked),
    except: Array.isArray(except) ? except : [except],
    // A handle comes from a page: what is none is no session's.
    only: only === undefined ? null : typeof only === 'string' ? only : ''
  }
}

/**
 * The parameters of a search for pg, in the order in which src/operations/search.rs numbers them.
 *
 * @param {Search} search
 * @returns {unknown[]}
 */
function parametersForPg([conditions, except, only]) {
  const values = conditions.flatMap(
    /** @returns {unknown[]} */ ([, value, anyOf]) => {
      if (anyOf !== null) return [anyOf.filter(one => one !== null).map(asText)]
      return value === null ? [] : [typeof value === 'string' ? value : Buffer.from(value.hex, 'hex')]
    }
  )
  if (except.length > 0) values.push(except)
  if (only !== null) values.push(Buffer.from(only, 'hex'))
  return values
}

/** @param {Parameter} parameter */
function asText(parameter) {
  return parameter !== null && typeof parameter === 'object' ? `\\x${parameter.hex}` : parameter
}

exports.checkDestroyAll = checkDestroyAll
exports.checkList = checkList
exports.parametersForPg = parametersForPg
exports.signalOfSearch = signalOfSearch
