'use strict'

// Chance that can be had again: the same seed makes the same choices.

class Random {
  #state

  /** @param {number} seed a whole number */
  constructor(seed) {
    this.#state = seed >>> 0
  }

  /** @returns {number} from 0 to 1, without 1; this is mulberry32 */
  next() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let bits = this.#state
    bits = Math.imul(bits ^ (bits >>> 15), bits | 1)
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61)
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32
  }

  /**
   * @param {number} least
   * @param {number} most
   * @returns {number} a whole number, both ends included
   */
  between(least, most) {
    return least + Math.floor(this.next() * (most - least + 1))
  }

  /**
   * @template T
   * @param {readonly T[]} items not empty
   * @returns {T}
   */
  pick(items) {
    return items[this.between(0, items.length - 1)]
  }

  /**
   * @template T
   * @param {readonly (readonly [weight: number, item: T])[]} items
   * @returns {T}
   */
  weighted(items) {
    let left = this.next() * items.reduce((sum, [weight]) => sum + weight, 0)
    for (const [weight, item] of items) {
      left -= weight
      if (left < 0) return item
    }
    return items[items.length - 1][1]
  }
}

exports.Random = Random
