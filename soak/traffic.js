'use strict'

// The traffic of one thread: its sessions, opened anew now and then, and the owners that use them.

const { setTimeout: pause } = require('node:timers/promises')
const { connect } = require('../index.js')
const { KINDS } = require('./kinds.js')
const { Owner } = require('./owner.js')
const { Random } = require('./random.js')
const { HUNG, Tally } = require('./tally.js')

/** Of each kind. */
const OWNERS = 8
/** Between two calls of an owner, in ms. */
const PAUSE = /** @type {const} */ ([0, 25])
/** Between two openings, in ms. */
const REOPEN = /** @type {const} */ ([5000, 15_000])

/** @typedef {{ sessions: any, kind: import('./kinds.js').Kind }} Place */

class Traffic {
  #tally = new Tally()
  #isOver = false
  #over = new AbortController()
  #url
  #random
  /** @type {Place[]} */
  #places = []
  /** @type {Owner[]} */
  #owners = []
  /** @type {Promise<unknown>} */
  #work = Promise.resolve()

  /** @param {{ name: string, url: string, seed: number, kinds: number[] }} settings `kinds` are places in KINDS */
  constructor({ name, url, seed, kinds }) {
    this.#url = url
    this.#random = new Random(seed)
    this.#places = kinds.map(at => ({ kind: KINDS[at], sessions: undefined }))
    for (const place of this.#places) {
      for (let at = 0; at < OWNERS; at++) {
        const random = new Random(this.#random.between(0, 2 ** 31))
        this.#owners.push(new Owner(`${name}.${place.kind.table}.${at}`, place, this.#tally, random))
      }
    }
  }

  async open() {
    for (const place of this.#places) place.sessions = await this.#connect(place)
    this.#work = Promise.all([...this.#owners.map(owner => this.#run(owner)), this.#reopen()])
  }

  /** No more calls; every session is looked at once more, which the caller does when nothing fails any more. */
  async end() {
    this.#isOver = true
    this.#over.abort()
    await Promise.race([this.#work, pause(HUNG, undefined, { ref: false })])
    await Promise.all(this.#owners.map(owner => owner.settle()))
    const closing = Promise.all(this.#places.map(({ sessions }) => sessions.close()))
    await Promise.race([closing, pause(HUNG, undefined, { ref: false })])
    const expectations = this.#places.map(({ kind }, at) => ({
      table: kind.table,
      sessions: this.#owners.slice(at * OWNERS, (at + 1) * OWNERS).flatMap(owner => owner.expectations())
    }))
    return { ...this.#tally.report(), expectations }
  }

  /** @param {Owner} owner */
  async #run(owner) {
    while (!this.#isOver) {
      await owner.step()
      await pause(this.#random.between(...PAUSE))
    }
  }

  async #reopen() {
    while (true) {
      await pause(this.#random.between(...REOPEN), undefined, { signal: this.#over.signal }).catch(() => {})
      if (this.#isOver) return
      const place = this.#random.pick(this.#places)
      const before = place.sessions
      place.sessions = await this.#connect(place)
      // What is under way there is finished.
      await before.close()
    }
  }

  /**
   * @param {Place} place
   * @returns {Promise<any>}
   */
  async #connect({ kind }) {
    const options = { ...kind.options, onError: () => {} }
    while (true) {
      const { value } = await this.#tally.watch('connect', () => connect(this.#url, /** @type {any} */ (options)))
      if (value !== undefined) return value
      await pause(100)
    }
  }
}

exports.Traffic = Traffic
