'use strict'

// What the figures were measured on, and with.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

/**
 * @typedef {object} Machine
 * @property {string} date
 * @property {string} computer
 * @property {string} system
 * @property {string} addon
 * @property {boolean} isDebug whether the addon was built to be debugged, not to be fast
 * @property {number} busy programs that wanted to run when we began, for each core
 * @property {Record<string, string>} versions
 */

const ROOT = path.resolve(__dirname, '..')

/**
 * @param {string[]} packages
 * @param {Record<string, string>} versions of what is no package
 * @returns {Machine}
 */
function describeMachine(packages, versions) {
  const cores = os.cpus()
  const memory = Math.round(os.totalmem() / 2 ** 30)
  const isDebug = isDebugBuild()
  return {
    date: new Date().toISOString().slice(0, 10),
    computer: `${cores.length} × ${cores[0]?.model.trim() ?? 'unknown'}, ${memory} GB`,
    system: `${os.type()} ${os.release()}, ${process.platform}-${process.arch}`,
    addon: `${versionOf('.')} ${commit()}${isDebug ? ', DEBUG BUILD' : ''}`,
    isDebug,
    busy: os.loadavg()[0] / cores.length,
    versions: { ...versions, Node: process.versions.node, ...packageVersions([...packages, 'express']) }
  }
}

/** @param {string[]} packages */
function packageVersions(packages) {
  const names = [...new Set(packages)].sort()
  return Object.fromEntries(names.map(name => [name, versionOf(path.join('node_modules', name))]))
}

/**
 * @param {string} folder of a package
 * @returns {string}
 */
function versionOf(folder) {
  return JSON.parse(fs.readFileSync(path.join(ROOT, folder, 'package.json'), 'utf8')).version
}

function commit() {
  const { status, stdout } = spawnSync('git', ['describe', '--always', '--dirty'], { cwd: ROOT, encoding: 'utf8' })
  return status === 0 ? `(${stdout.trim()})` : ''
}

/** Whether the addon has the section for debuggers; where that is a file of its own, as on macOS, we cannot tell. */
function isDebugBuild() {
  const folder = path.join(ROOT, 'native')
  const addons = fs.readdirSync(folder).filter(name => name.endsWith('.node'))
  // With its zeros it is the section's name; without them it also stands in the code that prints a panic.
  return addons.some(name => fs.readFileSync(path.join(folder, name)).includes('\0.debug_info\0'))
}

module.exports = { describeMachine }
