'use strict'

// The cookie of express-session, while an app moves: it leads to the session that `import` made of the old one.

// @ts-expect-error -- it has no typings
const cookie = require('cookie')
// @ts-expect-error -- it has no typings
const signature = require('cookie-signature')
const { describe } = require('../errors.js')
const { importedId } = require('../native.js')
const { isObject } = require('../options.js')

/** @typedef {{ name?: string, secret: string | string[] }} ImportedFrom */

const KNOWN = ['name', 'secret']
/** express-session's. */
const NAME = 'connect.sid'
/** How express-session marks a signed value. */
const SIGNED = 's:'

/**
 * @param {string} option
 * @param {any} value
 * @param {import('../options.js').Check} checkSecret
 */
function checkImported(option, value, checkSecret) {
  if (!isObject(value)) throw new TypeError(`${option}: expected { secret, name? }, got ${describe(value)}`)
  const unknown = Object.keys(value).find(name => !KNOWN.includes(name))
  if (unknown !== undefined) throw new TypeError(`${option}: unknown option ${JSON.stringify(unknown)}`)
  const { name = NAME, secret } = value
  if (typeof name !== 'string' || name === '') {
    throw new TypeError(`${option}.name: expected the name of a cookie, got ${describe(name)}`)
  }
  checkSecret(`${option}.secret`, secret)
}

class ImportedCookie {
  #name
  #secrets

  /** @param {ImportedFrom} options */
  constructor({ name = NAME, secret }) {
    this.#name = name
    this.#secrets = [secret].flat()
  }

  /**
   * @param {string} header
   * @returns {string | undefined}
   */
  read(header) {
    if (!header.includes(this.#name)) return undefined
    const cookies = cookie.parse(header)
    const value = Object.hasOwn(cookies, this.#name) ? cookies[this.#name] : undefined
    if (!value?.startsWith(SIGNED)) return undefined
    for (const secret of this.#secrets) {
      const sid = signature.unsign(value.slice(SIGNED.length), secret)
      // `import` knew one secret: the first.
      if (sid !== false) return importedId(this.#secrets[0], sid)
    }
    return undefined
  }
}

exports.ImportedCookie = ImportedCookie
exports.checkImported = checkImported
