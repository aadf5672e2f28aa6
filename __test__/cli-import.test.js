'use strict'

// `pg-sess-rs import`: sessions of the real connect-pg-simple become typed ones, and their browsers go on with them.

const assert = require('node:assert/strict')
const { createHmac } = require('node:crypto')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { describe, test } = require('node:test')
const express = require('express')
const session = require('express-session')
const { sessionMiddleware } = require('pg-sess-rs/express')
const { progressOn } = require('../lib/cli/progress.js')
const { Browser, serve } = require('./support/browser.js')
const { useDatabase } = require('./support/place.js')
const { runCommand } = require('./support/script.js')
const { called, openTheirs, sessionOf } = require('./support/stores.js')

const database = useDatabase('cli_import')
const SECRET = 'keyboard cat'
const HOUR = 3_600_000
const FIELDS = { user_id: 'INT NOT NULL', role: 'TEXT', cart: 'JSONB', tags: 'TEXT[]' }
const LIST = Object.entries(FIELDS).map(([name, datatype]) => `${name}=${datatype}`)
const MAP = 'user_id=passport.user, role=role, cart=cart, tags=tags'

/**
 * @param {any} place
 * @param {...string} args
 */
function runImport(place, ...args) {
  const all = ['import', '--url', place.url, '--from', 'connect-pg-simple', '--fields', LIST.join(), '--map', MAP]
  return runCommand([...all, '--json', ...args], { PGSESS_IMPORT_SECRET: SECRET })
}

/**
 * What an import says, in JSON.
 *
 * @param {any} place
 * @param {...string} args
 */
async function imported(place, ...args) {
  const { code, stdout, stderr } = await runImport(place, ...args)
  assert.equal(stderr, '')
  assert.equal(code, 0)
  return JSON.parse(stdout)
}

/**
 * A store of connect-pg-simple with these sessions.
 *
 * @param {any} place
 * @param {{ [sid: string]: object }} data
 */
async function fill(place, data) {
  const store = openTheirs(place)
  for (const [sid, fields] of Object.entries(data)) await called(store, 'set', sid, sessionOf(fields, HOUR))
  return store
}

/**
 * A config file with these options.
 *
 * @param {any} place
 * @param {object} options
 */
function configOf(place, options) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pgsess-import-'))
  place.defer(() => fs.rmSync(folder, { recursive: true }))
  const file = path.join(folder, 'config.json')
  fs.writeFileSync(file, JSON.stringify(options))
  return file
}

/** @param {string} user */
function of(user) {
  return { passport: { user } }
}

describe('import', () => {
  test('copies live sessions with their fields and their times, and says what it left', async t => {
    const place = await database.emptySchema(t)
    await fill(place, {
      whole: { ...of('1'), role: 'admin', cart: { apples: [2] }, tags: ['a', 'b'] },
      bare: { passport: { user: 2 }, role: null, cart: null },
      nobody: { views: 3 },
      wrong: of('none'),
      old: of('3')
    })
    await place.query("UPDATE session SET expire = now() - interval '1 minute' WHERE sid = 'old'")

    const sums = await imported(place)

    const unmapped = { 'no value for user_id': 1, 'a value was refused with 22P02': 1 }
    assert.deepEqual(sums, { dryRun: false, live: 4, expired: 1, copied: 2, known: 0, unmapped })
    const rows = await place.query(
      `SELECT user_id, role, cart, tags, sess_creation_date = sess_last_updated AS same,
         sess_creation_date BETWEEN u.now - interval '5 minutes' AND u.now AS begun,
         sess_expiration BETWEEN u.now + interval '55 minutes' AND u.now + interval '61 minutes' AS ends
       FROM sess, (SELECT now() AT TIME ZONE 'UTC') AS u (now) ORDER BY user_id`
    )
    const times = { same: true, begun: true, ends: true }
    assert.deepEqual(rows, [
      { user_id: 1, role: 'admin', cart: { apples: [2] }, tags: ['a', 'b'], ...times },
      { user_id: 2, role: null, cart: null, tags: null, ...times }
    ])
  })

  test('with --dry-run it counts the same and changes nothing', async t => {
    const place = await database.emptySchema(t)
    await fill(place, { a: of('1'), b: of('x'), c: {} })
    await place.sessions({ fields: FIELDS })

    const dry = await imported(place, '--dry-run')

    assert.deepEqual(await place.query('SELECT FROM sess'), [])
    const [{ table }] = await place.query("SELECT to_regclass('sess_imported') AS table")
    assert.equal(table, null)
    assert.deepEqual({ ...(await imported(place)), dryRun: true }, dry)
  })

  test('run again it copies the rest, and what has ended does not come back', async t => {
    const place = await database.emptySchema(t)
    const store = await fill(place, { a: of('1'), b: of('2') })
    await imported(place)
    const sessions = await place.sessions({ fields: FIELDS })
    assert.equal(await sessions.destroyAll({ user_id: 1 }), 1)
    await called(store, 'set', 'c', sessionOf(of('3'), HOUR))

    const sums = await imported(place)

    assert.deepEqual([sums.copied, sums.known], [1, 2])
    const users = (await sessions.list({}, { all: true })).map((/** @type {any} */ row) => row.user_id)
    assert.deepEqual(users.sort(), [2, 3])
  })

  test('many pieces, with wrong ones among them; two at once copy nothing twice', async t => {
    const place = await database.emptySchema(t)
    await fill(place, { a: of('1') })
    await place.query(
      `INSERT INTO session SELECT 's' || n, json_build_object('cookie', '{}'::json, 'passport',
         json_build_object('user', CASE WHEN n % 500 = 0 THEN 'x' ELSE n::text END)), now() + interval '1 hour'
       FROM generate_series(2, 3000) AS n`
    )
    await place.sessions({ fields: FIELDS })

    const [one, other] = await Promise.all([imported(place), imported(place)])

    assert.equal(one.copied + other.copied, 2994)
    assert.deepEqual(one.unmapped, { 'a value was refused with 22P02': 6 })
    assert.deepEqual(await place.query('SELECT count(*)::int, count(DISTINCT user_id)::int AS users FROM sess'), [
      { count: 2994, users: 2994 }
    ])
  })

  test('another table, in another schema; no session outlives absoluteLength', async t => {
    const place = await database.emptySchema(t)
    const schema = `${(await place.query('SELECT current_schema() AS name'))[0].name}_old`
    place.defer(() => place.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`))
    await place.query(`CREATE SCHEMA ${schema}`)
    const store = openTheirs(place, { tableName: 'user sessions', schemaName: schema })
    await called(store, 'set', 'a', sessionOf(of('1'), 48 * HOUR))
    await place.sessions({ fields: FIELDS, absoluteLength: HOUR })
    const from = ['--from-table', 'user sessions', '--from-schema', schema]

    await imported(place, ...from, '--config', configOf(place, { absoluteLength: HOUR }))

    const [{ left }] = await place.query(
      "SELECT sess_expiration <= (now() AT TIME ZONE 'UTC') + interval '1 hour' AS left FROM sess"
    )
    assert.equal(left, true)
  })

  test('in words', async t => {
    const place = await database.emptySchema(t)
    await fill(place, { a: of('1'), b: {} })
    const args = ['import', '--url', place.url, '--from', 'connect-pg-simple', '--fields', LIST.join(), '--map', MAP]

    const { stdout } = await runCommand(args, { PGSESS_IMPORT_SECRET: SECRET })

    assert.equal(stdout, 'live 2\nexpired 0\nunmapped 1: no value for user_id\ncopied before 0\ncopied 1\n')
  })

  for (const [what, args, env] of /** @type {[string, string[], object][]} */ ([
    ['no --from', ['--map', 'a=a'], { PGSESS_IMPORT_SECRET: SECRET }],
    ['another library', ['--from', 'redis', '--map', 'a=a'], { PGSESS_IMPORT_SECRET: SECRET }],
    ['an unknown field', ['--from', 'connect-pg-simple', '--map', 'b=b'], { PGSESS_IMPORT_SECRET: SECRET }],
    ['a field twice', ['--from', 'connect-pg-simple', '--map', 'a=b,a=c'], { PGSESS_IMPORT_SECRET: SECRET }],
    ['no secret', ['--from', 'connect-pg-simple', '--map', 'a=a'], { PGSESS_IMPORT_SECRET: '' }]
  ])) {
    test(`${what} is wrong use`, async () => {
      const { code, stderr } = await runCommand(['import', '--fields', 'a=INT', ...args], env)

      assert.match(stderr, /--from|--map|PGSESS_IMPORT_SECRET/)
      assert.equal(code, 2)
    })
  }
})

test('on a terminal a bar shows how far it is, elsewhere nothing but a line now and then', () => {
  for (const [isTTY, expected] of /** @type {[boolean, string][]} */ ([
    [true, `\r[${'#'.repeat(15)}${'-'.repeat(15)}] 50 % of 4\r[${'#'.repeat(30)}] 100 % of 4\n`],
    [false, '']
  ])) {
    let written = ''
    const write = (/** @type {string} */ text) => {
      written += text
    }
    const progress = progressOn({ isTTY, write })
    progress.show(2, 4)
    progress.show(5, 4)
    progress.end()
    assert.equal(written, expected)
  }
})

describe('the browser of an imported session', () => {
  /**
   * An app of express-session with a browser that has logged in, and its successor with imported sessions.
   *
   * @param {any} t
   * @param {{ secret?: string | string[], sessionOptions?: object }} [choices]
   */
  async function move(t, { secret = SECRET, sessionOptions = {} } = {}) {
    const place = await database.emptySchema(t)
    const before = express()
    const cookie = { maxAge: HOUR }
    before.use(session({ store: openTheirs(place), secret: SECRET, resave: false, saveUninitialized: false, cookie }))
    before.get('/', (/** @type {any} */ req, res) => {
      req.session.passport = { user: 7 }
      res.end()
    })
    const browser = new Browser(await serve(t, before))
    await browser.get('/')
    await imported(place, '--config', configOf(place, sessionOptions))
    const sessions = await place.sessions({ fields: FIELDS, ...sessionOptions })
    const after = express()
    after.use(sessionMiddleware(sessions, { importedFrom: { secret } }))
    after.get('/', (req, res) => res.json(req.session?.user_id ?? null))
    after.get('/logout', async (req, res) => res.json(await req.sessions.destroy()))
    const next = new Browser(await serve(t, after))
    next.cookies = browser.cookies
    return { place, sessions, browser: next }
  }

  test('goes on with its old cookie, gets the new one, and can log out', async t => {
    const { browser } = await move(t)
    const old = String(browser.cookies.get('connect.sid'))

    const first = await browser.get('/')

    assert.equal(first.json(), 7)
    assert.equal(first.setCookies.length, 1)
    assert.deepEqual([...browser.cookies.keys()], ['connect.sid', 'sid'])
    const second = await browser.get('/')
    assert.deepEqual([second.json(), second.setCookies], [7, []])
    browser.cookies.delete('connect.sid')
    assert.equal((await browser.get('/')).json(), 7)
    await browser.get('/logout')
    browser.cookies.set('connect.sid', old)
    assert.equal((await browser.get('/')).json(), null)
  })

  test('also where ids are not hashed', async t => {
    const { browser } = await move(t, { sessionOptions: { hashIds: false } })

    assert.equal((await browser.get('/')).json(), 7)
    browser.cookies.delete('connect.sid')
    assert.equal((await browser.get('/')).json(), 7)
  })

  test('with refreshInterval it soon has a new id, of which the old cookie alone tells nothing', async t => {
    const { place, browser } = await move(t, { sessionOptions: { refreshInterval: 60_000, refreshGrace: 1000 } })
    await place.query("UPDATE sess SET sess_creation_date = sess_creation_date - interval '1 hour'")
    const old = String(browser.cookies.get('connect.sid'))

    assert.equal((await browser.get('/')).json(), 7)

    assert.deepEqual(await place.query('SELECT count(*)::int FROM sess_ids'), [{ count: 1 }])
    await place.query("UPDATE sess_ids SET grace_end = grace_end - interval '1 hour'")
    assert.equal((await browser.get('/')).json(), 7)
    browser.cookies = new Map([['connect.sid', old]])
    assert.equal((await browser.get('/')).json(), null)
  })

  test('an old cookie that is not rightly signed leads nowhere; an older secret is good for reading', async t => {
    const { browser } = await move(t, { secret: [SECRET, 'older'] })
    const sid = decodeURIComponent(String(browser.cookies.get('connect.sid')))
      .slice(2)
      .split('.')[0]
    const sign = (/** @type {string} */ secret) => {
      const hash = createHmac('sha256', secret).update(sid).digest('base64').replace(/=+$/, '')
      return encodeURIComponent(`s:${sid}.${hash}`)
    }
    for (const value of [sid, `s:${sid}`, `s%3A${sid}.x`, sign('guessed'), '%', 's:']) {
      browser.cookies.set('connect.sid', value)
      assert.equal((await browser.get('/')).json(), null, value)
    }
    browser.cookies.set('connect.sid', sign('older'))
    assert.equal((await browser.get('/')).json(), 7)
  })

  test('what stands in either table opens no session', async t => {
    const { place, browser } = await move(t)
    const [{ sid }] = await place.query('SELECT sid FROM session')
    const [{ sess_id }] = await place.query('SELECT sess_id FROM sess')
    const [{ id }] = await place.query('SELECT id FROM sess_imported')
    browser.cookies.delete('connect.sid')
    for (const value of [sid, sess_id, id]) {
      browser.cookies.set('sid', value)
      assert.equal((await browser.get('/')).json(), null)
    }
  })

  test('wrong options are refused, named', async t => {
    const place = await database.emptySchema(t)
    const sessions = await place.sessions({ fields: FIELDS })
    const made = (/** @type {any} */ importedFrom) => () => sessionMiddleware(sessions, { importedFrom })

    assert.throws(made('x'), /options\.importedFrom: expected \{ secret, name\? \}/)
    assert.throws(made({}), /options\.importedFrom\.secret: expected a text/)
    assert.throws(made({ secret: 'x', nmae: 'y' }), /options\.importedFrom: unknown option "nmae"/)
    assert.throws(made({ secret: 'x', name: '' }), /options\.importedFrom\.name: expected the name of a cookie/)
  })
})

describe('--fields without --map', () => {
  test('says where the values stand; the datatypes are those of the table', async t => {
    const place = await database.emptySchema(t)
    const sessions = await place.sessions({ fields: FIELDS })
    await fill(place, { one: { passport: { user: 7 }, tags: ['a', 'b'] }, nobody: {} })

    const args = [
      'import',
      '--url',
      place.url,
      '--from',
      'connect-pg-simple',
      '--fields',
      'user_id=passport.user, tags=tags'
    ]
    const { code, stdout, stderr } = await runCommand([...args, '--json'], { PGSESS_IMPORT_SECRET: SECRET })

    assert.equal(stderr, '')
    assert.equal(code, 0)
    const { copied, unmapped } = JSON.parse(stdout)
    assert.deepEqual({ copied, unmapped }, { copied: 1, unmapped: { 'no value for user_id': 1 } })
    const [{ user_id, role, tags }] = await sessions.list({ user_id: 7 })
    assert.deepEqual({ user_id, role, tags }, { user_id: 7, role: null, tags: ['a', 'b'] })
  })

  test('neither is wrong use', async () => {
    const { code, stderr } = await runCommand(['import', '--from', 'connect-pg-simple'], {
      PGSESS_IMPORT_SECRET: SECRET
    })

    assert.match(stderr, /--fields: expected where values stand/)
    assert.equal(code, 2)
  })

  test('without a table there are no datatypes: an error says so', async t => {
    const place = await database.emptySchema(t)
    await fill(place, { one: { passport: { user: 7 } } })

    const args = ['import', '--url', place.url, '--from', 'connect-pg-simple', '--fields', 'user_id=passport.user']
    const { code, stderr } = await runCommand(args, { PGSESS_IMPORT_SECRET: SECRET })

    assert.equal(code, 1)
    assert.match(stderr, /sess/)
  })
})
