'use strict'

// One PostgreSQL server with the temporary folder it lives in: created, started, stopped, removed. How long it lives is
// the business of scripts/postgres-supervisor.js.

const { execFile, spawn, spawnSync } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const net = require('node:net')
const os = require('node:os')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')
const { promisify } = require('node:util')
const { freePort } = require('./free-port.js')
const { findBinaries, giveTo, program, usableBinaries } = require('./postgres-binaries.js')

/** @typedef {import('./postgres-binaries.js').User} User */
/** @typedef {import('./postgres.js').Options} Options */
/** @typedef {import('./postgres.js').Mode} Mode */

const HOST = '127.0.0.1'
const WINDOWS = process.platform === 'win32'
const START_LIMIT = 60_000
const STOP_LIMIT = 10_000
const ATTEMPTS = 5
const FAST_NOT_SAFE = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }

// A port can be taken between our look and PostgreSQL's; after a crash the memory of the old server is in use until
// its last process has noticed.
const PASSES_BY_ITSELF = /could not create any TCP\/IP sockets|is still in use/

class Cluster {
  /**
   * @param {Options} options
   * @param {() => void} onEnd called whenever the server has ended, stopped or not
   */
  constructor(options, onEnd) {
    this.options = options
    this.onEnd = onEnd
    this.user = serverUser()
    this.folder = fs.mkdtempSync(path.join(temporaryFolder(this.user), 'pgsess-'))
    giveTo(this.user, this.folder)
    this.data = path.join(this.folder, 'data')
    this.bin = ''
    this.version = ''
    this.port = 0
    this.log = ''
    /** @type {import('node:child_process').ChildProcess | undefined} */
    this.process = undefined
  }

  async create() {
    Object.assign(this, usableBinaries(findBinaries(this.options.bin), this.user, this.folder))
    await this.initdb()
    await this.start()
  }

  async initdb() {
    const { auth = 'trust', password = '' } = this.options
    const args = ['-D', this.data, '-U', 'postgres', '-A', auth, '-E', 'UTF8', '--locale=C', '--no-sync']
    const secret = path.join(this.folder, 'password')
    if (password) {
      fs.writeFileSync(secret, password)
      giveTo(this.user, secret)
      args.push(`--pwfile=${secret}`)
    }
    await promisify(execFile)(program(this.bin, 'initdb'), args, this.world())
    fs.rmSync(secret, { force: true })
  }

  /** Returns when the server accepts connections; one that runs already is left alone. */
  async start() {
    if (this.process) await this.justKilled()
    for (let attempt = 1; !this.process; attempt++) {
      const port = this.port || this.options.port || (await freePort(HOST))
      try {
        await this.launch(port)
        this.port = port
      } catch (error) {
        if (attempt === ATTEMPTS || !PASSES_BY_ITSELF.test(this.log)) throw error
        await sleep(attempt * 200)
      }
    }
  }

  /** The order to start again may overtake the news that a test has killed the server. */
  async justKilled() {
    const { process: child } = this
    if (child) await Promise.race([once(child, 'exit'), sleep(300, undefined, { ref: false })])
  }

  /** @param {number} port */
  async launch(port) {
    const args = ['-D', this.data, '-p', String(port), ...this.settings()]
    const child = spawn(program(this.bin, 'postgres'), args, { ...this.world(), stdio: ['ignore', 'ignore', 'pipe'] })
    const lastWords = this.watch(child)
    const limit = Date.now() + START_LIMIT
    while (this.process && Date.now() < limit) {
      if (await accepts(this.address(port))) return
      await sleep(10)
    }
    await this.stop('immediate')
    await Promise.race([lastWords, sleep(300)])
    throw new Error(`PostgreSQL ${this.version} of ${this.bin} did not start:\n${this.log.trim()}`)
  }

  /**
   * @param {import('node:child_process').ChildProcessByStdio<null, null, import('node:stream').Readable>} child
   * @returns {Promise<void>} until all it had to say is in the log
   */
  watch(child) {
    const over = () => {
      this.process = undefined
      this.onEnd()
    }
    this.process = child
    this.log = ''
    child.stderr.on('data', chunk => {
      this.log = (this.log + chunk).slice(-4000)
    })
    child.once('exit', over)
    child.once('error', error => {
      this.log += error.message
      over()
    })
    return new Promise(resolve => child.once('close', () => resolve()))
  }

  /** @param {Mode} mode */
  async stop(mode) {
    const child = this.process
    if (!child) return
    const gone = once(child, 'exit')
    // pg_ctl knows how to reach a server also where there are no signals. Never TERM: that waits for the clients.
    const signal = mode === 'immediate' ? 'QUIT' : 'INT'
    spawnSync(program(this.bin, 'pg_ctl'), ['kill', signal, String(child.pid)], this.world())
    const force = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT)
    await gone
    clearTimeout(force)
  }

  async remove() {
    await this.stop('immediate')
    fs.rmSync(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
  }

  /** @returns {string[]} */
  settings() {
    const settings = {
      listen_addresses: HOST,
      unix_socket_directories: WINDOWS ? '' : this.folder,
      max_connections: 200,
      ...(this.options.durable ? {} : FAST_NOT_SAFE),
      ...(this.checksConnections() ? { client_connection_check_interval: '1s' } : {}),
      ...this.options.settings
    }
    return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  }

  /** @returns {boolean} */
  checksConnections() {
    const major = Number.parseInt(this.version, 10)
    return (process.platform === 'linux' && major >= 14) || (process.platform === 'darwin' && major >= 15)
  }

  /**
   * Our own socket where there is one: on a port, the answer could be another server's.
   *
   * @param {number} port
   * @returns {net.NetConnectOpts}
   */
  address(port) {
    return WINDOWS ? { host: HOST, port } : { path: path.join(this.folder, `.s.PGSQL.${port}`) }
  }

  /** What every program of PostgreSQL runs in: a folder its user may read, and no setting of the caller's shell. */
  world() {
    const own = Object.entries(process.env).filter(([name]) => !/^(PG|LC_|LANG|TZ$)/.test(name))
    return {
      ...this.user,
      cwd: this.folder,
      env: { ...Object.fromEntries(own), LC_ALL: 'C', TZ: 'UTC' },
      windowsHide: true
    }
  }

  facts() {
    const { port, folder: socketDir, data: dataDir, bin, version, process: child } = this
    return { port, socketDir, dataDir, bin, version, pid: child?.pid }
  }
}

/** @returns {User} PostgreSQL refuses to run as root */
function serverUser() {
  if (process.getuid?.() !== 0) return {}
  const name = ['postgres', 'nobody'].find(candidate => id('-u', candidate) !== undefined)
  if (!name) throw new Error('PostgreSQL cannot run as root, and there is neither a user "postgres" nor "nobody"')
  return { uid: id('-u', name), gid: id('-g', name) }
}

/**
 * @param {'-u' | '-g'} what
 * @param {string} name
 * @returns {number | undefined}
 */
function id(what, name) {
  const { status, stdout } = spawnSync('id', [what, name], { encoding: 'utf8' })
  return status === 0 ? Number(stdout) : undefined
}

/**
 * The folder for temporary files, unless it is closed to the server's user or too long: the path of a socket must fit
 * into 103 bytes.
 *
 * @param {User} user
 * @returns {string}
 */
function temporaryFolder(user) {
  const dir = os.tmpdir()
  const fits = dir.length < 70 && spawnSync('/bin/sh', ['-c', 'cd "$1"', 'sh', dir], { ...user, cwd: '/' }).status === 0
  return WINDOWS || fits ? dir : '/tmp'
}

/**
 * Whether a server answers a start-up packet with a request for authentication; one that is still starting refuses.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 *
 * @param {net.NetConnectOpts} address
 * @returns {Promise<boolean>}
 */
function accepts(address) {
  return new Promise(resolve => {
    const socket = net.connect(address, () => socket.write(startupPacket()))
    socket.setTimeout(2000, () => socket.destroy())
    socket.once('data', answer => {
      resolve(answer.toString('latin1', 0, 1) === 'R')
      socket.destroy()
    })
    socket.once('error', () => resolve(false))
    socket.once('close', () => resolve(false))
  })
}

/** @returns {Buffer} */
function startupPacket() {
  const PROTOCOL_3 = 196608
  const parameters = Buffer.from('user\0postgres\0database\0postgres\0\0')
  const head = Buffer.alloc(8)
  head.writeInt32BE(head.length + parameters.length, 0)
  head.writeInt32BE(PROTOCOL_3, 4)
  return Buffer.concat([head, parameters])
}

module.exports = { Cluster, serverUser, temporaryFolder }
