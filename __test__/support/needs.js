'use strict'

// What a machine may lack. A test that needs it says so loudly and is skipped; with PGSESS_TEST_ALL=1, as in `.ci/run`,
// it fails.

const { spawnSync } = require('node:child_process')

/**
 * @param {string} program a name on PATH, or a path
 * @param {string} hint how to install it
 * @returns {string | false} why tests that need it are skipped, for `node:test`'s `skip`
 */
function lacks(program, hint) {
  const found = spawnSync('which', [program]).status === 0
  if (found) return false
  const why = `NOT TESTED: ${program} is missing; ${hint}`
  if (process.env.PGSESS_TEST_ALL === '1') throw new Error(why)
  console.error(why)
  return why
}

module.exports = { lacks }
