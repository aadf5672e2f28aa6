'use strict'

// The programs in docs/frameworks.md run and log somebody in; the typings of the doors fit those of the frameworks.

const assert = require('node:assert/strict')
const { spawn, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { describe, test } = require('node:test')
const { freePort } = require('../../scripts/free-port.js')
const { FRAMEWORKS, lacksFrameworks } = require('../support/needs.js')
const { useDatabase } = require('../support/place.js')
const manifest = require('../../package.json')

const ROOT = path.resolve(__dirname, '../..')
const database = useDatabase('frameworks_docs')
const skip = lacksFrameworks()
const TEXT = fs.readFileSync(path.join(ROOT, 'docs/frameworks.md'), 'utf8')
const PROGRAMS = Array.from(TEXT.matchAll(/^```js\n(.*?)^```$/gms), ([, code]) => code)

/** What a user of an app does; the name of the cookie is the app's. */
const VISIT = `
const origin = 'http://127.0.0.1:PORT'
const visit = async () => {
  const { headers } = await fetch(origin + '/login', { method: 'POST' })
  const Cookie = headers.getSetCookie().map(line => line.split(';')[0]).join('; ')
  console.log(await (await fetch(origin, { headers: { Cookie } })).text())
  process.exit()
}
setTimeout(visit, 500)
`

/** The same for the program with Socket.IO. */
const CONNECT = `
const { io: connectTo } = await import('socket.io-client')
const { sess_id } = await sessions.create({ user_id: 7 })
const socket = connectTo('http://127.0.0.1:PORT', { extraHeaders: { Cookie: 'sid=' + sess_id } })
socket.on('welcome', user => {
  console.log('You are user ' + user + '.')
  process.exit()
})
`

/**
 * Runs a program of the document where the frameworks are.
 *
 * @param {string} code
 * @param {string} url
 */
async function run(code, url) {
  const port = String(await freePort('127.0.0.1'))
  const door = (/** @type {string} */ _, /** @type {string} */ name = 'index') =>
    `'${path.join(ROOT, `${name.slice(1)}.js`)}'`
  const visitor = code.includes('socket.io') ? CONNECT : VISIT
  const source = (code + visitor)
    .replaceAll('postgres://localhost/app', url)
    .replace(/'pg-sess-rs'/g, `'${path.join(ROOT, 'index.js')}'`)
    .replace(/'pg-sess-rs(\/[\w-]+)'/g, door)
    .replaceAll('3000', port)
    .replaceAll('PORT', port)
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], { cwd: FRAMEWORKS, timeout: 60_000 })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', part => {
      output += part
    })
  }
  await new Promise(resolve => child.on('close', resolve))
  return output
}

describe('docs/frameworks.md', { skip }, () => {
  assert.equal(PROGRAMS.length, 5)
  for (const code of PROGRAMS) {
    const [, name] = /from '((?!node:)[^']+)'/.exec(code) ?? []
    test(`its program with ${name} logs a user in`, async t => {
      const place = await database.emptySchema(t)

      assert.equal((await run(code, place.url)).trim(), 'You are user 7.')
    })
  }
})

test('the typings fit those of the frameworks', { skip }, () => {
  const tsc = path.join(path.dirname(require.resolve('typescript/package.json')), 'bin', 'tsc')
  const args = [tsc, '-p', path.join(FRAMEWORKS, 'types/tsconfig.json')]

  const { stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' })

  assert.equal(stdout, '')
})

test('each door is packed, with its typings', () => {
  for (const { types, default: file } of Object.values(manifest.exports).filter(entry => typeof entry === 'object')) {
    for (const name of [types, file]) assert.ok(manifest.files.includes(name.slice(2)), name)
  }
  assert.ok(manifest.files.includes('http.d.ts'))
})
