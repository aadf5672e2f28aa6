'use strict'

// What goes on, for those who listen: a tracing channel of node:diagnostics_channel an operation. Nobody's id or value
// is in a message, and so neither a row nor an error is: PostgreSQL's errors quote values. When nobody listens, a call
// pays for a look at five flags.

const { tracingChannel } = require('node:diagnostics_channel')
const { abortable } = require('./abortable.js')

const OPERATIONS = /** @type {const} */ ([
  'create',
  'validate',
  'extend',
  'update',
  'refresh',
  'destroy',
  'list',
  'destroyAll',
  'prune'
])

/**
 * @typedef {typeof OPERATIONS[number]} WatchedOperation
 * @typedef {import('./abortable.js').Abort} Abort
 * @typedef {{ operation: string, table: string }} Message at the start; then also `result` or `error`
 * @typedef {{ table: string }} Source whose calls they are; `table`: as the options say
 */

const channels = Object.fromEntries(OPERATIONS.map(name => [name, tracingChannel(`pg-sess-rs:${name}`)]))

/**
 * Whether anybody listens. The channel can say so itself only in later versions of Node.
 *
 * @param {import('node:diagnostics_channel').TracingChannel<any, any>} channel
 */
function hasSubscribers({ start, end, asyncStart, asyncEnd, error }) {
  return (
    start.hasSubscribers ||
    end.hasSubscribers ||
    asyncStart.hasSubscribers ||
    asyncEnd.hasSubscribers ||
    error.hasSubscribers
  )
}

/** @param {WatchedOperation} operation */
function isWatched(operation) {
  return hasSubscribers(channels[operation])
}

/**
 * Makes a call.
 *
 * @template T
 * @param {WatchedOperation} operation
 * @param {Source} source
 * @param {() => Promise<T>} call
 * @returns {Promise<T>}
 */
function watched(operation, source, call) {
  const channel = channels[operation]
  return hasSubscribers(channel) ? published(channel, { operation, table: source.table }, call) : call()
}

/**
 * As `tracePromise` does, but with what may be told of the outcome in place of the outcome.
 *
 * @template T
 * @param {import('node:diagnostics_channel').TracingChannel<any, any>} channel
 * @param {Message & { result?: number | boolean, error?: Facts }} message
 * @param {() => Promise<T>} call
 * @returns {Promise<T>}
 */
function published({ start, end, asyncStart, asyncEnd, error }, message, call) {
  return start.runStores(message, () => {
    const settle = () => asyncStart.runStores(message, () => asyncEnd.publish(message))
    const outcome = call().then(
      value => {
        message.result = summary(value)
        settle()
        return value
      },
      reason => {
        message.error = facts(reason)
        error.publish(message)
        settle()
        throw reason
      }
    )
    end.publish(message)
    return outcome
  })
}

/**
 * How many sessions; or whether there was one.
 *
 * @param {unknown} value
 * @returns {number | boolean}
 */
function summary(value) {
  if (Array.isArray(value)) return value.length
  return typeof value === 'number' ? value : value !== null && value !== false
}

/**
 * @typedef {{ name: string, code: string | undefined }} Facts
 * @param {any} reason
 * @returns {Facts}
 */
function facts(reason) {
  return { name: String(reason?.name ?? 'Error'), code: typeof reason?.code === 'string' ? reason.code : undefined }
}

/** The operations through a transaction of the caller, for those who listen. */
class Watched {
  #through
  #source

  /**
   * @param {(abort: Abort | undefined) => Promise<import('./in-transaction.js').InTransaction>} through
   * @param {Source} source
   */
  constructor(through, source) {
    this.#through = through
    this.#source = source
  }

  /**
   * @param {unknown} fields
   * @param {unknown} options
   * @param {string} argument
   */
  create(fields, options, argument) {
    return this.#make('create', options, operations => operations.create(fields, argument))
  }

  /**
   * @param {unknown} sid
   * @param {unknown} [options]
   */
  validate(sid, options) {
    return this.#make('validate', options, operations => operations.validate(sid))
  }

  /**
   * @param {unknown} sid
   * @param {unknown} [options]
   */
  extend(sid, options) {
    return this.#make('extend', options, operations => operations.extend(sid))
  }

  /**
   * @param {unknown} sid
   * @param {unknown} [options]
   */
  destroy(sid, options) {
    return this.#make('destroy', options, operations => operations.destroy(sid))
  }

  /**
   * @template T
   * @param {WatchedOperation} operation
   * @param {unknown} options
   * @param {(operations: import('./in-transaction.js').InTransaction) => Promise<T>} call
   */
  #make(operation, options, call) {
    const made = async (/** @type {Abort | undefined} */ abort) => call(await this.#through(abort))
    return watched(operation, this.#source, () => abortable(options, made))
  }
}

exports.Watched = Watched
exports.isWatched = isWatched
exports.watched = watched
