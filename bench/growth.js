'use strict'

// npm run bench:growth: what becomes of the speed when the table, the number of processes or the number of writes
// grows. Takes some minutes and 3 GB of disk; needs no peers.

const os = require('node:os')
const { connect } = require('pg-sess-rs')
const { startPostgres } = require('../scripts/postgres.js')
const { Child } = require('./child.js')
const { Cleanup } = require('./cleanup.js')
const { openPostgres } = require('./clients.js')
const { describeMachine } = require('./machine.js')
const { contestants, FIELDS } = require('./contestants/index.js')
const { median } = require('./stats.js')

const SMALL = 100_000
const LARGE = 10_000_000
const EXTENDS = 1_000_000
const IN_FLIGHT = 256
const PROCESSES = 4
const ROUNDS = 5
const TURN_MS = 1000
/** Sessions that calls are spread over. */
const SAMPLE = 100_000
/** What PostgreSQL's manual recommends for a server: a quarter of the memory. */
const BUFFERS = `${Math.round(os.totalmem() / 4 / 2 ** 20)}MB`
const NOW = "now() at time zone 'UTC'"

const [contestant] = contestants(['sessions'])

class Growth {
  #cleanup
  #server
  #admin

  /**
   * @param {Cleanup} cleanup
   * @param {{ url: string }} server
   * @param {import('pg').Client} admin
   */
  constructor(cleanup, server, admin) {
    this.#cleanup = cleanup
    this.#server = server
    this.#admin = admin
  }

  /** @param {Cleanup} cleanup */
  static async start(cleanup) {
    // As a server is by itself: autovacuum runs.
    const server = await startPostgres({ durable: true, settings: { shared_buffers: BUFFERS, max_wal_size: '16GB' } })
    cleanup.add(() => server.remove())
    const admin = await openPostgres(server.url)
    cleanup.add(() => admin.end())
    console.log(`${describeMachine([], {}).computer}, PostgreSQL ${server.version}\n`)
    return new Growth(cleanup, server, admin)
  }

  /**
   * The table as the package makes it.
   *
   * @param {number} rows
   * @returns {Promise<string[]>} ids of some of its sessions
   */
  async fill(rows) {
    await this.#admin.query('drop table if exists sess')
    await (await connect(this.#server.url, { fields: FIELDS })).close()
    // An id of version 8 would be taken for a hash, and never be looked for.
    await this.#admin.query(`
      insert into sess select overlay(md5(i::text) placing '4' from 13)::uuid, ${NOW}, ${NOW}, ${NOW} + interval '14 days', 'user' || i, i
      from generate_series(1, ${rows}) i`)
    await this.#admin.query('vacuum (analyze) sess')
    const sample =
      await this.#admin.query(`select overlay(md5((1 + floor(random() * ${rows}))::int::text) placing '4' from 13) as id
      from generate_series(1, ${SAMPLE})`)
    return sample.rows.map(({ id }) => id.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-'))
  }

  /** @param {string[]} ids */
  async #process(ids) {
    const child = new Child('worker.js', contestant.name)
    this.#cleanup.add(() => child.kill())
    const place = { postgresUrl: this.#server.url, redisUrl: '' }
    await child.ask('open', { file: contestant.file, place, ids })
    return child
  }

  /**
   * @param {string[]} ids
   * @param {number} processes that share the calls in flight
   * @returns {Promise<number>} validations a second, the median of the rounds
   */
  async validate(ids, processes) {
    const children = await Promise.all(Array.from({ length: processes }, () => this.#process(ids)))
    const details = { operation: 'validate', inFlight: IN_FLIGHT / processes, ms: TURN_MS }
    const rates = []
    for (let round = 0; round <= ROUNDS; round++) {
      const turns = await Promise.all(children.map(child => child.ask('turn', details)))
      // The first is for warming up.
      if (round > 0) rates.push(turns.reduce((sum, { calls, ms }) => sum + (calls / ms) * 1000, 0))
    }
    for (const child of children) await child.end()
    return median(rates)
  }

  /** @param {string[]} ids */
  async extendMany(ids) {
    const child = await this.#process(ids)
    const before = await this.#sizes()
    for (let left = EXTENDS; left > 0; ) {
      const { calls } = await child.ask('turn', { operation: 'extend', inFlight: IN_FLIGHT, ms: TURN_MS })
      left -= calls
    }
    await child.end()
    return { before, after: await this.#sizes() }
  }

  async #sizes() {
    const { rows } = await this.#admin.query(
      "select pg_relation_size('sess')::float8 as table, pg_indexes_size('sess')::float8 as indexes"
    )
    return /** @type {{ table: number, indexes: number }} */ (rows[0])
  }
}

/** @param {number} number */
const thousands = number => `${(number / 1000).toFixed(0)}k/s`
/** @param {number} bytes */
const megabytes = bytes => `${(bytes / 1e6).toFixed(1)} MB`

/** @param {Cleanup} cleanup */
async function measure(cleanup) {
  const growth = await Growth.start(cleanup)

  const few = await growth.fill(SMALL)
  const one = await growth.validate(few, 1)
  const several = await growth.validate(few, PROCESSES)
  console.log(`validate, ${IN_FLIGHT} in flight, 1 process: ${thousands(one)}`)
  console.log(`  in ${PROCESSES} processes: ${thousands(several)}, ${(several / one).toFixed(2)} of it`)

  const { before, after } = await growth.extendMany(few)
  console.log(`after ${EXTENDS} extends of ${SMALL} sessions, autovacuum on:`)
  for (const part of /** @type {const} */ (['table', 'indexes'])) {
    const ratio = (after[part] / before[part]).toFixed(2)
    console.log(`  ${part}: ${megabytes(before[part])} before, ${megabytes(after[part])} after, ${ratio} times`)
  }

  const many = await growth.fill(LARGE)
  const large = await growth.validate(many, 1)
  console.log(`validate among ${LARGE} sessions: ${thousands(large)}, ${(large / one).toFixed(2)} of ${SMALL}`)
}

async function main() {
  const cleanup = new Cleanup()
  try {
    await measure(cleanup)
  } catch (error) {
    if (cleanup.isInterrupted) return
    console.error(error)
    process.exitCode = 1
  } finally {
    await cleanup.run()
  }
}

main()
