'use strict'

// For what is certain to happen, but nobody says when: the server notices the end of a connection in its own time.

const { setTimeout: pause } = require('node:timers/promises')

const LIMIT = 20_000
const PAUSE = 20

/**
 * Asks until the answer passes, and gives the last answer.
 *
 * @template T
 * @param {() => Promise<T>} ask
 * @param {(answer: T) => boolean} passes
 * @returns {Promise<T>}
 */
async function eventually(ask, passes) {
  const end = Date.now() + LIMIT
  for (;;) {
    const answer = await ask()
    if (passes(answer) || Date.now() > end) return answer
    await pause(PAUSE)
  }
}

module.exports = { eventually }
