'use strict'

// What a machine may lack. A test that needs a program says so loudly and is skipped; with PGSESS_TEST_ALL=1, as in
// `.ci/run`, it fails. Rights are another matter: nobody can install them.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const { createRequire } = require('node:module')
const path = require('node:path')
const { findBinaries } = require('../../scripts/postgres-binaries.js')

const FRAMEWORKS = path.resolve(__dirname, '../frameworks')

/**
 * @param {string} program a name on PATH, or a path
 * @param {string} hint how to install it
 * @returns {string | false} why tests that need it are skipped, for `node:test`'s `skip`
 */
function lacks(program, hint) {
  const found = spawnSync('which', [program]).status === 0
  return found ? false : missing(`${program} is missing; ${hint}`)
}

/** The same for the frameworks, which have a package of their own. */
function lacksFrameworks() {
  const found = fs.existsSync(path.join(FRAMEWORKS, 'node_modules'))
  return found
    ? false
    : missing('the frameworks are not installed; npm ci --ignore-scripts --prefix __test__/frameworks')
}

/**
 * Why tests of tables on other servers are skipped. Debian's server brings what they need, and so do the npm packages.
 *
 * @returns {string | false}
 */
function lacksForeignData() {
  const bin = findBinaries()
  const [version] = /\d+(?=\/bin$)/.exec(bin) ?? []
  const places = [
    path.join(bin, '../share/postgresql/extension'),
    path.join(bin, '../share/extension'),
    `/usr/share/postgresql/${version}/extension`
  ].map(place => path.join(place, 'postgres_fdw.control'))
  return places.some(file => fs.existsSync(file)) ? false : lacks('postgres_fdw', 'apt install postgresql')
}

/** @param {string} reason */
function missing(reason) {
  const why = untested(reason)
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

/** Loads a framework. @type {(name: string) => any} */
const framework = createRequire(path.join(FRAMEWORKS, 'package.json'))

module.exports = { FRAMEWORKS, framework, lacks, lacksForeignData, lacksFrameworks, mayNotMount }
