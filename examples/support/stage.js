'use strict'

// Where an example plays: a temporary folder, and the programs that it starts there, all on loopback and never as root.
// Everything is gone when the example ends, however it ends: a guard, in a process of its own, sees to that.

const { execFile, fork, spawn, spawnSync } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')
const { promisify } = require('node:util')
const { freePort } = require('../../scripts/free-port.js')
const { giveTo } = require('../../scripts/postgres-binaries.js')
const { serverUser, temporaryFolder } = require('../../scripts/postgres-cluster.js')

/** @typedef {{ name: string, pid: number, kill(signal: NodeJS.Signals): Promise<void>, log(): string }} Program */

const HOST = '127.0.0.1'
/** Where Debian keeps programs that only root's PATH names. */
const ALSO = ['/usr/sbin', '/usr/local/sbin', '/sbin']
const START_LIMIT = 60_000

/**
 * Runs `play`, and takes everything down after it.
 *
 * @param {(stage: Stage) => Promise<void>} play
 */
async function onStage(play) {
  const stage = new Stage()
  let isInterrupted = false
  for (const signal of /** @type {NodeJS.Signals[]} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
    process.once(signal, async () => {
      isInterrupted = true
      await stage.clear()
      process.exit(128 + os.constants.signals[signal])
    })
  }
  try {
    await play(stage)
  } catch (error) {
    // What fails because everything was taken from under it is no news.
    if (isInterrupted) return
    console.error(error instanceof Lacking ? error.message : error)
    process.exitCode = 1
  } finally {
    await stage.clear()
  }
}

/** A program is not installed: the message is all that helps. */
class Lacking extends Error {}

class Stage {
  host = HOST
  #user = serverUser()
  #guard

  constructor() {
    this.folder = fs.mkdtempSync(path.join(temporaryFolder(this.#user), 'pgsess-example-'))
    giveTo(this.#user, this.folder)
    // In a session of its own, where Ctrl-C does not reach it before its work is done.
    const options = { detached: true, execArgv: [] }
    this.#guard = fork(path.join(__dirname, 'guard.js'), [this.folder], {
      ...options,
      stdio: ['ignore', 'ignore', 2, 'ipc']
    })
    this.#guard.unref()
    this.#guard.channel?.unref()
  }

  /** The name of the user that the programs run as. */
  get userName() {
    return spawnSync('id', ['-un', ...(this.#user.uid === undefined ? [] : [String(this.#user.uid)])], {
      encoding: 'utf8'
    }).stdout.trim()
  }

  port() {
    return freePort(HOST)
  }

  /** @param {string} name */
  path(name) {
    return path.join(this.folder, name)
  }

  /**
   * @param {string} name
   * @param {string} text
   * @returns {string} the file's path
   */
  write(name, text) {
    const file = this.path(name)
    fs.writeFileSync(file, text, { mode: 0o600 })
    giveTo(this.#user, file)
    return file
  }

  /**
   * Runs a program to its end; fails if it does.
   *
   * @param {string} program
   * @param {string[]} args
   */
  async run(program, args) {
    const { stdout } = await promisify(execFile)(findProgram(program), args, this.#world())
    return stdout
  }

  /**
   * Starts a program and leaves it running.
   *
   * @param {string} name what messages call it
   * @param {string} program
   * @param {string[]} args
   * @returns {Program}
   */
  start(name, program, args) {
    const log = this.path(`${name}.log`)
    const output = fs.openSync(log, 'a')
    const child = spawn(findProgram(program), args, {
      ...this.#world(),
      stdio: ['ignore', output, output],
      detached: true
    })
    fs.closeSync(output)
    child.unref()
    if (child.pid === undefined) throw new Error(`${program} does not start`)
    this.#guard.send({ started: child.pid })
    child.once('exit', () => this.#guard.connected && this.#guard.send({ ended: child.pid }))
    return {
      name,
      pid: child.pid,
      log: () => fs.readFileSync(log, 'utf8'),
      async kill(signal) {
        if (child.exitCode !== null || child.signalCode !== null) return
        child.ref() // an end that is waited for keeps us alive
        const gone = once(child, 'exit')
        child.kill(signal)
        await gone
      }
    }
  }

  /**
   * Asks until there is an answer.
   *
   * @template T
   * @param {string} what is waited for
   * @param {() => Promise<T | undefined | false>} ask
   * @param {Program[]} [programs] whose logs are shown if it never comes
   * @returns {Promise<T>}
   */
  async until(what, ask, programs = []) {
    const end = Date.now() + START_LIMIT
    for (;;) {
      /** @type {any} */
      const answer = await ask().catch(error => {
        if (Date.now() > end) throw error
      })
      if (answer) return answer
      if (Date.now() > end) {
        const logs = programs.map(({ name, log }) => `${name}:\n${log().slice(-3000)}`)
        throw new Error([`waited in vain: ${what}`, ...logs].join('\n'))
      }
      await sleep(50)
    }
  }

  /** Ends what was started and removes the folder. */
  async clear() {
    if (this.#guard.exitCode !== null || this.#guard.signalCode !== null) return
    const gone = once(this.#guard, 'exit')
    this.#guard.ref()
    if (this.#guard.connected) this.#guard.disconnect()
    await gone
  }

  /** What every program runs in: our folder, and no setting of the caller's shell. */
  #world() {
    const own = Object.entries(process.env).filter(([name]) => !/^(PG|LC_|LANG|TZ$|NODE_)/.test(name))
    const env = { ...Object.fromEntries(own), HOME: this.folder, LC_ALL: 'C.UTF-8', TZ: 'UTC' }
    return { ...this.#user, cwd: this.folder, env }
  }
}

/**
 * @param {string} program a name or a path
 * @returns {string} its path
 */
function findProgram(program) {
  if (path.isAbsolute(program)) return program
  const folders = [...(process.env.PATH ?? '').split(path.delimiter), ...ALSO]
  const found = folders.map(folder => path.join(folder, program)).find(file => fs.existsSync(file))
  if (found === undefined) throw new Lacking(`${program} is not installed; examples/README.md says what is needed`)
  return found
}

module.exports = { Lacking, Stage, findProgram, onStage }
