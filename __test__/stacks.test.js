'use strict'

// The stack of a failed call shows who asked, not where the answer arrived.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const pgPromise = require('pg-promise')
const pgSess = require('../index.js')
const { createDatabase } = require('./support/server.js')

const NOBODY = 'postgres://nobody@127.0.0.1:1/nothing'

test('the stack of a failed call names the functions that wait for it', async t => {
  const { url, drop } = await createDatabase()
  t.after(drop)
  const pgp = pgPromise({ noWarnings: true })
  const db = pgp(url)
  t.after(() => db.$pool.end())
  const sessions = await pgSess.init(pgp, db, { user_id: 'INT' })
  t.after(() => sessions.close())

  async function handleRequest() {
    return await pgSess.createSession(pgp, db, { user_id: 'one' })
  }
  async function handleWithObject() {
    return await sessions.create({ user_id: 'one' })
  }
  async function handleWithSignal() {
    return await sessions.create({ user_id: 'one' }, { signal: new AbortController().signal })
  }
  async function start() {
    return await pgSess.connect(NOBODY, { fields: {} })
  }

  await assertNamed(handleRequest, { code: '22P02' })
  await assertNamed(handleWithObject, { code: '22P02' })
  await assertNamed(handleWithSignal, { code: '22P02' })
  await assertNamed(start, { code: 'ECONNREFUSED' })
})

test('a type parser that throws keeps the stack of its own error', async t => {
  const { url, drop } = await createDatabase()
  t.after(drop)
  const types = { getTypeParser: oid => (oid === 23 ? parseBadly : String) }
  const sessions = await pgSess.connect({ connectionString: url, types }, { fields: { user_id: 'INT' } })
  t.after(() => sessions.close())

  function parseBadly() {
    throw new RangeError('no numbers today')
  }

  await assert.rejects(sessions.create({ user_id: 1 }), error => /parseBadly/.test(error.stack))
})

/**
 * @param {() => Promise<unknown>} asks
 * @param {object} expected
 */
async function assertNamed(asks, expected) {
  await assert.rejects(asks, error => {
    assert.match(error.stack, new RegExp(`at async ${asks.name} .*stacks\\.test\\.js`))
    for (const [name, value] of Object.entries(expected)) assert.equal(error[name], value)
    return true
  })
}
