'use strict'

// The process that measures one contestant. A process for each, so that nobody waits for another's garbage, and so that
// CPU time and memory are its own.

const { randomUUID } = require('node:crypto')
const { measure } = require('./measure.js')
const { Operations } = require('./operations.js')
const { obey } = require('./orders.js')

/** @typedef {import('./contestants/index.js').Calls} Calls */
/** @typedef {import('./contestants/index.js').Module} Module */
/** @typedef {import('./contestants/index.js').Place} Place */

/** Enough at a time that every connection a contestant may open is open. */
const OPENING_CALLS = 256

/** @type {Calls} */
let calls
/** @type {Operations} */
let operations

/** @param {{ file: string, place: Place, ids: string[] }} details */
async function open({ file, place, ids }) {
  calls = await /** @type {Module} */ (require(file)).open(place)
  operations = new Operations(calls, ids)
  await Promise.all(Array.from({ length: OPENING_CALLS }, () => operations.validate()))
  await verify(ids[0])
}

/**
 * A contestant that does less than it should would win.
 *
 * @param {string} id of a session that is there
 */
async function verify(id) {
  const found = /** @type {Record<string, unknown> | null} */ (await calls.validate(id))
  expect(Number(found?.user_id) > 0 && String(found?.username).startsWith('user'), 'validate finds the session')
  expect((await calls.validate(randomUUID())) === null, 'validate finds no session that is not there')
  expect(await calls.extend(id), 'extend finds the session')
  const created = await calls.create()
  expect((await calls.validate(created)) !== null, 'create makes a session')
  expect(await calls.destroy(created), 'destroy finds the session')
  expect((await calls.validate(created)) === null, 'destroy ends the session')
}

/**
 * @param {boolean} isSo
 * @param {string} claim
 */
function expect(isSo, claim) {
  if (!isSo) throw new Error(`not true: ${claim}`)
}

/** @param {{ operation: 'validate', inFlight: number, ms: number, stock?: string[] }} details */
function turn({ operation, inFlight, ms, stock = [] }) {
  operations.setStock(stock)
  return measure(() => operations[operation](), inFlight, ms)
}

/**
 * @param {{ warmUpCalls: number, calls: number, inFlight: number }} details
 * @returns {Promise<{ grown: number, after: number }>} resident memory, in bytes
 */
async function memory(details) {
  await validate(details.warmUpCalls, details.inFlight)
  const before = residentMemory()
  await validate(details.calls, details.inFlight)
  const after = residentMemory()
  return { grown: after - before, after }
}

/**
 * @param {number} count
 * @param {number} inFlight
 */
async function validate(count, inFlight) {
  let left = count
  const call = () => (left-- > 0 ? operations.validate() : undefined)
  await measure(call, inFlight, 2 ** 31 - 1)
}

/** Without garbage, whose amount depends on the moment. Never between turns: V8 is slow for a while after it. */
function residentMemory() {
  globalThis.gc?.()
  return process.memoryUsage.rss()
}

const close = () => calls.close()

obey({ open, turn, memory, close })
