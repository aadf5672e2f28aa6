'use strict'

// Says what was packed, and refuses what is too large.

const { PLATFORMS } = require('./platforms.js')

/** @typedef {import('./stage.js').Packed} Packed */

/** What both packages may take on a user's disk. */
const LARGEST = 12e6

/** @param {Packed[]} packages */
function assertSmall(packages) {
  const [main, ...platforms] = [...packages].reverse()
  for (const { name, unpackedSize } of platforms) {
    const installed = main.unpackedSize + unpackedSize
    if (installed > LARGEST) throw new Error(`${main.name} and ${name} take ${megabytes(installed)} installed`)
  }
}

/**
 * One line a package, those of other platforms included.
 *
 * @param {Packed[]} packages
 * @returns {string}
 */
function listed(packages) {
  const lines = packages.map(({ name, size, unpackedSize }) => {
    return `${name.padEnd(30)} ${megabytes(size).padStart(8)} packed ${megabytes(unpackedSize).padStart(8)} installed`
  })
  const packed = new Set(packages.map(({ name }) => name))
  const others = PLATFORMS.filter(platform => !packed.has(platform.package))
  const absent = others.map(platform => `${platform.package.padEnd(30)} not built here: needs ${platform.target}`)
  return [...lines, ...absent].join('\n')
}

/** @param {number} bytes */
function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(2)} MB`
}

module.exports = { assertSmall, listed }
