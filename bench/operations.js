'use strict'

// Which call comes next in each operation. Every call is on a session of its own that is there, since a miss is less work.

/** @typedef {import('./contestants/index.js').Calls} Calls */
/** @typedef {() => Promise<unknown> | undefined} NextCall undefined: no session is left to destroy */

// In a hundred calls of the mix, spread evenly: 8 extend, 1 creates, 1 destroys, 90 validate.
const MIX = 100
const MIX_CREATE = 0
const MIX_DESTROY = 50
const isMixExtend = (/** @type {number} */ place) => place % 12 === 6

class Operations {
  #calls
  #ids
  #next = 0
  /** Sessions that may be destroyed. @type {string[]} */
  #stock = []

  /**
   * @param {Calls} calls
   * @param {string[]} ids
   */
  constructor(calls, ids) {
    this.#calls = calls
    this.#ids = ids
  }

  /** @param {string[]} ids of sessions that are there and that nobody needs */
  setStock(ids) {
    this.#stock = ids
  }

  validate() {
    return this.#calls.validate(this.#id())
  }

  extend() {
    return this.#calls.extend(this.#id())
  }

  create() {
    return this.#calls.create()
  }

  destroy() {
    const id = this.#stock.pop()
    return id === undefined ? undefined : this.#calls.destroy(id)
  }

  mix() {
    const place = this.#next % MIX
    if (isMixExtend(place)) return this.extend()
    if (place === MIX_CREATE) return this.#createForStock()
    // The stock is empty only if nobody has answered a create for long: then it is a validate more.
    if (place === MIX_DESTROY && this.#stock.length > 0) return this.#destroyFromStock()
    return this.validate()
  }

  async #createForStock() {
    this.#next++
    this.#stock.push(await this.#calls.create())
  }

  #destroyFromStock() {
    this.#next++
    return this.destroy()
  }

  #id() {
    return this.#ids[this.#next++ % this.#ids.length]
  }
}

exports.Operations = Operations
