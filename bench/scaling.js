'use strict'

// node bench/scaling.js: what a step to more than one server costs, beside one server alone. All of them share this
// machine, so a second server brings no second processor here: what is shown is the price, not the gain. Needs
// pgbouncer and an installed PostgreSQL; takes two minutes.

const os = require('node:os')
const { connect } = require('pg-sess-rs')
const { newPgBouncer } = require('../examples/support/pgbouncer.js')
const { ask, newServer, newStandby } = require('../examples/support/postgres.js')
const { onStage } = require('../examples/support/stage.js')
const { median } = require('./stats.js')

const SESSIONS = 100_000
const TOGETHER = 1000
const IN_FLIGHT = 256
const ROUNDS = 3
const TURN_MS = 1000
const OPERATIONS = ['validate', 'extend', 'create']
/** @type {import('pg-sess-rs').ConnectOptions<{ user_id: string }>} */
const OPTIONS = { fields: { user_id: 'INT' }, pruneInterval: false }
const BUFFERS = { shared_buffers: '512MB', max_wal_size: '4GB' }
const COLUMNS = `
  sess_id uuid NOT NULL, sess_creation_date timestamp NOT NULL, sess_last_updated timestamp NOT NULL,
  sess_expiration timestamp NOT NULL, user_id int`

/** @typedef {{ name: string, sessions: any, ids: string[] }} Way */

onStage(async stage => {
  const cpus = os.cpus()
  console.log(
    `${cpus.length} × ${cpus[0].model}, Node ${process.versions.node}, ${IN_FLIGHT} in flight, calls a second\n`
  )
  /** @type {Way[]} */
  const ways = []
  const add = async (/** @type {string} */ name, /** @type {any} */ connection, options = {}) => {
    const sessions = await connect(connection, { ...OPTIONS, ...options })
    ways.push({ name, sessions, ids: await fill(sessions) })
  }

  const server = await newServer(stage, 'alone', BUFFERS)
  await add('one server', server.url)
  await add('without prepared statements', server.url, { prepare: false })
  await add('PgBouncer, transaction mode', (await newPgBouncer(stage, server, 'transaction')).url)
  await add('PgBouncer, session mode', (await newPgBouncer(stage, server, 'session')).url)
  await ask(server.url, `CREATE TABLE parts (${COLUMNS}, PRIMARY KEY (sess_id)) PARTITION BY HASH (sess_id)`)
  for (const remainder of [0, 1, 2, 3]) await ask(server.url, partition('parts', remainder))
  await add('four partitions', server.url, { tableName: 'parts' })

  const there = await newServer(stage, 'there', BUFFERS)
  await makeForeign(server, there)
  await add('two of four partitions on a second server', server.url, { tableName: 'far' })

  const primary = await newServer(stage, 'primary', BUFFERS)
  await add('a primary', primary.url)
  await newStandby(stage, 'standby', primary)
  await ask(primary.url, "ALTER SYSTEM SET synchronous_standby_names = 'standby'")
  await ask(primary.url, 'SELECT pg_reload_conf()')
  await stage.until('the standby is synchronous', async () => {
    const [row] = await ask(primary.url, 'SELECT sync_state FROM pg_stat_replication')
    return row?.sync_state === 'sync'
  })
  await add('with a synchronous standby', primary.url)
  // Before the standby came, it was a server alone: another one of the same.
  ways.splice(ways.length - 2, 1)

  await measureAll(ways)
  await Promise.all(ways.map(({ sessions }) => sessions.close()))
})

/**
 * @param {string} table
 * @param {number} remainder
 */
function partition(table, remainder) {
  return `CREATE TABLE ${table}_${remainder} PARTITION OF ${table} FOR VALUES WITH (MODULUS 4, REMAINDER ${remainder})`
}

/**
 * @param {{ url: string }} here
 * @param {{ url: string, port: number }} there
 */
async function makeForeign(here, there) {
  for (const remainder of [2, 3])
    await ask(there.url, `CREATE TABLE far_${remainder} (${COLUMNS}, PRIMARY KEY (sess_id))`)
  await ask(
    here.url,
    `CREATE EXTENSION postgres_fdw;
     CREATE SERVER there FOREIGN DATA WRAPPER postgres_fdw
       OPTIONS (host '127.0.0.1', port '${there.port}', dbname 'postgres', async_capable 'true', batch_size '100');
     CREATE USER MAPPING FOR CURRENT_USER SERVER there OPTIONS (user 'postgres');
     CREATE TABLE far (${COLUMNS}) PARTITION BY HASH (sess_id)`
  )
  for (const remainder of [0, 1]) {
    await ask(here.url, partition('far', remainder))
    await ask(here.url, `ALTER TABLE far_${remainder} ADD PRIMARY KEY (sess_id)`)
  }
  for (const remainder of [2, 3]) {
    await ask(here.url, `${partition('far', remainder).replace('CREATE', 'CREATE FOREIGN')} SERVER there`)
  }
}

/** @param {any} sessions */
async function fill(sessions) {
  const ids = []
  while (ids.length < SESSIONS) {
    const rows = await Promise.all(Array.from({ length: TOGETHER }, (_, at) => sessions.create({ user_id: at })))
    ids.push(...rows.map(row => row.sess_id))
  }
  return ids
}

/** @param {Way[]} ways */
async function measureAll(ways) {
  console.log(`| | ${OPERATIONS.join(' | ')} |\n|---|${OPERATIONS.map(() => '---:').join('|')}|`)
  /** @type {Map<string, number[]>} */
  const rates = new Map()
  for (let round = 0; round < ROUNDS; round++) {
    for (const way of ways) {
      for (const operation of OPERATIONS) {
        const key = way.name + operation
        rates.set(key, [...(rates.get(key) ?? []), await rate(way, operation)])
      }
    }
  }
  for (const { name } of ways) {
    const shown = OPERATIONS.map(operation => rounded(median(rates.get(name + operation) ?? [])))
    console.log(`| ${name} | ${shown.join(' | ')} |`)
  }
}

/** @param {number} rate */
function rounded(rate) {
  return rate < 1000 ? String(Math.round(rate)) : `${Math.round(rate / 1000)}k`
}

/**
 * @param {Way} way
 * @param {string} operation
 * @returns {Promise<number>} calls a second
 */
async function rate({ sessions, ids }, operation) {
  const begin = performance.now()
  let calls = 0
  const visitor = async () => {
    while (performance.now() - begin < TURN_MS) {
      const sid = ids[Math.floor(Math.random() * ids.length)]
      await (operation === 'create' ? sessions.create({ user_id: 1 }) : sessions[operation](sid))
      calls++
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, visitor))
  return (calls * 1000) / (performance.now() - begin)
}
