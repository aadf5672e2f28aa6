'use strict'

// Builds the addon for this machine as a release has it, into a folder of its own: what is in native/ stays.

const { run } = require('../run.js')

const BUILD = ['napi', 'build', '--platform', '--release', '--features', 'node', '--js', 'binding.js']

/** @param {string} folder */
async function build(folder) {
  const code = await run('npx', ['--no-install', ...BUILD, '--dts', 'binding.d.ts', '--output-dir', folder])
  if (code !== 0) throw new Error(`the build failed with code ${code}`)
}

module.exports = { build }
