'use strict'

// Installs and builds what is missing or stale, and is silent when nothing is. Runs on a fresh clone, so it needs
// nothing but Node.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { run } = require('./run.js')

/** @typedef {{ version?: string, integrity?: string, optional?: boolean }} Package */

const ROOT = path.resolve(__dirname, '..')
const OLDEST_NODE = 20
const SOURCES = ['Cargo.toml', 'Cargo.lock', 'build.rs', '.cargo/config.toml', 'src']

async function ensure() {
  demand(Number.parseInt(process.versions.node, 10) >= OLDEST_NODE, nodeHint())
  if (packagesAreStale())
    await step('installing the npm packages', 'npm', ['ci', '--include=dev', '--no-audit', '--no-fund'])
  if (!buildIsStale()) return
  demand(
    starts('cargo', '--version'),
    'cargo is missing: install Rust from https://rustup.rs, then open a new terminal'
  )
  demand(hasCompiler(), compilerHint())
  await step('building the addon (the first time takes minutes)', 'npm', ['run', '--silent', 'build'])
}

/**
 * @param {boolean} condition
 * @param {string} hint
 */
function demand(condition, hint) {
  if (condition) return
  console.error(hint)
  process.exit(1)
}

/**
 * @param {string} what
 * @param {string} command
 * @param {string[]} args
 */
async function step(what, command, args) {
  console.log(`${what}: ${command} ${args.join(' ')}`)
  const code = await run(command, args)
  if (code !== 0) process.exit(code)
}

/** @returns {string} */
function nodeHint() {
  return `Node ${process.versions.node} is too old: install Node ${OLDEST_NODE} or newer from https://nodejs.org`
}

/**
 * Compares contents, not dates: `npm install` writes the two files in either order, and a fresh checkout is always new.
 *
 * @returns {boolean}
 */
function packagesAreStale() {
  const installed = packages('node_modules/.package-lock.json')
  const { '': _ourselves, ...locked } = packages('package-lock.json')
  // An optional package may be absent, being made for another platform.
  const expected = Object.keys(locked).filter(name => installed[name] || !locked[name].optional)
  return [...expected, ...Object.keys(installed)].some(name => differ(locked[name], installed[name]))
}

/**
 * @param {Package} [locked]
 * @param {Package} [installed]
 * @returns {boolean}
 */
function differ(locked, installed) {
  if (locked?.version !== installed?.version) return true
  // The lock file does not know the contents of each platform's packages.
  return locked?.integrity !== undefined && locked.integrity !== installed?.integrity
}

/**
 * @param {string} file a lock file
 * @returns {Record<string, Package>}
 */
function packages(file) {
  const full = path.join(ROOT, file)
  return fs.existsSync(full) ? JSON.parse(fs.readFileSync(full, 'utf8')).packages : {}
}

/** @returns {boolean} */
function buildIsStale() {
  const dir = path.join(ROOT, 'native')
  const platform = `.${process.platform}-${process.arch}`
  const names = fs.existsSync(dir) ? fs.readdirSync(dir) : []
  const addons = names.filter(name => name.endsWith('.node') && name.includes(platform))
  if (addons.length === 0 || !names.includes('binding.js')) return true
  const oldest = Math.min(...['binding.js', ...addons].map(name => fs.statSync(path.join(dir, name)).mtimeMs))
  return newest(SOURCES.map(name => path.join(ROOT, name))) > oldest
}

/**
 * @param {string[]} files folders count with all in them, and themselves: their date tells of a deleted file
 * @returns {number} the time of the last change, in ms
 */
function newest(files) {
  const times = files
    .filter(file => fs.existsSync(file))
    .map(file => {
      const { mtimeMs } = fs.statSync(file)
      if (!fs.statSync(file).isDirectory()) return mtimeMs
      return Math.max(mtimeMs, newest(fs.readdirSync(file).map(name => path.join(file, name))))
    })
  return Math.max(0, ...times)
}

/** @returns {boolean} on Windows Rust itself finds Visual Studio and says so when it is missing */
function hasCompiler() {
  if (process.platform === 'win32') return true
  // On macOS `cc` is always there; without the developer tools it only opens a window.
  return process.platform === 'darwin' ? starts('xcode-select', '-p') : starts('cc', '--version')
}

/** @returns {string} */
function compilerHint() {
  if (process.platform === 'darwin') return 'a C compiler is missing: run xcode-select --install'
  return 'a C compiler is missing: install one (Debian, Ubuntu: apt install build-essential; Fedora: dnf install gcc)'
}

/**
 * @param {string} command
 * @param {string} arg
 * @returns {boolean}
 */
function starts(command, arg) {
  return spawnSync(command, [arg]).status === 0
}

ensure()
