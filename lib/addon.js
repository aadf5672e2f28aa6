'use strict'

// Loads the addon, or says what is missing and what helps. It lies in a package of its own for each platform, of which
// npm installs the right one, unless it is told or led not to; or, in a clone, in native/.

const fs = require('node:fs')
const { createRequire } = require('node:module')
const path = require('node:path')
const { name: PACKAGE, version: VERSION } = require('../package.json')

/** For which an addon is made: napi's names of the targets in package.json. */
const PLATFORMS = [
  'linux-x64-gnu',
  'linux-arm64-gnu',
  'linux-x64-musl',
  'linux-arm64-musl',
  'darwin-x64',
  'darwin-arm64',
  'win32-x64-msvc',
  'win32-arm64-msvc'
]

const REASONS = `It may be missing because
- optional packages were left out: by --omit=optional, --no-optional or a setting that says so
- node_modules or the lock file comes from another platform: remove both, and install on the machine (or in the image)
  that runs the program`

/** Not `require`, whose arguments bundlers want to know beforehand. */
const requireHere = createRequire(__filename)

/** @returns {typeof import('../native/binding.js')} */
function load() {
  try {
    return require('../native/binding.js')
  } catch (error) {
    const message = whyNot(ownPlatform())
    if (message === undefined) throw error
    throw Object.assign(new Error(message, { cause: error }), { code: 'PGSESS_ADDON' })
  }
}

/**
 * @param {string} platform
 * @returns {string | undefined} nothing if the addon can be loaded, and something else went wrong
 */
function whyNot(platform) {
  if (!PLATFORMS.includes(platform)) {
    return `${PACKAGE} has no addon for ${platform}; it runs on ${PLATFORMS.join(', ')}`
  }
  const places = [path.join(__dirname, `../native/${PACKAGE}.${platform}.node`), packageFor(platform)]
  const place = places.find(isThere)
  if (place !== undefined) return whyNotLoaded(place)
  return isBuiltHere() ? `${PACKAGE} is not built: run npm run build` : missing(platform)
}

/**
 * @param {string} place of the addon
 * @returns {string | undefined}
 */
function whyNotLoaded(place) {
  try {
    requireHere(place)
    return undefined
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    const libc = /GLIBC_/.test(reason) ? `\nThis machine has glibc ${glibcVersion()}: use a newer system or image.` : ''
    return `${PACKAGE}: ${place} is installed, but cannot be loaded: ${reason}${libc}`
  }
}

/** @param {string} platform */
function missing(platform) {
  const needed = packageFor(platform)
  const others = PLATFORMS.map(packageFor).filter(isThere)
  const instead = others.length > 0 ? `; installed instead: ${others.join(', ')}` : ''
  return `${PACKAGE} needs the package ${needed} (version ${VERSION}), its addon for this machine, which is not \
installed${instead}.
Install it: npm install --include=optional (or by name: npm install --no-save ${needed}@${VERSION})
${REASONS}`
}

/** @param {string} platform */
function packageFor(platform) {
  return `${PACKAGE}-${platform}`
}

/** Whether this is a clone, where the addon is compiled and not installed. */
function isBuiltHere() {
  return fs.existsSync(path.join(__dirname, '../Cargo.toml'))
}

/** @param {string} request */
function isThere(request) {
  try {
    return Boolean(requireHere.resolve(request))
  } catch {
    return false
  }
}

/** @returns {string} as napi names it */
function ownPlatform() {
  const { platform, arch } = process
  if (platform === 'linux') return `${platform}-${arch}-${glibcVersion() ? 'gnu' : 'musl'}`
  return platform === 'win32' ? `${platform}-${arch}-msvc` : `${platform}-${arch}`
}

/** @returns {string | undefined} none: another libc, which is musl */
function glibcVersion() {
  const report = /** @type {any} */ (process.report?.getReport())
  return report?.header.glibcVersionRuntime
}

module.exports = { binding: load(), PLATFORMS }
