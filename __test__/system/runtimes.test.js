'use strict'

// Where the installed package runs: the versions of Node, other runtimes and their threads, runners of tests, bundlers,
// and what other installers make of its packages.

const assert = require('node:assert/strict')
const { execFileSync } = require('node:child_process')
const path = require('node:path')
const { before, describe, test } = require('node:test')
const { npmInstall, project, runIn, tarballs } = require('../support/installed.js')
const { useDatabase } = require('../support/place.js')
const { tool } = require('../support/tools.js')
const { ownPlatform, PLATFORMS } = require('../../scripts/publish/platforms.js')

const database = useDatabase('runtimes')

const STEPS = `
  const sessions = await connect(process.env.PLACE_URL, { fields: { user_id: 'INT' } })
  const { sess_id } = await sessions.create({ user_id: 7 })
  const { user_id } = await sessions.validate(sess_id)
  await sessions.close()
`
const PROGRAM = `
  import { connect } from 'pg-sess-rs'
  ${STEPS}
  console.log(user_id)
`
/** A door besides: it must stay outside, too. */
const BUNDLED = `
  import 'pg-sess-rs/express'
  ${PROGRAM}
`
/** Threads that end by themselves, and one that is ended while it works; then the program ends by itself. */
const THREADS = `
  import { Worker } from 'node:worker_threads'
  import { connect } from 'pg-sess-rs'
  const file = new URL('thread.mjs', import.meta.url)
  const start = () => new Worker(file)
  const answer = worker => new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject))
  ${STEPS}
  const cut = start()
  const answers = await Promise.all([start(), start()].map(answer))
  await cut.terminate()
  console.log([user_id, ...answers, await answer(start())].join())
`
const THREAD = `
  import { parentPort } from 'node:worker_threads'
  import { connect } from 'pg-sess-rs'
  ${STEPS}
  parentPort.postMessage(user_id)
`
const TEST = `
  const { connect } = require('pg-sess-rs')
  test('a session is kept', async () => {
    ${STEPS}
    expect(user_id).toBe(7)
  })
`
const WEBPACK = `
  const [, , webpack, folder] = process.argv
  const externals = [/^pg-sess-rs/]
  require(webpack)({
    mode: 'production', target: 'node20', context: folder, entry: './bundled.mjs', externals, externalsType: 'module',
    experiments: { outputModule: true }, output: { path: folder, filename: 'bundle.mjs', module: true }
  }, (error, stats) => {
    if (error || stats.hasErrors() || stats.hasWarnings()) console.error(String(error || stats))
  })
`
const NODE_VERSIONS = [20, 22, 24, 26]

describe('installed by npm', () => {
  /** @type {string} */
  let folder

  before(async () => {
    folder = project({
      'program.mjs': PROGRAM,
      'bundled.mjs': BUNDLED,
      'threads.mjs': THREADS,
      'thread.mjs': THREAD,
      'webpack.js': WEBPACK,
      'session.test.js': TEST
    })
    const { main, platform } = tarballs()
    const { code, stderr } = await npmInstall(folder, main, platform)
    assert.equal(code, 0, stderr)
  })

  for (const version of NODE_VERSIONS) {
    const node = tool(`node${version}/bin/node`)
    test(`it runs on Node ${version}, in threads, too`, { skip: node.skip }, async t => {
      const found = await runIn(folder, node.program, ['-p', 'process.versions.node'])
      assert.match(found.stdout, new RegExp(`^${version}\\.`))
      await assertPrints(t, '7\n', node.program, ['program.mjs'])
      await assertPrints(t, '7,7,7,7\n', node.program, ['threads.mjs'])
    })
  }

  const bun = tool('@oven/bun-linux-x64/bin/bun')
  test('it runs in the threads of Bun', { skip: bun.skip }, async t => {
    await assertPrints(t, '7,7,7,7\n', bun.program, ['threads.mjs'])
  })

  const deno = tool('@deno/linux-x64-glibc/deno')
  test('it runs in the threads of Deno', { skip: deno.skip }, async t => {
    const options = ['--allow-all', '--no-lock', '--node-modules-dir=manual']
    await assertPrints(t, '7,7,7,7\n', deno.program, ['run', ...options, 'threads.mjs'])
  })

  const jest = tool('.bin/jest')
  test('it runs in tests of jest', { skip: jest.skip }, async t => {
    const { code, stderr } = await run(t, jest.program, ['--rootDir', folder])

    assert.equal(code, 0, stderr)
    assert.match(stderr, /Tests: +1 passed, 1 total/)
    assert.doesNotMatch(stderr, /did not exit|open handle/i)
  })

  const vitest = tool('.bin/vitest')
  test('it runs in tests of vitest', { skip: vitest.skip }, async t => {
    const { code, stdout, stderr } = await run(t, vitest.program, ['run', '--globals', '--root', folder])

    assert.equal(code, 0, stdout + stderr)
    assert.match(stdout, /Tests +1 passed/)
  })

  const esbuild = tool('.bin/esbuild')
  test('a bundle of esbuild finds it if it is external', { skip: esbuild.skip }, async t => {
    const options = ['--bundle', '--platform=node', '--format=esm', '--external:pg-sess-rs', '--outfile=esbuild.mjs']
    const { code, stderr } = await run(t, esbuild.program, ['bundled.mjs', ...options])
    assert.equal(code, 0, stderr)

    await assertPrints(t, '7\n', 'node', ['esbuild.mjs'])
  })

  const webpack = tool('.bin/webpack')
  test('a bundle of webpack finds it if it is external', { skip: webpack.skip }, async t => {
    const built = await run(t, 'node', ['webpack.js', path.resolve(webpack.program, '../../webpack'), folder])
    assert.deepEqual(built, { code: 0, stdout: '', stderr: '' })

    await assertPrints(t, '7\n', 'node', ['bundle.mjs'])
  })

  /**
   * @param {import('node:test').TestContext} t
   * @param {string} program
   * @param {string[]} args
   */
  async function run(t, program, args) {
    const place = await database.emptySchema(t)
    return runIn(folder, program, args, surroundings(place.url, folder))
  }

  /**
   * @param {import('node:test').TestContext} t
   * @param {string} output
   * @param {string} program
   * @param {string[]} args
   */
  async function assertPrints(t, output, program, args) {
    assert.deepEqual(await run(t, program, args), { code: 0, stdout: output, stderr: '' })
  }
})

describe('other installers', () => {
  const pnpm = tool('pnpm/bin/pnpm.cjs')
  test('what pnpm installs runs', { skip: pnpm.skip }, async t => {
    const { main, platform } = tarballs()
    const overrides = { [ownPlatform().package]: `file:${platform}` }
    const dependencies = { 'pg-sess-rs': `file:${main}` }
    const folder = project({
      'package.json': { private: true, dependencies, pnpm: { overrides } },
      'program.mjs': PROGRAM
    })
    const options = ['install', '--ignore-scripts', '--store-dir', path.join(folder, '.store')]

    const installed = await runIn(folder, 'node', [pnpm.program, ...options])

    assert.equal(installed.code, 0, installed.stdout + installed.stderr)
    await assertKeepsASession(t, folder, ['node', 'program.mjs'])
  })

  const yarn = tool('@yarnpkg/cli-dist/bin/yarn.js')
  test("what yarn installs runs without node_modules (Plug'n'Play)", { skip: yarn.skip }, async t => {
    const { main, platform } = tarballs()
    const own = ownPlatform()
    // Those that are not in a registry yet are optional, but Yarn wants to find them.
    const resolutions = Object.fromEntries(PLATFORMS.map(({ package: name }) => [name, `file:${platform}`]))
    const dependencies = { 'pg-sess-rs': `file:${main}`, [own.package]: `file:${platform}` }
    const folder = project({
      'package.json': { private: true, type: 'module', dependencies, resolutions },
      'yarn.lock': '',
      '.yarnrc.yml': yarnSettings(),
      'program.mjs': PROGRAM
    })

    const installed = await runIn(folder, 'node', [yarn.program, 'install', '--no-immutable'])

    assert.equal(installed.code, 0, installed.stdout + installed.stderr)
    await assertKeepsASession(t, folder, ['node', yarn.program, 'node', 'program.mjs'])
  })

  /**
   * @param {import('node:test').TestContext} t
   * @param {string} folder
   * @param {string[]} command
   */
  async function assertKeepsASession(t, folder, [program, ...args]) {
    const place = await database.emptySchema(t)
    const { code, stdout, stderr } = await runIn(folder, program, args, surroundings(place.url, folder))

    assert.equal(code, 0, stderr)
    assert.equal(stdout, '7\n')
  }
})

/**
 * @param {string} url
 * @param {string} folder
 */
function surroundings(url, folder) {
  return { PLACE_URL: url, DENO_DIR: path.join(folder, '.deno'), DENO_NO_UPDATE_CHECK: '1', NO_COLOR: '1' }
}

/** @returns {string} */
function yarnSettings() {
  const registry = execFileSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8' }).trim()
  const settings = ['enableTelemetry: false', 'enableScripts: false', 'enableGlobalCache: false', 'nodeLinker: pnp']
  return [...settings, `npmRegistryServer: "${registry}"`, ''].join('\n')
}
