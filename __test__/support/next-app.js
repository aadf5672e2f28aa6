'use strict'

// The app in `__test__/frameworks/next-app`, built and served by the real Next.js.

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const path = require('node:path')
const { freePort } = require('../../scripts/free-port.js')
const { eventually } = require('./eventually.js')
const { FRAMEWORKS } = require('./needs.js')

const ROOT = path.resolve(__dirname, '../..')
const APP = path.join(FRAMEWORKS, 'next-app')
const NEXT = path.join(FRAMEWORKS, 'node_modules/next/dist/bin/next')
const ENVIRONMENT = { ...process.env, NEXT_TELEMETRY_DISABLED: '1', NODE_ENV: 'production' }

/**
 * Installs this package as npm would, except for the addon and its dependencies; to Next.js a link is a part of the app.
 * Not where npm would look: it would remove what is behind those links.
 */
function install() {
  const installed = path.join(APP, 'node_modules/pg-sess-rs')
  fs.rmSync(installed, { recursive: true, force: true })
  fs.mkdirSync(installed, { recursive: true })
  const doors = fs.readdirSync(ROOT).filter(name => name.endsWith('.js'))
  for (const name of [...doors, 'package.json', 'lib']) {
    fs.cpSync(path.join(ROOT, name), path.join(installed, name), { recursive: true })
  }
  for (const name of ['native', 'node_modules']) {
    fs.symlinkSync(path.join(ROOT, name), path.join(installed, name), 'junction')
  }
}

/**
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} [env]
 */
function next(args, env) {
  const stdio = /** @type {const} */ (['ignore', 'pipe', 'pipe'])
  const child = spawn(process.execPath, [NEXT, ...args], { cwd: APP, env: { ...ENVIRONMENT, ...env }, stdio })
  const said = { text: '' }
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', part => {
      said.text += part
    })
  }
  return { child, said }
}

async function build() {
  install()
  const { child, said } = next(['build'])
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`next build failed:\n${said.text}`)
}

/**
 * @param {{ defer(work: () => unknown): void, url: string }} place
 * @returns {Promise<string>} its address
 */
async function start(place) {
  const port = await freePort('127.0.0.1')
  const { child, said } = next(['start', '-p', String(port), '-H', '127.0.0.1'], { DATABASE_URL: place.url })
  const ended = once(child, 'close')
  place.defer(async () => {
    child.kill('SIGKILL')
    await ended
  })
  await eventually(
    async () => said.text,
    text => text.includes('Ready')
  )
  return `http://127.0.0.1:${port}`
}

module.exports = { build, start }
