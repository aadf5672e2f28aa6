'use strict'

// Programs of users: folders of their own, in which the packed package is installed as npm does it from a registry.

const { execFile, execFileSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { after } = require('node:test')

const ROOT = path.resolve(__dirname, '../..')
const LIMIT = 300_000

/** Where everything of this process lies; gone after the last test. */
const FOLDER = fs.mkdtempSync(path.join(os.tmpdir(), 'pgsess-installed-'))
after(() => fs.rmSync(FOLDER, { recursive: true, force: true, maxRetries: 3 }))

/** @type {{ main: string, platform: string } | undefined} */
let packed

/** The addon is the one in native/, as for all tests. */
function tarballs() {
  if (packed !== undefined) return packed
  const out = path.join(FOLDER, 'tarballs')
  const script = path.join(ROOT, 'scripts/pack-local.js')
  execFileSync(process.execPath, [script, '--out', out, '--no-build'], { stdio: 'pipe' })
  const names = fs.readdirSync(out)
  const platform = names.find(name => !/^pg-sess-rs-\d/.test(name))
  const main = names.find(name => name !== platform)
  packed = { main: path.join(out, String(main)), platform: path.join(out, String(platform)) }
  return packed
}

/**
 * A folder with these files.
 *
 * @param {{ [file: string]: string | object }} [files] objects are written as JSON
 */
function project(files = {}) {
  const folder = fs.mkdtempSync(path.join(FOLDER, 'project-'))
  for (const [file, content] of Object.entries({ 'package.json': { private: true }, ...files })) {
    fs.mkdirSync(path.dirname(path.join(folder, file)), { recursive: true })
    fs.writeFileSync(path.join(folder, file), typeof content === 'string' ? content : JSON.stringify(content))
  }
  return folder
}

/**
 * @param {string} folder
 * @param {...string} packages
 */
function npmInstall(folder, ...packages) {
  const quietly = [
    '--ignore-scripts',
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
    '--fetch-retry-mintimeout=100'
  ]
  return runIn(folder, 'npm', ['install', ...quietly, ...packages])
}

/** What a machine of a user has on PATH: Node and npm, no compiler. @returns {string} a folder */
function bareBin() {
  const bin = path.join(FOLDER, 'bin')
  if (fs.existsSync(bin)) return bin
  fs.mkdirSync(bin)
  fs.symlinkSync(process.execPath, path.join(bin, 'node'))
  for (const program of ['npm', 'npx', 'sh']) {
    const [found] = execFileSync('which', [program], { encoding: 'utf8' }).split('\n')
    fs.symlinkSync(fs.realpathSync(found), path.join(bin, program))
  }
  return bin
}

/**
 * @param {string} folder
 * @param {string} command
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {Promise<{ code: number | string, stdout: string, stderr: string }>}
 */
function runIn(folder, command, args, env) {
  // A runner's settings are meant for the runner, and what npm tells its scripts is not meant for another npm.
  const own = Object.entries(process.env).filter(([name]) => !/^(NODE_OPTIONS|NODE_TEST_CONTEXT|npm_)/.test(name))
  const all = { ...Object.fromEntries(own), PATH: bareBin(), CI: 'true', ...env }
  return new Promise(resolve => {
    execFile(command, args, { cwd: folder, env: all, timeout: LIMIT, encoding: 'utf8' }, (error, stdout, stderr) => {
      resolve({ code: error ? (error.code ?? String(error.signal)) : 0, stdout, stderr })
    })
  })
}

module.exports = { ROOT, bareBin, npmInstall, project, runIn, tarballs }
