'use strict'

// Says what was packed, and what of it is too large.

const { PLATFORMS } = require('./platforms.js')

/** @typedef {import('./stage.js').Packed} Packed */

/** What both packages may take on a user's disk. */
const LARGEST = 12e6

/**
 * @param {Packed[]} packages the main one is the last
 * @returns {string[]} what is wrong with them
 */
function tooLarge(packages) {
  const [main, ...platforms] = [...packages].reverse()
  const large = platforms.filter(({ unpackedSize }) => main.unpackedSize + unpackedSize > LARGEST)
  return large.map(({ name, unpackedSize }) => {
    return `- ${main.name} and ${name} take ${megabytes(main.unpackedSize + unpackedSize)}, over ${megabytes(LARGEST)}`
  })
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

module.exports = { listed, tooLarge }
