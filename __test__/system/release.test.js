'use strict'

// What a release would do, without a registry that could take it.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const fs = require('node:fs')
const http = require('node:http')
const path = require('node:path')
const { test } = require('node:test')
const { ROOT, runIn } = require('../support/installed.js')
const { PLATFORMS, ownPlatform } = require('../../scripts/publish/platforms.js')
const { version } = require('../../package.json')

const SCRIPT = path.join(ROOT, 'scripts/release.js')
const NATIVE = path.join(ROOT, 'native')
const NOBODY = 'http://127.0.0.1:9/'
const own = ownPlatform()
/** Ten times the size of one for use, and hence a problem. */
const isDebugBuild = fs.statSync(path.join(NATIVE, own.file)).size > 30e6

test('a dry run lists what would be published, what was not built here, and what forbids it', async () => {
  const { code, stdout, stderr } = await release(NOBODY, '--addons', NATIVE, '--dry-run')

  assert.equal(code, 0, stderr)
  const [, list] = stdout.split(`would publish ${version} as next, in this order:\n\n`)
  const [packages, problems] = list.split('\n\na release would be refused:\n')
  const others = PLATFORMS.filter(({ id }) => id !== own.id)
  const names = packages.split('\n').map(line => line.split(' ')[0])
  assert.deepEqual(names, [own.package, 'pg-sess-rs', ...others.map(platform => platform.package)])
  assert.match(packages, /^pg-sess-rs +0\.\d+ MB packed +0\.\d+ MB installed$/m)
  assert.match(packages, new RegExp(`^${others[0].package} +not built here: needs ${others[0].target}$`, 'm'))
  assert.ok(!problems.includes('no repository'), 'it is the one of the workflow')
  assert.equal(/over 12\.00 MB/.test(problems), isDebugBuild)
  for (const { target } of others) assert.ok(problems.includes(`- there is no addon for ${target}\n`), target)
})

test('a release that lacks an addon is refused before anything is published', async () => {
  const asked = []
  const registry = await startRegistry(200, asked)

  const { code, stdout, stderr } = await release(registry.address, '--addons', NATIVE)

  registry.close()
  assert.deepEqual({ code, stdout, asked }, { code: 1, stdout: '', asked: [] })
  assert.match(stderr, /^- there is no addon for /m)
})

for (const { status, pending, when } of [
  { status: 404, pending: version, when: 'lacks it' },
  { status: 200, pending: '', when: 'has it' }
]) {
  test(`the newest version of CHANGELOG.md is ${pending ? '' : 'not '}pending if the registry ${when}`, async () => {
    const asked = []
    const registry = await startRegistry(status, asked)

    const { stdout } = await release(registry.address, '--pending')

    registry.close()
    assert.equal(stdout.trim(), pending)
    assert.deepEqual(asked, [`/pg-sess-rs/${version}`])
  })
}

test('the notes of a release are its section of CHANGELOG.md', async () => {
  const { stdout } = await release(NOBODY, '--notes')

  assert.match(stdout, /^### /)
  assert.doesNotMatch(stdout, /^## /m)
})

/**
 * @param {string} registry
 * @param {...string} args
 */
function release(registry, ...args) {
  const repository = { GITHUB_SERVER_URL: 'https://github.invalid', GITHUB_REPOSITORY: 'somebody/pg-sess-rs' }
  return runIn(ROOT, 'node', [SCRIPT, ...args], { npm_config_registry: registry, ...repository })
}

/**
 * @param {number} status what everything is answered with
 * @param {string[]} asked is told of each request
 */
async function startRegistry(status, asked) {
  const server = http.createServer((request, response) => {
    asked.push(String(request.url))
    response.writeHead(status).end('{}')
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  return { address: `http://127.0.0.1:${port}/`, close: () => server.close() }
}
