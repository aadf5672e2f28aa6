'use strict'

// What the documents list is there, and what they say of tables from elsewhere is true on each version of PostgreSQL.
// Their code and their links are the business of system/docs.test.js.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { describe, test } = require('node:test')
const pgSess = require('pg-sess-rs')
const { codeOf, read } = require('./support/documents.js')
const { useDatabase } = require('./support/place.js')

const ROOT = path.resolve(__dirname, '..')
const database = useDatabase('readme')

describe('docs/functions.md', () => {
  test('its app is that of the demo', () => {
    assert.ok(codeOf('docs/functions.md', 'js').includes(read('demo/app.js')))
  })

  test('it lists every function', () => {
    const functions = Object.keys(pgSess).filter(name => name !== 'default' && name !== 'connect')
    assert.deepEqual(firstColumn('docs/functions.md').sort(), functions.sort())
  })
})

test('docs/sessions.md lists every method', async t => {
  const place = await database.emptySchema(t)
  const sessions = await place.sessions({ fields: {} })

  const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(sessions)).filter(name => name !== 'constructor')
  assert.deepEqual(firstColumn('docs/sessions.md').sort(), methods.sort())
})

test('docs/errors.md has every code of ours, and no others', () => {
  const doors = fs.readdirSync(ROOT).filter(file => file.endsWith('.js'))
  // The command's own are variables of the environment.
  const sources = [...doors, ...filesOf('lib').filter(file => !file.includes('cli'))]
  const inCode = new Set(sources.flatMap(file => read(file).match(/PGSESS_[A-Z_]+/g) ?? []))
  const listed = [...read('docs/errors.md').matchAll(/^\| `(PGSESS_\w+)`/gm)].map(([, code]) => code)

  assert.deepEqual(listed.sort(), [...inCode].sort())
})

test('docs/errors.md has every step of a timeout', () => {
  const [, body] = /fn as_str\(self\)[\s\S]*?match self \{([\s\S]*?)\n {8}\}/.exec(read('src/error.rs'))
  const steps = [...body.matchAll(/=> "(.*)"/g)].map(([, step]) => step)

  assert.equal(steps.length, 3)
  for (const step of steps) assert.ok(read('docs/errors.md').includes(`\`${step}\``), step)
})

describe('docs/moving-from-pg-sess.md', () => {
  const [measure, shift, back] = codeOf('docs/moving-from-pg-sess.md', 'sql')

  for (const [zone, ahead] of [
    ['UTC', '00:00:00'],
    ['Asia/Kolkata', '05:30:00'],
    ['America/Phoenix', '-07:00:00']
  ]) {
    test(`its query sees that rows are ${ahead} ahead of UTC`, async t => {
      const place = await startAsTheOriginal(t, zone)

      const query = measure.replace(/;\s*$/, '')
      const [{ text }] = await place.query(`SELECT ahead_of_utc::text AS text FROM (${query}) AS answer`)

      assert.equal(text, ahead)
    })
  }

  test('its statements shift rows from a local zone to UTC, and back', async t => {
    const place = await startAsTheOriginal(t, 'America/New_York')
    const before = await place.query('SELECT * FROM sess')
    const sessions = await place.sessions({ fields: {}, hashIds: false })
    const sid = before[0].sess_id
    assert.equal(await sessions.validate(sid), null, 'an hour is left, but not if the row is taken for UTC')

    await place.query(shift)

    const left = (await sessions.validate(sid)).sess_expiration - Date.now()
    assert.ok(left > 3_500_000 && left <= 3_600_000, `${left} ms`)
    await place.query(back)
    assert.deepEqual(await place.query('SELECT * FROM sess'), before)
  })
})

test('the files on the map of CONTRIBUTING.md exist', () => {
  const files = read('CONTRIBUTING.md').matchAll(/`((?:src|lib|scripts|demo|__test__|tests)\/[\w./-]*)`/g)
  for (const [, file] of files) assert.ok(fs.existsSync(path.join(ROOT, file)), file)
})

/**
 * @param {string} file
 * @returns {string[]} the names before the parenthesis in the first column of the file's tables
 */
function firstColumn(file) {
  return [...read(file).matchAll(/^\| `(\w+)\(/gm)].map(([, name]) => name)
}

/**
 * A table with one session as another program may have written it: begun now, an hour left, all in a local zone.
 *
 * @param {import('node:test').TestContext} t
 * @param {string} zone
 */
async function startAsTheOriginal(t, zone) {
  const place = await database.emptySchema(t)
  await place.query(`
    CREATE TABLE sess (sess_id uuid PRIMARY KEY, sess_creation_date timestamp, sess_last_updated timestamp,
      sess_expiration timestamp)`)
  const now = `now() AT TIME ZONE '${zone}'`
  await place.query(
    `INSERT INTO sess VALUES ('c0ffee00-0000-4000-8000-000000000000', ${now}, ${now}, ${now} + interval '1 hour')`
  )
  return place
}

/**
 * @param {string} folder
 * @returns {string[]}
 */
function filesOf(folder) {
  const all = fs.readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' })
  return all.filter(name => /\.(js|rs)$/.test(name)).map(name => path.join(folder, name))
}
