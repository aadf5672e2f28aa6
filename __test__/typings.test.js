'use strict'

// The typings compile where nothing but TypeScript is installed, as long as the door that needs more is not used.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { test } = require('node:test')
const manifest = require('../package.json')

const ROOT = path.join(__dirname, '..')
const PROGRAM = `
import { connect } from 'pg-sess-rs'
import { requireSession, sessionMiddleware, type RequestSessions, type SessionRow } from 'pg-sess-rs/express'
import * as hono from 'pg-sess-rs/hono'
import * as koa from 'pg-sess-rs/koa'
import { nextSessions } from 'pg-sess-rs/next'
export const doors = [koa.sessionMiddleware, hono.sessionMiddleware, nextSessions]
export async function start(sessions: RequestSessions) {
  const middleware = sessionMiddleware(await connect('postgres://localhost/app', { fields: { user_id: 'INT' } }))
  const row: SessionRow = await sessions.create({ user_id: 1, anything: 'else' })
  const id: number = row.user_id
  return [middleware, requireSession({ where: { role: 'admin' } }), id]
}
`
const STRICT = ['--noEmit', '--strict', '--exactOptionalPropertyTypes', '--module', 'nodenext', '--target', 'es2022']

for (const kind of ['mts', 'cts']) {
  test(`a program in .${kind} compiles without the typings of Node.js, of frameworks, pg and express-session`, t => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pgsess-typings-'))
    t.after(() => fs.rmSync(folder, { recursive: true, force: true }))
    const installed = path.join(folder, 'node_modules', manifest.name)
    fs.mkdirSync(installed, { recursive: true })
    for (const file of ['package.json', ...manifest.files.filter(name => name.endsWith('.d.ts'))]) {
      fs.copyFileSync(path.join(ROOT, file), path.join(installed, file))
    }
    const program = path.join(folder, `program.${kind}`)
    fs.writeFileSync(program, PROGRAM)

    const tsc = path.join(path.dirname(require.resolve('typescript/package.json')), 'bin', 'tsc')
    const options = [...STRICT, '--types', '', '--skipLibCheck', 'false', program]
    const { status, stdout } = spawnSync(process.execPath, [tsc, ...options], { cwd: folder, encoding: 'utf8' })

    assert.equal(stdout, '')
    assert.equal(status, 0)
  })
}
