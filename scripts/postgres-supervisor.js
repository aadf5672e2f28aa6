'use strict'

// The process between us and PostgreSQL. It owns the server and its folder, and removes both as soon as the channel to
// the process that wanted them closes, however that one ended: after SIGKILL no handler of its own would run.
// scripts/postgres.js starts it and sends its orders.

const { Cluster } = require('./postgres-cluster.js')

/** @typedef {import('./postgres.js').Order} Order */
/** @typedef {import('./postgres.js').Message} Message */

/** @type {InstanceType<typeof Cluster> | undefined} */
let cluster

/** @type {Promise<unknown>} */
let work = Promise.resolve()

/** @param {Order} order */
async function obey(order) {
  if (order.order === 'create') cluster = new Cluster(order.options, () => tell({ ended: true }))
  if (!cluster) throw new Error('the first order must be to create the server')
  if (order.order === 'create') await cluster.create()
  else if (order.order === 'start') await cluster.start()
  else await cluster.stop(order.mode)
  return cluster.facts()
}

/** @param {Order} order */
async function answer(order) {
  try {
    tell({ answer: await obey(order) })
  } catch (error) {
    tell({ error: error instanceof Error ? error.message : String(error) })
  }
}

/** @param {Message} message */
function tell(message) {
  // The other side may be gone: then `end` is on its way and nobody wants the answer.
  if (process.connected) process.send?.(message, () => {})
}

/** Waits for the order at hand, so that no server starts in a folder already removed. */
function end() {
  work = work
    .then(() => cluster?.remove())
    .catch(console.error)
    .finally(() => process.exit())
}

process.on('message', (/** @type {Order} */ order) => {
  work = work.then(() => answer(order))
})
process.once('disconnect', end)
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, end)
