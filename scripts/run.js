'use strict'

// Runs one command in the foreground, as a shell would: same terminal, signals passed on. Needs nothing but Node.

const { spawn } = require('node:child_process')
const { constants } = require('node:os')

/** @type {NodeJS.Signals[]} */
const PASSED_ON = ['SIGINT', 'SIGTERM', 'SIGHUP']

/**
 * @param {string} command
 * @param {string[]} args
 * @param {Record<string, string>} [env] in addition to our own
 * @returns {Promise<number>} its exit code; 127 if it could not be started, 128 + n if signal n ended it
 */
function run(command, args, env = {}) {
  // npm is a .cmd file on Windows, which only a shell can start.
  const shell = process.platform === 'win32' && command === 'npm'
  const child = spawn(command, args, { stdio: 'inherit', env: { ...process.env, ...env }, shell })
  const passOn = (/** @type {NodeJS.Signals} */ signal) => child.kill(signal)
  for (const signal of PASSED_ON) process.on(signal, passOn)
  return exitCode(child, command).finally(() => {
    for (const signal of PASSED_ON) process.off(signal, passOn)
  })
}

/**
 * @param {import('node:child_process').ChildProcess} child
 * @param {string} command
 * @returns {Promise<number>}
 */
function exitCode(child, command) {
  return new Promise(resolve => {
    child.once('exit', (code, signal) => resolve(signal ? 128 + constants.signals[signal] : (code ?? 1)))
    child.once('error', error => {
      console.error(`cannot run ${command}: ${error.message}`)
      resolve(127)
    })
  })
}

module.exports = { run }
