'use strict'

// Runs a program of its own, for what only the end of a process shows.

const { spawn } = require('node:child_process')
const path = require('node:path')

const ROOT = path.resolve(__dirname, '../..')
/** A program that has not ended by then never will. */
const LIMIT = 30_000

/**
 * What every script finds: the package, a pg-promise with its database, and the place's URL.
 */
const PREAMBLE = `
  'use strict'
  const assert = require('node:assert/strict')
  const url = process.env.PLACE_URL
  const pgSess = require('pg-sess-rs')
  const pgp = require('pg-promise')()
  const db = pgp(url)
`

/**
 * Runs `body` as the body of an async function.
 *
 * @param {string} body
 * @param {{ url: string, env?: NodeJS.ProcessEnv, args?: string[] }} settings `args`: Node's own
 */
function runScript(body, { url, env, args = [] }) {
  const source = `${PREAMBLE}\n;(async () => {\n${body}\n})()`
  return runNode([...args, '-e', source], { PLACE_URL: url, ...env })
}

/**
 * Runs `source` as an ES module.
 *
 * @param {string} source
 * @param {NodeJS.ProcessEnv} [env]
 */
function runModule(source, env) {
  return runNode(['--input-type=module', '-e', source], env)
}

/**
 * Runs the package's command.
 *
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} [env]
 */
function runCommand(args, env) {
  return runNode([path.join(ROOT, 'bin/pg-sess-rs.js'), ...args], env)
}

/**
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {Promise<{ code: number | null, signal: string | null, stdout: string, stderr: string, lingered: number }>}
 *   `signal`: what ended it, also if it had to be killed; `lingered`: how long it lived after its last word, in ms
 */
function runNode(args, env) {
  // A runner's settings are meant for the runner.
  const { NODE_OPTIONS: _options, NODE_TEST_CONTEXT: _context, ...own } = process.env
  const child = spawn(process.execPath, args, { cwd: ROOT, env: { ...own, ...env }, timeout: LIMIT })
  let [stdout, stderr] = ['', '']
  let lastWord = Date.now()
  child.stdout.setEncoding('utf8').on('data', text => {
    stdout += text
    lastWord = Date.now()
  })
  child.stderr.setEncoding('utf8').on('data', text => {
    stderr += text
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr, lingered: Date.now() - lastWord }))
  })
}

module.exports = { runCommand, runModule, runScript }
