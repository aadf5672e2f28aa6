'use strict'

// Programs in which not everything is of one realm, or of one copy of the package: Jest and others run code in contexts
// of node:vm, Electron loads addons several times, some freeze what JavaScript begins with.

const assert = require('node:assert/strict')
const { cpSync, mkdtempSync, rmSync } = require('node:fs')
const { tmpdir } = require('node:os')
const path = require('node:path')
const { test } = require('node:test')
const { useDatabase } = require('../support/place.js')
const { runScript } = require('../support/script.js')

const database = useDatabase('realms')
const ROOT = path.resolve(__dirname, '../..')
const RIGHT = { code: 0, stderr: '', stdout: 'right\n' }

/** What Jest's environment for Node gives its contexts, and its way to load a module in one. */
const IN_CONTEXT = `
  const { readFileSync } = require('node:fs')
  const { createRequire, isBuiltin } = require('node:module')
  const vm = require('node:vm')
  const GIVEN = {
    Buffer, process, console, queueMicrotask, setTimeout, clearTimeout, setInterval, clearInterval, setImmediate,
    AbortController, AbortSignal, Event, EventTarget, URL, URLSearchParams, TextDecoder, TextEncoder, performance
  }
  /** A require whose modules, but for Node's own and addons, run in a new context. */
  const contextual = () => {
    const context = vm.createContext({ ...GIVEN })
    context.global = context
    const loaded = new Map()
    const load = file => {
      if (file.endsWith('.json')) return JSON.parse(readFileSync(file, 'utf8'))
      if (file.endsWith('.node')) return require(file)
      if (loaded.has(file)) return loaded.get(file).exports
      const module = { exports: {} }
      loaded.set(file, module)
      const own = createRequire(file)
      const inside = id => (isBuiltin(id) ? own(id) : load(own.resolve(id)))
      Object.assign(inside, { resolve: own.resolve })
      const names = ['exports', 'require', 'module', '__filename', '__dirname']
      const run = vm.compileFunction(readFileSync(file, 'utf8').replace(/^#!.*/, ''), names, { parsingContext: context, filename: file })
      run.call(module.exports, module.exports, inside, module, file, file.replace(/[^/]*$/, ''))
      return module.exports
    }
    return { context, load: id => load(require.resolve(id)), run: source => vm.runInContext(source, context) }
  }
`

/** Uses `connect` and what it gives, with arguments of the realm in which it runs. */
const USE = `
  (async (connect, url, assert) => {
    const fields = [{ field: 'user_id', datatype: 'INT' }, { field: 'roles', datatype: 'TEXT[]' },
      { field: 'data', datatype: 'JSONB' }, { field: 'born', datatype: 'TIMESTAMPTZ' }, { field: 'bytes', datatype: 'BYTEA' }]
    const born = new Date(Date.UTC(2001, 1, 3, 4, 5, 6, 789))
    const values = { user_id: 1, roles: ['a', 'b'], data: { list: [1, { deep: born }] }, born, bytes: new Uint8Array([1, 2]) }
    const sessions = await connect({ connectionString: url }, { fields, maxSessions: { by: 'user_id', limit: 9 } })
    await sessions.destroyAll({}, { all: true })
    const row = await sessions.create(values)
    assert.equal(row.user_id, 1)
    assert.equal(JSON.stringify(row.roles), '["a","b"]')
    assert.equal(JSON.stringify(row.data), JSON.stringify(values.data))
    assert.equal(row.born.getTime(), born.getTime())
    assert.equal(row.bytes.toString('hex'), '0102')
    assert.ok(Math.abs(row.sess_creation_date.getTime() - Date.now()) < 600000)
    const { sess_id } = await sessions.create([{ field: 'user_id', value: 2 }, { field: 'data', value: [1] }])
    // As pg has it: only arrays and plain objects are written as JSON.
    await assert.rejects(sessions.update(sess_id, { data: born }), { code: '22P02' })
    assert.equal((await sessions.list({ user_id: [1, 2] }, { limit: 5 })).length, 2)
    assert.equal((await sessions.list({ born })).length, 1)
    assert.equal(await sessions.destroyAll({ user_id: [1, 2] }, { except: [sess_id] }), 1)
    await assert.rejects(sessions.create({ user_id: 'one' }), { code: '22P02' })
    await assert.rejects(sessions.validate(sess_id, { signal: AbortSignal.abort() }), { name: 'AbortError' })
    await sessions.close()
  })
`

/**
 * @param {any} t
 * @param {string} script
 * @param {string[]} [args]
 */
async function run(t, script, args) {
  const place = await database.emptySchema(t)
  const settings = { url: place.url, args, env: { TZ: 'Pacific/Auckland' } }
  const { code, stderr, stdout } = await runScript(`${script}\nconsole.log('right')`, settings)
  return { code, stderr, stdout }
}

test('arguments of another realm are as good as those of one’s own', async t => {
  const script = `${IN_CONTEXT}
    await contextual().run(${JSON.stringify(USE)})(pgSess.connect, url, assert)`

  assert.deepEqual(await run(t, script), RIGHT)
})

test('a copy that is loaded in a context works there, as in Jest, beside one that is not', async t => {
  const script = `${IN_CONTEXT}
    for (const { load, run } of [contextual(), contextual()]) {
      await run(${JSON.stringify(USE)})(load('pg-sess-rs').connect, url, assert)
    }
    await ${USE}(pgSess.connect, url, assert)`

  assert.deepEqual(await run(t, script), RIGHT)
})

test('a pool of another realm is read as it is, in every time zone', async t => {
  const script = `${IN_CONTEXT}
    const pool = new (contextual().load('pg').Pool)({ connectionString: url })
    const sessions = await pgSess.connect(pool, { fields: { user_id: 'INT' } })
    const row = await sessions.create({ user_id: 1 })
    assert.ok(Math.abs(row.sess_creation_date.getTime() - Date.now()) < 600_000)
    await sessions.close()
    await pool.end()`

  assert.deepEqual(await run(t, script), RIGHT)
})

test('ES modules of node:vm can import it', async t => {
  const script = `
    const vm = require('node:vm')
    const context = vm.createContext({ URL, AbortSignal, Uint8Array })
    const source = "import { connect } from 'pg-sess-rs'; export const use = url => (" + ${JSON.stringify(USE)} + ")(connect, url, assert)"
    context.assert = assert
    const module = new vm.SourceTextModule(source, { context })
    await module.link(() => new vm.SyntheticModule(['connect'], function () { this.setExport('connect', pgSess.connect) }, { context }))
    await module.evaluate()
    await module.namespace.use(url)`
  const quiet = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', '--no-warnings']

  assert.deepEqual(await run(t, script, quiet.slice(0, 1).concat(quiet[2])), RIGHT)
})

test('what JavaScript begins with may be frozen', async t => {
  const script = `await ${USE}(pgSess.connect, url, assert)`

  assert.deepEqual(await run(t, script, ['--frozen-intrinsics', '--no-warnings']), RIGHT)
})

test('two copies of the package, each with its addon, work in one program and in its threads', async t => {
  const folder = mkdtempSync(path.join(tmpdir(), 'pg-sess-rs-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  for (const part of ['index.js', 'package.json', 'lib', 'native']) {
    cpSync(path.join(ROOT, part), path.join(folder, 'copy', part), { recursive: true })
  }
  const script = `
    const Module = require('node:module')
    const copy = process.env.COPY
    // Its dependencies lie elsewhere.
    process.env.NODE_PATH = require('node:path').join(process.cwd(), 'node_modules')
    Module._initPaths()
    const other = require(copy)
    assert.notEqual(other.connect, pgSess.connect)
    const worker = "require('node:module')._initPaths(); const { workerData } = require('node:worker_threads');"
      + "require(workerData.copy).connect(workerData.url, { fields: { user_id: 'INT' } })"
      + ".then(sessions => sessions.create({ user_id: 3 }))"
    const { Worker } = require('node:worker_threads')
    const [code] = await require('node:events').once(
      new Worker(worker, { eval: true, workerData: { copy, url }, env: process.env }), 'exit'
    )
    assert.equal(code, 0)
    const fields = { user_id: 'INT' }
    const [ours, theirs] = [await pgSess.connect(url, { fields }), await other.connect(url, { fields })]
    const rows = await Promise.all([ours.create({ user_id: 1 }), theirs.create({ user_id: 2 })])
    assert.equal((await ours.validate(rows[1].sess_id)).user_id, 2)
    assert.equal((await theirs.validate(rows[0].sess_id)).user_id, 1)
    await theirs.close()
    assert.equal((await ours.list({ user_id: [1, 2, 3] })).length, 3)
    await ours.close()`
  const place = await database.emptySchema(t)
  const env = { COPY: path.join(folder, 'copy') }

  const { code, stderr, stdout } = await runScript(`${script}\nconsole.log('right')`, { url: place.url, env })

  assert.deepEqual({ code, stderr, stdout }, RIGHT)
})
