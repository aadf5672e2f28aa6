'use strict'

// What a request changed: the keys at the top of a session's data whose JSON is another than when it was loaded.

const { describe } = require('../errors.js')

/**
 * @typedef {[key: string, value: string | null]} Part both in JSON; null: the key is gone
 * @typedef {Map<string, string>} Texts the JSON of each key's value
 */

/** A NUL in a JSON text. */
const NUL = /(?<!\\)(?:\\\\)*\\u0000/

/**
 * The JSON of each value, as `JSON.stringify` of the whole would write it.
 *
 * @param {any} session
 * @returns {Texts}
 */
function textsOf(session) {
  const data = typeof session?.toJSON === 'function' ? session.toJSON('') : session
  if (typeof data !== 'object' || data === null || Array.isArray(data)) {
    throw new TypeError(`session: expected an object, got ${describe(data)}`)
  }
  /** @type {Texts} */
  const texts = new Map()
  for (const key of Object.keys(data)) {
    const text = jsonOf(key, data[key])
    if (text !== undefined) texts.set(key, text)
  }
  return texts
}

/**
 * @param {string} key
 * @param {any} value
 * @returns {string | undefined}
 */
function jsonOf(key, value) {
  // `toJSON` is told the key, as it is in the whole.
  return JSON.stringify(typeof value?.toJSON === 'function' ? value.toJSON(key) : value)
}

/**
 * @param {Texts} texts
 * @returns {string}
 */
function wholeOf(texts) {
  refuseNul(texts)
  return `{${Array.from(texts, ([key, text]) => `${JSON.stringify(key)}:${text}`).join()}}`
}

/**
 * @param {Texts} before
 * @param {Texts} now
 * @param {(key: string) => boolean} isHidden whether a key that is not among those now cannot be seen in the session: it
 *   has the name of one of its methods
 * @returns {Part[]}
 */
function partsOf(before, now, isHidden) {
  const changed = new Map([...now].filter(([key, text]) => before.get(key) !== text))
  refuseNul(changed)
  const gone = [...before.keys()].filter(key => !now.has(key) && !isHidden(key))
  return [
    ...Array.from(changed, ([key, text]) => /** @type {Part} */ ([JSON.stringify(key), text])),
    ...gone.map(key => /** @type {Part} */ ([JSON.stringify(key), null]))
  ]
}

/** @param {Texts} texts */
function refuseNul(texts) {
  for (const [key, text] of texts) {
    if (holdsNul(text) || key.includes('\0')) {
      throw new TypeError(`session: its key ${describe(key)} holds a NUL character, which PostgreSQL cannot store`)
    }
  }
}

/** @param {string} json */
function holdsNul(json) {
  return json.includes('\\u0000') && NUL.test(json)
}

exports.partsOf = partsOf
exports.textsOf = textsOf
exports.wholeOf = wholeOf
