'use strict'

// What a user installs: the packed folder, also under the name of the package it replaces.

const assert = require('node:assert/strict')
const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { test } = require('node:test')
const { createDatabase } = require('./support/server.js')
const manifest = require('../package.json')

const ROOT = path.join(__dirname, '..')
const PROGRAM = `
const pgSess = require('pg-sess').default
require('pg-sess/express').requireSession()
require('pg-sess/express-session')({ Store: class {} })
const FIELDS = [{ field: 'user_id', datatype: 'INT' }]
pgSess.init(null, process.argv[2], FIELDS)
pgSess.createSession(null, process.argv[2], [{ field: 'user_id', value: 7 }])
  .then(({ sess_id }) => pgSess.validateSession(null, process.argv[2], sess_id))
  .then(({ user_id }) => console.log(user_id))
`

test('the packed package, installed under the name pg-sess, keeps a session', async t => {
  const { url, drop } = await createDatabase()
  t.after(drop)
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pgsess-package-'))
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }))
  const tarball = npm(ROOT, 'pack', '--ignore-scripts', '--silent', '--pack-destination', folder).trim()
  fs.writeFileSync(path.join(folder, 'package.json'), '{ "private": true }')
  fs.writeFileSync(path.join(folder, 'app.js'), PROGRAM)

  npm(folder, 'install', '--prefer-offline', '--no-audit', '--no-fund', `pg-sess@file:${tarball}`)
  const output = execFileSync(process.execPath, ['app.js', url], { cwd: folder, encoding: 'utf8' })

  assert.equal(output, '7\n')
  const help = execFileSync('npx', ['--no-install', 'pg-sess-rs', '--help'], { cwd: folder, encoding: 'utf8' })
  assert.match(help, /^usage: pg-sess-rs/)
})

test('the package and the crate have one version', () => {
  const cargo = fs.readFileSync(path.join(ROOT, 'Cargo.toml'), 'utf8')

  assert.equal(/^version = "(.*)"$/m.exec(cargo)?.[1], manifest.version)
})

/**
 * @param {string} cwd
 * @param {...string} args
 */
function npm(cwd, ...args) {
  return execFileSync('npm', args, { cwd, encoding: 'utf8', shell: process.platform === 'win32' })
}
