'use strict'

// What those who listen on diagnostics channels get to know, and what they must not.

const assert = require('node:assert/strict')
const { AsyncLocalStorage } = require('node:async_hooks')
const { tracingChannel } = require('node:diagnostics_channel')
const { test } = require('node:test')
const { createSession, init, validateSession } = require('../index.js')
const { useDatabase } = require('./support/place.js')

const database = useDatabase('watching')
const OPERATIONS = ['create', 'validate', 'extend', 'destroy', 'list', 'destroyAll', 'prune']
const SECRET = 'secret value'

/**
 * Listens to everything while the test runs.
 *
 * @param {any} t
 */
function listen(t) {
  const heard = []
  for (const operation of OPERATIONS) {
    const listener = Object.fromEntries(
      ['start', 'end', 'asyncStart', 'asyncEnd', 'error'].map(event => [
        event,
        message => heard.push([event, structuredClone(message)])
      ])
    )
    const channel = tracingChannel(`pg-sess-rs:${operation}`)
    channel.subscribe(listener)
    t.after(() => channel.unsubscribe(listener))
  }
  return heard
}

test('each call tells when it begins, when it settles, and what came of it', async t => {
  const place = await database.emptySchema(t)
  const sessions = await place.sessions({ fields: { user_id: 'INT' }, tableName: 'visits' })
  const heard = listen(t)
  const { sess_id } = await sessions.create({ user_id: 1 })
  const last = heard.at(-1)
  assert.deepEqual(
    heard.map(([event]) => event),
    ['start', 'end', 'asyncStart', 'asyncEnd']
  )
  assert.deepEqual(heard[0][1], { operation: 'create', table: 'visits' })
  assert.deepEqual(last[1], { operation: 'create', table: 'visits', result: true })

  for (const [operation, args, result] of [
    ['validate', [sess_id], true],
    ['validate', ['me'], false],
    ['extend', [sess_id], true],
    ['list', [{ user_id: 1 }], 1],
    ['destroy', [sess_id], true],
    ['destroy', [sess_id], false],
    ['destroyAll', [{ user_id: 1 }], 0],
    ['prune', [], 0]
  ]) {
    heard.length = 0
    await sessions[operation](...args)
    assert.equal(heard.length, 4)
    assert.deepEqual(heard[3], ['asyncEnd', { operation, table: 'visits', result }])
  }
})

test('a call that rejects tells its code, and rejects', async t => {
  const place = await database.emptySchema(t)
  const sessions = await place.sessions({ fields: { user_id: 'INT' } })
  const heard = listen(t)

  await assert.rejects(sessions.create({ user_id: SECRET }), { code: '22P02' })

  assert.deepEqual(
    heard.map(([event]) => event),
    ['start', 'end', 'error', 'asyncStart', 'asyncEnd']
  )
  assert.deepEqual(heard[4][1].error, { name: 'error', code: '22P02' })
})

test('no id and no value is told', async t => {
  const place = await database.emptySchema(t)
  const { pgp, db } = place.pgPromise()
  const sessions = await place.closing(init(pgp, db, { name: 'TEXT', user_id: 'INT UNIQUE' }))
  const heard = listen(t)

  const { sess_id } = await sessions.create({ name: SECRET, user_id: 4711 })
  const handle = sessions.handle(sess_id)
  await db.tx(tx => validateSession(pgp, tx, sess_id))
  await assert.rejects(createSession(pgp, db, { user_id: 4711 }), { code: '23505' })
  await assert.rejects(db.tx(tx => createSession(pgp, tx, { user_id: SECRET })))
  await sessions.list({ name: SECRET })
  await sessions.destroyAll({ name: SECRET }, { only: handle, except: sess_id })
  await sessions.destroy(sess_id)

  assert.equal(heard.filter(([event]) => event === 'start').length, 7)
  const told = JSON.stringify(heard)
  for (const secret of [sess_id, SECRET, '4711', handle]) assert.ok(!told.includes(secret))
})

test('what a listener stores at the start is there when the call settles', async t => {
  const place = await database.emptySchema(t)
  const sessions = await place.sessions({ fields: {} })
  const storage = new AsyncLocalStorage()
  const { start } = tracingChannel('pg-sess-rs:validate')
  start.bindStore(storage, message => message.operation)
  t.after(() => start.unbindStore(storage))
  let seen
  const listener = { asyncEnd: () => (seen = storage.getStore()) }
  const channel = tracingChannel('pg-sess-rs:validate')
  channel.subscribe(listener)
  t.after(() => channel.unsubscribe(listener))

  await sessions.validate('0f8fad5b-d9cb-469f-a165-70867728950e')

  assert.equal(seen, 'validate')
})
