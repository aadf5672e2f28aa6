'use strict'

// What must hold whatever fails: every call settles in time, with the truth or a real error.

const assert = require('node:assert/strict')
const { setTimeout: sleep } = require('node:timers/promises')
const { eventually } = require('./eventually.js')

/** Timeouts that a test can wait for. */
const TIMEOUTS = { connectTimeout: 1000, queryTimeout: 1000 }
/** Those of a test in which no call may fail, however busy the machine is. */
const PATIENT = { connectTimeout: 10_000, queryTimeout: 10_000 }
/** How long a call may take at most with them; and as long again, for a machine that is busy with other things. */
const BOUND = 2 * 2600
/** How long it may take until everything works again after a fault is over; twice what is promised. */
const RECOVERY = 2 * 5000
/** Before a caller whose call failed makes another. */
const PAUSE = 20

/**
 * @typedef {{ name: string, value?: any, error?: any, took: number }} Outcome
 * @typedef {(sessions: any, sid: string, n?: number) => Promise<any>} Call on a live session, whose user_id is `n`
 */

/** Every call, and what it resolves to on a live session. @type {{ [name: string]: Call }} */
const CALLS = {
  create: (sessions, _sid, n = 1) => sessions.create({ user_id: n }),
  validate: (sessions, sid) => sessions.validate(sid),
  extend: (sessions, sid) => sessions.extend(sid),
  update: (sessions, sid) => sessions.update(sid, { note: 'changed' }),
  refresh: (sessions, sid) => sessions.refresh(sid),
  list: (sessions, _sid, n = 1) => sessions.list({ user_id: n }),
  destroyAll: (sessions, _sid, n = 1) => sessions.destroyAll({ user_id: n }),
  prune: sessions => sessions.prune(),
  destroy: (sessions, sid) => sessions.destroy(sid)
}

const FIELDS = { user_id: 'INT', note: 'TEXT' }

/**
 * What comes of a call, and how long that takes.
 *
 * @param {string} name
 * @param {Promise<any>} call
 * @returns {Promise<Outcome>}
 */
async function outcomeOf(name, call) {
  const begin = performance.now()
  try {
    const value = await call
    return { name, value, took: performance.now() - begin }
  } catch (error) {
    return { name, error, took: performance.now() - begin }
  }
}

/**
 * Makes every call at once, each on its own live session.
 *
 * @param {any} sessions
 * @param {{ sess_id: string, user_id: number }[]} rows one for each of `names`
 * @param {string[]} [names]
 */
function callAll(sessions, rows, names = Object.keys(CALLS)) {
  return Promise.all(
    names.map((name, at) => outcomeOf(name, CALLS[name](sessions, rows[at].sess_id, rows[at].user_id)))
  )
}

/**
 * A live session for each of the calls.
 *
 * @param {any} sessions
 * @param {string[]} [names]
 * @returns {Promise<any[]>}
 */
function oneForEach(sessions, names = Object.keys(CALLS)) {
  return Promise.all(names.map((_, user_id) => sessions.create({ user_id })))
}

/**
 * In time, and with an Error if it failed.
 *
 * @param {Outcome} outcome
 * @param {number} [besides] for how long time stood still
 */
function assertSettledWell({ name, error, took }, besides = 0) {
  assert.ok(took < BOUND + besides, `${name} took ${Math.round(took)} ms: ${error}`)
  if (error !== undefined) assert.ok(error instanceof Error && error.message.length > 0, `${name}: ${error}`)
}

/**
 * @param {Outcome} outcome
 * @param {string} [code]
 */
function assertRejected(outcome, code) {
  assertSettledWell(outcome)
  assert.ok(outcome.error, `${outcome.name} resolved to ${String(JSON.stringify(outcome.value)).slice(0, 200)}`)
  if (code !== undefined) assert.equal(outcome.error.code, code, `${outcome.name}: ${outcome.error.stack}`)
}

/**
 * @param {Outcome} outcome on a live session
 */
function assertDone(outcome) {
  const { name, value, error } = outcome
  assert.equal(error, undefined, `${name}: ${error?.stack}`)
  assert.ok(value !== null && value !== false, `${name} was told that a live session is none`)
}

/**
 * Without a restart and without other calls than these: the four that every program makes do what they do.
 *
 * @param {any} sessions
 */
async function assertWorksAgain(sessions) {
  const end = Date.now() + RECOVERY
  for (;;) {
    const { error } = await outcomeOf('everything', useOnce(sessions))
    if (error === undefined) return
    if (Date.now() > end || error instanceof assert.AssertionError) throw error
    await sleep(PAUSE)
  }
}

/** @param {any} sessions */
async function useOnce(sessions) {
  const { sess_id } = await sessions.create({ user_id: -1 })
  assert.equal((await sessions.validate(sess_id))?.user_id, -1)
  assert.equal(await sessions.extend(sess_id), true)
  assert.equal(await sessions.destroy(sess_id), true)
  assert.equal(await sessions.validate(sess_id), null)
}

/**
 * Whether the server takes writes from now on, also over connections that are open.
 *
 * @param {any} place
 * @param {boolean} isOn
 */
async function setReadOnly(place, isOn) {
  await place.query(
    `ALTER SYSTEM ${isOn ? 'SET default_transaction_read_only = on' : 'RESET default_transaction_read_only'}`
  )
  await place.query('SELECT pg_reload_conf()')
  const is = isOn ? 'on' : 'off'
  const shown = await eventually(
    () => place.query('SHOW default_transaction_read_only'),
    ([row]) => row.default_transaction_read_only === is
  )
  assert.equal(shown[0].default_transaction_read_only, is)
}

/** Callers who use sessions of their own, again and again, and note what they were told. */
class Load {
  calls = 0
  /** @type {Outcome[]} */
  failures = []
  /** What was acknowledged and must be there. @type {Map<string, number>} */
  live = new Map()
  /** What was acknowledged and must be gone. @type {string[]} */
  destroyed = []
  #sessions
  #isOver = false
  #next = 0
  /** @type {Promise<void>[]} */
  #callers

  /**
   * @param {{ after(hook: () => void): void }} t
   * @param {any} sessions
   * @param {number} [callers]
   */
  constructor(t, sessions, callers = 20) {
    t.after(() => {
      this.#isOver = true
    })
    this.#sessions = sessions
    this.#callers = Array.from({ length: callers }, () => this.#use())
  }

  /**
   * Ends when all calls have settled; each did so in time.
   *
   * @param {number} [besides] for how long time stood still
   */
  async stop(besides) {
    this.#isOver = true
    await Promise.all(this.#callers)
    for (const failure of this.failures) assertSettledWell(failure, besides)
  }

  /** Everything that was acknowledged holds. */
  async assertKept() {
    for (const [sid, n] of this.live) {
      assert.equal((await this.#sessions.validate(sid))?.user_id, n, 'an acknowledged session is there')
    }
    for (const sid of this.destroyed) assert.equal(await this.#sessions.validate(sid), null, 'what ended is over')
  }

  async #use() {
    while (!this.#isOver) {
      const n = this.#next++
      const row = await this.#settle('create', this.#sessions.create({ user_id: n }))
      if (row === undefined) await sleep(PAUSE)
      else await this.#goThrough(row.sess_id, n)
    }
  }

  /**
   * @param {string} sid
   * @param {number} n
   */
  async #goThrough(sid, n) {
    const sessions = this.#sessions
    this.live.set(sid, n)
    for (const name of ['validate', 'extend', 'update', 'validate']) {
      const value = await this.#settle(name, CALLS[name](sessions, sid, n))
      assert.ok(value !== null && value !== false, `${name} missed a live session`)
      if (typeof value === 'object') assert.equal(value.user_id, n, `${name} gave another's row`)
    }
    // Half of them stay, for somebody to look for later.
    if (n % 2 === 0) return
    this.live.delete(sid)
    if ((await this.#settle('destroy', sessions.destroy(sid))) !== undefined) {
      this.destroyed.push(sid)
      const found = await this.#settle('validate', sessions.validate(sid))
      assert.ok(found === null || found === undefined, 'destroyed, and there again')
    }
  }

  /**
   * @param {string} name
   * @param {Promise<any>} call
   */
  async #settle(name, call) {
    this.calls++
    const outcome = await outcomeOf(name, call)
    if (outcome.error !== undefined) this.failures.push(outcome)
    return outcome.value
  }
}

module.exports = {
  BOUND,
  CALLS,
  FIELDS,
  Load,
  PATIENT,
  TIMEOUTS,
  assertDone,
  assertRejected,
  assertSettledWell,
  assertWorksAgain,
  callAll,
  oneForEach,
  outcomeOf,
  setReadOnly
}
