'use strict'

// No code in the documents is wrong: each block of each document is run, on a schema of its own.
//
// - js: an ES module. What `console.log` prints stands in a comment behind it.
// - ts, and js once more: are checked by TypeScript.
// - sql: runs. json: is JSON. sh: consists of `npx pg-sess-rs …`, and runs in a folder of its own.
//
// An HTML comment right before a block says what is different:
//
// - `<!-- given: sess, req -->`: runs after these of support/givens.js.
// - `<!-- tested by: __test__/demo.test.js -->`: another test runs it, in a way of its own.
// - `<!-- not typed: why -->`: TypeScript does not look at it. Goes together with others: `<!-- given: req; not typed: why -->`.
// - `<!-- not run: why -->`.

const assert = require('node:assert/strict')
const { execFile } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { describe, test } = require('node:test')
const { promisify } = require('node:util')
const session = require('express-session')
const connectPgStore = require('pg-sess-rs/express-session')
const { ADDRESS, blocksOf, brokenLinks, codeOf, documents, read } = require('../support/documents.js')
const { givens } = require('../support/givens.js')
const { useDatabase } = require('../support/place.js')
const { runModule } = require('../support/script.js')

/** @typedef {import('../support/documents.js').Block} Block */

const ROOT = path.resolve(__dirname, '../..')
const database = useDatabase('docs')
const run = promisify(execFile)

/** @type {{ [language: string]: (block: Block, place: any) => unknown }} */
const RUN = { js: runJs, ts: () => {}, sql: runSql, sh: runSh, json: block => JSON.parse(block.code) }

for (const file of documents()) {
  describe(file, () => {
    for (const block of blocksOf(file)) testBlock(block)

    test('its links lead somewhere', () => {
      assert.deepEqual(brokenLinks(file), [])
    })

    test('its npm scripts exist', () => {
      const { scripts } = JSON.parse(read('package.json'))
      for (const [, name] of read(file).matchAll(/npm run ([\w:]+)/g)) assert.ok(scripts[name], name)
    })
  })
}

test('every page of docs/ stands in docs/README.md, and every line there is a page', () => {
  const listed = [...read('docs/README.md').matchAll(/^- \[.*\]\((\w[\w-]*\.md)\)/gm)].map(([, name]) => `docs/${name}`)
  const pages = documents().filter(name => name.startsWith('docs/') && name !== 'docs/README.md')
  assert.deepEqual(listed.sort(), pages)
})

test('the tables of docs/table.md are what the package would make', async t => {
  const place = await database.emptySchema(t)
  const [own, ofTheStore] = codeOf('docs/table.md', 'sql')
  await place.query(own + ofTheStore)

  const sessions = await place.sessions({ fields: { user_id: 'INT NOT NULL' }, createTable: false })
  const { sess_id } = await sessions.create({ user_id: 1 })
  assert.equal((await sessions.refresh(sess_id)).user_id, 1)
  const asWritten = await columns(place)
  await place.query('DROP TABLE sess, sess_ids, session')
  await place.sessions({ fields: { user_id: 'INT NOT NULL' } })
  const store = new (connectPgStore(session))({ conString: place.url, createTableIfMissing: true })
  place.defer(() => store.close())
  await store.length()
  assert.deepEqual(await columns(place), asWritten)
})

describe('TypeScript finds no fault', () => {
  const isTyped = ({ language, note }) =>
    ['js', 'ts'].includes(language) && !/(not run|not typed|tested by): ./.test(note)
  const blocks = documents().flatMap(blocksOf).filter(isTyped)
  // They say different things of `req.session`, and no program has both.
  const [others, withStore] = [false, true].map(wanted =>
    blocks.filter(block => moduleOf(block).includes('express-session') === wanted)
  )

  test('with the code in the documents', t => assertTyped(t, others))
  test('with their code for express-session', t => assertTyped(t, withStore))
})

/** @param {Block} block */
function testBlock(block) {
  const { language, line, note } = block
  const [, reason] = /^not run: (.+)/.exec(note) ?? []
  if (reason) return
  const [, testFile] = /^tested by: (.+)/.exec(note) ?? []
  const name = `the code in line ${line}`
  if (testFile) {
    return test(`${name} is tested by ${testFile}`, () => assert.ok(fs.existsSync(path.join(ROOT, testFile))))
  }
  test(`${name} runs (${language})`, async t => {
    const runBlock = RUN[language]
    assert.ok(runBlock, `${language || 'a block without a language'} cannot be run: say <!-- not run: why -->`)
    const place = await database.emptySchema(t)
    await runBlock(block, place)
  })
}

/**
 * @param {Block} block
 * @param {any} place
 */
async function runJs(block, place) {
  for (const table of givens(block.note).tables) await place.query(table)
  const expected = [...block.code.matchAll(/console\.log\(.*\) \/\/ (.*)$/gm)].map(([, text]) => text)

  // A pool of pg would keep the program for seconds.
  const ran = await runModule(`${moduleOf(block).replaceAll(ADDRESS, place.url)}\nprocess.exit()`, { PORT: '0' })

  assert.equal(ran.stderr, '')
  assert.equal(ran.code, 0)
  assert.deepEqual(ran.stdout.trim().split('\n').filter(Boolean), expected)
}

/**
 * What stands without `import` is part of a program, and may name things as the rest of that program does.
 *
 * @param {Block} block
 */
function moduleOf({ code, note }) {
  const given = givens(note).code
  return /^(import|declare) /m.test(code) ? `${given}\n${code}` : `${given}\n{\n${code}\n}\nexport {}`
}

/**
 * @param {Block} block
 * @param {any} place
 */
async function runSql({ code, note }, place) {
  // Undone in the end: a role that an example needs belongs to the whole server.
  await place.query(['BEGIN', ...givens(note).tables, code, 'ROLLBACK'].join(';\n'))
}

/**
 * @param {Block} block
 * @param {any} place
 */
async function runSh({ code, note }, place) {
  for (const table of givens(note).tables) await place.query(table)
  const folder = temporaryFolder({ after: hook => place.defer(hook) })
  for (const [name, text] of givens(note).files) {
    fs.writeFileSync(path.join(folder, name), text.replaceAll(ADDRESS, place.url))
  }
  for (const line of code.split('\n')) if (line) assert.match(line, /^(npx pg-sess-rs |#)/)
  const command = `"${process.execPath}" "${path.join(ROOT, 'bin/pg-sess-rs.js')}"`
  const script = code.replaceAll('npx pg-sess-rs', command).replaceAll(ADDRESS, `'${place.url}'`)

  const { stderr } = await run('sh', ['-e', '-c', script], { cwd: folder })

  assert.equal(stderr, '')
}

/**
 * @param {import('node:test').TestContext} t
 * @param {Block[]} blocks
 */
async function assertTyped(t, blocks) {
  assert.ok(blocks.length > 0)
  const folder = temporaryFolder(t)
  for (const block of blocks) fs.writeFileSync(path.join(folder, nameOf(block)), moduleOf(block))
  fs.symlinkSync(path.join(ROOT, 'node_modules'), path.join(folder, 'node_modules'), 'junction')
  fs.writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify(typeScriptOptions()))

  await run('npx', ['tsc', '-p', folder], { cwd: ROOT }).catch(({ stdout }) => assert.fail(stdout))
}

/**
 * All columns and indexes of the place's tables.
 *
 * @param {any} place
 */
function columns(place) {
  return place.query(`
    SELECT table_name::text AS of, column_name || ' ' || data_type || ' ' || is_nullable AS what
    FROM information_schema.columns WHERE table_schema = current_schema()
    UNION ALL
    SELECT tablename::text, regexp_replace(indexdef, '.* USING ', '') FROM pg_indexes WHERE schemaname = current_schema()
    ORDER BY 1, 2`)
}

/** @param {{ after(hook: () => void): void }} t */
function temporaryFolder(t) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pgsess-docs-'))
  t.after(() => fs.rmSync(folder, { recursive: true }))
  return folder
}

/** @param {Block} block */
function nameOf({ file, line, language }) {
  return `${path.basename(file, '.md')}-${line}.m${language}`
}

/** Strict enough to know each name and each argument; the examples leave out what types alone would want. */
function typeScriptOptions() {
  const door = name => [path.join(ROOT, `${name}.d.ts`)]
  return {
    compilerOptions: {
      allowJs: true,
      checkJs: true,
      noEmit: true,
      strict: false,
      module: 'nodenext',
      target: 'es2023',
      lib: ['es2024', 'esnext.disposable'],
      types: ['node'],
      skipLibCheck: true,
      paths: {
        'pg-sess-rs': door('index'),
        'pg-sess-rs/*': door('*')
      }
    },
    include: ['*']
  }
}
