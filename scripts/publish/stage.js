'use strict'

// Lays out what is published: a folder for the main package, and one for each platform whose addon is there. Nothing is
// written but into the folder given.

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { PLATFORMS } = require('./platforms.js')

/** @typedef {import('./platforms.js').Platform} Platform */
/** @typedef {{ name: string, folder: string }} Staged */
/** @typedef {{ name: string, folder: string, tarball: string, size: number, unpackedSize: number }} Packed */

const ROOT = path.resolve(__dirname, '../..')
/** Of use in a clone only. */
const OUR_BUSINESS = ['devDependencies', 'napi', 'scripts']
const SHARED = ['license', 'type', 'engines', 'repository', 'bugs', 'publishConfig']
const LICENCES = ['LICENSE', 'THIRD-PARTY-LICENSES']

/**
 * @param {string} native the folder of binding.js and of the addons
 * @param {string} folder to be filled
 * @returns {Staged[]} the platforms first, as they have to be published
 */
function stage(native, folder) {
  const built = PLATFORMS.filter(({ file }) => fs.existsSync(path.join(native, file)))
  const platforms = built.map(platform => stagePlatform(platform, native, path.join(folder, platform.package)))
  return [...platforms, stageMain(native, path.join(folder, manifest().name))]
}

/**
 * @param {Platform} platform
 * @param {string} native
 * @param {string} folder
 * @returns {Staged}
 */
function stagePlatform(platform, native, folder) {
  const { name, version } = manifest()
  const { os, cpu, libc, file, prose } = platform
  const shared = Object.fromEntries(Object.entries(manifest()).filter(([key]) => SHARED.includes(key)))
  const description = `The compiled part of ${name} for ${prose}`
  const files = [file, 'THIRD-PARTY-LICENSES']
  const restrictions = { os: [os], cpu: [cpu], ...(libc && { libc: [libc] }) }
  fs.mkdirSync(folder, { recursive: true })
  write(folder, { name: platform.package, version, description, ...shared, main: file, files, ...restrictions })
  fs.writeFileSync(
    path.join(folder, 'README.md'),
    `# ${platform.package}\n\n${description}, which installs it by itself. Ask for \`${name}\`, not for this package.\n`
  )
  for (const licence of LICENCES) fs.copyFileSync(path.join(ROOT, licence), path.join(folder, licence))
  fs.copyFileSync(path.join(native, file), path.join(folder, file))
  return { name: platform.package, folder }
}

/**
 * @param {string} native
 * @param {string} folder
 * @returns {Staged}
 */
function stageMain(native, folder) {
  const { name, version } = manifest()
  for (const file of listedFiles()) {
    fs.mkdirSync(path.dirname(path.join(folder, file)), { recursive: true })
    fs.copyFileSync(path.join(ROOT, file), path.join(folder, file))
  }
  fs.mkdirSync(path.join(folder, 'native'), { recursive: true })
  fs.copyFileSync(path.join(native, 'binding.js'), path.join(folder, 'native/binding.js'))
  const public_ = Object.fromEntries(Object.entries(manifest()).filter(([key]) => !OUR_BUSINESS.includes(key)))
  // Not in the clone's own: there `npm ci` would ask for packages that are not published yet.
  const optionalDependencies = Object.fromEntries(PLATFORMS.map(platform => [platform.package, version]))
  write(folder, { ...public_, optionalDependencies })
  return { name, folder }
}

/** @returns {any} package.json; the repository is the one that the release is made from */
function manifest() {
  const ours = JSON.parse(fs.readFileSync(path.join(ROOT, 'package.json'), 'utf8'))
  const { GITHUB_SERVER_URL, GITHUB_REPOSITORY } = process.env
  if (!GITHUB_SERVER_URL || !GITHUB_REPOSITORY) return ours
  const address = `${GITHUB_SERVER_URL}/${GITHUB_REPOSITORY}`
  return { repository: { type: 'git', url: `git+${address}.git` }, bugs: `${address}/issues`, ...ours }
}

/** @returns {string[]} what npm would pack of the clone, but for what the build makes */
function listedFiles() {
  const [{ files }] = npm(ROOT, ['pack', '--dry-run', '--json', '--ignore-scripts'])
  const paths = files.map((/** @type {{ path: string }} */ file) => file.path)
  return paths.filter((/** @type {string} */ file) => !file.startsWith('native/'))
}

/**
 * @param {Staged} staged
 * @param {string} out where the tarball goes
 * @returns {Packed}
 */
function pack({ name, folder }, out) {
  const [{ filename, size, unpackedSize }] = npm(folder, [
    'pack',
    '--json',
    '--ignore-scripts',
    '--pack-destination',
    out
  ])
  return { name, folder, tarball: path.join(out, filename), size, unpackedSize }
}

/**
 * @param {string} cwd
 * @param {string[]} args
 * @returns {any}
 */
function npm(cwd, args) {
  const shell = process.platform === 'win32'
  return JSON.parse(execFileSync('npm', args, { cwd, encoding: 'utf8', shell, stdio: ['ignore', 'pipe', 'ignore'] }))
}

/**
 * @param {string} folder
 * @param {object} contents
 */
function write(folder, contents) {
  fs.writeFileSync(path.join(folder, 'package.json'), `${JSON.stringify(contents, null, 2)}\n`)
}

module.exports = { ROOT, manifest, pack, stage }
