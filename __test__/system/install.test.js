'use strict'

// What a user installs and runs: the tarballs of `npm run pack:local`, in folders where nothing else of ours is, on a
// machine without compilers; and what a program says when the addon is not there or cannot be loaded.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { before, beforeEach, describe, test } = require('node:test')
const { codeOf } = require('../support/documents.js')
const { ROOT, bareBin, npmInstall, project, runIn, tarballs } = require('../support/installed.js')
const { useDatabase } = require('../support/place.js')
const { tool } = require('../support/tools.js')
const { ownPlatform } = require('../../scripts/publish/platforms.js')
const { devDependencies, version } = require('../../package.json')

const database = useDatabase('install')

const own = ownPlatform()
const MUSL = 'pg-sess-rs-linux-x64-musl'
const OTHER = own.package === MUSL ? 'pg-sess-rs-linux-x64-gnu' : MUSL

const BODY = `
  const sessions = await connect(String(process.env.PLACE_URL), { fields: { user_id: 'INT NOT NULL' } })
  const { sess_id } = await sessions.create({ user_id: 7 })
  const row = await sessions.validate(sess_id)
  console.log(row?.user_id)
  await sessions.close()
`
const MODULE = `
  import { connect } from 'pg-sess-rs'
  import { requireSession } from 'pg-sess-rs/express'
  import pgStore from 'pg-sess-rs/express-session'
  requireSession()
  if (typeof pgStore !== 'function') throw new Error('no Store')
  ${BODY}
`
const TYPED = `
  import { connect } from 'pg-sess-rs'
  import { sessionMiddleware } from 'pg-sess-rs/express'
  ${BODY}
  const userId: number | undefined = row?.user_id
  sessionMiddleware(sessions)
`
const TSCONFIG = {
  compilerOptions: {
    module: 'nodenext',
    target: 'es2022',
    strict: true,
    types: ['node']
  },
  files: ['typed.mts']
}
/** The app of docs/functions.md, as a browser would use it. */
const VISIT = `
  const { createApp } = require('./app.js')
  const server = createApp(process.env.PLACE_URL).listen(0, async () => {
    const address = 'http://localhost:' + server.address().port
    const logIn = await fetch(address + '/login', { method: 'POST', body: new URLSearchParams({ name: 'Ada' }), redirect: 'manual' })
    const [cookie] = logIn.headers.getSetCookie()
    const page = await fetch(address, { headers: { cookie: cookie.split(';')[0] } })
    console.log((await page.text()).includes('Hello, Ada'))
    process.exit()
  })
`

describe('installed without a compiler and without install scripts', () => {
  /** @type {string} */
  let folder

  before(async () => {
    folder = project({
      'program.cjs': `const { connect } = require('pg-sess-rs')\n;(async () => {${BODY}})()`,
      'program.mjs': MODULE,
      'typed.mts': TYPED,
      'tsconfig.json': TSCONFIG,
      'app.js': documentedApp(),
      'html.js': fs.readFileSync(path.join(ROOT, 'demo/html.js'), 'utf8'),
      'page.js': fs.readFileSync(path.join(ROOT, 'demo/page.js'), 'utf8'),
      'visit.js': VISIT
    })
    const { main, platform } = tarballs()
    const names = ['express', 'cookie-parser', 'pg-promise', '@types/node']
    const wanted = names.map(name => `${name}@${devDependencies[/** @type {keyof typeof devDependencies} */ (name)]}`)
    const { code, stderr } = await npmInstall(folder, main, platform, ...wanted)
    assert.equal(code, 0, stderr)
  })

  test('there is no compiler on PATH, and no addon but the one installed', () => {
    for (const program of ['cargo', 'rustc', 'cc', 'gcc', 'clang']) {
      const { error } = spawnSync(program, ['--version'], { env: { PATH: bareBin() } })
      assert.equal(/** @type {NodeJS.ErrnoException} */ (error)?.code, 'ENOENT', program)
    }
    const addons = fs.readdirSync(path.join(folder, 'node_modules/pg-sess-rs/native'))
    assert.deepEqual(addons, ['binding.js'])
  })

  for (const file of ['program.cjs', 'program.mjs']) {
    test(`${file} keeps a session`, async t => assertRuns(t, 'node', [file]))
  }

  test('a program in TypeScript is compiled and keeps a session', async t => {
    const tsc = await runIn(folder, path.join(ROOT, 'node_modules/.bin/tsc'), ['-p', '.'])
    assert.equal(tsc.code, 0, tsc.stdout)

    await assertRuns(t, 'node', ['typed.mjs'])
  })

  const bun = tool('@oven/bun-linux-x64/bin/bun')
  test('Bun keeps a session', { skip: bun.skip }, async t => assertRuns(t, bun.program, ['program.mjs']))

  const deno = tool('@deno/linux-x64-glibc/deno')
  test('Deno keeps a session', { skip: deno.skip }, async t => {
    await assertRuns(t, deno.program, ['run', '--allow-all', '--no-lock', '--node-modules-dir=manual', 'program.mjs'])
  })

  test('the documented app with Express keeps a session', async t => assertRuns(t, 'node', ['visit.js'], 'true\n'))

  test('the command is there', async () => {
    const { code, stdout } = await runIn(folder, 'npx', ['--no-install', 'pg-sess-rs', '--help'])

    assert.equal(code, 0)
    assert.match(stdout, /^usage: pg-sess-rs/)
  })

  /**
   * @param {import('node:test').TestContext} t
   * @param {string} program
   * @param {string[]} args
   * @param {string} [output]
   */
  async function assertRuns(t, program, args, output = '7\n') {
    const place = await database.emptySchema(t)
    const env = { PLACE_URL: place.url, DENO_DIR: path.join(folder, '.deno'), DENO_NO_UPDATE_CHECK: '1' }

    assert.deepEqual(await runIn(folder, program, args, env), { code: 0, stdout: output, stderr: '' })
  }
})

test('under the name pg-sess, programs written for it keep a session', async t => {
  const place = await database.emptySchema(t)
  const folder = project({
    'program.js': `
      const pgSess = require('pg-sess').default
      require('pg-sess/express').requireSession()
      require('pg-sess/express-session')({ Store: class {} })
      const url = process.env.PLACE_URL
      pgSess.init(null, url, [{ field: 'user_id', datatype: 'INT' }])
      pgSess.createSession(null, url, [{ field: 'user_id', value: 7 }])
        .then(({ sess_id }) => pgSess.validateSession(null, url, sess_id))
        .then(({ user_id }) => console.log(user_id))`
  })
  const { main, platform } = tarballs()
  const installed = await npmInstall(folder, `pg-sess@file:${main}`, platform)
  assert.equal(installed.code, 0, installed.stderr)

  const ran = await runIn(folder, 'node', ['program.js'], { PLACE_URL: place.url })

  assert.deepEqual(ran, { code: 0, stdout: '7\n', stderr: '' })
})

describe('installed with --omit=optional, without its addon', () => {
  /** @type {string} */
  let folder
  /** @type {string} */
  let modules

  before(async () => {
    folder = project()
    modules = path.join(folder, 'node_modules')
    const { code, stderr } = await npmInstall(folder, '--omit=optional', tarballs().main)
    assert.equal(code, 0, stderr)
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
    const addon = fs.readFileSync(path.join(ROOT, 'native', own.file), 'latin1')
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
   * @returns {Promise<{ code?: string, message: string }>}
   */
  async function failure(before = '') {
    const program = `${before}
      try { require('pg-sess-rs') } catch ({ code, message }) { console.log(JSON.stringify({ code, message })) }`
    const { stdout, stderr } = await runIn(folder, 'node', ['-e', program])
    assert.notEqual(stdout, '', `nothing was thrown; ${stderr}`)
    return JSON.parse(stdout)
  }
})

/** @returns {string} */
function documentedApp() {
  const app = codeOf('docs/functions.md', 'js').find(code => code.includes('function createApp'))
  assert.ok(app)
  return app
}
