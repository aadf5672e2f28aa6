'use strict'

// What the targets in package.json are to npm: a package each, named and restricted as napi-rs does it.

const fs = require('node:fs')
const { name, napi } = require('../../package.json')

/**
 * @typedef {object} Platform
 * @property {string} id such as linux-x64-gnu
 * @property {string} target as Rust names it
 * @property {string} package the npm package with the addon
 * @property {string} file the addon in it
 * @property {string} os as process.platform has it
 * @property {string} cpu as process.arch has it
 * @property {'glibc' | 'musl'} [libc]
 * @property {string} prose for people
 */

/** @typedef {Pick<Platform, 'os' | 'libc' | 'prose'> & { abi: string }} System */

/** The oldest glibc that released addons run with: that of CentOS 7, and the oldest that Node's own builds knew. */
const OLDEST_GLIBC = '2.17'

/** @type {Record<string, string>} */
const CPUS = { x86_64: 'x64', aarch64: 'arm64' }

/** @type {Record<string, System>} */
const SYSTEMS = {
  'unknown-linux-gnu': { os: 'linux', libc: 'glibc', abi: '-gnu', prose: `Linux with glibc ${OLDEST_GLIBC} or newer` },
  'unknown-linux-musl': { os: 'linux', libc: 'musl', abi: '-musl', prose: 'Linux with musl, such as Alpine' },
  'apple-darwin': { os: 'darwin', abi: '', prose: 'macOS' },
  'pc-windows-msvc': { os: 'win32', abi: '-msvc', prose: 'Windows' }
}

const PLATFORMS = napi.targets.map(describe)

/**
 * @param {string} target
 * @returns {Platform}
 */
function describe(target) {
  const [arch, ...rest] = target.split('-')
  const { abi, prose, ...system } = SYSTEMS[rest.join('-')]
  const cpu = CPUS[arch]
  const id = `${system.os}-${cpu}${abi}`
  const file = `${napi.binaryName}.${id}.node`
  return { id, target, package: `${name}-${id}`, file, ...system, cpu, prose: `${prose}, ${cpu}` }
}

/** @returns {Platform} the one we run on */
function ownPlatform() {
  const report = /** @type {any} */ (process.report.getReport())
  const libc = report.header.glibcVersionRuntime ? 'glibc' : 'musl'
  const own = PLATFORMS.find(({ os, cpu, libc: needed }) => {
    return os === process.platform && cpu === process.arch && (needed === undefined || needed === libc)
  })
  if (own === undefined) throw new Error(`no package is made for ${process.platform} ${process.arch}`)
  return own
}

/**
 * @param {string} file an addon
 * @param {Platform} platform whose it is
 * @returns {string | undefined} the glibc that it asks for, if that is newer than promised
 */
function tooNewGlibc(file, { libc }) {
  if (libc !== 'glibc') return undefined
  const versions = fs.readFileSync(file, 'latin1').match(/GLIBC_\d+\.\d+/g) ?? []
  const newest = Math.max(...versions.map(version => Number(version.split('.')[1])))
  return newest > Number(OLDEST_GLIBC.split('.')[1]) ? `2.${newest}` : undefined
}

module.exports = { OLDEST_GLIBC, PLATFORMS, ownPlatform, tooNewGlibc }
