'use strict'

// What goes wrong: each fault begins, lasts, and is over again when its function returns.

const { setTimeout: pause } = require('node:timers/promises')
const { Client } = require('pg')
const { Random } = require('./random.js')

/**
 * @typedef {object} World
 * @property {Awaited<ReturnType<typeof import('../scripts/postgres.js').startPostgres>>} server
 * @property {InstanceType<typeof import('./network.js').Network>} network
 * @property {string[]} tables
 *
 * @typedef {(world: World, random: Random) => Promise<void>} Fault
 */

const OURS = 'soak-faults'
const LOCK_TIMEOUT = '55P03'
/** DDL that waits holds up everybody behind it: no longer than a lock is held on purpose. */
const PATIENCE = 'SET lock_timeout = 2500; SET deadlock_timeout = 60000;'
/** How long what lasts may last, in ms. */
const SHORT = /** @type {const} */ ([100, 1000])
const LONG = /** @type {const} */ ([500, 3000])

/**
 * @param {World} world
 * @param {(client: Client) => Promise<unknown>} use
 */
async function withClient({ server }, use) {
  const client = new Client({ connectionString: server.url, application_name: OURS })
  client.on('error', () => {})
  await client.connect()
  try {
    await use(client)
  } finally {
    await client.end()
  }
}

/**
 * @param {string} table
 * @param {string} sql
 */
function on(table, sql) {
  return sql.replaceAll('{table}', table)
}

/**
 * @param {string[]} statements with {table} for the table
 * @returns {Fault}
 */
function change(...statements) {
  return (world, random) =>
    withClient(world, async client => {
      const table = random.pick(world.tables)
      await client.query(PATIENCE)
      for (const sql of statements) await client.query(on(table, sql))
    })
}

/**
 * @param {string} sql
 * @returns {Fault} a transaction that holds the locks of the statement
 */
function hold(sql) {
  return (world, random) =>
    withClient(world, async client => {
      await client.query(PATIENCE)
      await client.query('BEGIN')
      await client.query(on(random.pick(world.tables), sql))
      await pause(random.between(...LONG))
      await client.query('ROLLBACK')
    })
}

/**
 * @param {'fast' | 'immediate'} mode
 * @returns {Fault}
 */
function restart(mode) {
  return async ({ server }, random) => {
    await server.stop(mode)
    await pause(random.pick([0, random.between(...SHORT)]))
    await server.start()
  }
}

/** @type {Fault} */
async function terminate(world) {
  await withClient(world, client =>
    client.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name <> $1', [OURS])
  )
}

/** @type {Fault} */
async function readOnly(world, random) {
  const set = (/** @type {string} */ sql) =>
    withClient(world, async client => {
      await client.query(`ALTER SYSTEM ${sql}`)
      await client.query('SELECT pg_reload_conf()')
    })
  await set('SET default_transaction_read_only = on')
  await pause(random.between(...SHORT))
  await set('RESET default_transaction_read_only')
}

/** @type {Fault} */
async function refuse({ network }, random) {
  await network.close()
  await pause(random.between(...LONG))
  await network.open()
}

/** @type {Fault} */
async function blackHole({ network }, random) {
  network.setHole(true)
  await pause(random.between(...LONG))
  network.setHole(false)
}

/** @type {Fault} */
async function delay({ network }, random) {
  network.setDelay(random.between(20, 150))
  await pause(random.between(...LONG))
  network.setDelay(0)
}

/** @type {Fault} */
async function cut({ network }) {
  network.cut()
}

/** One of each lane at a time. @type {{ [lane: string]: (readonly [weight: number, fault: { name: string, run: Fault }])[] }} */
const LANES = {
  server: [
    [3, { name: 'restart -m immediate', run: restart('immediate') }],
    [2, { name: 'restart -m fast', run: restart('fast') }],
    [3, { name: 'all backends terminated', run: terminate }],
    [1, { name: 'read-only', run: readOnly }],
    [2, { name: 'table locked', run: hold('LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE') }],
    [2, { name: 'rows locked', run: hold('SELECT FROM {table} ORDER BY random() LIMIT 20 FOR UPDATE') }],
    [
      2,
      {
        name: 'column added and dropped',
        run: change('ALTER TABLE {table} ADD extra INT DEFAULT 1', 'ALTER TABLE {table} DROP extra')
      }
    ],
    [
      1,
      {
        name: 'type changed',
        run: change('ALTER TABLE {table} ALTER nonce TYPE varchar(99)', 'ALTER TABLE {table} ALTER nonce TYPE text')
      }
    ],
    [
      1,
      {
        name: 'index made and dropped',
        run: change('CREATE INDEX {table}_extra ON {table} (one)', 'DROP INDEX {table}_extra')
      }
    ],
    [1, { name: 'table analysed and rewritten', run: change('ANALYZE {table}', 'VACUUM FULL {table}') }]
  ],
  network: [
    [4, { name: 'connections cut', run: cut }],
    [2, { name: 'black hole', run: blackHole }],
    [2, { name: 'delay', run: delay }],
    [1, { name: 'connections refused', run: refuse }]
  ]
}

/** What no server does. @type {typeof LANES[string][number]} */
const SPOILING = [
  20,
  {
    name: 'spoiling',
    run: change(
      'DELETE FROM {table} WHERE sess_id IN (SELECT sess_id FROM {table} ORDER BY random() LIMIT 3)',
      'UPDATE {table} SET one = one - 1 WHERE sess_id IN (SELECT sess_id FROM {table} ORDER BY random() LIMIT 3)',
      `INSERT INTO {table} SELECT md5(random()::text)::uuid, sess_creation_date, sess_last_updated, sess_expiration,
         nonce || ' again', owner, one, other FROM {table} ORDER BY random() LIMIT 3`
    )
  }
]

/** What may be left of a change that was cut short. */
const LEFTOVERS = [
  'ALTER TABLE {table} DROP COLUMN IF EXISTS extra',
  'DROP INDEX IF EXISTS {table}_extra',
  'ALTER TABLE {table} ALTER nonce TYPE text'
]

class Faults {
  /** How often each happened. @type {Map<string, number>} */
  counts = new Map()
  #world
  #seed
  #lanes
  #over = new AbortController()
  /** @type {Promise<unknown> | undefined} */
  #work

  /**
   * @param {World} world
   * @param {{ seed: number, spoil: boolean }} flags
   */
  constructor(world, { seed, spoil }) {
    this.#world = world
    this.#seed = seed
    this.#lanes = { ...LANES, server: spoil ? [...LANES.server, SPOILING] : LANES.server }
  }

  begin() {
    this.#work = Promise.all(Object.values(this.#lanes).map((faults, at) => this.#run(faults, this.#seed + at)))
    // Who fails tells it at the end.
    this.#work.catch(() => {})
  }

  /** No more of them; returns when the last is over and everything works again. */
  async end() {
    this.#over.abort()
    await this.#work
  }

  /**
   * @param {typeof LANES[string]} faults
   * @param {number} seed
   */
  async #run(faults, seed) {
    const random = new Random(seed)
    while (!this.#over.signal.aborted) {
      const { name, run } = random.weighted(faults)
      await run(this.#world, random).catch(error => this.#passes(name, error))
      this.counts.set(name, (this.counts.get(name) ?? 0) + 1)
      await pause(random.between(300, 2000), undefined, { signal: this.#over.signal }).catch(() => {})
    }
  }

  /**
   * A change that had to wait too long for a lock was a fault, too; half of it may be done.
   *
   * @param {string} name
   * @param {any} error
   */
  async #passes(name, error) {
    if (error.code !== LOCK_TIMEOUT) throw new Error(`fault "${name}": ${error.message}`, { cause: error })
    await withClient(this.#world, async client => {
      for (const table of this.#world.tables) {
        for (const sql of LEFTOVERS) await client.query(on(table, sql))
      }
    })
  }
}

exports.Faults = Faults
