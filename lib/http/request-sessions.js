'use strict'

// `req.sessions`: what one request does with its session. Keeps `req.session` and the cookie in step with it, whatever the
// framework is.

const { isDate } = require('node:util/types')
const { checkCall } = require('../abortable.js')
const { withCode } = require('../errors.js')
const { Sessions } = require('../sessions.js')
const { marked, unavailable } = require('./unavailable.js')

/**
 * @typedef {import('./cookie.js').SessionCookie} SessionCookie
 * @typedef {import('./cookie.js').Cookie} Cookie
 * @typedef {{ [column: string]: any }} Row
 * @typedef {{ signal?: AbortSignal } | undefined} CallOptions
 * @typedef {{ isAlwaysDue: boolean, isDue: (row: Row) => boolean }} Extending whether a request extends its session
 */

/**
 * A request and its answer, as a framework has them.
 *
 * @typedef {{
 *   readonly cookieHeader: unknown,
 *   readonly isHttps: boolean,
 *   readonly isSent: boolean,
 *   readonly isFinal: boolean,
 *   session: Row | null,
 *   whenSent(write: () => void): void,
 *   write(cookie: Cookie): void
 * }} Exchange `isSent`: it is too late for a cookie; `isFinal`: a cookie is written at once, and not taken back; `session`:
 *   what the app sees; `whenSent`: has it written when the headers go out, once, however often it is asked; `write`: gives
 *   the answer the cookie, and keeps it out of caches
 */

class RequestSessions {
  #sessions
  #cookie
  #exchange
  /** The id that the browser sent, as long as it is of use. @type {string | undefined} */
  #sent
  /** When the browser's cookie ends, as far as is known. @type {number | undefined} */
  #sentExpiry
  /** Whether that was another cookie than ours. */
  #isImported = false
  /** Why it is not known whether there is a session. @type {unknown} */
  #failure
  /** What the answer does to the cookie: nothing, take it away, give this row's. @type {undefined | null | Row} */
  #change
  /** The session that this request began last. @type {Row | undefined} */
  #begun

  /**
   * @param {any} sessions
   * @param {SessionCookie} cookie
   * @param {Exchange} exchange
   */
  constructor(sessions, cookie, exchange) {
    this.#sessions = sessions
    this.#cookie = cookie
    this.#exchange = exchange
    this.#sent = cookie.read(exchange)
    if (this.#sent === undefined) {
      this.#sent = cookie.readImported(exchange)
      this.#isImported = this.#sent !== undefined
    }
    exchange.session = null
  }

  /**
   * Reads the session that the request came with, and extends it if that is due.
   *
   * @param {RequestSessions} own
   * @param {Extending} extending
   * @returns {Promise<void> | undefined} nothing if the request has no cookie
   */
  static load(own, extending) {
    return own.#sent === undefined ? undefined : own.#load(own.#sent, extending)
  }

  /**
   * Whether it is of these sessions.
   *
   * @param {unknown} own what a request has
   * @param {unknown} sessions
   */
  static isOf(own, sessions) {
    return own instanceof RequestSessions && own.#sessions === sessions
  }

  /**
   * Why it is not known whether there is a session.
   *
   * @param {RequestSessions} own
   */
  static failure(own) {
    return own.#failure
  }

  /**
   * @param {unknown} values
   * @param {CallOptions} [options]
   */
  create(values, options) {
    return marked(this.#create(values, options))
  }

  /**
   * @param {unknown} values
   * @param {CallOptions} options
   */
  async #create(values, options) {
    this.#refuseLate('create')
    const replaced = this.#replaceable(this.#exchange.session)
    const row = await Sessions.replace(this.#sessions, replaced, values, options)
    const [session, change, begun] = [this.#exchange.session, this.#change, this.#begun]
    try {
      this.#refuseLate('create')
      await this.#replace(session, row, options)
    } catch (error) {
      if (this.#begun === row) {
        this.#exchange.session = session
        this.#change = change
        this.#begun = begun
      }
      await this.#discard(row, options)
      throw error
    }
    this.#sent = undefined
    this.#failure = undefined
    return row
  }

  /**
   * @param {unknown} values
   * @param {CallOptions} [options]
   */
  update(values, options) {
    return this.#onLive(null, options, async id => this.#hear(id, await this.#sessions.update(id, values, options)))
  }

  /** @param {CallOptions} [options] */
  extend(options) {
    return this.#onLive(false, options, async id => {
      const isLive = await this.#sessions.extend(id, options)
      // Only the database knows the new end.
      this.#hear(id, isLive ? await this.#read(id, options) : null)
      return isLive
    })
  }

  /** @param {CallOptions} [options] */
  async refresh(options) {
    this.#refuseLate('refresh')
    return this.#onLive(null, options, async id => {
      const row = await this.#sessions.refresh(id, options)
      // The old id still works for a while, so nobody is logged out; but the new one cannot be told.
      this.#refuseLate('refresh')
      return this.#hear(id, row)
    })
  }

  /** @param {CallOptions} [options] */
  async destroy(options) {
    checkCall(options)
    const begun = this.#begun
    const id = this.#exchange.session?.sess_id ?? this.#sent
    const wasLive = id === undefined ? false : await this.#destroy(id, options)
    this.#takeAway(begun)
    return wasLive
  }

  /**
   * @param {string} id
   * @param {CallOptions} options
   */
  async #destroy(id, options) {
    try {
      return await marked(this.#sessions.destroy(id, options))
    } catch (error) {
      const isAborted = error === options?.signal?.reason
      // It could not be asked before, either: this is no failure of the handler's.
      throw this.#failure === undefined || isAborted ? error : unavailable(error)
    }
  }

  /**
   * @param {unknown} where
   * @param {unknown} [options]
   */
  list(where, options) {
    return marked(this.#sessions.list(where, options))
  }

  /**
   * @param {unknown} where
   * @param {CallOptions} [options]
   */
  destroyAll(where, options) {
    return marked(this.#destroyAll(where, options))
  }

  /**
   * @param {unknown} where
   * @param {CallOptions} options
   */
  async #destroyAll(where, options) {
    const count = await this.#sessions.destroyAll(where, options)
    // This session may have been among them.
    const begun = this.#begun
    const id = this.#exchange.session?.sess_id
    if (count > 0 && id !== undefined && (await this.#read(id, { signal: options?.signal })) === null) {
      this.#takeAway(begun)
    }
    return count
  }

  /** @returns {string | null} */
  handle() {
    const id = this.#exchange.session?.sess_id
    return id === undefined ? null : this.#sessions.handle(id)
  }

  /**
   * @param {string} id
   * @param {Extending} extending
   */
  async #load(id, { isAlwaysDue, isDue }) {
    try {
      // Where each request extends its session, there is no need to look at it before.
      if (isAlwaysDue && !(await this.#sessions.extend(id))) return
      const row = await (this.#exchange.isSent ? this.#read(id) : this.#sessions.validate(id))
      if (row === null) return
      this.#exchange.session = row
      // A row whose id is another was given a new one; after an extend, the browser does not know the end.
      const isKnown = !isAlwaysDue && row.sess_id === id.toLowerCase() && !this.#isImported
      if (isKnown) this.#sentExpiry = timeOf(row)
      this.#follow(row)
      if (!isAlwaysDue && isDue(row)) await this.extend()
    } catch (error) {
      this.#failure = error
      // It may have been read, and not extended.
      this.#exchange.session = null
      throw error
    }
  }

  /**
   * @template T
   * @param {T} missing what comes of it without a session
   * @param {CallOptions} options
   * @param {(id: string) => Promise<T>} work
   */
  async #onLive(missing, options, work) {
    checkCall(options)
    // Nobody knows whether there is a session: this is no place to say that there is none.
    if (this.#failure !== undefined) throw unavailable(this.#failure)
    const id = this.#exchange.session?.sess_id
    return id === undefined ? missing : marked(work(id))
  }

  /**
   * The row. Not by `validate`, which may give the session a new id: the headers may have been sent.
   *
   * @param {string} id
   * @param {CallOptions} [options]
   * @returns {Promise<Row | null>}
   */
  #read(id, options) {
    return this.#sessions.update(id, {}, options)
  }

  /**
   * What came of a call for the session of this id. If the request has another session or id by now, it has come too late
   * to say anything of that one.
   *
   * @param {string} id
   * @param {Row | null} row
   */
  #hear(id, row) {
    const now = this.#exchange.session?.sess_id
    if (now === id || (now !== undefined && now === row?.sess_id)) this.#follow(row)
    return row
  }

  /**
   * The session is this one now; `null`: it has ended.
   *
   * @param {Row | null} row
   */
  #follow(row) {
    this.#exchange.session = row
    if (row === null) return
    const isKnown = row.sess_id === this.#sent?.toLowerCase() && timeOf(row) === this.#sentExpiry
    if (!isKnown) this.#changeCookie(row)
  }

  /**
   * @param {Row | null} session the one until now
   * @param {Row} row of the new one
   * @param {CallOptions} options
   */
  async #replace(session, row, options) {
    // The cookie first, if that can be taken back, so that it goes along if the headers go out meanwhile.
    if (!this.#exchange.isFinal) this.#begin(row)
    await this.#end(session, options)
    if (this.#exchange.isFinal) this.#begin(row)
  }

  /** @param {Row} row */
  #begin(row) {
    this.#begun = row
    this.#exchange.session = row
    this.#changeCookie(row)
  }

  /** @param {Row | undefined} begun what this request had begun when the session that has ended was its own */
  #takeAway(begun) {
    if (this.#begun !== begun) return
    const mayHaveCookie = this.#sent !== undefined || this.#change
    this.#exchange.session = null
    this.#sent = undefined
    this.#failure = undefined
    if (mayHaveCookie) this.#changeCookie(null)
  }

  /**
   * Ends the session that the request came with: a new one must not be known to whoever knew that one.
   *
   * @param {Row | null} session
   * @param {CallOptions} options
   */
  async #end(session, options) {
    const id = this.#replaceable(session)
    if (id !== undefined) await this.#sessions.destroy(id, options)
  }

  /**
   * The id of the session that a new one comes in the place of.
   *
   * @param {Row | null} session
   * @returns {string | undefined}
   */
  #replaceable(session) {
    return session?.sess_id ?? (this.#failure === undefined ? undefined : this.#sent)
  }

  /**
   * Ends a session that nobody was told of.
   *
   * @param {Row} row
   * @param {CallOptions} options
   */
  async #discard({ sess_id: id }, options) {
    const ending = this.#sessions.destroy(id)
    if (!options?.signal?.aborted) return ending
    // Nobody waits for it. If it fails, the session expires unused, as after any create that was aborted.
    ending.catch(() => {})
  }

  /** @param {null | Row} change */
  #changeCookie(change) {
    this.#change = change
    // Only when the headers go out is it known what else the app wrote into them.
    if (!this.#exchange.isSent) this.#exchange.whenSent(() => this.#write())
  }

  #write() {
    const change = this.#change
    if (change === undefined) return
    const cookie =
      change === null
        ? this.#cookie.takeAway(this.#exchange)
        : this.#cookie.give(this.#exchange, change.sess_id, change.sess_expiration)
    if (cookie !== undefined) this.#exchange.write(cookie)
  }

  /** @param {string} method */
  #refuseLate(method) {
    if (!this.#exchange.isSent) return
    const message = `sessions.${method}: the headers were sent already, so the browser cannot be told`
    throw withCode(new Error(message), 'PGSESS_HEADERS_SENT')
  }
}

/** @param {Row} row */
function timeOf({ sess_expiration: expiration }) {
  return isDate(expiration) ? expiration.getTime() : undefined
}

exports.RequestSessions = RequestSessions
