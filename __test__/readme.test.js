'use strict'

// What the documents say is true: their code runs, prints what its comments say, and their links lead somewhere.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { describe, test } = require('node:test')
const pgSess = require('pg-sess-rs')
const { useDatabase } = require('./support/place.js')
const { runModule } = require('./support/script.js')

const ROOT = path.resolve(__dirname, '..')
const DOCUMENTS = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'docs/express-session.md',
  'docs/express.md',
  'docs/frameworks.md',
  'docs/internals.md',
  'docs/many-sessions.md',
  'docs/watching.md',
  'docs/command.md',
  'docs/moving-from-pg-sess.md',
  'docs/session-life.md',
  'docs/security.md'
]
const ADDRESS = 'postgres://localhost/app'

const database = useDatabase('readme')

describe('README.md', () => {
  const readme = read('README.md')
  const [example, ...others] = blocks(readme, 'js')

  test('its example is the app of the demo', () => {
    assert.equal(example, read('demo/app.js'))
    assert.ok(others.length > 0, 'and there are programs for the tests below')
  })

  for (const [at, code] of others.entries()) {
    test(`its program ${at + 1} runs and prints what its comments say`, async t => {
      const place = await database.emptySchema(t)
      await place.query('CREATE TABLE log_ins (user_id int)')

      await assertRuns(code, place.url)
    })
  }

  test('it lists every function and every method', async t => {
    const place = await database.emptySchema(t)
    const sessions = await place.sessions({ fields: {} })

    const functions = Object.keys(pgSess).filter(name => name !== 'default' && name !== 'connect')
    assert.deepEqual(firstColumn(readme, 'The five functions').sort(), functions.sort())
    const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(sessions)).filter(name => name !== 'constructor')
    assert.deepEqual(firstColumn(readme, 'Sessions').sort(), methods.sort())
  })
})

test('the program in docs/watching.md runs and prints what its comment says', async t => {
  const place = await database.emptySchema(t)

  await assertRuns(blocks(read('docs/watching.md'), 'js')[0], place.url)
})

describe('docs/moving-from-pg-sess.md', () => {
  const [measure, shift, back] = blocks(read('docs/moving-from-pg-sess.md'), 'sql')

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

describe('all documents', () => {
  for (const file of DOCUMENTS) {
    test(`the links of ${file} lead somewhere`, () => {
      for (const [, target] of read(file).matchAll(/\]\(([^)\s]+)\)/g)) {
        if (!/^https?:/.test(target)) assertLeadsSomewhere(target, file)
      }
    })

    test(`the npm scripts in ${file} exist`, () => {
      const { scripts } = JSON.parse(read('package.json'))
      for (const [, name] of read(file).matchAll(/npm run ([\w:]+)/g)) assert.ok(scripts[name], name)
    })
  }

  test('the files on the map of CONTRIBUTING.md exist', () => {
    const files = read('CONTRIBUTING.md').matchAll(/`((?:src|lib|scripts|demo|__test__|tests)\/[\w./-]*)`/g)
    for (const [, file] of files) assert.ok(fs.existsSync(path.join(ROOT, file)), file)
  })
})

/** @param {string} file */
function read(file) {
  return fs.readFileSync(path.join(ROOT, file), 'utf8')
}

/**
 * @param {string} text
 * @param {string} language
 * @returns {string[]} may be indented, as part of a list
 */
function blocks(text, language) {
  const found = text.matchAll(new RegExp(`^( *)\`\`\`${language}\\n(.*?)^\\1\`\`\`$`, 'gms'))
  return [...found].map(([, , code]) => code)
}

/**
 * @param {string} code an ES module; what `console.log` prints stands in a comment behind it
 * @param {string} url
 */
async function assertRuns(code, url) {
  assert.ok(code.includes(`'${ADDRESS}'`), 'the address is where the test expects it')
  const expected = [...code.matchAll(/console\.log\(.*\) \/\/ (.*)$/gm)].map(([, text]) => text)

  // A pool of pg would keep the program for seconds.
  const ran = await runModule(`${code.replaceAll(ADDRESS, url)}\nprocess.exit()`)

  assert.equal(ran.stderr, '')
  assert.equal(ran.code, 0)
  assert.deepEqual(ran.stdout.trim().split('\n'), expected)
}

/**
 * @param {string} text
 * @param {string} heading
 * @returns {string[]} the names before the parenthesis in the first column of the section's table
 */
function firstColumn(text, heading) {
  const [, section] = new RegExp(`\\n## ${heading}\\n(.*?)\\n## `, 's').exec(text)
  return [...section.matchAll(/^\| `(\w+)\(/gm)].map(([, name]) => name)
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
 * @param {string} target
 * @param {string} from
 */
function assertLeadsSomewhere(target, from) {
  const [file, anchor] = target.split('#')
  const full = file ? path.resolve(ROOT, path.dirname(from), file) : path.join(ROOT, from)
  assert.ok(fs.existsSync(full), target)
  if (anchor === undefined) return
  const headings = [...fs.readFileSync(full, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, text]) => slug(text))
  assert.ok(headings.includes(anchor), target)
}

/** @param {string} heading as GitHub makes anchors */
function slug(heading) {
  return heading
    .toLowerCase()
    .replace(/[^\w\s-]/g, '')
    .replaceAll(' ', '-')
}
