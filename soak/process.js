'use strict'

// A program that uses sessions: traffic on its main thread and on a worker thread. Does what run.js tells it.

const { once } = require('node:events')
const path = require('node:path')
const { Worker } = require('node:worker_threads')
const { obey } = require('../bench/orders.js')
const { Traffic } = require('./traffic.js')

/** @type {Traffic} */
let traffic
/** @type {Worker} */
let thread

/** @param {string} order */
async function tellThread(order) {
  thread.postMessage(order)
  const [answer] = await once(thread, 'message')
  return answer
}

/** @param {{ main: object, thread: object }} details settings of both traffics */
async function open({ main, thread: other }) {
  traffic = new Traffic(/** @type {any} */ (main))
  thread = new Worker(path.join(__dirname, 'thread.js'), { workerData: other })
  await Promise.all([traffic.open(), tellThread('open')])
}

/** @returns {Promise<number>} resident memory without garbage, in bytes */
async function memory() {
  await tellThread('collectGarbage')
  globalThis.gc?.()
  return process.memoryUsage.rss()
}

const end = () => Promise.all([traffic.end(), tellThread('end')])

obey({ open, memory, end })
