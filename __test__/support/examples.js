'use strict'

// Runs an example as a reader does, and looks for what it leaves behind.

const { spawn, spawnSync } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { findBinaries } = require('../../scripts/postgres-binaries.js')
const { eventually } = require('./eventually.js')
const { lacks } = require('./needs.js')

const RUN = path.resolve(__dirname, '../../examples/run.js')
/** What the guard needs to take everything down, on a busy machine. */
const LIMIT = 240_000

/**
 * @param {string} name
 * @param {string} folder where its own folder is made; empty before
 * @param {{ [variable: string]: string }} [settings]
 */
function startExample(name, folder, settings = {}) {
  // A runner's settings are meant for the runner.
  const { NODE_OPTIONS: _options, NODE_TEST_CONTEXT: _context, ...env } = process.env
  const child = spawn(process.execPath, [RUN, name], { env: { ...env, ...settings, TMPDIR: folder }, timeout: LIMIT })
  const said = { stdout: '', stderr: '' }
  for (const stream of /** @type {const} */ (['stdout', 'stderr'])) {
    child[stream].setEncoding('utf8').on('data', text => {
      said[stream] += text
    })
  }
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal, ...said }))
  return { child, said, ended }
}

/**
 * An example's folder is made in it: so its programs can be told from others'.
 *
 * @param {{ after(hook: () => void): void }} t
 */
function folderForExamples(t) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pgsess-'))
  // PostgreSQL runs there as another user.
  fs.chmodSync(folder, 0o777)
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }))
  return folder
}

/**
 * What is left of an example once nothing more changes: files, and programs that name its folder.
 *
 * @param {string} folder
 * @returns {Promise<string[]>}
 */
function remains(folder) {
  return eventually(
    async () => [...fs.readdirSync(folder), ...programsIn(folder)],
    left => left.length === 0
  )
}

/** @param {string} folder */
function programsIn(folder) {
  const { stdout } = spawnSync('ps', ['-eo', 'args='], { encoding: 'utf8' })
  return stdout.split('\n').filter(line => line.includes(folder))
}

/**
 * @param {string[]} programs of Debian's packages, by name
 * @returns {string | false} for `skip`
 */
function lacksPrograms(...programs) {
  for (const program of programs) {
    const also = ['/usr/sbin', '/usr/local/sbin'].map(folder => path.join(folder, program))
    const missing = lacks(
      also.find(file => fs.existsSync(file)) ?? program,
      `apt install ${PACKAGES[program] ?? program}`
    )
    if (missing) return missing
  }
  return false
}

/** @type {{ [program: string]: string }} */
const PACKAGES = { etcd: 'etcd-server' }

/** @returns {string | false} for `skip`; the npm packages bring no pg_basebackup */
function lacksReplication() {
  return lacks(path.join(findBinaries(), 'pg_basebackup'), 'apt install postgresql, and leave PGSESS_PG unset')
}

module.exports = { folderForExamples, lacksPrograms, lacksReplication, programsIn, remains, startExample }
