'use strict'

// docs/troubleshooting.md against reality: each error that can be provoked here stands on the page in its own words, and
// what the page advises helps.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { once } = require('node:events')
const { spawn } = require('node:child_process')
const { createServer } = require('node:http')
const { describe, test } = require('node:test')
const express = require('express')
const { Client } = require('pg')
const { connect, createSession } = require('pg-sess-rs')
const { requireSession, sessionMiddleware } = require('pg-sess-rs/express')
const { version } = require('../../package.json')
const { freePort } = require('../../scripts/free-port.js')
const { ownPlatform } = require('../../scripts/publish/platforms.js')
const { issue, keyOf } = require('../support/certificates.js')
const { codeOf, read } = require('../support/documents.js')
const { eventually } = require('../support/eventually.js')
const { useLogins } = require('../support/logins.js')
const { lacks } = require('../support/needs.js')

const ROOT = path.resolve(__dirname, '../..')
const LOGINS = `
host all scram    all scram-sha-256
host all postgres,app,trusted all trust
`
const FIELDS = { fields: { user_id: 'INT' } }
const page = read('docs/troubleshooting.md')
const root = issue({ name: 'Root', ca: true })
const alone = issue({ names: ['localhost'] })

const server = useLogins({}, async () => {
  show(alone)
  server.write('pg_hba.conf', LOGINS)
  await server.query('CREATE ROLE app LOGIN CONNECTION LIMIT 1')
  await server.query('ALTER SYSTEM SET ssl = on')
  await server.reload()
})

/** @param {...import('../support/certificates.js').Certificate} certificates */
function show(...certificates) {
  server.write('server.key', keyOf(certificates[0]))
  server.write('server.crt', certificates.map(({ pem }) => pem).join(''))
}

describe('docs/troubleshooting.md quotes', () => {
  test('a server that is not up', async () => {
    const port = await freePort('127.0.0.1')

    await assertQuoted({ host: '127.0.0.1', port }, message => message.replace(String(port), '5432'))
  })

  test('a wrong password, and none', async () => {
    const asApp = message => message.replace('"scram"', '"app"')

    await assertQuoted(server.config({ user: 'scram', password: 'wrong' }), asApp, '28P01')
    await assertQuoted(server.config({ user: 'scram' }), asApp)
  })

  test('a user whom no line of pg_hba.conf lets in', async () => {
    const asApp = message => message.replace('"nobody"', '"app"')

    await assertQuoted(server.config({ user: 'nobody' }), asApp, '28000')
  })

  test('certificates that nobody vouches for, or that are for another name', async () => {
    const tls = server.config({ host: 'localhost', ssl: true })
    await assertQuoted(tls, undefined, 'DEPTH_ZERO_SELF_SIGNED_CERT')
    const { message } = await failure(server.config({ ssl: { ca: alone.pem } }))
    assert.match(message, /^Hostname\/IP does not match certificate's altnames/)

    show(issue({ issuer: root, names: ['localhost'] }), root)
    await server.reload()
    await assertQuoted(tls, undefined, 'SELF_SIGNED_CERT_IN_CHAIN')
    const cured = await connect(server.config({ host: 'localhost', ssl: { ca: root.pem } }), FIELDS)
    await cured.close()
  })

  test('a server without TLS', async () => {
    await server.query('ALTER SYSTEM SET ssl = off')
    await server.reload()

    await assertQuoted(server.config({ ssl: true }))
  })

  test('too many connections', async t => {
    const first = new Client(server.config({ user: 'app' }))
    await first.connect()
    t.after(() => first.end())

    await assertQuoted(server.config({ user: 'app' }), undefined, '53300')
  })

  test('a role that may not make tables, and each cure', async t => {
    const connection = server.config({ user: 'app', database: 'others', max: 1 })
    await server.query('CREATE DATABASE others')
    const owner = new Client(server.config({ database: 'others' }))
    await owner.connect()
    t.after(() => owner.end())
    await owner.query('REVOKE CREATE ON SCHEMA public FROM PUBLIC')

    await assertQuoted(connection, undefined, '42501')

    const [tables, , grants] = codeOf('docs/table.md', 'sql')
    await owner.query(tables + grants.replace('app_user', 'app'))
    await assertWorks(connection, { createTable: false })
    await owner.query('CREATE SCHEMA sessions AUTHORIZATION app')
    await assertWorks(connection, { schemaName: 'sessions' })
    await owner.query('DROP TABLE sess, sess_ids; GRANT CREATE ON SCHEMA public TO app')
    await assertWorks(connection, {})
  })

  test('a table that does not fit', async () => {
    await server.query('CREATE DATABASE filled')
    const connection = server.config({ database: 'filled' })
    await (await connect(connection, { fields: { user_id: 'TEXT' } })).close()

    await assertQuoted(connection, undefined, 'PGSESS_TABLE')
  })

  test('a `db` that init has not seen', async () => {
    const error = await createSession(null, 'postgres://localhost/another', {}).catch(thrown => thrown)

    assert.equal(error.code, 'PGSESS_NOT_INITIALISED')
    assert.ok(page.includes(error.message), error.message)
  })

  test('an addon that is not there', t => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pgsess-no-addon-'))
    t.after(() => fs.rmSync(folder, { recursive: true }))
    for (const file of ['package.json', 'lib/addon.js', 'native/binding.js']) {
      fs.cpSync(path.join(ROOT, file), path.join(folder, file))
    }

    assert.throws(
      () => require(path.join(folder, 'lib/addon.js')),
      ({ code, message }) => {
        const [first] = /^.*not installed/.exec(message) ?? []
        const quoted = first?.replace(version, '…').replace(ownPlatform().id, 'linux-x64-gnu')
        assert.ok(page.includes(`> \`${quoted}\`\n> (code \`${code}\`)\n`), message)
        return true
      }
    )
  })

  test('behind a pooler in transaction mode, prepare: false leaves no prepared statement there', {
    skip: lacks('pgbouncer', 'apt install pgbouncer'),
    timeout: 60_000
  }, async t => {
    const port = await startPgBouncer(t)
    const through = server.config({ port, max: 2 })
    const programs = await Promise.all([1, 2, 3].map(() => connect(through, { ...FIELDS, prepare: false })))
    t.after(() => Promise.all(programs.map(sessions => sessions.close())))

    await Promise.all(
      programs.map(async (sessions, user_id) => {
        const { sess_id } = await sessions.create({ user_id })
        assert.equal((await sessions.validate(sess_id)).user_id, user_id)
      })
    )

    // The pooler has one connection to the server, so this looks at the one that was used.
    const { rows } = await query(through, 'SELECT name FROM pg_prepared_statements')
    assert.deepEqual(rows, [])
  })
})

describe('docs/troubleshooting.md says of logged-out users', () => {
  test('that ids which were hashed open nothing once hashIds is off, and plain ones go on after it is on', async () => {
    await server.query('CREATE DATABASE switched')
    const open = hashIds => connect(server.config({ database: 'switched' }), { ...FIELDS, hashIds })
    const [plain, hashed] = [await open(false), await open(true)]

    assert.ok(await hashed.validate((await plain.create({})).sess_id))
    assert.equal(await plain.validate((await hashed.create({})).sess_id), null)
    await Promise.all([plain.close(), hashed.close()])
  })

  test('what a proxy that ends TLS does to the cookie', async t => {
    const sessions = await connect(server.config({ database: 'sp ace' }), FIELDS)
    t.after(() => sessions.close())
    const cookieBehindProxy = async (secure, trust) => {
      const app = express().set('trust proxy', trust).use(sessionMiddleware(sessions, { secure }))
      app.get('/', requireSession())
      app.post('/', async (req, res) => res.send(String((await req.sessions.create({})) !== null)))
      const web = createServer(app).listen(0)
      await once(web, 'listening')
      const headers = { 'X-Forwarded-Proto': 'https' }
      const { port } = /** @type {import('node:net').AddressInfo} */ (web.address())
      const answer = await fetch(`http://localhost:${port}`, { method: 'POST', headers })
      web.close()
      return answer.headers.getSetCookie()[0]
    }

    assert.match(await cookieBehindProxy('auto', 1), /^__Host-sid=.*; Secure/)
    assert.doesNotMatch(await cookieBehindProxy('auto', false), /Secure/)
    const warned = once(process, 'warning')
    assert.equal(await cookieBehindProxy(true, false), undefined)
    const [{ message }] = await warned
    assert.match(message, /^a session cookie that needs https was not set/)
    assert.ok(page.includes('`a session cookie that needs https was not set`'))
  })
})

/** @param {unknown} connection */
async function failure(connection) {
  return connect(connection, FIELDS).then(
    sessions => sessions.close().then(() => assert.fail('it connected')),
    error => error
  )
}

/**
 * @param {unknown} connection
 * @param {(message: string) => string} [asWritten] the message with the names that stand on the page
 * @param {string} [code]
 */
async function assertQuoted(connection, asWritten = message => message, code) {
  const error = await failure(connection)
  const quoted = `> \`${asWritten(error.message)}\`${code ? ` (code \`${code}\`)` : ''}`
  if (code) assert.equal(error.code, code, error.message)
  assert.ok(page.includes(`\n${quoted}\n`), `the page lacks: ${quoted}`)
}

/**
 * @param {unknown} connection of the role `app`, which may have one
 * @param {object} options
 */
async function assertWorks(connection, options) {
  await appIsGone()
  const sessions = await connect(connection, { ...FIELDS, ...options })
  const { sess_id } = await sessions.create({ user_id: 1 })
  const refreshed = await sessions.refresh(sess_id)
  assert.equal(refreshed.user_id, 1)
  assert.equal(await sessions.extend(refreshed.sess_id), true)
  assert.equal(await sessions.prune(), 0)
  assert.equal(await sessions.destroyAll({ user_id: 1 }), 1)
  await sessions.close()
  await appIsGone()
}

/** A connection that was closed takes its place until the server's process has ended. */
async function appIsGone() {
  await eventually(
    () => server.query("SELECT pid FROM pg_stat_activity WHERE usename = 'app'"),
    rows => rows.length === 0
  )
}

/**
 * @param {import('node:test').TestContext} t
 * @returns {Promise<number>} its port
 */
async function startPgBouncer(t) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pgsess-bouncer-'))
  const port = await freePort('127.0.0.1')
  fs.chmodSync(folder, 0o755)
  fs.writeFileSync(path.join(folder, 'users'), '"trusted" ""\n')
  const settings = `[databases]
app = host=127.0.0.1 port=${server.port} dbname=app
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = trust
auth_file = ${path.join(folder, 'users')}
pool_mode = transaction
default_pool_size = 1
`
  fs.writeFileSync(path.join(folder, 'pgbouncer.ini'), settings)
  // It refuses to run as root.
  const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : []
  const child = spawn('pgbouncer', ['-q', ...user, path.join(folder, 'pgbouncer.ini')], { stdio: 'ignore' })
  t.after(async () => {
    child.kill()
    if (child.exitCode === null) await once(child, 'exit')
    fs.rmSync(folder, { recursive: true })
  })
  await eventually(
    () =>
      query(server.config({ port }), 'SELECT 1').then(
        () => true,
        () => false
      ),
    isUp => isUp
  )
  return port
}

/**
 * @param {object} config
 * @param {string} text
 */
async function query(config, text) {
  const client = new Client(config)
  await client.connect()
  return client.query(text).finally(() => client.end())
}
