'use strict'

// The cookie: its options, how it is read from a request, how it is written into an answer. Reading never throws: what
// stands in a request is anybody's.

const { isDate } = require('node:util/types')
// @ts-expect-error -- it has no typings
const cookie = require('cookie')
// @ts-expect-error -- it has no typings
const signature = require('cookie-signature')
const { describe } = require('../errors.js')
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
 *   secrets: string[]
 * }} CookieOptions
 */

/** What this middleware writes; whatever else comes is not from here. */
const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
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
  secret: checkSecret
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
  #warned = false

  /** @param {{ [option: string]: unknown }} options */
  constructor(options) {
    this.#options = checkCookie(options)
  }

  /** The names of its options. */
  static options = Object.keys(CHECKS)

  /**
   * The id in a request: the first that is well formed, and rightly signed if there are secrets.
   *
   * @param {any} req
   * @returns {string | undefined}
   */
  read(req) {
    /** @type {unknown} */
    const header = req.headers.cookie
    const name = this.#name(req)
    if (typeof header !== 'string' || !header.includes(name)) return undefined
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
   * The line that gives a browser a session; `undefined` if this request's answer must not hold one.
   *
   * @param {any} req
   * @param {string} id
   * @param {unknown} expiration
   */
  give(req, id, expiration) {
    const { secrets } = this.#options
    const value = secrets.length > 0 ? signature.sign(id, secrets[0]) : id
    // A parser that the user set for `timestamp` may make something else of it: then the cookie ends with the browser.
    const expires = isDate(expiration) && !Number.isNaN(expiration.getTime()) ? expiration : undefined
    // Both: old browsers know only the first, and the second does not depend on the browser's clock.
    const maxAge = expires && Math.max(0, Math.ceil((expires.getTime() - Date.now()) / 1000))
    return this.#line(req, value, { expires, maxAge })
  }

  /**
   * The line that takes the session away from a browser.
   *
   * @param {any} req
   */
  takeAway(req) {
    return this.#line(req, '', { expires: new Date(0), maxAge: 0 })
  }

  /**
   * @param {any} req
   * @param {string} value
   * @param {{ expires: Date | undefined, maxAge: number | undefined }} times
   */
  #line(req, value, times) {
    const secure = this.#isSecure(req)
    const { path, domain, httpOnly, sameSite, priority, partitioned } = this.#options
    if (!secure && (this.#options.secure === true || needsSecure(this.#options))) {
      this.#warn()
      return undefined
    }
    const attributes = { path, domain, httpOnly, sameSite, priority, partitioned, secure }
    return cookie.serialize(this.#name(req), value, { ...attributes, ...times })
  }

  #warn() {
    if (this.#warned) return
    this.#warned = true
    process.emitWarning(
      'a session cookie that needs https was not set, since the request came without; ' +
        'behind a proxy, Express has to know: app.set("trust proxy", …)'
    )
  }

  /** @param {any} req */
  #name(req) {
    const { name, secure, path, domain } = this.#options
    if (name !== undefined) return name
    const isHosts = path === '/' && domain === undefined && (secure === true || (secure && isHttps(req)))
    return isHosts ? HOST_NAME : PLAIN_NAME
  }

  /** @param {any} req */
  #isSecure(req) {
    return this.#options.secure !== false && isHttps(req)
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
    for (const secret of secrets) {
      const id = signature.unsign(value, secret)
      if (id !== false) return id
    }
    return undefined
  }
}

/**
 * Whether a request came over https, as Express has it (`trust proxy` included), else as the socket has it.
 *
 * @param {any} req
 */
function isHttps(req) {
  return Boolean(req.secure ?? req.socket?.encrypted)
}

exports.SessionCookie = SessionCookie
