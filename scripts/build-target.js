'use strict'

// One target of a release: `node scripts/build-target.js TARGET DIR` puts its addon, and binding.js, into the folder.

const { buildTarget } = require('./publish/build.js')

/** @param {string[]} args */
async function main([target, folder, ...others]) {
  if (folder === undefined || others.length > 0) throw new Error('usage: node scripts/build-target.js TARGET DIR')
  await buildTarget(folder, target)
}

main(process.argv.slice(2)).catch(error => {
  console.error(error.message)
  process.exitCode = 1
})
