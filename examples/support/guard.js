'use strict'

// Watches over an example from outside. When the channel to it closes, however the example ended, its programs are
// ended and its folder is removed.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const [folder] = process.argv.slice(2)
const TRIES = 100
const PAUSE = 50

/** The first processes of the groups that run. @type {Set<number>} */
const running = new Set()

process.on('message', (/** @type {{ started?: number, ended?: number }} */ { started, ended }) => {
  if (started !== undefined) running.add(started)
  if (ended !== undefined) running.delete(ended)
})
process.once('disconnect', end)
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, end)

function end() {
  for (const pid of running) kill(-pid, 'SIGKILL')
  // Patroni starts servers in groups of their own.
  for (let tries = 0; servers().length > 0 && tries < TRIES; tries++) {
    // Immediate shutdown: as in a crash, which the folder does not survive anyway.
    for (const pid of servers()) kill(pid, 'SIGQUIT')
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE)
  }
  fs.rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: PAUSE })
  process.exit()
}

/** The servers whose data lie in our folder, while they run. */
function servers() {
  const files = fs.readdirSync(folder).map(name => path.join(folder, name, 'postmaster.pid'))
  const pids = files.filter(file => fs.existsSync(file)).map(file => Number.parseInt(fs.readFileSync(file, 'utf8'), 10))
  return pids.filter(pid => pid > 0 && isPostgres(pid))
}

/**
 * The number may be another program's by now.
 *
 * @param {number} pid
 */
function isPostgres(pid) {
  const { stdout } = spawnSync('ps', ['-o', 'args=', '-p', String(pid)], { encoding: 'utf8' })
  // Where there is no `ps`, the file is believed: a server that ends removes it.
  return stdout?.includes(folder) ?? true
}

/**
 * @param {number} pid
 * @param {NodeJS.Signals} signal
 */
function kill(pid, signal) {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended by itself.
  }
}
