'use strict'

// `npm run pack:local -- --out DIR`: this platform's part of a release, as two tarballs. The clone stays as it is.

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { parseArgs } = require('node:util')
const { build } = require('./publish/build.js')
const { ownPlatform } = require('./publish/platforms.js')
const { listed, tooLarge } = require('./publish/report.js')
const { ROOT, pack, stage } = require('./publish/stage.js')

const USAGE = `usage: npm run pack:local -- --out DIR [--no-build]

Builds the addon for this machine and packs it and the main package into DIR, as a release does.

  --no-build   take the addon that is in native/, such as one of npm run build:debug`

/**
 * @param {string} out
 * @param {string} work an empty folder
 * @param {boolean} isBuilt
 */
async function packLocal(out, work, isBuilt) {
  const native = isBuilt ? path.join(ROOT, 'native') : path.join(work, 'native')
  if (!isBuilt) await build(native)
  const addon = path.join(native, ownPlatform().file)
  if (!fs.existsSync(addon)) throw new Error(`there is no ${addon}: run npm run build`)
  fs.mkdirSync(out, { recursive: true })
  const packages = stage(native, path.join(work, 'staged')).map(staged => pack(staged, out))
  console.log(listed(packages))
  const problems = tooLarge(packages)
  if (!isBuilt && problems.length > 0) throw new Error(problems.join('\n'))
  console.log(`\nnpm i ${packages.map(({ tarball }) => tarball).join(' ')}`)
}

async function main() {
  const options = {
    out: { type: /** @type {const} */ ('string') },
    'no-build': { type: /** @type {const} */ ('boolean') }
  }
  const { out, 'no-build': isBuilt = false } = parseArgs({ options }).values
  if (out === undefined) throw new Error(USAGE)
  const work = fs.mkdtempSync(path.join(os.tmpdir(), 'pgsess-pack-'))
  try {
    await packLocal(path.resolve(out), work, isBuilt)
  } finally {
    fs.rmSync(work, { recursive: true, force: true })
  }
}

main().catch(error => {
  console.error(error.message)
  process.exitCode = 1
})
