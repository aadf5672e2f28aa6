'use strict'

// The cookie: its options, how it is read from a request, what goes into an answer. Knows no framework. Reading never
// throws: what stands in a request is anybody's.

const { isDate } = require('node:util/types')
// @ts-expect-error -- it has no typings
const cookie = require('cookie')
// @ts-expect-error -- it has no typings
const signature = require('cookie-signature')
const { describe } = require('../errors.js')
const { ImportedCookie, checkImported } = require('./imported-cookie.js')
const { typed } = require('../options.js')

/**
 * @typedef {import('../options.js').Check} Check
 * @typedef {{
 *   name: string | undefined,
 *   path: string,
 *   domain: string | undefined,
 *   secure: boolean | 'auto',
 *   httpOnly: boolean,
 *   sameSite: 'lax' | 'strict' | 'none',
 *   priority: 'low' | 'medium' | 'high' | undefined,
 *   partitioned: boolean,
 *   secrets: string[],
 *   importedFrom: import('./imported-cookie.js').ImportedFrom | undefined
 * }} CookieOptions
 * @typedef {{ readonly cookieHeader: unknown, readonly isHttps: boolean }} Asked what the cookie must know of a request
 * @typedef {{ name: string, value: string, attributes: { [name: string]: any } }} Cookie
 */

/** What this middleware writes; whatever else comes is not from here. */
const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
/** The same with a signature: looked at first, since a header has room for thousands that are none, and each costs a hash. */
const SIGNED_ID = /^[0-9a-f-]{36}\.[0-9a-z+/]{43}$/i
/** Names that browsers take only from those that may set them: https://httpwg.org/http-extensions/draft-ietf-httpbis-rfc6265bis.html#name-cookie-name-prefixes */
const HOST_PREFIX = '__host-'
const SECURE_PREFIX = '__secure-'
const HOST_NAME = '__Host-sid'
const PLAIN_NAME = 'sid'
const SAME_SITE = ['lax', 'strict', 'none']
const PRIORITIES = ['low', 'medium', 'high']

/** @type {{ [option: string]: Check }} */
const CHECKS = {
  name: serializable('the name of a cookie', name => cookie.serialize(name, 'x')),
  path: serializable('a path such as /', path => {
    if (!path.startsWith('/')) throw new TypeError('not absolute')
    cookie.serialize('x', 'x', { path })
  }),
  domain: serializable('a domain', domain => cookie.serialize('x', 'x', { domain })),
  secure: oneOf([true, false, 'auto']),
  httpOnly: typed('boolean', 'true or false'),
  sameSite: oneOf(SAME_SITE),
  priority: oneOf(PRIORITIES),
  partitioned: typed('boolean', 'true or false'),
  secret: checkSecret,
  importedFrom: (name, value) => checkImported(name, value, checkSecret)
}

/**
 * @param {string} expected
 * @param {(text: string) => unknown} use throws if the text will not do
 * @returns {Check}
 */
function serializable(expected, use) {
  return (name, value) => {
    const message = `${name}: expected ${expected}, got ${describe(value)}`
    if (typeof value !== 'string' || value === '') throw new TypeError(message)
    try {
      use(value)
    } catch (cause) {
      throw new TypeError(message, { cause })
    }
  }
}

/**
 * @param {unknown[]} values
 * @returns {Check}
 */
function oneOf(values) {
  const expected = values.map(value => JSON.stringify(value)).join(', ')
  return (name, value) => {
    if (!values.includes(value)) throw new TypeError(`${name}: expected one of ${expected}, got ${describe(value)}`)
  }
}

/** @type {Check} */
function checkSecret(name, value) {
  const secrets = Array.isArray(value) ? value : [value]
  const isSecret = (/** @type {unknown} */ secret) => typeof secret === 'string' && secret !== ''
  // What came is a secret, or nearly one: it is not shown.
  if (secrets.length === 0 || !secrets.every(isSecret))
    throw new TypeError(`${name}: expected a text, or several, that are not empty`)
}

/**
 * The options of the cookie among `options`; throws for one that is wrong or that contradicts another.
 *
 * @param {{ [option: string]: unknown }} options
 * @returns {CookieOptions}
 */
function checkCookie(options) {
  /** @type {any} */
  const given = {}
  for (const [name, check] of Object.entries(CHECKS)) {
    if (options[name] === undefined) continue
    check(`options.${name}`, options[name])
    given[name] = options[name]
  }
  const { secret = [], ...others } = given
  const checked = {
    path: '/',
    secure: 'auto',
    httpOnly: true,
    sameSite: 'lax',
    partitioned: false,
    ...others,
    secrets: Array.isArray(secret) ? secret : [secret]
  }
  refuseContradictions(checked)
  return checked
}

/** @param {CookieOptions} options */
function refuseContradictions(options) {
  const { name, secure, sameSite, partitioned, path, domain } = options
  if (secure === false && needsSecure(options)) {
    const reason = partitioned ? 'partitioned' : sameSite === 'none' ? 'sameSite "none"' : `the name ${name}`
    throw new TypeError(`options.secure: expected true or "auto", since ${reason} needs it, got false`)
  }
  if (isPrefixed(name, HOST_PREFIX) && (path !== '/' || domain !== undefined)) {
    throw new TypeError(`options.name: ${name} needs the path "/" and no domain`)
  }
}

/** @param {CookieOptions} options */
function needsSecure({ name, sameSite, partitioned }) {
  return partitioned || sameSite === 'none' || isPrefixed(name, HOST_PREFIX) || isPrefixed(name, SECURE_PREFIX)
}

/**
 * @param {string | undefined} name
 * @param {string} prefix
 */
function isPrefixed(name, prefix) {
  return name?.toLowerCase().startsWith(prefix) ?? false
}

/** The session's cookie. */
class SessionCookie {
  #options
  #httpsHint
  #imported
  #warned = false

  /**
   * @param {{ [option: string]: unknown }} options
   * @param {string} httpsHint how the framework is told that a proxy in front of it speaks https
   */
  constructor(options, httpsHint) {
    this.#options = checkCookie(options)
    this.#httpsHint = httpsHint
    const { importedFrom } = this.#options
    this.#imported = importedFrom && new ImportedCookie(importedFrom)
  }

  /** The names of its options. */
  static options = Object.keys(CHECKS)

  /**
   * The id in a request: the first that is well formed, and rightly signed if there are secrets.
   *
   * @param {Asked} asked
   * @returns {string | undefined}
   */
  read(asked) {
    const header = asked.cookieHeader
    if (typeof header !== 'string') return undefined
    const name = this.#name(asked)
    if (!header.includes(name)) return undefined
    const first = this.#idIn(header, name)
    if (first !== undefined) return first
    // There may be another of that name, set for another path or domain, or planted.
    for (const pair of header.split(';')) {
      const id = pair.includes(name) ? this.#idIn(pair, name) : undefined
      if (id !== undefined) return id
    }
    return undefined
  }

  /**
   * The id of a session that was imported, in a request whose browser has only the cookie from before.
   *
   * @param {Asked} asked
   * @returns {string | undefined}
   */
  readImported({ cookieHeader: header }) {
    return typeof header === 'string' ? this.#imported?.read(header) : undefined
  }

  /**
   * The cookie that gives a browser a session; `undefined` if this request's answer must not hold one.
   *
   * @param {Asked} asked
   * @param {string} id
   * @param {unknown} expiration
   */
  give(asked, id, expiration) {
    const { secrets } = this.#options
    const value = secrets.length > 0 ? signature.sign(id, secrets[0]) : id
    // A parser that the user set for `timestamp` may make something else of it: then the cookie ends with the browser.
    const expires = isDate(expiration) && !Number.isNaN(expiration.getTime()) ? expiration : undefined
    // Both: old browsers know only the first, and the second does not depend on the browser's clock.
    const maxAge = expires && Math.max(0, Math.ceil((expires.getTime() - Date.now()) / 1000))
    return this.#made(asked, value, { expires, maxAge })
  }

  /**
   * The cookie that takes the session away from a browser.
   *
   * @param {Asked} asked
   */
  takeAway(asked) {
    return this.#made(asked, '', { expires: new Date(0), maxAge: 0 })
  }

  /**
   * @param {Asked} asked
   * @param {string} value
   * @param {{ expires: Date | undefined, maxAge: number | undefined }} times
   * @returns {Cookie | undefined}
   */
  #made(asked, value, times) {
    const secure = this.#options.secure !== false && asked.isHttps
    const { path, domain, httpOnly, sameSite, priority, partitioned } = this.#options
    if (!secure && (this.#options.secure === true || needsSecure(this.#options))) {
      this.#warn()
      return undefined
    }
    const attributes = { path, domain, httpOnly, sameSite, priority, partitioned, secure, ...times }
    return { name: this.#name(asked), value, attributes }
  }

  #warn() {
    if (this.#warned) return
    this.#warned = true
    process.emitWarning(
      `a session cookie that needs https was not set, since the request came without; ${this.#httpsHint}`
    )
  }

  /** @param {Asked} asked */
  #name(asked) {
    const { name, secure, path, domain } = this.#options
    if (name !== undefined) return name
    const isHosts = path === '/' && domain === undefined && (secure === true || (secure && asked.isHttps))
    return isHosts ? HOST_NAME : PLAIN_NAME
  }

  /**
   * @param {string} header
   * @param {string} name
   */
  #idIn(header, name) {
    const cookies = cookie.parse(header)
    const value = Object.hasOwn(cookies, name) ? cookies[name] : undefined
    if (value === undefined) return undefined
    const id = this.#unsigned(value)
    return id !== undefined && ID.test(id) ? id : undefined
  }

  /** @param {string} value */
  #unsigned(value) {
    const { secrets } = this.#options
    if (secrets.length === 0) return value
    if (!SIGNED_ID.test(value)) return undefined
    for (const secret of secrets) {
      const id = signature.unsign(value, secret)
      if (id !== false) return id
    }
    return undefined
  }
}

/**
 * A cookie as a line of a `Set-Cookie` header.
 *
 * @param {Cookie} made
 * @returns {string}
 */
function lineOf({ name, value, attributes }) {
  return cookie.serialize(name, value, attributes)
}

exports.SessionCookie = SessionCookie
exports.lineOf = lineOf
