'use strict'

// Errors are made where an answer arrives, and there is no caller on the stack any more. Who awaits the call can be
// found, though: V8 shows the async functions that wait for the function which is running. So a failed call gets its
// stack where it is awaited, and a call that succeeds pays for one `await`.

/** Errors of ours that have no stack worth showing yet. @type {WeakSet<Error>} */
const untraced = new WeakSet()

/**
 * @template {Error} E
 * @param {E} error one that was made where nobody's code is on the stack
 * @returns {E}
 */
function toBeTraced(error) {
  untraced.add(error)
  return error
}

/**
 * The same outcome; a failure of ours shows who asked.
 *
 * @template T
 * @param {Promise<T>} call
 * @returns {Promise<T>}
 */
async function traced(call) {
  try {
    return await call
  } catch (error) {
    if (error instanceof Error && untraced.delete(error)) Error.captureStackTrace(error, traced)
    throw error
  }
}

exports.toBeTraced = toBeTraced
exports.traced = traced
