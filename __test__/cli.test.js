'use strict'

// The command `pg-sess-rs`: what it prints, and how it ends.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { describe, test } = require('node:test')
const { useDatabase } = require('./support/place.js')
const { runCommand } = require('./support/script.js')

const database = useDatabase('cli')
const PASSWORD = 'sekret'

/**
 * @param {any} t
 * @param {string} name
 * @param {string} text
 */
function file(t, name, text) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pgsess-cli-'))
  t.after(() => fs.rmSync(folder, { recursive: true }))
  fs.writeFileSync(path.join(folder, name), text)
  return path.join(folder, name)
}

describe('sql', () => {
  test('prints statements that make a table which fits', async t => {
    const place = await database.emptySchema(t)
    const fields = 'user_id=INT NOT NULL, price=NUMERIC(6,2), theme=TEXT DEFAULT \'a,b\', "odd, name"=INT[]'
    const { code, stdout, stderr } = await runCommand(['sql', '--fields', fields, '--table', "o'dd"])
    assert.equal(stderr, '')
    assert.equal(code, 0)

    await place.query(stdout)

    const names = { user_id: 'INT NOT NULL', price: 'NUMERIC(6,2)', theme: "TEXT DEFAULT 'a,b'", 'odd, name': 'INT[]' }
    const options = { fields: names, tableName: "o'dd", createTable: false, onError: error => assert.fail(error) }
    const sessions = await place.sessions(options)
    assert.ok(await sessions.create({ user_id: 1 }))
  })

  test('prints the index that maxSessions asks for, and needs no server', async t => {
    const config = {
      fields: { user_id: 'INT' },
      schemaName: 'app',
      maxSessions: { by: 'user_id', limit: 5, index: true }
    }
    const { code, stdout } = await runCommand(['sql', '--config', file(t, 'sessions.json', JSON.stringify(config))], {
      PGHOST: '203.0.113.1'
    })

    assert.equal(code, 0)
    assert.match(
      stdout,
      /^CREATE TABLE "app"\."sess" \(sess_id uuid PRIMARY KEY, .*;\nCREATE INDEX ON "app"\."sess" \("user_id"\);\n$/
    )
  })

  test('folds names as init does, if asked to', async () => {
    const { stdout } = await runCommand(['sql', '--fields', 'userId=INT', '--fold-names'])

    assert.match(stdout, /"userid" INT/)
  })
})

describe('check', () => {
  test('says that a table fits', async t => {
    const place = await database.emptySchema(t)
    await place.sessions({ fields: { user_id: 'INT' } })

    const { code, stdout } = await runCommand(['check', '--url', place.url, '--fields', 'user_id=INT'])

    assert.equal(stdout, 'the table fits\n')
    assert.equal(code, 0)
  })

  test('prints what differs, and changes nothing', async t => {
    const place = await database.emptySchema(t)
    await place.sessions({ fields: { user_id: 'INT', name: 'VARCHAR(5)' } })
    const run = (/** @type {string[]} */ ...args) => runCommand(['check', '--url', place.url, ...args])

    for (const [args, expected] of [
      [['--fields', 'user_id=TEXT'], /"user_id" is integer .* but text/],
      [['--fields', 'name=VARCHAR(9)'], /"name" is character varying\(5\)/],
      [['--fields', 'other=INT'], /no column "other"/],
      [['--table', 'none'], /"none" does not exist/]
    ]) {
      const { code, stdout } = await run(...args)
      assert.match(stdout, expected)
      assert.equal(code, 1)
    }
    const { stdout } = await run('--json', '--fields', 'user_id=INT,name=VARCHAR(9)')
    assert.equal(JSON.parse(stdout).differences.length, 1)
    assert.deepEqual(await place.query('SELECT FROM pg_tables WHERE schemaname = current_schema()'), [{}])
  })

  test('takes a module, and the environment', async t => {
    const place = await database.emptySchema(t)
    await place.sessions({ fields: { user_id: 'INT' }, tableName: 'visits' })
    const config = file(t, 'sessions.mjs', "export default { fields: { user_id: 'INT' }, tableName: 'visits' }")
    const { host, port, user, password, database: name, options } = place.config()
    const env = {
      PGHOST: host,
      PGPORT: String(port),
      PGUSER: user,
      PGPASSWORD: password ?? '',
      PGDATABASE: name,
      PGOPTIONS: options
    }

    const { code, stdout, stderr } = await runCommand(['check', '--config', config], env)

    assert.equal(stderr, '')
    assert.equal(stdout, 'the table fits\n')
    assert.equal(code, 0)
  })
})

test('prune and stats need no fields, and say what they found', async t => {
  const place = await database.emptySchema(t)
  const sessions = await place.sessions({ fields: { user_id: 'INT NOT NULL' } })
  const rows = await Promise.all([1, 2, 3].map(user_id => sessions.create({ user_id })))
  await place.ageSession(rows[0].sess_id, '20 days')
  const run = (/** @type {string[]} */ ...args) => runCommand([...args, '--url', place.url])

  assert.match((await run('stats')).stdout, /^live 2\nexpired 1\nbytes [1-9]\d+\n$/)
  assert.equal((await run('prune')).stdout, 'removed 1 expired sessions\n')
  assert.equal((await run('prune', '--json')).stdout, '{"pruned":0}\n')
  const { live, expired } = JSON.parse((await run('stats', '--json')).stdout)
  assert.deepEqual({ live, expired }, { live: 2, expired: 0 })
})

test('--help explains, with code 0', async () => {
  const { code, stdout } = await runCommand(['--help'])

  assert.match(stdout, /^usage: pg-sess-rs <command>/)
  assert.equal(code, 0)
})

describe('wrong use is code 2', () => {
  for (const args of [
    [],
    ['prnue'],
    ['sql', 'check'],
    ['sql', '--tabel', 'x'],
    ['sql', '--fields', 'user_id'],
    ['sql', '--fields', 'user_id=NO SUCH (TYPE'],
    ['sql', '--table', ''],
    ['sql', '--config', 'none.json']
  ]) {
    test(args.join(' ') || 'no command', async () => {
      const { code, stdout, stderr } = await runCommand(args)

      assert.equal(stdout, '')
      assert.match(stderr, /^pg-sess-rs: ./)
      assert.equal(code, 2)
    })
  }

  test('a config with an unknown option', async t => {
    const { code, stderr } = await runCommand(['sql', '--config', file(t, 'x.json', '{ "sessionLenght": 5 }')])

    assert.match(stderr, /sessionLenght/)
    assert.equal(code, 2)
  })
})

test('a database that cannot be asked is code 1, and no password is printed', async () => {
  for (const url of [`postgres://me:${PASSWORD}@127.0.0.1:1/app`, `postgres://me:${PASSWORD}@[/app`]) {
    const { code, stdout, stderr } = await runCommand(['check', '--url', url])

    assert.ok(code === 1 || code === 2)
    assert.notEqual(stderr, '')
    assert.ok(!`${stdout}${stderr}`.includes(PASSWORD))
  }
})
