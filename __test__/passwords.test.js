'use strict'

// Where a password comes from, when it is asked for, and where it never shows.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { describe, test } = require('node:test')
const { inspect } = require('node:util')
const { attempts, byUs, open, withVariables } = require('./support/attempts.js')
const { eventually } = require('./support/eventually.js')
const { startImpostor } = require('./support/impostor.js')
const { useLogins } = require('./support/logins.js')

const server = useLogins()

const NO_SESSION = '0f8fad5b-d9cb-469f-a165-70867728950e'
const NO_STRING = 'SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string'
const EMPTY = 'SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a non-empty string'

class Refusal extends Error {}

/** @type {[name: string, password: () => unknown, expected: string | undefined][]} none: it logs in */
const FUNCTIONS = [
  ['that gives it', () => server.PASSWORD, undefined],
  ['that gives it later', async () => server.PASSWORD, undefined],
  ['that gives a wrong one', () => 'wrong', '28P01'],
  ['that gives undefined', () => undefined, NO_STRING],
  ['that gives null', () => null, 'Password must be a string'],
  ['that gives an empty one', () => '', EMPTY],
  ['that gives a number', () => 12345, 'Password must be a string'],
  ['that gives an object', () => ({ password: 'x' }), 'Password must be a string'],
  [
    'that throws',
    () => {
      throw new Refusal('not today')
    },
    'not today'
  ],
  [
    'that rejects',
    async () => {
      throw Object.assign(new Refusal('not tomorrow'), { code: 'NOT_TOMORROW' })
    },
    'NOT_TOMORROW'
  ]
]

describe('a password function: as pg', () => {
  for (const [name, password, expected] of FUNCTIONS) {
    test(name, async () => {
      const { pg, ours } = await attempts(server.config({ user: 'scram', password }))

      assertOutcome(pg, expected)
      assert.deepEqual(ours, pg)
    })
  }

  test('is told where the connection goes', async () => {
    /** @type {any[]} */
    const told = []
    const password = (/** @type {any} */ { host, port, user, database, ...more }) => {
      told.push({ host, port, user, database, members: Object.keys(more).sort() })
      return server.PASSWORD
    }

    await attempts(server.config({ user: 'scram', password, application_name: 'x' }))

    const [theirs, ours] = told
    assert.equal(theirs.user, 'scram')
    assert.deepEqual(ours, theirs)
  })

  for (const [user, calls] of [
    ['trusted', 0],
    ['scram', 1],
    ['md5', 1],
    ['plain', 1]
  ]) {
    test(`is asked ${calls} times to log in as ${user}`, async () => {
      /** @type {string[]} */
      const asked = []
      const password = () => {
        asked.push('once')
        return server.PASSWORD
      }

      const { pg, ours } = await attempts(server.config({ user, password }))

      assert.ok('reached' in pg)
      assert.deepEqual(ours, pg)
      assert.equal(asked.length, 2 * Number(calls))
    })
  }

  test('rejects with the very error that it threw, to all who waited for the connection', async t => {
    const refusal = new Refusal('not today')
    let mayEnter = true
    const password = async () => {
      if (mayEnter) return server.PASSWORD
      throw refusal
    }
    const sessions = await start(t, server.config({ user: 'scram', password, application_name: 'refusal' }))
    mayEnter = false
    await server.endConnections('refusal')

    const calls = [1, 2, 3].map(() => sessions.validate(NO_SESSION))
    for (const { reason } of await Promise.allSettled(calls)) assert.equal(reason, refusal)
    mayEnter = true
    assert.equal(await sessions.validate(NO_SESSION), null)
  })

  test('is asked for each new connection, so that a password may change', async t => {
    await server.query("CREATE ROLE changing LOGIN PASSWORD 'first'")
    server.write('pg_hba.conf', `host all changing all scram-sha-256\n${fs.readFileSync(server.file('pg_hba.conf'))}`)
    await server.reload()
    let current = 'first'
    const password = async () => current
    const sessions = await start(t, server.config({ user: 'changing', password, application_name: 'changing' }))

    for (const next of ['second', 'third']) {
      await server.query(`ALTER ROLE changing PASSWORD '${next}'`)
      await server.endConnections('changing')
      await assert.rejects(sessions.validate(NO_SESSION), { code: '28P01' })
      current = next
      assert.equal(await sessions.validate(NO_SESSION), null)
    }
  })
})

/** @type {[name: string, lines: string, expected: string | undefined, more?: object][]} */
const FILES = [
  ['with a fitting line', '127.0.0.1:{port}:app:scram:{password}', undefined],
  ['with wildcards', '*:*:*:*:{password}', undefined],
  [
    'whose fitting line comes last',
    '# a comment\n\nelsewhere:*:*:*:x\n*:*:*:other:x\n*:*:app:scram:{password}',
    undefined
  ],
  ['with lines for others only', 'elsewhere:*:*:*:x\n*:1:*:*:x\n*:*:other:*:x\n*:*:*:other:x', NO_STRING],
  ['with a colon and a backslash escaped', '*:*:*:odd:{escapedOddPassword}', undefined, { user: 'odd' }],
  ['without a password in its line', '*:*:*:*:', NO_STRING],
  ['of nonsense', 'nonsense', NO_STRING],
  ['that is empty', '', NO_STRING],
  ['with a line for a socket', '{socket}:*:*:*:{password}', undefined, { host: '{socket}' }],
  ['where a socket is not localhost', 'localhost:*:*:*:{password}', NO_STRING, { host: '{socket}' }],
  ['not asked where a password is given', '*:*:*:*:{password}', '28P01', { password: 'wrong' }],
  ['not asked where a function gives none', '*:*:*:*:{password}', NO_STRING, { password: () => undefined }]
]

describe('a password file: as pg', { skip: process.platform === 'win32' && 'it lies elsewhere' }, () => {
  for (const [name, lines, expected, more] of FILES) {
    test(name, async t => {
      const PGPASSFILE = passFile(t, lines)

      const { pg, ours } = await attempts(fill(server.config({ user: 'scram', ...more })), { PGPASSFILE })

      assertOutcome(pg, expected)
      assert.deepEqual(ours, pg)
    })
  }

  for (const mode of [0o400, 0o600, 0o700, 0o604, 0o640, 0o644, 0o660]) {
    test(`of mode ${mode.toString(8)}`, async t => {
      const PGPASSFILE = passFile(t, '*:*:*:*:{password}', mode)

      const { pg, ours } = await attempts(server.config({ user: 'scram' }), { PGPASSFILE })

      assertOutcome(pg, mode & 0o077 ? NO_STRING : undefined)
      assert.deepEqual(ours, pg)
    })
  }

  test('that is not there, or a folder', async () => {
    for (const PGPASSFILE of ['/nowhere', os.tmpdir()]) {
      const { pg, ours } = await attempts(server.config({ user: 'scram' }), { PGPASSFILE })

      assertOutcome(pg, NO_STRING)
      assert.deepEqual(ours, pg)
    }
  })

  test('in the home folder', async t => {
    const home = path.dirname(passFile(t, '*:*:*:*:{password}', 0o600, '.pgpass'))
    const { HOME } = process.env
    t.after(() => {
      process.env.HOME = HOME
    })
    process.env.HOME = home

    const { pg, ours } = await attempts(server.config({ user: 'scram' }))

    assertOutcome(pg, undefined)
    assert.deepEqual(ours, pg)
  })

  test('is read for each new connection', async t => {
    const file = passFile(t, '*:*:*:*:{password}')
    await withVariables({ PGPASSFILE: file }, async () => {
      const sessions = await start(t, server.config({ user: 'scram', application_name: 'from a file' }))
      fs.writeFileSync(file, '*:*:*:*:wrong')
      await server.endConnections('from a file')

      await assert.rejects(sessions.validate(NO_SESSION), { code: '28P01' })
    })
  })
})

test('PGPASSWORD is looked at for each new connection, as pg does', async t => {
  await withVariables({ PGPASSWORD: server.PASSWORD }, async () => {
    const sessions = await start(t, server.config({ user: 'scram', application_name: 'environment' }))
    process.env.PGPASSWORD = 'wrong'
    await server.endConnections('environment')

    await assert.rejects(sessions.validate(NO_SESSION), { code: '28P01' })
  })
})

describe('a password shows nowhere', () => {
  const CANARY = 'canary-0f8fad5b'

  /** @type {[name: string, connection: (port: number) => any, options?: any][]} ways to fail with one */
  const FAILURES = [
    ['a wrong one in a URL', () => `postgres://scram:${CANARY}@127.0.0.1:${server.port}/app`],
    ['a wrong one in an object', () => server.config({ user: 'scram', password: CANARY })],
    ['a wrong one of a function', () => server.config({ user: 'scram', password: async () => CANARY })],
    ['a wrong one for md5', () => server.config({ user: 'md5', password: CANARY })],
    ['a wrong one in the clear', () => server.config({ user: 'plain', password: CANARY })],
    ['a URL that is none', () => `postgres://u:${CANARY}/x@h/app`],
    ['a URL with a bad port', () => `postgres://u:${CANARY}@h:99999/app`],
    ['a URL with a bad port in its query', () => `postgres://u:${CANARY}@h/app?port=99999`],
    ['a URL with a bad option in it', () => `postgres://u:${CANARY}@h/app?sslnegotiation=x`],
    ['a URL of a host that is not there', () => `postgres://u:${CANARY}@nowhere.invalid/app`],
    ['a server that is not there', () => `postgres://u:${CANARY}@127.0.0.1:1/app`],
    ['a database that is not there', () => `postgres://scram:${server.PASSWORD}${CANARY}@127.0.0.1:${server.port}/x`],
    ['a server without TLS', () => `postgres://scram:${CANARY}@127.0.0.1:${server.port}/app?ssl=true`],
    ['a server that is silent', port => `postgres://u:${CANARY}@127.0.0.1:${port}/app`, { connectTimeout: 100 }],
    ['an option that is refused', () => server.config({ password: CANARY, onConnect: () => {} })],
    ['an object in place of one', () => server.config({ user: 'scram', password: { CANARY } })],
    ['a passphrase that does not fit', () => server.config({ ssl: { cert: 'x', key: 'x', passphrase: CANARY } })],
    ['a URL in place of fields', () => server.config(), { fields: `postgres://u:${CANARY}@h/app` }],
    ['a URL as an option’s value', () => server.config(), { tableName: 5, schemaName: `postgres://u:${CANARY}@h/a` }],
    ['a number as an option’s value', () => `postgres://u:${CANARY}@h/app`, { connectTimeout: 'soon' }]
  ]
  for (const [name, connection, options] of FAILURES) {
    test(`after ${name}`, async t => {
      const { port } = await startImpostor(t)

      const error = await byUs(connection(port), options).then(assert.fail, error => error)

      assertHidden(error)
    })
  }

  test('of an order of arguments that is wrong', async () => {
    const url = `postgres://u:${CANARY}@h/app`
    for (const args of [
      [url, null, {}],
      [null, [url], {}],
      [null, server.config(), {}, url],
      [null, {}, url],
      [url, url, url]
    ]) {
      assertHidden(
        await require('../index.js')
          .init(...args)
          .then(assert.fail, (/** @type {Error} */ error) => error)
      )
    }
  })

  test('of the sessions themselves, nor of their errors later', async t => {
    await server.query(`ALTER ROLE plain PASSWORD '${CANARY}'`)
    const sessions = await start(t, server.config({ user: 'plain', password: CANARY, application_name: 'shown' }))
    assertHidden(sessions)

    await server.query("ALTER ROLE plain PASSWORD 'another'")
    await server.endConnections('shown')

    assertHidden(await sessions.validate(NO_SESSION).then(assert.fail, (/** @type {Error} */ error) => error))
    await eventually(
      async () => sessions.stats().size,
      size => size === 0
    )
    assertHidden(sessions)
  })

  /** @param {any} thing */
  function assertHidden(thing) {
    const hidden = { showHidden: true, depth: null, getters: true }
    const shown = [inspect(thing, hidden), thing.stack, thing.message, String(thing), JSON.stringify(thing)]
    for (let { cause } = thing; cause; cause = cause.cause) shown.push(inspect(cause, hidden))
    for (const text of shown) assert.ok(!String(text).includes(CANARY), text)
  }
})

/**
 * @param {any} outcome
 * @param {string | undefined} expected
 */
function assertOutcome({ reached, failed }, expected) {
  if (expected === undefined) assert.ok(reached, failed?.message)
  else assert.ok([failed?.code, failed?.message].includes(expected), failed?.message ?? 'it logged in')
}

/**
 * @param {{ after(hook: () => unknown): void }} t
 * @param {any} connection
 */
async function start(t, connection) {
  const sessions = await open(connection)
  t.after(() => sessions.close())
  return sessions
}

/**
 * @param {{ after(hook: () => unknown): void }} t
 * @param {string} lines
 * @param {number} [mode]
 * @param {string} [name]
 */
function passFile(t, lines, mode = 0o600, name = 'passwords') {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pgsess-passwords-'))
  t.after(() => fs.rmSync(folder, { recursive: true }))
  const file = path.join(folder, name)
  fs.writeFileSync(file, fill(lines))
  fs.chmodSync(file, mode)
  return file
}

/**
 * Puts this server in.
 *
 * @param {any} value
 * @returns {any}
 */
function fill(value) {
  if (typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, fill(member)]))
  }
  if (typeof value !== 'string') return value
  return value
    .replaceAll('{port}', String(server.port))
    .replaceAll('{socket}', server.socketDir)
    .replaceAll('{password}', server.PASSWORD)
    .replaceAll('{escapedOddPassword}', server.ODD_PASSWORD.replaceAll(/[\\:]/g, '\\$&'))
}
