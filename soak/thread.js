'use strict'

// A worker thread with traffic of its own. It does what process.js tells it, and answers each order.

const { parentPort, workerData } = require('node:worker_threads')
const { Traffic } = require('./traffic.js')

const port = /** @type {import('node:worker_threads').MessagePort} */ (parentPort)
const traffic = new Traffic(workerData)

/** @type {{ [order: string]: () => unknown }} */
const ORDERS = {
  open: () => traffic.open(),
  collectGarbage: () => globalThis.gc?.(),
  end: () => traffic.end()
}

port.on('message', async order => {
  const answer = await ORDERS[order]()
  port.postMessage(answer)
  if (order === 'end') port.close()
})
