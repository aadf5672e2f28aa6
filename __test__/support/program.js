'use strict'

// A program of its own with sessions, which tells what it sees and does what it is told, and can be suspended.

const { fork } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const ROOT = path.resolve(__dirname, '../..')

/** Runs Node in a world of its own, where its file of host names is another. */
const WITH_HOSTS = [
  ...['--mount', 'sh', '-c', 'mount --bind "$HOSTS_FILE" /etc/hosts && exec "$0" "$@"'],
  process.execPath
]

/** Runs Node with this as the most files that it may have open. */
const withFiles = (/** @type {number} */ files) => ['-c', `ulimit -n ${files} && exec "$0" "$@"`, process.execPath]

/** What every program finds. */
const PREAMBLE = `
  'use strict'
  const { once } = require('node:events')
  const { setTimeout: sleep } = require('node:timers/promises')
  const { connect } = require(${JSON.stringify(ROOT)})
  const { FIELDS, Load, TIMEOUTS, assertWorksAgain } = require(${JSON.stringify(path.join(__dirname, 'faults.js'))})
  const url = process.env.PROGRAM_URL
  const report = facts => process.send(facts)
  const command = async () => (await once(process, 'message'))[0]
`

/**
 * Runs `body` as the body of an async function, with `sessions` for the database.
 *
 * @param {{ after(hook: () => unknown): void }} t
 * @param {string} body
 * @param {{ url: string, flags?: string[], env?: NodeJS.ProcessEnv, hosts?: string, files?: number }} settings `hosts`: a
 *   file that it sees as /etc/hosts; `files`: the most that it may have open
 */
function startProgram(t, body, { url, flags = [], env, hosts, files }) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pgsess-program-'))
  const file = path.join(folder, 'program.js')
  fs.writeFileSync(
    file,
    `${PREAMBLE}
    ;(async () => {
      const sessions = await connect(url, { fields: FIELDS, pruneInterval: false, ...TIMEOUTS })
      ${body}
      process.disconnect()
    })()`
  )
  const { NODE_OPTIONS: _options, NODE_TEST_CONTEXT: _context, ...own } = process.env
  const environment = { ...own, PROGRAM_URL: url, HOSTS_FILE: hosts, ...env }
  const child = fork(file, { ...howToRun(flags, hosts, files), env: environment })
  const end = once(child, 'exit')
  t.after(() => {
    child.kill('SIGKILL')
    fs.rmSync(folder, { recursive: true })
  })
  return {
    /** The next report. @returns {Promise<any>} */
    async heard() {
      const [report] = await Promise.race([once(child, 'message'), end.then(([code]) => assertAlive(code))])
      return report
    },
    tell: (/** @type {string} */ word) => child.send(word),
    signal: (/** @type {NodeJS.Signals} */ signal) => child.kill(signal),
    ended: async () => ({ code: (await end)[0] })
  }
}

/**
 * @param {string[]} flags
 * @param {string | undefined} hosts
 * @param {number | undefined} files
 */
function howToRun(flags, hosts, files) {
  if (hosts !== undefined) return { execPath: 'unshare', execArgv: [...WITH_HOSTS, ...flags] }
  if (files !== undefined) return { execPath: 'sh', execArgv: [...withFiles(files), ...flags] }
  return { execArgv: flags }
}

/**
 * @param {number} code
 * @returns {never}
 */
function assertAlive(code) {
  throw new Error(`the program ended with code ${code} before it said anything`)
}

module.exports = { startProgram }
