'use strict'

// The last look: into the tables themselves, on a connection of its own, when all programs have ended.

const { Client } = require('pg')

/**
 * @typedef {{ nonce: string, mayBeGone: boolean, expiry: number, one: number[], other: number[] }} Expectation
 * @typedef {{ kind: string, message: string }} Violation
 */

/**
 * @param {string} url
 * @param {{ table: string, sessions: Expectation[] }[]} expectations of all owners
 * @returns {Promise<{ violations: Violation[], looked: number }>} `looked`: how many sessions were
 */
async function verify(url, expectations) {
  const client = new Client({ connectionString: url })
  await client.connect()
  /** @type {Violation[]} */
  const violations = []
  let looked = 0
  for (const [table, sessions] of byTable(expectations)) {
    const { rows } = await client.query(
      `SELECT nonce, one, other, extract(epoch FROM clock_timestamp()) * 1000 AS now FROM ${table}
       WHERE sess_expiration > now() AT TIME ZONE 'UTC'`
    )
    violations.push(...compare(sessions, rows))
    looked += rows.length
  }
  await client.end()
  return { violations, looked }
}

/** @param {{ table: string, sessions: Expectation[] }[]} expectations */
function byTable(expectations) {
  /** @type {Map<string, Expectation[]>} */
  const tables = new Map()
  for (const { table, sessions } of expectations) tables.set(table, [...(tables.get(table) ?? []), ...sessions])
  return tables
}

/**
 * @param {Expectation[]} sessions
 * @param {any[]} rows
 * @returns {Violation[]}
 */
function compare(sessions, rows) {
  const found = new Map(rows.map(row => [row.nonce, row]))
  const known = new Set(sessions.map(({ nonce }) => nonce))
  const strangers = rows.filter(({ nonce }) => !known.has(nonce))
  return [
    ...strangers.map(({ nonce }) => ({ kind: 'resurrected', message: `${nonce} is in the table` })),
    ...(found.size < rows.length ? [{ kind: 'wrong', message: 'a session is in the table twice' }] : []),
    ...sessions.flatMap(session => compareOne(session, found.get(session.nonce)))
  ]
}

/**
 * @param {Expectation} session
 * @param {any} row
 * @returns {Violation[]}
 */
function compareOne({ nonce, mayBeGone, expiry, one, other }, row) {
  if (row === undefined) {
    const isLost = !mayBeGone && expiry === Number.POSITIVE_INFINITY
    return isLost ? [{ kind: 'lost', message: `${nonce} is not in the table` }] : []
  }
  const isRight = one.includes(row.one) && other.includes(row.other)
  return isRight ? [] : [{ kind: 'lost', message: `${nonce}: its fields in the table are not those that were set` }]
}

/**
 * How many connections are left once those of ended programs have gone.
 *
 * @param {string} url
 * @returns {Promise<number>}
 */
async function connectionsLeft(url) {
  const client = new Client({ connectionString: url })
  await client.connect()
  const count = async () => {
    const { rows } = await client.query(
      "SELECT count(*)::int AS count FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    return rows[0].count
  }
  let left = await count()
  for (const limit = Date.now() + 10_000; left > 0 && Date.now() < limit; left = await count()) {
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  await client.end()
  return left
}

module.exports = { connectionsLeft, verify }
