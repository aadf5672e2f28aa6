'use strict'

// What goes on, for those who listen: a tracing channel of node:diagnostics_channel an operation. Nobody's id or value
// is in a message, and so neither a row nor an error is: PostgreSQL's errors quote values. When nobody listens, a call
// pays for a look at five flags.

const { tracingChannel } = require('node:diagnostics_channel')

const OPERATIONS = /** @type {const} */ (['create', 'validate', 'extend', 'destroy', 'list', 'destroyAll', 'prune'])

/**
 * @typedef {typeof OPERATIONS[number]} WatchedOperation
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
  #operations
  #source

  /**
   * @param {import('./in-transaction.js').InTransaction} operations
   * @param {Source} source
   */
  constructor(operations, source) {
    this.#operations = operations
    this.#source = source
  }

  /**
   * @param {unknown} fields
   * @param {string} argument
   */
  create(fields, argument) {
    return watched('create', this.#source, () => this.#operations.create(fields, argument))
  }

  /** @param {unknown} sid */
  validate(sid) {
    return watched('validate', this.#source, () => this.#operations.validate(sid))
  }

  /** @param {unknown} sid */
  extend(sid) {
    return watched('extend', this.#source, () => this.#operations.extend(sid))
  }

  /** @param {unknown} sid */
  destroy(sid) {
    return watched('destroy', this.#source, () => this.#operations.destroy(sid))
  }
}

exports.Watched = Watched
exports.isWatched = isWatched
exports.watched = watched
