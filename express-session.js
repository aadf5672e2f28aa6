'use strict'

// The Store for express-session, in the place of connect-pg-simple: its options, its table, its callbacks. Described in
// express-session.d.ts. Contract only: no SQL, no defaults.

const { withCode } = require('./lib/errors.js')
const { MaybeIgnored } = require('./lib/maybe-ignored.js')
const { partsOf, textsOf, wholeOf } = require('./lib/store/changes.js')
const { isStorable, toExcept, toMatch } = require('./lib/store/match.js')
const { checkStoreOptions } = require('./lib/store/options.js')
const { StoreTable, isUnreadable } = require('./lib/store/table.js')

/**
 * What is known of a session object: it was loaded from a row with these texts, or made in this request.
 *
 * @typedef {{ sid: string, loaded: import('./lib/store/changes.js').Texts | string | undefined }} Origin a string: the
 *   texts are in there, and nobody needed them yet
 * @typedef {(error: unknown, ...results: any[]) => void} Callback
 */

/**
 * @param {any} session what `require('express-session')` gives
 */
function connectPgStore(session) {
  const Store = session?.Store ?? session?.session?.Store
  if (typeof Store !== 'function') {
    throw new TypeError("session: expected what require('express-session') gives")
  }

  return class PgStore extends Store {
    #table
    #facts
    #disableTouch
    #errorLog
    #prunes
    #delay
    /** @type {NodeJS.Timeout | undefined} */
    #timer
    #closed = false
    /** Rows that pruning has removed. */
    #pruned = 0
    /** @type {((req: any) => void) | undefined} */
    #generate
    /** The data that `get` gave out, with its JSON. @type {WeakMap<object, { sid: string, json: string }>} */
    #data = new WeakMap()
    /** @type {WeakMap<object, Origin>} */
    #origins = new WeakMap()

    /** @param {object} [options] */
    constructor(options = {}) {
      super(options)
      const checked = checkStoreOptions(options)
      const report = (/** @type {Error} */ error, /** @type {string} */ table) =>
        checked.errorLog(`In table ${table}:`, error)
      this.#table = new StoreTable(checked.source, checked.core, report)
      this.#facts = this.#table.facts()
      this.#disableTouch = checked.disableTouch
      this.#errorLog = checked.errorLog
      this.#prunes = checked.prunes
      this.#delay = checked.delay
      // Seen from outside, as there.
      this.ttl = checked.ttl
    }

    /**
     * express-session sets this; what it makes is marked as new.
     *
     * @type {((req: any) => void) | undefined}
     */
    get generate() {
      return this.#generate
    }

    set generate(generate) {
      this.#generate = req => {
        generate?.call(this, req)
        if (req.session) this.#origins.set(req.session, { sid: req.sessionID, loaded: undefined })
      }
    }

    /**
     * express-session makes its object of what `get` gave: it is marked as loaded.
     *
     * @param {any} req
     * @param {any} data
     */
    createSession(req, data) {
      const session = super.createSession(req, data)
      const known = this.#data.get(data)
      if (known !== undefined) this.#origins.set(session, { sid: known.sid, loaded: known.json })
      return session
    }

    /**
     * @param {string} sid
     * @param {Callback} [callback]
     */
    get(sid, callback) {
      return this.#answer(this.#get(sid), callback, session => (session === null ? [] : [session]))
    }

    /**
     * @param {string} sid
     * @param {any} session
     * @param {Callback} [callback]
     */
    set(sid, session, callback) {
      return this.#answer(this.#set(sid, session), callback)
    }

    /**
     * @param {string} sid
     * @param {any} session
     * @param {Callback} [callback]
     */
    touch(sid, session, callback) {
      return this.#answer(this.#touch(sid, session), callback)
    }

    /**
     * @param {string} sid
     * @param {Callback} [callback]
     */
    destroy(sid, callback) {
      return this.#answer(this.#destroy(sid), callback)
    }

    /** @param {Callback} [callback] */
    all(callback) {
      return this.#answer(this.#all(), callback, sessions => [sessions])
    }

    /** @param {Callback} [callback] */
    ids(callback) {
      return this.#answer(this.#table.ask('ids'), callback, ids => [ids])
    }

    /** @param {Callback} [callback] */
    length(callback) {
      return this.#answer(this.#table.ask('length'), callback, count => [count])
    }

    /** @param {Callback} [callback] */
    clear(callback) {
      return this.#answer(this.#nothing(this.#table.ask('clear')), callback)
    }

    /**
     * @param {string | string[]} path
     * @param {string | number | boolean} value
     * @param {Callback} [callback]
     */
    listBy(path, value, callback) {
      return this.#answer(this.#listBy(path, value), callback, found => [found])
    }

    /**
     * @param {string | string[]} path
     * @param {string | number | boolean} value
     * @param {any} [options]
     * @param {Callback} [callback]
     * @returns {Promise<any> | undefined}
     */
    endBy(path, value, options, callback) {
      if (typeof options === 'function') return this.endBy(path, value, undefined, options)
      return this.#answer(this.#endBy(path, value, options), callback, count => [count])
    }

    /** @param {Callback} [callback] */
    pruneSessions(callback) {
      return this.#answer(this.#prune(), callback)
    }

    stats() {
      return { ...this.#table.stats(), pruned: this.#pruned }
    }

    async close() {
      this.#closed = true
      clearTimeout(this.#timer)
      await this.#table.close()
    }

    [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() {
      return this.close()
    }

    /**
     * Tells whoever asked: the callback, else a promise that nobody need look at.
     *
     * @param {Promise<any>} work
     * @param {Callback | undefined} callback
     * @param {(value: any) => unknown[]} [results] what the callback gets after the error
     * @returns {Promise<any> | undefined}
     */
    #answer(work, callback, results = () => []) {
      if (typeof callback !== 'function') {
        return new MaybeIgnored(work, (error, isIgnored) => {
          if (isIgnored) this.#errorLog('A call of the session store failed:', error)
        })
      }
      // On a turn of its own, so that what the callback throws is its own failure and not that of the call.
      work.then(
        value => process.nextTick(callback, null, ...results(value)),
        error => process.nextTick(callback, error)
      )
    }

    /** @param {Promise<unknown>} work */
    async #nothing(work) {
      await work
    }

    /** @param {string} sid */
    async #get(sid) {
      this.#pruneLater()
      if (!isStorable(sid)) return null
      try {
        const json = await this.#table.get(sid)
        if (json === null) return null
        const data = parse(json)
        if (typeof data === 'object' && data !== null) this.#data.set(data, { sid, json })
        return data
      } catch (error) {
        throw notForNoSession(error)
      }
    }

    /**
     * @param {string} sid
     * @param {any} session
     */
    async #set(sid, session) {
      this.#pruneLater()
      if (!isStorable(sid)) throw new TypeError('sid: expected a text without NUL characters')
      const texts = textsOf(session)
      const expiry = this.#expiry(session)
      const origin = this.#origins.get(session)
      if (origin?.sid !== sid) return this.#write('put', sid, expiry, texts)
      if (origin.loaded === undefined) await this.#write('put', sid, expiry, texts)
      else if (this.#facts.merge) await this.#merge(sid, expiry, textsBefore(origin.loaded), texts, session)
      else await this.#write('update', sid, expiry, texts)
      // From now on it is one of those that are only updated.
      origin.loaded = texts
    }

    /**
     * @param {'put' | 'update'} how
     * @param {string} sid
     * @param {import('./lib/store/table.js').Expiry} expiry
     * @param {import('./lib/store/changes.js').Texts} texts
     */
    async #write(how, sid, expiry, texts) {
      await this.#table.write(how, sid, expiry, wholeOf(texts))
    }

    /**
     * @param {string} sid
     * @param {import('./lib/store/table.js').Expiry} expiry
     * @param {import('./lib/store/changes.js').Texts} before
     * @param {import('./lib/store/changes.js').Texts} texts
     * @param {object} session
     */
    async #merge(sid, expiry, before, texts, session) {
      const parts = partsOf(before, texts, key => isHidden(session, key))
      try {
        await this.#table.merge(sid, expiry, parts)
      } catch (error) {
        if (!isUnreadable(error)) throw error
        // It is replaced whole.
        await this.#write('update', sid, expiry, texts)
      }
    }

    /**
     * @param {string} sid
     * @param {any} session
     */
    async #touch(sid, session) {
      this.#pruneLater()
      if (!this.#disableTouch && isStorable(sid)) await this.#table.touch(sid, this.#expiry(session))
    }

    /** @param {string} sid */
    async #destroy(sid) {
      this.#pruneLater()
      if (isStorable(sid)) await this.#table.destroy(sid)
    }

    async #all() {
      return (await this.#table.ask('all')).map(parse)
    }

    /**
     * @param {string | string[]} path
     * @param {unknown} value
     */
    async #listBy(path, value) {
      /** @type {[string, string, number][]} */
      const found = await this.#table.askInside('list', toMatch(path, value))
      return found.map(([sid, json, expires]) => ({ sid, session: parse(json), expires: new Date(expires) }))
    }

    /**
     * @param {string | string[]} path
     * @param {unknown} value
     * @param {unknown} options
     */
    async #endBy(path, value, options) {
      return this.#table.askInside('end', toMatch(path, value), toExcept(options))
    }

    /**
     * When a session ends: with its cookie, or after the ttl.
     *
     * @param {any} session
     * @returns {import('./lib/store/table.js').Expiry}
     */
    #expiry(session) {
      const expires = session?.cookie?.expires
      if (!expires) return { at: null, after: this.ttl || this.#facts.ttl }
      const time = new Date(expires).getTime()
      if (Number.isNaN(time)) throw new TypeError('session.cookie.expires: expected a time')
      return { at: time / 1000, after: null }
    }

    async #prune() {
      clearTimeout(this.#timer)
      this.#timer = undefined
      try {
        let removed = 0
        do {
          removed = await this.#table.ask('prune')
          this.#pruned += removed
        } while (removed > 0)
      } finally {
        this.#pruneLater()
      }
    }

    #pruneLater() {
      if (!this.#prunes || this.#closed || this.#timer !== undefined) return
      const delay = this.#delay(this.#facts.pruneSessionInterval * 1000)
      this.#timer = setTimeout(() => {
        this.#prune().catch(error => {
          if (!this.#closed) this.#errorLog('Failed to prune sessions:', error)
        })
      }, delay).unref()
    }
  }
}

/**
 * Whether the session has a method or the like in the place of this key of its data. A key that was set to `undefined` is
 * there to be seen, and gone from the JSON on purpose.
 *
 * @param {object} session
 * @param {string} key
 */
function isHidden(session, key) {
  return key in session && !Object.prototype.propertyIsEnumerable.call(session, key)
}

/**
 * @param {import('./lib/store/changes.js').Texts | string} loaded
 */
function textsBefore(loaded) {
  return typeof loaded === 'string' ? textsOf(JSON.parse(loaded)) : loaded
}

/**
 * express-session takes `ENOENT` for "no session" and would log the user out. Here it means that the server's socket is
 * away.
 *
 * @param {any} error
 */
function notForNoSession(error) {
  return error?.code === 'ENOENT' ? withCode(new Error(error.message, { cause: error }), 'ECONNREFUSED') : error
}

/** @param {string} json */
function parse(json) {
  try {
    return JSON.parse(json)
  } catch {
    // Node's own error would show the data.
    throw withCode(new Error('the data of a session is not JSON'), 'PGSESS_TABLE')
  }
}

module.exports = Object.assign(connectPgStore, { default: connectPgStore })
