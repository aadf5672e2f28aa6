'use strict'

// `npm run release`: publishes the newest version of CHANGELOG.md, the platforms' packages before the main one, so that
// nobody can install it without them. Meant for .github/workflows/release.yml; elsewhere it has --dry-run.

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { parseArgs } = require('node:util')
const { build } = require('./publish/build.js')
const { OLDEST_GLIBC, PLATFORMS, tooNewGlibc } = require('./publish/platforms.js')
const { listed, tooLarge } = require('./publish/report.js')
const { manifest, pack, stage } = require('./publish/stage.js')
const { checkedVersion, newestRelease, tagFor } = require('./publish/versions.js')

/** @typedef {import('./publish/stage.js').Packed} Packed */

const USAGE = `usage: npm run release -- --dry-run
       npm run release -- --addons DIR [--dry-run]
       npm run release -- --pending | --notes

  --addons DIR   the folder of binding.js and of the addons of all platforms; without it, and only with --dry-run,
                 the one for this machine is built
  --dry-run      does all but publishing
  --pending      prints the newest version of CHANGELOG.md if the registry does not have it, else nothing
  --notes        prints what CHANGELOG.md says of it`

const OPTIONS = /** @type {const} */ ({
  addons: { type: 'string' },
  'dry-run': { type: 'boolean', default: false },
  pending: { type: 'boolean', default: false },
  notes: { type: 'boolean', default: false }
})

/**
 * @param {string} work an empty folder
 * @param {string | undefined} addons
 * @param {boolean} isDry
 */
async function release(work, addons, isDry) {
  const version = checkedVersion()
  const native = addons ?? path.join(work, 'native')
  if (addons === undefined) await build(native)
  const incomplete = whatForbids(native)
  if (!isDry && incomplete.length > 0) throw new Error(incomplete.join('\n'))
  const packages = stage(native, path.join(work, 'staged')).map(staged => pack(staged, work))
  const problems = [...incomplete, ...tooLarge(packages)]
  if (!isDry && problems.length > 0) throw new Error(problems.join('\n'))
  for (const { name, tarball } of isDry ? [] : packages) {
    // One that failed halfway can be run again.
    if (!(await isPublished(name, version))) publish(tarball, tagFor(version))
  }
  console.log(`\n${isDry ? 'would publish' : 'published'} ${version} as ${tagFor(version)}, in this order:\n`)
  console.log(listed(packages))
  if (problems.length > 0) console.log(`\na release would be refused:\n${problems.join('\n')}`)
}

/**
 * @param {string} native
 * @returns {string[]}
 */
function whatForbids(native) {
  const problems = []
  for (const platform of PLATFORMS) {
    const file = path.join(native, platform.file)
    const glibc = fs.existsSync(file) ? tooNewGlibc(file, platform) : undefined
    if (!fs.existsSync(file)) problems.push(`- there is no addon for ${platform.target}`)
    if (glibc) problems.push(`- ${platform.file} needs glibc ${glibc}; promised is ${OLDEST_GLIBC}`)
  }
  if (manifest().repository === undefined) problems.push('- no repository is known, which provenance has to name')
  return problems
}

/**
 * @param {string} tarball
 * @param {string} tag
 */
function publish(tarball, tag) {
  const options = ['--ignore-scripts', '--access', 'public', '--provenance', '--tag', tag]
  execFileSync('npm', ['publish', tarball, ...options], { stdio: ['ignore', 'inherit', 'inherit'] })
}

/**
 * @param {string} name
 * @param {string} version
 * @returns {Promise<boolean>}
 */
async function isPublished(name, version) {
  const registry = execFileSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8' }).trim()
  const { status } = await fetch(new URL(`${name}/${version}`, registry))
  if (status !== 200 && status !== 404) throw new Error(`${registry} answers ${status} for ${name}`)
  return status === 200
}

/** @returns {Promise<string>} the version to be released; empty: none */
async function pendingVersion() {
  const version = checkedVersion()
  return (await isPublished(manifest().name, version)) ? '' : version
}

async function main() {
  const { addons, notes, pending, 'dry-run': isDry } = parseArgs({ options: OPTIONS }).values
  if (notes) return console.log(newestRelease().notes)
  if (pending) return console.log(await pendingVersion())
  if (addons === undefined && !isDry) throw new Error(USAGE)
  const work = fs.mkdtempSync(path.join(os.tmpdir(), 'pgsess-release-'))
  try {
    await release(work, addons && path.resolve(addons), isDry)
  } finally {
    fs.rmSync(work, { recursive: true, force: true })
  }
}

main().catch(error => {
  console.error(error.message)
  process.exitCode = 1
})
