'use strict'

// Builds the addon as a release has it, into a folder of its own: what is in native/ stays.

const path = require('node:path')
const { run } = require('../run.js')
const { OLDEST_GLIBC, PLATFORMS, tooNewGlibc } = require('./platforms.js')

const BUILD = ['napi', 'build', '--platform', '--release', '--features', 'node', '--js', 'binding.js']

/**
 * For this machine.
 *
 * @param {string} folder
 */
async function build(folder) {
  await napiBuild(folder, [])
}

/**
 * For a target of package.json, from a machine that can: Linux for Linux, macOS for macOS, Windows for Windows.
 *
 * @param {string} folder
 * @param {string} target
 */
async function buildTarget(folder, target) {
  const platform = PLATFORMS.find(one => one.target === target)
  if (platform === undefined) throw new Error(`${target} is none of ${PLATFORMS.map(one => one.target).join(', ')}`)
  const [first, ...others] = waysTo(platform)
  await others.reduce((tried, way) => tried.catch(() => napiBuild(folder, way)), napiBuild(folder, first))
  const needed = tooNewGlibc(path.join(folder, platform.file), platform)
  if (needed !== undefined) throw new Error(`${platform.file} needs glibc ${needed}, not ${OLDEST_GLIBC}`)
}

/**
 * @param {import('./platforms.js').Platform} platform
 * @returns {string[][]} arguments; each way is for when the ones before have failed
 */
function waysTo({ libc, target }) {
  if (libc === 'musl') return [['--cross-compile', '--target', target]]
  if (libc === undefined) return [['--target', target]]
  // Ours is a library for systems older than the machine that builds it: napi's own toolchains have an old glibc, and
  // zig, in their absence, links as if it had.
  const withNapi = ['--use-napi-cross', '--target', target]
  return [withNapi, ['--cross-compile', '--target', `${target}.${OLDEST_GLIBC}`]]
}

/**
 * @param {string} folder
 * @param {string[]} way
 */
async function napiBuild(folder, way) {
  const code = await run('npx', ['--no-install', ...BUILD, '--dts', 'binding.d.ts', '--output-dir', folder, ...way])
  if (code !== 0) throw new Error(`the build failed with code ${code}`)
}

module.exports = { build, buildTarget }
