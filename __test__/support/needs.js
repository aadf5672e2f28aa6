'use strict'

// What a machine may lack. A test that needs it says so loudly and is skipped; with PGSESS_TEST_ALL=1, as in `.ci/run`,
// it fails.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const { createRequire } = require('node:module')
const path = require('node:path')

const FRAMEWORKS = path.resolve(__dirname, '../frameworks')

/**
 * @param {string} program a name on PATH, or a path
 * @param {string} hint how to install it
 * @returns {string | false} why tests that need it are skipped, for `node:test`'s `skip`
 */
function lacks(program, hint) {
  const found = spawnSync('which', [program]).status === 0
  return found ? false : missing(program, hint)
}

/** The same for the frameworks, which have a package of their own. */
function lacksFrameworks() {
  const found = fs.existsSync(path.join(FRAMEWORKS, 'node_modules'))
  return found ? false : missing('the frameworks', 'npm ci --prefix __test__/frameworks')
}

/**
 * @param {string} what
 * @param {string} hint
 */
function missing(what, hint) {
  const why = `NOT TESTED: ${what} not found; ${hint}`
  if (process.env.PGSESS_TEST_ALL === '1') throw new Error(why)
  console.error(why)
  return why
}

/** Loads a framework. @type {(name: string) => any} */
const framework = createRequire(path.join(FRAMEWORKS, 'package.json'))

module.exports = { FRAMEWORKS, framework, lacks, lacksFrameworks }
