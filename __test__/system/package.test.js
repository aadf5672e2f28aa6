'use strict'

// What is published: which files, for whom, under which name and version; and what those who check packages say to it.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { describe, test } = require('node:test')
const { ROOT, runIn, tarballs } = require('../support/installed.js')
const { tool } = require('../support/tools.js')
const { PLATFORMS } = require('../../lib/addon.js')
const targets = require('../../scripts/publish/platforms.js')
const { checkedVersion } = require('../../scripts/publish/versions.js')
const manifest = require('../../package.json')

/** Folders in which all files are for users. */
const LIBRARY = /^(lib|bin|docs)\//
const MAIN = [
  'CHANGELOG.md',
  'LICENSE',
  'README.md',
  'THIRD-PARTY-LICENSES',
  'express-session.d.ts',
  'express-session.js',
  'express.d.ts',
  'express.js',
  'fastify.d.ts',
  'fastify.js',
  'hono.d.ts',
  'hono.js',
  'http.d.ts',
  'index.d.ts',
  'index.js',
  'koa.d.ts',
  'koa.js',
  'native/binding.js',
  'next.d.ts',
  'next.js',
  'package.json'
]

test('packing leaves the clone as it is', () => {
  const before = state()

  tarballs()

  assert.deepEqual(state(), before)
})

test('CHANGELOG.md, the package and the crate have one version', () => {
  assert.equal(checkedVersion(), manifest.version)
})

test('the packages of the platforms are those that the addon is looked for in', () => {
  assert.deepEqual(targets.PLATFORMS.map(({ id }) => id).sort(), [...PLATFORMS].sort())
})

test('THIRD-PARTY-LICENSES has all that is compiled in or installed', () => {
  const script = path.join(ROOT, 'scripts/licences.js')
  const { status, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' })

  assert.equal(status, 0, stderr)
})

describe('the main tarball', () => {
  test('has the doors, what they need and what helps users, and nothing else', async () => {
    const files = await listed(tarballs().main)

    assert.deepEqual(
      files.filter(file => !LIBRARY.test(file)),
      MAIN
    )
    const ours = files.filter(file => LIBRARY.test(file))
    assert.deepEqual(
      ours,
      everything('lib', 'bin', 'docs').filter(file => file !== 'docs/internals.md' && !file.startsWith('docs/api/'))
    )
  })

  test('asks for the addons of all platforms, in its own version', async () => {
    const { optionalDependencies } = await publishedManifest(tarballs().main)

    const wanted = targets.PLATFORMS.map(platform => [platform.package, manifest.version])
    assert.deepEqual(optionalDependencies, Object.fromEntries(wanted))
  })

  test('runs nothing when it is installed', async () => {
    const { scripts, devDependencies } = await publishedManifest(tarballs().main)

    assert.deepEqual({ scripts, devDependencies }, { scripts: undefined, devDependencies: undefined })
  })
})

describe('the tarball of a platform', () => {
  const own = targets.ownPlatform()

  test('has the addon, its licences and a README', async () => {
    const files = await listed(tarballs().platform)

    assert.deepEqual(files, ['LICENSE', 'README.md', 'THIRD-PARTY-LICENSES', 'package.json', own.file])
  })

  test('is for this machine, and for whoever can have the main package', async () => {
    const { name, version, license, main, os, cpu, libc, engines } = await publishedManifest(tarballs().platform)

    assert.deepEqual({ os, cpu, libc }, { os: [process.platform], cpu: [process.arch], libc: own.libc && [own.libc] })
    assert.deepEqual({ name, main }, { name: `pg-sess-rs-${own.id}`, main: own.file })
    const { version: itsVersion, license: itsLicence, engines: itsEngines } = manifest
    assert.deepEqual([version, license, engines], [itsVersion, itsLicence, itsEngines])
  })
})

const publint = tool('.bin/publint')
for (const which of /** @type {const} */ (['main', 'platform'])) {
  test(`publint has no error, no warning and no suggestion for the ${which} package`, {
    skip: publint.skip
  }, async () => {
    const { code, stdout, stderr } = await runIn(ROOT, publint.program, ['run', '--strict', tarballs()[which]])

    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' }, stdout)
    assert.match(stdout, /All good!/)
  })
}

const attw = tool('.bin/attw')
test('are-the-types-wrong finds that no types are', { skip: attw.skip }, async () => {
  const options = ['--profile', 'node16', '--format', 'ascii', '--no-color', '--no-emoji']
  const { code, stdout } = await runIn(ROOT, attw.program, [tarballs().main, ...options])

  assert.equal(code, 0, stdout)
  assert.match(stdout, /No problems found/)
})

/** Names and dates of all files that a build or a release could change. */
function state() {
  const folders = ['.', 'native', 'scripts', 'lib'].map(folder => path.join(ROOT, folder))
  const files = folders.flatMap(folder => fs.readdirSync(folder).map(name => path.join(folder, name)))
  return files.filter(file => fs.statSync(file).isFile()).map(file => [file, fs.statSync(file).mtimeMs])
}

/**
 * @param {string} tarball
 * @returns {Promise<string[]>}
 */
async function listed(tarball) {
  const { stdout } = await tar('-tzf', tarball)
  return stdout
    .trim()
    .split('\n')
    .map(file => file.replace(/^package\//, ''))
    .sort()
}

/**
 * @param {string} tarball
 * @returns {Promise<any>}
 */
async function publishedManifest(tarball) {
  const { stdout } = await tar('-xzOf', tarball, 'package/package.json')
  return JSON.parse(stdout)
}

/** @param {...string} args */
async function tar(...args) {
  const result = await runIn(ROOT, 'tar', args, { PATH: process.env.PATH })
  assert.equal(result.code, 0, result.stderr)
  return result
}

/** @param {...string} folders */
function everything(...folders) {
  const entries = folders.flatMap(folder => {
    return fs
      .readdirSync(path.join(ROOT, folder), { recursive: true })
      .map(name => path.posix.join(folder, String(name)))
  })
  return entries.filter(file => fs.statSync(path.join(ROOT, file)).isFile()).sort()
}
