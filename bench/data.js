'use strict'

// The sessions that are there before anything is measured. One class for each way of keeping them; all hold the same
// ids with the same values, and are brought back to that state after each turn.

const { openPostgres, openRedis } = require('./clients.js')
const { FIELDS, LENGTH_MS, VALUES } = require('./contestants/index.js')

/** @typedef {import('./contestants/index.js').Place} Place */
/** @typedef {{ username: string, user_id: number }} Values */

/**
 * @typedef {object} Data
 * @property {(ids: string[]) => Promise<unknown>} fill once, before the contestant opens
 * @property {(ids: string[]) => Promise<unknown>} add some more, with VALUES
 * @property {() => Promise<unknown>} tidy take away what was not filled in, and what the database keeps of old rows
 * @property {() => Promise<unknown>} close
 */

const NOW = "now() at time zone 'UTC'"
/** How many keys go to Redis at a time. */
const REDIS_BATCH = 1000
/** Given pairs of key and text. One command for many keys: each for itself would take far longer. */
const SET_ALL = `for at = 2, #ARGV, 2 do redis.call('SET', ARGV[at], ARGV[at + 1], 'EX', ARGV[1]) end`

class Table {
  #url
  /** @type {ReturnType<typeof openPostgres> | undefined} */
  #client

  /** @param {Place} place */
  constructor({ postgresUrl }) {
    this.#url = postgresUrl
  }

  /**
   * @param {string} text
   * @param {unknown[]} [values]
   */
  async query(text, values) {
    this.#client ??= openPostgres(this.#url)
    await (await this.#client).query(text, values)
  }

  async close() {
    await (await this.#client)?.end()
  }
}

/** The table that this package makes. */
class RowTable extends Table {
  #url

  /** @param {Place} place */
  constructor(place) {
    super(place)
    this.#url = place.postgresUrl
  }

  /** @param {string[]} ids */
  async fill(ids) {
    // Loaded here, since most who load this file do not need the addon.
    const sessions = await require('pg-sess-rs').connect(this.#url, { fields: FIELDS, hashIds: false })
    await sessions.close()
    await this.#insert(ids, "'user' || place", 'place')
    await this.query('vacuum (analyze) sess')
  }

  /** @param {string[]} ids */
  async add(ids) {
    await this.#insert(ids, `'${VALUES.username}'`, String(VALUES.user_id))
  }

  async tidy() {
    await this.query(`delete from sess where user_id = ${VALUES.user_id}`)
    await this.query('vacuum sess')
  }

  /**
   * @param {string[]} ids
   * @param {string} username
   * @param {string} userId
   */
  async #insert(ids, username, userId) {
    const text = `
      insert into sess (sess_id, sess_creation_date, sess_last_updated, sess_expiration, username, user_id)
      select id, ${NOW}, ${NOW}, ${NOW} + interval '14 days', ${username}, ${userId}
      from unnest($1::uuid[]) with ordinality as given (id, place)`
    await this.query(text, [ids])
  }
}

/** The table of connect-pg-simple, as its table.sql makes it. */
class StoreTable extends Table {
  #toSession

  /**
   * @param {Place} place
   * @param {(values: Values) => object} toSession
   */
  constructor(place, toSession) {
    super(place)
    this.#toSession = toSession
  }

  /** @param {string[]} ids */
  async fill(ids) {
    await this.query(`
      create table session (sid varchar not null primary key, sess json not null, expire timestamp(6) not null);
      create index on session (expire)`)
    await this.#insert(ids, "'user' || place", 'place')
    await this.query('vacuum (analyze) session')
  }

  /** @param {string[]} ids */
  async add(ids) {
    await this.#insert(ids, `'${VALUES.username}'`, String(VALUES.user_id))
  }

  async tidy() {
    await this.query(`delete from session where sess->>'user_id' = '${VALUES.user_id}'`)
    await this.query('vacuum session')
  }

  /**
   * @param {string[]} ids
   * @param {string} username
   * @param {string} userId
   */
  async #insert(ids, username, userId) {
    const text = `
      insert into session
      select id, ($2::jsonb || jsonb_build_object('username', ${username}, 'user_id', ${userId}))::json, $3
      from unnest($1::text[]) with ordinality as given (id, place)`
    await this.query(text, [ids, JSON.stringify(this.#toSession(VALUES)), new Date(Date.now() + LENGTH_MS)])
  }
}

/** One key for each session, in a database of Redis that nobody else uses. */
class RedisKeys {
  #url
  /** @type {ReturnType<typeof openRedis> | undefined} */
  #opened
  #prefix
  #toText
  /** @type {string[]} */
  #ids = []

  /**
   * @param {string} url
   * @param {string} prefix of the keys
   * @param {(values: Values) => string} toText
   */
  constructor(url, prefix, toText) {
    this.#url = url
    this.#prefix = prefix
    this.#toText = toText
  }

  /** @param {string[]} ids */
  async fill(ids) {
    this.#ids = ids
    await this.#set(ids, at => ({ username: `user${at + 1}`, user_id: at + 1 }))
  }

  /** @param {string[]} ids */
  async add(ids) {
    await this.#set(ids, () => VALUES)
  }

  async tidy() {
    const client = await this.#client()
    // Nothing is slower for some more keys, and to fill anew takes long.
    if ((await client.dbSize()) <= 2 * this.#ids.length) return
    await client.flushDb()
    await this.fill(this.#ids)
  }

  #client() {
    this.#opened ??= openRedis(this.#url)
    return this.#opened
  }

  async close() {
    await (await this.#opened)?.close()
  }

  /**
   * @param {string[]} ids
   * @param {(at: number) => Values} valuesAt
   */
  async #set(ids, valuesAt) {
    const client = await this.#client()
    for (let begin = 0; begin < ids.length; begin += REDIS_BATCH) {
      const batch = ids.slice(begin, begin + REDIS_BATCH)
      const pairs = batch.flatMap((id, at) => [this.#prefix + id, this.#toText(valuesAt(begin + at))])
      await client.eval(SET_ALL, { arguments: [String(LENGTH_MS / 1000), ...pairs] })
    }
  }
}

exports.RedisKeys = RedisKeys
exports.RowTable = RowTable
exports.StoreTable = StoreTable
