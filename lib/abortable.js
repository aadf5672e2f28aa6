'use strict'

// Calls that their callers may abort. The promise rejects at once, whatever goes on for the call; a signal has one
// listener of ours, however many calls it was given to, and none once they are over.

const { checkCallOptions } = require('./options.js')

/** Calls under way, by their signal. @type {WeakMap<AbortSignal, Watch>} */
const watches = new WeakMap()

/** The calls of one signal. */
class Watch {
  /** @type {Set<Abort>} */
  #calls = new Set()
  #listener = () => {
    for (const call of [...this.#calls]) call.abort()
  }

  /** @param {AbortSignal} signal */
  constructor(signal) {
    signal.addEventListener('abort', this.#listener, { once: true })
  }

  /**
   * @param {AbortSignal} signal
   * @param {Abort} call
   */
  static add(signal, call) {
    let watch = watches.get(signal)
    if (watch === undefined) {
      watch = new Watch(signal)
      watches.set(signal, watch)
    }
    watch.#calls.add(call)
  }

  /**
   * @param {AbortSignal} signal
   * @param {Abort} call
   */
  static remove(signal, call) {
    const watch = watches.get(signal)
    if (watch === undefined || !watch.#calls.delete(call) || watch.#calls.size > 0) return
    signal.removeEventListener('abort', watch.#listener)
    watches.delete(signal)
  }
}

/** A call that may be aborted, for those who work at it. */
class Abort {
  #signal
  /** @type {((reason: unknown) => void) | undefined} */
  #reject
  /** Whoever is at it may set what ends the work. @type {(() => void) | undefined} */
  stop

  /** @param {AbortSignal} signal */
  constructor(signal) {
    this.#signal = signal
  }

  /**
   * @template T
   * @param {Promise<T>} work
   * @returns {Promise<T>} rejects with the signal's reason if that comes first
   */
  over(work) {
    return new Promise((resolve, reject) => {
      this.#reject = reject
      Watch.add(this.#signal, this)
      // V8 looks through `resolve` and `reject` for those who wait, if nothing else hangs on the work.
      work.then(resolve, reject).then(() => Watch.remove(this.#signal, this))
    })
  }

  abort() {
    this.stop?.()
    this.#reject?.(this.#signal.reason)
  }

  /** Before anything more is sent. */
  check() {
    if (this.#signal.aborted) throw this.#signal.reason
  }
}

/**
 * Makes a call whose options may hold a signal.
 *
 * @template T
 * @param {unknown} options
 * @param {(abort: Abort | undefined) => Promise<T>} call
 * @param {(options: unknown) => AbortSignal | undefined} [signalOf] throws if the options are not what they may be
 * @returns {Promise<T>}
 */
function abortable(options, call, signalOf = checkCallOptions) {
  try {
    const signal = signalOf(options)
    if (signal === undefined) return call(undefined)
    if (signal.aborted) return Promise.reject(signal.reason)
    const abort = new Abort(signal)
    return abort.over(call(abort))
  } catch (error) {
    return Promise.reject(error)
  }
}

/**
 * The options of a call that may come to nothing without asking anybody.
 *
 * @param {unknown} options
 */
function checkCall(options) {
  const signal = checkCallOptions(options)
  if (signal?.aborted) throw signal.reason
}

exports.Abort = Abort
exports.abortable = abortable
exports.checkCall = checkCall
