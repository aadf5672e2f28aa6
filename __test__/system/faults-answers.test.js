'use strict'

// Answers that come in drops, break off in the middle, or are larger than what Node can hold.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const {
  CALLS,
  FIELDS,
  PATIENT,
  assertDone,
  assertRejected,
  assertWorksAgain,
  callAll,
  oneForEach,
  outcomeOf
} = require('../support/faults.js')
const { errorResponse } = require('../support/impostor.js')
const { useDatabase } = require('../support/place.js')
const { startProxy } = require('../support/proxy.js')

const database = useDatabase('faults_answers')
const NAMES = Object.keys(CALLS)
/** For a machine that is busy with other things than half a gigabyte. */
const UNHURRIED = { connectTimeout: 10_000, queryTimeout: 60_000 }
/** A letter of this takes one byte on the server, and six on the way to JavaScript. */
const LETTER = '\x01'
const MEGABYTE = 1_000_000
/** So many of them are longer together than a string of V8's. */
const TOO_MANY = 100

test('a server whose every byte comes alone breaks nothing', async t => {
  const { proxy, sessions } = await start(t)
  proxy.cutAll()
  proxy.state.piecemeal = true

  for (const outcome of await callAll(sessions, await oneForEach(sessions))) assertDone(outcome)
})

describe('an answer that breaks off after its first row', () => {
  for (const code of ['57P01', '57P02']) {
    test(`because the server ends, ${code}, is asked for again, by every call`, async t => {
      const { place, proxy, sessions } = await start(t)
      const rows = await oneForEach(sessions)

      for (const [at, name] of NAMES.entries()) {
        const { sess_id, user_id } = rows[at]
        breakOff(proxy, code)
        const outcome = await outcomeOf(name, CALLS[name](sessions, sess_id, user_id))
        assert.equal(proxy.change, undefined, `${name}: nothing broke`)
        assertDone(outcome)
        if (name === 'validate') assert.equal(outcome.value.user_id, user_id)
      }

      // One was made besides; those of two users have ended.
      assert.equal((await place.query('SELECT FROM sess')).length, NAMES.length + 1 - 2)
      await assertWorksAgain(sessions)
    })
  }

  for (const code of ['XX000', '25P03', '57P04']) {
    test(`for another reason, ${code}, is that error, and the next call does not notice`, async t => {
      const { proxy, sessions } = await start(t, { maxConnections: 1 })
      const { sess_id } = await sessions.create({ user_id: 1 })
      await sessions.validate(sess_id)
      breakOff(proxy, code)

      assertRejected(await outcomeOf('validate', sessions.validate(sess_id)), code)

      for (const name of NAMES) assertDone(await outcomeOf(name, CALLS[name](sessions, sess_id, 2)))
    })
  }
})

describe('more than a string of JavaScript can be', () => {
  test('is no matter for rows that come together: each caller gets its own', async t => {
    const { place, sessions } = await startDirectly(t)
    const rows = await oneForEach(sessions, Array(TOO_MANY).fill(''))
    // What an answer weighs is known from these.
    for (const { sess_id } of rows) await sessions.validate(sess_id)
    await enlarge(place, MEGABYTE)

    const found = await Promise.all(rows.map(({ sess_id }) => sessions.validate(sess_id)))

    for (const [user_id, row] of found.entries()) {
      assert.equal(row?.user_id, user_id)
      assert.equal(row.note.length, MEGABYTE)
    }
  })

  test('is an error for what cannot come in parts, and the next call does not notice', async t => {
    const { place, sessions } = await startDirectly(t)
    const rows = await oneForEach(sessions, Array(TOO_MANY / 10).fill(''))
    await enlarge(place, 10 * MEGABYTE)

    const [list, other] = await Promise.all([
      outcomeOf('list', sessions.list({}, { all: true })),
      outcomeOf('extend', sessions.extend(rows[0].sess_id))
    ])

    assert.equal(list.error?.code, 'PGSESS_TOO_LARGE', list.error?.stack)
    assertDone(other)
    assert.equal((await sessions.list({}, { all: true, limit: 1 }))[0].note.length, 10 * MEGABYTE)
  })

  test('is far more than a field of 50 MB, which comes and goes', async t => {
    const { sessions } = await startDirectly(t)
    const note = 'x'.repeat(50 * MEGABYTE)

    const { sess_id } = await sessions.create({ user_id: 1, note })

    assert.ok((await sessions.validate(sess_id)).note === note)
  })
})

/**
 * Ends the next connection that answers with rows, after the first of them.
 *
 * @param {any} proxy
 * @param {string} code
 */
function breakOff(proxy, code) {
  const said = errorResponse({ S: 'FATAL', V: 'FATAL', C: code, M: 'the end' })
  proxy.change = (/** @type {Buffer} */ message) => {
    if (message.toString('latin1', 0, 1) !== 'D') return message
    proxy.change = undefined
    setImmediate(() => proxy.cutAll())
    return Buffer.concat([message, said])
  }
}

/**
 * @param {any} place
 * @param {number} length
 */
async function enlarge(place, length) {
  await place.query('UPDATE sess SET note = repeat($1, $2)', [LETTER, length])
}

/**
 * @param {import('node:test').TestContext} t
 * @param {object} [options]
 */
async function start(t, options) {
  const place = await database.emptySchema(t)
  const proxy = await startProxy(t, place.url)
  const sessions = await place.sessions({ fields: FIELDS, pruneInterval: false, ...PATIENT, ...options }, proxy.url)
  return { place, proxy, sessions }
}

/**
 * Without a proxy, which is slow with large messages.
 *
 * @param {import('node:test').TestContext} t
 */
async function startDirectly(t) {
  const place = await database.emptySchema(t)
  const sessions = await place.sessions({ fields: FIELDS, pruneInterval: false, ...UNHURRIED })
  return { place, sessions }
}
