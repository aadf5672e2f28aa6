'use strict'

// A second process that works on the same sessions. It is told what to do by messages: `{ options }` first, then
// `{ work: [[method, ...arguments], …] }`, each answered by `{ outcomes }`.

const { fork } = require('node:child_process')
const { once } = require('node:events')
const { connect } = require('../../index.js')

/**
 * Starts one.
 *
 * @param {any} place
 * @param {object} options
 * @returns {Promise<{ work(calls: unknown[][]): Promise<any[]> }>}
 */
async function startRival(place, options) {
  const child = fork(__filename, { env: { ...process.env, NODE_TEST_CONTEXT: undefined }, serialization: 'advanced' })
  place.defer(async () => {
    child.disconnect()
    if (child.exitCode === null) await once(child, 'exit')
  })
  const ask = async (/** @type {any} */ message) => {
    const answer = once(child, 'message')
    child.send(message)
    return (await answer)[0]
  }
  await ask({ url: place.url, options })
  return { work: async calls => (await ask({ work: calls })).outcomes }
}

/**
 * Makes calls at once.
 *
 * @param {any} sessions
 * @param {unknown[][]} calls
 */
async function makeCalls(sessions, calls) {
  const outcomes = await Promise.allSettled(calls.map(([method, ...args]) => sessions[String(method)](...args)))
  return outcomes.map(({ status, value, reason }) =>
    status === 'fulfilled' ? { value } : { failed: `${reason.code} ${reason.message}` }
  )
}

async function main() {
  /** @type {any} */
  let sessions
  process.on('message', async (/** @type {any} */ { url, options, work }) => {
    sessions ??= await connect(url, options)
    const outcomes = work === undefined ? [] : await makeCalls(sessions, work)
    process.send?.({ outcomes })
  })
  process.once('disconnect', () => sessions?.close())
}

if (require.main === module) main()

module.exports = { makeCalls, startRival }
