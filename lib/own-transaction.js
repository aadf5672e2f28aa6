'use strict'

// A transaction through an object of the caller: the one that is open on it, or one of its own.

const { isOwnKind } = require('./kinds.js')

/**
 * @template T
 * @param {any} caller
 * @param {(caller: any) => Promise<T>} work
 * @returns {Promise<T>}
 */
async function inTransaction(caller, work) {
  if (isOwnKind.pool(caller)) return onPool(caller, work)
  if (isOwnKind.client(caller)) return isIdle(caller) ? framed(caller, work) : work(caller)
  // pg-promise begins a transaction unless one is open.
  return caller.txIf(work)
}

/**
 * @template T
 * @param {any} pool
 * @param {(client: any) => Promise<T>} work
 */
async function onPool(pool, work) {
  const client = await pool.connect()
  let failure
  try {
    return await framed(client, work)
  } catch (error) {
    failure = error
    throw error
  } finally {
    // After a failure nobody knows what state it is in.
    client.release(failure !== undefined)
  }
}

/**
 * @template T
 * @param {any} client
 * @param {(client: any) => Promise<T>} work
 */
async function framed(client, work) {
  await client.query('BEGIN ISOLATION LEVEL READ COMMITTED')
  try {
    const outcome = await work(client)
    await client.query('COMMIT')
    return outcome
  } catch (error) {
    // The first failure is the one to tell.
    await client.query('ROLLBACK').catch(() => {})
    throw error
  }
}

/**
 * A pg that cannot say is taken to be in the transaction that its user began.
 *
 * @param {any} client
 */
function isIdle(client) {
  return client.getTransactionStatus?.() === 'I'
}

exports.inTransaction = inTransaction
