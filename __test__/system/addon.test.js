'use strict'

// What a program says when the addon is not there or cannot be loaded: which package is meant, and what may be wrong.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { before, beforeEach, describe, test } = require('node:test')
const { npmInstall, project, runIn, tarballs } = require('../support/installed.js')
const { ownPlatform } = require('../../scripts/publish/platforms.js')
const { version } = require('../../package.json')

const own = ownPlatform()
const MUSL = 'pg-sess-rs-linux-x64-musl'
const GNU = 'pg-sess-rs-linux-x64-gnu'
const OTHER = own.package === MUSL ? GNU : MUSL

describe('without its addon', () => {
  /** @type {string} */
  let folder
  /** @type {string} */
  let modules

  before(async () => {
    folder = project()
    modules = path.join(folder, 'node_modules')
    const { main, platform } = tarballs()
    const { code, stderr } = await npmInstall(folder, main, platform)
    assert.equal(code, 0, stderr)
    fs.renameSync(path.join(modules, own.package), path.join(folder, 'kept'))
  })

  beforeEach(() => {
    for (const name of [own.package, OTHER]) fs.rmSync(path.join(modules, name), { recursive: true, force: true })
  })

  test('it names the package, how to install it, and why it may be missing', async () => {
    const { code, message } = await failure()

    assert.equal(code, 'PGSESS_ADDON')
    assert.match(
      message,
      new RegExp(`needs the package ${own.package} \\(version ${version}\\).* is not installed\\.$`, 'm')
    )
    assert.match(message, /npm install --include=optional/)
    assert.match(message, /--omit=optional/)
    assert.match(message, /lock file comes from another platform/)
    assert.doesNotMatch(message, /installed instead/)
  })

  test('--omit=optional leaves it out, and the error says so', async () => {
    const bare = project()
    const installed = await npmInstall(bare, '--omit=optional', tarballs().main)
    assert.equal(installed.code, 0, installed.stderr)

    const { message } = await failure('', bare)

    assert.match(message, new RegExp(`needs the package ${own.package} `))
  })

  test('it names the package of another libc that is there instead', async () => {
    place(OTHER, 'not for this machine')

    const { message } = await failure()

    assert.match(message, new RegExp(`which is not installed; installed instead: ${OTHER}\\.`))
  })

  test('it tells a platform without a package those that have one', async () => {
    const { code, message } = await failure("Object.defineProperty(process, 'arch', { value: 'sparc' })")

    assert.equal(code, 'PGSESS_ADDON')
    assert.match(message, /has no addon for \w+-sparc/)
    assert.match(message, /linux-arm64-musl, darwin-x64/)
  })

  test('a damaged addon is told from a missing one', async () => {
    place(own.package, 'half a download')

    const { code, message } = await failure()

    assert.equal(code, 'PGSESS_ADDON')
    assert.match(message, new RegExp(`${own.package} is installed, but cannot be loaded: .*${own.file}`))
  })

  test('an addon for a newer glibc says which one, and which is here', { skip: own.libc !== 'glibc' }, async () => {
    const addon = fs.readFileSync(path.join(folder, 'kept', own.file), 'latin1')
    place(own.package, Buffer.from(addon.replace(/GLIBC_2\.\d\d/, 'GLIBC_2.99'), 'latin1'))

    const { message } = await failure()

    assert.match(message, /cannot be loaded: .*GLIBC_2\.99/)
    assert.match(message, /This machine has glibc 2\.\d+: use a newer system or image/)
  })

  /**
   * @param {string} name of a package
   * @param {string | Buffer} addon
   */
  function place(name, addon) {
    const main = `${name.replace('pg-sess-rs-', 'pg-sess-rs.')}.node`
    fs.mkdirSync(path.join(modules, name), { recursive: true })
    fs.writeFileSync(path.join(modules, name, 'package.json'), JSON.stringify({ name, version, main }))
    fs.writeFileSync(path.join(modules, name, main), addon)
  }

  /**
   * What requiring the package throws.
   *
   * @param {string} [before] code that runs before
   * @param {string} [where]
   * @returns {Promise<{ code?: string, message: string }>}
   */
  async function failure(before = '', where = folder) {
    const program = `${before}
      try { require('pg-sess-rs') } catch ({ code, message }) { console.log(JSON.stringify({ code, message })) }`
    const { stdout, stderr } = await runIn(where, 'node', ['-e', program])
    assert.notEqual(stdout, '', `nothing was thrown; ${stderr}`)
    return JSON.parse(stdout)
  }
})
