'use strict'

// What a machine may lack. A test that needs a program says so loudly and is skipped; with PGSESS_TEST_ALL=1, as in
// `.ci/run`, it fails. Rights are another matter: nobody can install them.

const { spawnSync } = require('node:child_process')

/**
 * @param {string} program a name on PATH, or a path
 * @param {string} hint how to install it
 * @returns {string | false} why tests that need it are skipped, for `node:test`'s `skip`
 */
function lacks(program, hint) {
  const found = spawnSync('which', [program]).status === 0
  if (found) return false
  const why = untested(`${program} is missing; ${hint}`)
  if (process.env.PGSESS_TEST_ALL === '1') throw new Error(why)
  return why
}

/** @returns {string | false} why tests that mount a file system are skipped */
function mayNotMount() {
  const mounted = spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0
  return mounted ? false : untested('only root may mount file systems, and only on Linux')
}

/** @param {string} reason */
function untested(reason) {
  const why = `NOT TESTED: ${reason}`
  console.error(why)
  return why
}

module.exports = { lacks, mayNotMount }
