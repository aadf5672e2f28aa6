'use strict'

// A place of its own for each test: an empty schema in the database of its file, or an empty database. Everything that
// a test opens there is closed before the next one starts.

const assert = require('node:assert/strict')
const { after } = require('node:test')
const { Client, Pool } = require('pg')
const pgPromise = require('pg-promise')
const { connect } = require('../../index.js')
const { storedIds } = require('./ids.js')
const { createDatabase } = require('./server.js')

/** @typedef {{ after(hook: () => Promise<void>): void }} TestContext */

/**
 * The database of a test file; dropped after its last test.
 *
 * @param {string} name
 */
function useDatabase(name) {
  /** @type {ReturnType<typeof createDatabase> | undefined} */
  let database
  let schemas = 0

  after(async () => (await database)?.drop())

  return {
    /**
     * An empty schema, which every connection to the place's URL finds first.
     *
     * @param {TestContext} t
     */
    async emptySchema(t) {
      database ??= createDatabase(name)
      const schema = `place_${++schemas}`
      const url = withOption((await database).url, `-c search_path=${schema}`)
      const place = new Place(url)
      t.after(() => place.leave())
      await place.query(`CREATE SCHEMA ${schema}`)
      return place
    },

    /**
     * An empty database, for a test of what all its sessions share.
     *
     * @param {TestContext} t
     */
    async emptyDatabase(t) {
      const { url, drop } = await createDatabase(name)
      const place = new Place(url)
      t.after(() => place.leave(drop))
      return place
    }
  }
}

/**
 * @param {string} url
 * @param {string} option
 */
function withOption(url, option) {
  const address = new URL(url)
  const given = address.searchParams.get('options')
  address.searchParams.set('options', given ? `${given} ${option}` : option)
  return address.href
}

class Place {
  #pool
  /** @type {(() => unknown)[]} */
  #deferred = []

  /** @param {string} url */
  constructor(url) {
    this.url = url
    this.#pool = calm(new Pool({ connectionString: url, max: 2, allowExitOnIdle: true }))
  }

  /**
   * Done when the test is over, the latest first.
   *
   * @param {() => unknown} work
   */
  defer(work) {
    this.#deferred.push(work)
  }

  /** @param {() => Promise<void>} [drop] */
  async leave(drop) {
    for (const work of this.#deferred.reverse()) await work()
    await this.#pool.end()
    await drop?.()
  }

  /**
   * Asks the database on a connection that no session of the test uses.
   *
   * @param {string} text
   * @param {unknown[]} [values]
   * @returns {Promise<any[]>}
   */
  async query(text, values) {
    const { rows } = await this.#pool.query(text, values)
    return rows
  }

  /**
   * Lets a session grow older, as if it had begun, been extended and ended that much earlier.
   *
   * @param {string} sid
   * @param {string} interval such as '15 minutes'
   * @param {string} [table]
   */
  async ageSession(sid, interval, table) {
    await age((text, values) => this.query(text, values), sid, interval, table)
  }

  /**
   * A pg-promise of its own and its database.
   *
   * @param {{ options?: object, connection?: unknown, dc?: unknown, pgp?: any }} [settings]
   */
  pgPromise({ options, connection = this.url, dc, pgp = pgPromise({ noWarnings: true, ...options }) } = {}) {
    const db = pgp(connection, dc)
    calm(db.$pool)
    this.defer(() => db.$pool.ending || db.$pool.end())
    return { pgp, db }
  }

  /** @param {object} [config] */
  pool(config) {
    const pool = calm(new Pool({ connectionString: this.url, ...config }))
    this.defer(() => pool.ending || pool.end())
    return pool
  }

  /** A connected client of pg. */
  async client() {
    const client = new Client({ connectionString: this.url })
    await client.connect()
    this.defer(() => client.end())
    return client
  }

  /**
   * Sessions that are closed when the test is over.
   *
   * @param {object} options
   * @param {any} [connection]
   */
  async sessions(options, connection = this.url) {
    return this.closing(connect(connection, options))
  }

  /**
   * What `connect` or `init` gives, closed when the test is over.
   *
   * @param {Promise<any>} opening
   */
  closing(opening) {
    this.defer(async () => (await opening.catch(() => undefined))?.close())
    return opening
  }

  /**
   * The settings that `url` stands for, as pg takes them in an object.
   *
   * @returns {any}
   */
  config() {
    const { host, port, user, password, database } = new Client({ connectionString: this.url })
    const options = new URL(this.url).searchParams.get('options') ?? undefined
    return { host, port, user, password, database, options }
  }
}

/**
 * The end of a pool does not wait for its connections' ends, so a database that is dropped right after it may end them
 * first. Nobody is left to hear of that, and an error that nobody hears would end the program.
 *
 * @param {Pool} pool
 */
function calm(pool) {
  return pool.on('error', () => {})
}

/**
 * @param {(text: string, values: unknown[]) => Promise<any[]>} query
 * @param {string} sid
 * @param {string} interval
 * @param {string} [table]
 */
async function age(query, sid, interval, table = 'sess') {
  const changed = await query(
    `UPDATE ${table} SET sess_creation_date = sess_creation_date - $2::interval,
       sess_last_updated = sess_last_updated - $2::interval, sess_expiration = sess_expiration - $2::interval
     WHERE sess_id = ANY($1::uuid[]) RETURNING sess_id`,
    [storedIds(sid), interval]
  )
  assert.equal(changed.length, 1, 'the session to be aged is in the table')
}

module.exports = { Place, age, useDatabase }
