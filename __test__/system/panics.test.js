'use strict'

// A panic in Rust is a rejected promise, and nothing else: the program and its other calls go on. No input is known that
// makes the core panic, so an addon of its own is built here, with the feature `panics` of Cargo.toml; the one that is
// used has no such thing, as the last test shows.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const { copyFileSync, mkdtempSync, readFileSync, readdirSync, rmSync } = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')
const { after, before, test } = require('node:test')
const { useDatabase } = require('../support/place.js')
const { runScript } = require('../support/script.js')

const database = useDatabase('panics')
const ROOT = path.resolve(__dirname, '../..')
const VARIABLE = 'PGSESS_PANIC_AT'
const MESSAGE = 'a panic in the core ended this call'

let folder
let addon

before(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'pg-sess-rs-panics-'))
  addon = path.join(folder, 'panics.node')
  // Under another name: what `npm run build` made stays what is tested elsewhere.
  copyFileSync(build(), addon)
})

after(() => rmSync(folder, { recursive: true, force: true }))

/** The path of the library that cargo made. */
function build() {
  const args = ['build', '--lib', '--features', 'node,panics', '--message-format', 'json-render-diagnostics']
  const { status, stdout, stderr } = spawnSync('cargo', args, { cwd: ROOT, encoding: 'utf8', maxBuffer: 1 << 28 })
  assert.equal(status, 0, stderr)
  const artifacts = stdout
    .split('\n')
    .filter(line => line.includes('"compiler-artifact"'))
    .map(line => JSON.parse(line))
  const { filenames } = artifacts.findLast(({ target }) => target.kind.includes('cdylib'))
  return filenames.find(name => /\.(so|dylib|dll)$/.test(name))
}

for (const [what, place, calls] of [
  [
    'in a batch rejects the calls of that batch',
    'statement',
    `[sessions.create({ user_id: 1 }), sessions.validate(sess_id), sessions.extend(sess_id), sessions.refresh(sess_id),
      sessions.update(sess_id, { user_id: 2 }), sessions.destroy(sess_id), sessions.list({ user_id: 1 }),
      sessions.destroyAll({ user_id: 1 }), sessions.prune()]`
  ],
  ['while outcomes are packed rejects them', 'pack', 'Array.from({ length: 50 }, () => sessions.validate(sess_id))'],
  ['in work that is done in pieces rejects it', 'pieces', '[sessions.prune(), sessions.destroyAll({ user_id: 1 })]'],
  [
    'in a function that takes calls in rejects them',
    'submit',
    '[sessions.validate(sess_id), sessions.extend(sess_id)]'
  ],
  ['in a function that answers at once is thrown', 'export', '[(async () => sessions.handle(sess_id))()]']
]) {
  test(`a panic ${what}, and everything else goes on`, async t => {
    const script = `
      const sessions = await pgSess.connect(url, { fields: { user_id: 'INT' } })
      const { sess_id } = await sessions.create({ user_id: 1 })
      process.env.${VARIABLE} = '${place}'
      const outcomes = await Promise.allSettled(${calls})
      delete process.env.${VARIABLE}
      for (const { reason } of outcomes) {
        assert.ok(reason instanceof Error)
        assert.match(reason.message, /panic/)
      }
      assert.equal((await sessions.validate(sess_id)).user_id, 1)
      const rows = await Promise.all(Array.from({ length: 300 }, (_, user_id) => sessions.create({ user_id })))
      assert.ok(rows.every((row, user_id) => row.user_id === user_id))
      const { waiting, idle, size } = sessions.stats()
      assert.deepEqual([waiting, idle], [0, size])
      await sessions.close()
      console.log(outcomes[0].reason.message)`

    const { code, signal, stdout } = await run(t, script)

    assert.deepEqual({ code, signal }, { code: 0, signal: null })
    if (['statement', 'pack', 'pieces'].includes(place)) assert.equal(stdout, `${MESSAGE}\n`)
  })
}

test('a panic while a connection is made rejects connect, which may be called again', async t => {
  const script = `
    process.env.${VARIABLE} = 'connect'
    await assert.rejects(pgSess.connect(url, { fields: { user_id: 'INT' } }), /panic/)
    delete process.env.${VARIABLE}
    const sessions = await pgSess.connect(url, { fields: { user_id: 'INT' } })
    assert.equal((await sessions.create({ user_id: 1 })).user_id, 1)`

  const { code, signal } = await run(t, script)

  assert.deepEqual({ code, signal }, { code: 0, signal: null })
})

test('the addon that is used cannot be made to panic', () => {
  const native = path.join(ROOT, 'native')
  const addons = readdirSync(native).filter(name => name.endsWith('.node'))

  assert.ok(addons.length > 0)
  for (const name of addons) assert.ok(!readFileSync(path.join(native, name)).includes(VARIABLE), name)
  assert.ok(readFileSync(addon).includes(VARIABLE), 'the other one can')
})

/**
 * @param {any} t
 * @param {string} script
 */
async function run(t, script) {
  const place = await database.emptySchema(t)
  return runScript(script, { url: place.url, env: { NAPI_RS_NATIVE_LIBRARY_PATH: addon } })
}
