'use strict'

// The two servers of a run, and each contestant's place in them.

const { spawnSync } = require('node:child_process')
const { startPostgres } = require('../scripts/postgres.js')
const { Child } = require('./child.js')
const { openPostgres } = require('./clients.js')

/** @typedef {import('./cleanup.js').Cleanup} Cleanup */
/** @typedef {import('./contestants/index.js').Contestant} Contestant */
/** @typedef {import('./contestants/index.js').Place} Place */
/** @typedef {{ url: string, pid?: number, version: string }} Server */

// Writes to disk as in production. What PostgreSQL does now and then by itself would hit one contestant or the other by
// chance, so it is done between turns instead (data.js) or not at all.
const POSTGRES_SETTINGS = {
  shared_buffers: '512MB',
  max_wal_size: '16GB',
  checkpoint_timeout: '1d',
  autovacuum: 'off'
}

class Servers {
  #postgres
  #redis
  #places = 0

  /**
   * @param {Server} postgres
   * @param {Server} [redis]
   */
  constructor(postgres, redis) {
    this.#postgres = postgres
    this.#redis = redis
  }

  /**
   * @param {Cleanup} cleanup
   * @param {Contestant[]} contestants
   */
  static async start(cleanup, contestants) {
    const postgres = await startPostgres({ durable: true, settings: POSTGRES_SETTINGS })
    cleanup.add(() => postgres.remove())
    const needsRedis = contestants.some(({ server }) => server === 'redis')
    return new Servers(postgres, needsRedis && hasRedis() ? await startRedis(cleanup) : undefined)
  }

  /** @returns {Record<string, string>} */
  get versions() {
    const postgres = { PostgreSQL: `${this.#postgres.version} (fsync on)` }
    return this.#redis ? { ...postgres, Redis: `${this.#redis.version} (nothing written to disk)` } : postgres
  }

  /** @param {Contestant} contestant */
  has({ server }) {
    return server === 'postgres' || this.#redis !== undefined
  }

  /**
   * @param {Contestant} contestant
   * @returns {number | undefined} of the server's first process
   */
  pid({ server }) {
    return server === 'postgres' ? this.#postgres.pid : this.#redis?.pid
  }

  /** @returns {Promise<Place>} databases that nobody else uses */
  async place() {
    const number = ++this.#places
    const name = `bench${number}`
    const admin = await openPostgres(this.#postgres.url)
    await admin.query(`create database ${name}`)
    await admin.end()
    const postgresUrl = new URL(this.#postgres.url)
    postgresUrl.pathname = name
    return { postgresUrl: postgresUrl.href, redisUrl: this.#redis ? `${this.#redis.url}/${number}` : '' }
  }
}

function hasRedis() {
  return spawnSync('redis-server', ['--version']).status === 0
}

/** @param {Cleanup} cleanup */
async function startRedis(cleanup) {
  const owner = new Child('redis-process.js', 'redis-server')
  cleanup.add(() => owner.end())
  return owner.ask('start')
}

exports.Servers = Servers
