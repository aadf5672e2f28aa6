'use strict'

// A request and its answer as `cookies()` of Next.js shows them. Next sends what it is told; nobody hears when.

/** @typedef {import('./request-sessions.js').Row} Row */

class NextExchange {
  #store
  /** @type {Row | null} */
  session = null
  /** The store says it by an error. */
  isSent = false
  isFinal = true

  /**
   * @param {any} store
   * @param {boolean} isHttps
   */
  constructor(store, isHttps) {
    this.#store = store
    this.isHttps = isHttps
    this.cookieHeader = headerOf(store)
  }

  /** @param {() => void} write */
  whenSent(write) {
    write()
  }

  /** @param {import('./cookie.js').Cookie} cookie */
  write({ name, value, attributes }) {
    this.#store.set(name, value, attributes)
  }
}

/**
 * The cookies as a browser sends them.
 *
 * @param {{ getAll(): { name: string, value: string }[] }} store
 */
function headerOf(store) {
  return store
    .getAll()
    .map(({ name, value }) => `${name}=${encodeURIComponent(value)}`)
    .join('; ')
}

exports.NextExchange = NextExchange
exports.headerOf = headerOf
