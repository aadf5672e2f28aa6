'use strict'

// Sends requests as fast as they are answered, each with another session's cookie: with wrk if it is there, since it
// leaves the app its core, else with autocannon.

const { spawn, spawnSync } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const autocannon = require('autocannon')

/** @typedef {import('./cleanup.js').Cleanup} Cleanup */

/**
 * @typedef {object} Loaded
 * @property {number} requests
 * @property {number} rate requests a second
 * @property {number} p50 latency in ms
 * @property {number} p99
 */

/**
 * @typedef {object} Load
 * @property {string} name
 * @property {(url: string, cookies: string[], connections: number, seconds: number) => Promise<Loaded>} run rejects if
 *   an answer was none
 */

/** Each of autocannon's connections makes all requests of its own before it sends the first. */
const AUTOCANNON_COOKIES = 100
const MS = /** @type {Record<string, number>} */ ({ us: 0.001, ms: 1, s: 1000, m: 60_000 })

/**
 * @param {Cleanup} cleanup
 * @returns {Load}
 */
function findLoad(cleanup) {
  const { error, stdout } = spawnSync('wrk', ['--version'], { encoding: 'utf8' })
  if (!error) return new Wrk(stdout.split(' ')[1], cleanup)
  const { version } = require('autocannon/package.json')
  return { name: `autocannon ${version} (wrk is not installed)`, run: runAutocannon }
}

class Wrk {
  #folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pgsess-bench-'))
  /** @type {Set<import('node:child_process').ChildProcess>} */
  #processes = new Set()
  #runs = 0

  /**
   * @param {string} version
   * @param {Cleanup} cleanup
   */
  constructor(version, cleanup) {
    this.name = `wrk ${version}`
    cleanup.add(() => this.#end())
  }

  /**
   * @param {string} url
   * @param {string[]} cookies
   * @param {number} connections
   * @param {number} seconds
   * @returns {Promise<Loaded>}
   */
  async run(url, cookies, connections, seconds) {
    // Several may run at once.
    const file = path.join(this.#folder, `cookies-${this.#runs++}`)
    fs.writeFileSync(file, cookies.join('\n'))
    const script = path.join(__dirname, 'cookies.lua')
    const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--latency', '-s', script, url, '--', file]
    const wrk = spawn('wrk', args, { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#processes.add(wrk)
    let output = ''
    wrk.stdout.on('data', chunk => {
      output += chunk
    })
    await once(wrk, 'close')
    this.#processes.delete(wrk)
    return readWrk(output)
  }

  #end() {
    for (const wrk of this.#processes) wrk.kill('SIGKILL')
    fs.rmSync(this.#folder, { recursive: true, force: true })
  }
}

/**
 * @param {string} output
 * @returns {Loaded}
 */
function readWrk(output) {
  const requests = /(\d+) requests in/.exec(output)
  const rate = /Requests\/sec:\s+([\d.]+)/.exec(output)
  if (!requests || !rate || /Non-2xx|Socket errors/.test(output)) throw new Error(`wrk was not answered:\n${output}`)
  return {
    requests: Number(requests[1]),
    rate: Number(rate[1]),
    p50: latency(output, '50%'),
    p99: latency(output, '99%')
  }
}

/**
 * @param {string} output
 * @param {string} share
 */
function latency(output, share) {
  const found = new RegExp(`${share}\\s+([\\d.]+)(us|ms|s|m)\\b`).exec(output)
  return found ? Number(found[1]) * MS[found[2]] : Number.NaN
}

/**
 * @param {string} url
 * @param {string[]} cookies
 * @param {number} connections
 * @param {number} seconds
 * @returns {Promise<Loaded>}
 */
async function runAutocannon(url, cookies, connections, seconds) {
  const requests = cookies.slice(0, AUTOCANNON_COOKIES).map(cookie => ({ headers: { cookie } }))
  const result = await autocannon({ url, connections, duration: seconds, requests })
  const failed = result.errors + result.timeouts + result.non2xx
  if (failed > 0) throw new Error(`autocannon: ${failed} requests were not answered`)
  const { latency: latencies, requests: answered } = result
  return { requests: answered.total, rate: answered.average, p50: latencies.p50, p99: latencies.p99 }
}

module.exports = { findLoad }
