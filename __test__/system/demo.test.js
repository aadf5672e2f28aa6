'use strict'

// The demo as a visitor meets it, and as `npm run demo` starts it.

const assert = require('node:assert/strict')
const { spawn } = require('node:child_process')
const { once } = require('node:events')
const { createServer } = require('node:http')
const path = require('node:path')
const { describe, test } = require('node:test')
const { createApp } = require('../../demo/app.js')
const { eventually } = require('../support/eventually.js')
const { useDatabase } = require('../support/place.js')

const START = path.resolve(__dirname, '../../demo/start.js')
/** For a busy machine. */
const MINUTE = 60_000
const TO_LOG_IN = { status: 303, place: '/login' }

const database = useDatabase('demo')

describe('the app', () => {
  test('every page but the log-in form leads there without a session', async t => {
    const { visit } = await startApp(t)
    const cookies = ['', 'sess_id=', 'sess_id=x', 'sess_id=%27%20or%201%3D1%20--', `sess_id=${'9'.repeat(8000)}`]

    for (const cookie of cookies) {
      const { status, place } = await visit('GET', '/', { cookie })
      assert.deepEqual({ status, place }, TO_LOG_IN, cookie.slice(0, 40))
    }
    assert.equal((await visit('GET', '/login')).status, 200)
  })

  test('after log-in the page shows the row, but not the whole session id', async t => {
    const { visit, logIn } = await startApp(t)
    const cookie = await logIn('Ada')

    const { status, body, headers } = await visit('GET', '/', { cookie })

    assert.equal(status, 200)
    assert.equal(headers.get('cache-control'), 'no-store')
    for (const column of ['sess_id', 'sess_creation_date', 'sess_last_updated', 'sess_expiration', 'user_name']) {
      assert.ok(body.includes(`<code>${column}</code>`), column)
    }
    assert.match(body, /role="timer"[^>]*>(10:00|9:59)</)
    assert.ok(!body.includes(cookie.replace('sess_id=', '')))
  })

  test('the cookie is out of reach for scripts and other sites', async t => {
    const { visit } = await startApp(t)
    const { headers } = await visit('POST', '/login', { form: { name: 'Ada' } })

    assert.match(headers.get('set-cookie'), /^sess_id=[0-9a-f-]{36}; Max-Age=600; Path=\/; .*HttpOnly; SameSite=Lax$/)
  })

  test('a name is shown as text, whatever is in it', async t => {
    const { visit, logIn } = await startApp(t)
    const cookie = await logIn(`<b>"Ada" & 'Co'</b>`)

    const { body } = await visit('GET', '/', { cookie })

    assert.ok(body.includes('<h1>Hello, &lt;b&gt;&quot;Ada&quot; &amp; &#39;Co&#39;&lt;/b&gt;</h1>'))
    assert.ok(!body.includes('<b>'))
  })

  test('a name that cannot be one is refused, and no session begins', async t => {
    const { place, visit, logIn } = await startApp(t)
    await logIn('Ada')

    for (const name of ['', '  ', 'x'.repeat(41), 'a\0b']) {
      const { status, body } = await visit('POST', '/login', { form: { name } })
      assert.equal(status, 400, JSON.stringify(name))
      assert.match(body, /role="alert"/)
    }
    assert.equal((await visit('POST', '/login')).status, 400)
    assert.equal((await place.query('SELECT FROM sess')).length, 1)
  })

  test('extending gives the whole length again', async t => {
    const { place, visit, logIn } = await startApp(t)
    const cookie = await logIn('Ada')
    await place.ageSession(cookie.replace('sess_id=', ''), '9 minutes')

    const { status, headers } = await visit('POST', '/extend', { cookie })

    assert.equal(status, 303)
    assert.match(headers.get('set-cookie'), /Max-Age=600/)
    assert.match((await visit('GET', '/', { cookie })).body, /role="timer"[^>]*>(10:00|9:59)</)
  })

  test('an expired session leads to the log-in form and cannot be extended', async t => {
    const { place, visit, logIn } = await startApp(t)
    const cookie = await logIn('Ada')
    await place.ageSession(cookie.replace('sess_id=', ''), '11 minutes')

    for (const [method, path] of [
      ['GET', '/'],
      ['POST', '/extend'],
      ['GET', '/']
    ]) {
      const { status, place } = await visit(method, path, { cookie })
      assert.deepEqual({ status, place }, TO_LOG_IN)
    }
  })

  test('a link cannot extend a session or end it', async t => {
    const { visit, logIn } = await startApp(t)
    const cookie = await logIn('Ada')

    assert.equal((await visit('GET', '/extend', { cookie })).status, 404)
    assert.equal((await visit('GET', '/logout', { cookie })).status, 404)
    assert.equal((await visit('GET', '/', { cookie })).status, 200)
  })

  test('logging out removes the row and the cookie, and the old cookie opens nothing', async t => {
    const { place: where, visit, logIn } = await startApp(t)
    const cookie = await logIn('Ada')

    const { headers } = await visit('POST', '/logout', { cookie })

    assert.match(headers.get('set-cookie'), /^sess_id=; Path=\/; Expires=Thu, 01 Jan 1970/)
    assert.deepEqual(await where.query('SELECT * FROM sess'), [])
    const { status, place } = await visit('GET', '/', { cookie })
    assert.deepEqual({ status, place }, TO_LOG_IN)
  })

  test('logging in again ends the session before', async t => {
    const { visit, logIn } = await startApp(t)
    const first = await logIn('Ada')
    const second = await logIn('Grace', first)

    assert.equal((await visit('GET', '/', { cookie: first })).status, 303)
    assert.match((await visit('GET', '/', { cookie: second })).body, /Hello, Grace/)
  })
})

describe('npm run demo', () => {
  test('with --once it takes every step and ends well', async t => {
    const place = await database.emptySchema(t)

    const { code, stdout, stderr } = await runDemo(place.url, '--once').ended

    assert.equal(stderr, '')
    assert.equal(code, 0)
    const steps = stdout.match(/^\d\. .*/gm)
    assert.deepEqual(steps, [
      '1. Ask for the page without a session',
      '2. Log in',
      '3. See the session',
      '4. Extend it',
      '5. Log out',
      '6. Try the old cookie'
    ])
    assert.equal(stdout.match(/^ +user_name +Ada Lovelace$/gm)?.length, 2)
    assert.match(stdout, /Every step went as it should\.\n$/)
  })

  test('with --once it names the step that fails and ends with 1', async t => {
    const place = await database.emptySchema(t)
    await place.query(`
      CREATE TABLE sess (sess_id uuid PRIMARY KEY, sess_creation_date timestamp NOT NULL,
        sess_last_updated timestamp NOT NULL, sess_expiration timestamp NOT NULL,
        user_name varchar(40) NOT NULL CHECK (user_name <> 'Ada Lovelace'))`)

    const { code, stdout, stderr } = await runDemo(place.url, '--once').ended

    assert.equal(code, 1)
    assert.match(stderr, /Step 2 failed \(Log in\)/)
    assert.doesNotMatch(stdout, /^3\./m)
  })

  for (const [args, question] of /** @type {const} */ ([
    [[], 'Who are you?'],
    [['--small'], 'Log in']
  ])) {
    test(`it serves until Ctrl-C ${args}`, async t => {
      const place = await database.emptySchema(t)
      const demo = runDemo(place.url, ...args)
      t.after(() => demo.child.kill('SIGKILL'))
      const address = await demo.printed(/http:\/\/127\.0\.0\.1:\d+/)

      const answer = await fetch(address)
      demo.child.kill('SIGINT')

      assert.equal(new URL(answer.url).pathname, '/login')
      assert.ok((await answer.text()).includes(`>${question}</h1>`))
      assert.equal((await demo.ended).code, 0)
      await assert.rejects(fetch(address))
    })
  }

  test('it ends although a browser left while its session was looked up', { timeout: MINUTE }, async t => {
    const place = await database.emptySchema(t)
    const demo = runDemo(place.url)
    t.after(() => demo.child.kill('SIGKILL'))
    const address = await demo.printed(/http:\/\/127\.0\.0\.1:\d+/)
    const form = { method: 'POST', body: new URLSearchParams({ user: 'Ada' }), redirect: 'manual' }
    const cookie = String((await fetch(`${address}/login`, form)).headers.get('set-cookie')).split(';')[0]
    const lock = await place.client()
    await lock.query('BEGIN; LOCK TABLE devices')
    const gone = assert.rejects(fetch(`${address}/figures`, { headers: { cookie } }))
    const waiting = "datname = current_database() AND wait_event_type = 'Lock'"
    await eventually(
      () => place.query(`SELECT FROM pg_stat_activity WHERE ${waiting}`),
      rows => rows.length > 0
    )

    demo.child.kill('SIGINT')
    await gone
    await lock.query('COMMIT')

    assert.equal((await demo.ended).code, 0)
  })

  test('an unknown option is refused', async () => {
    const { code, stderr } = await runDemo('postgres://nobody.invalid', '--twice').ended

    assert.equal(code, 2)
    assert.match(stderr, /^usage: npm run demo/)
  })
})

/** @param {import('node:test').TestContext} t */
async function startApp(t) {
  const place = await database.emptySchema(t)
  const url = new URL(place.url)
  // Without a password pg-promise takes all these addresses for the same one, and warns.
  url.password ||= 'unused'
  const server = createServer(createApp(url.href)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  place.defer(() => {
    server.close()
    server.closeAllConnections()
  })
  const address = `http://127.0.0.1:${server.address().port}`

  /**
   * @param {string} method
   * @param {string} path
   * @param {{ cookie?: string, form?: { [field: string]: string } }} [what]
   */
  async function visit(method, path, { cookie = '', form } = {}) {
    const response = await fetch(address + path, {
      method,
      headers: { cookie },
      body: form && new URLSearchParams(form),
      redirect: 'manual'
    })
    const { status, headers } = response
    return { status, headers, place: headers.get('location'), body: await response.text() }
  }

  /**
   * @param {string} name
   * @param {string} [cookie]
   * @returns {Promise<string>} the cookie
   */
  async function logIn(name, cookie) {
    const { status, headers } = await visit('POST', '/login', { cookie, form: { name } })
    assert.equal(status, 303)
    return headers.get('set-cookie').split(';')[0]
  }

  return { place, visit, logIn }
}

/**
 * @param {string} url of the database
 * @param {string[]} args
 */
function runDemo(url, ...args) {
  // A runner's settings are meant for the runner.
  const { NODE_OPTIONS: _options, NODE_TEST_CONTEXT: _context, ...env } = process.env
  const child = spawn(process.execPath, [START, ...args], { env: { ...env, PGSESS_TEST_URL: url }, timeout: 30_000 })
  const said = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', text => {
    said.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', text => {
    said.stderr += text
  })
  const ended = once(child, 'close').then(([code]) => ({ code, ...said }))

  /** @param {RegExp} pattern */
  async function printed(pattern) {
    while (!pattern.test(said.stdout)) {
      const gone = await Promise.race([once(child.stdout, 'data').then(() => false), ended.then(() => true)])
      if (gone) throw new Error(`the demo ended early: ${said.stderr}`)
    }
    return pattern.exec(said.stdout)[0]
  }

  return { child, ended, printed }
}
