'use strict'

/**
 * A promise that its receiver may ignore. Code written for pg-sess calls `init` and does not look at what comes back,
 * and in Node a rejection that nobody looks at ends the program.
 *
 * @template T
 * @extends {Promise<T>}
 */
class MaybeIgnored extends Promise {
  /** What `then` gives is an ordinary promise. */
  static get [Symbol.species]() {
    return Promise
  }

  #isIgnored = true

  /**
   * @param {Promise<T>} work
   * @param {(error: any, isIgnored: boolean) => void} onFailure told of a failure; what it throws is an unhandled
   *   rejection
   */
  constructor(work, onFailure) {
    super((resolve, reject) => work.then(resolve, reject))
    super.then(undefined, error => onFailure(error, this.#isIgnored))
  }

  /**
   * `await` comes here, too, because this is not a plain promise.
   *
   * @param {any} [onFulfilled]
   * @param {any} [onRejected]
   * @returns {Promise<any>}
   */
  // biome-ignore lint/suspicious/noThenProperty: being watched is what this class is about
  then(onFulfilled, onRejected) {
    this.#isIgnored = false
    return super.then(onFulfilled, onRejected)
  }
}

exports.MaybeIgnored = MaybeIgnored
