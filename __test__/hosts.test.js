'use strict'

// Several servers, of which one will do. Here they are gates to one server, impostors, and databases that take no
// writes; __test__/system/examples-replication.test.js has real standbys.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const { connect } = require('../index.js')
const createPgStore = require('../express-session.js')
const { startGate } = require('./support/gate.js')
const { startImpostor } = require('./support/impostor.js')
const { useDatabase } = require('./support/place.js')

const database = useDatabase('hosts')

const FIELDS = { user_id: 'INT' }
const PATIENT = { connectTimeout: 5000, queryTimeout: 5000 }
const READ_ONLY = '-c default_transaction_read_only=on'

describe('hosts', () => {
  test('the next server is tried where one refuses', async t => {
    const place = await database.emptySchema(t)
    const [first, second] = await gates(place, 2)
    await second.open()

    const sessions = await place.sessions({ fields: FIELDS, hosts: [host(second)], ...PATIENT }, first.url)

    assert.equal((await sessions.create({ user_id: 1 })).user_id, 1)
  })

  test('a server that accepts and stays silent costs its connectTimeout, once', async t => {
    const place = await database.emptySchema(t)
    const silent = await startImpostor(t)
    const [gate] = await gates(place, 1)
    await gate.open()
    const url = new URL(place.url)
    url.host = `127.0.0.1:${silent.port}`

    const options = {
      fields: FIELDS,
      hosts: [host(gate)],
      connectTimeout: 1000,
      queryTimeout: 20_000,
      maxConnections: 4
    }
    const sessions = await place.sessions(options, url.href)
    await Promise.all(Array.from({ length: 50 }, () => sessions.create({ user_id: 1 })))

    // Later connections begin where the last one succeeded.
    assert.equal(silent.heard.length, 1)
  })

  test('a name without a port has the port of the connection', async t => {
    const place = await database.emptySchema(t)
    const { port } = place.config()

    const sessions = await place.sessions(
      { fields: FIELDS, hosts: ['127.0.0.1'], ...PATIENT },
      { ...place.config(), host: 'nowhere.invalid', port }
    )

    assert.equal(await sessions.validate('none'), null)
  })

  test('if all fail, the error names each, and has the code of the first', async t => {
    const place = await database.emptySchema(t)
    const [first, second] = await gates(place, 2)

    const trying = connect(first.url, { fields: FIELDS, hosts: [host(second)], ...PATIENT })

    await assert.rejects(trying, {
      code: 'ECONNREFUSED',
      port: first.port,
      message: [first, second].map(gate => `${host(gate)}: connect ECONNREFUSED ${host(gate)}`).join('; ')
    })
  })

  test('what a server said goes before what the network did', async t => {
    const place = await database.emptySchema(t)
    const [first, second] = await gates(place, 2)
    await second.open()
    const url = new URL(first.url)
    url.pathname = '/nowhere'

    const trying = connect(url.href, { fields: FIELDS, hosts: [host(second)], ...PATIENT })

    await assert.rejects(trying, { code: '3D000' })
  })

  test('a Store for express-session knows them, too', async t => {
    const place = await database.emptySchema(t)
    const [first, second] = await gates(place, 2)
    await second.open()
    const PgStore = createPgStore({ Store: class {} })
    const store = new PgStore({ conString: first.url, createTableIfMissing: true, hosts: [host(second)], ...PATIENT })
    place.defer(() => store.close())

    await store.set('a', { cookie: {}, n: 1 })

    assert.equal((await store.get('a')).n, 1)
  })

  test('they are refused where statements run through the caller’s own object', async t => {
    const place = await database.emptySchema(t)
    const { db } = place.pgPromise({ options: { query() {} } })

    await assert.rejects(connect(db, { fields: FIELDS, hosts: ['127.0.0.1'] }), {
      name: 'TypeError',
      message: /^hosts/
    })
  })
})

describe('targetSessionAttrs', () => {
  test("'read-write' passes over a server that takes no writes", async t => {
    const place = await database.emptySchema(t)
    await place.sessions({ fields: FIELDS })
    const [gate] = await gates(place, 1)
    await gate.open()

    const options = { fields: FIELDS, hosts: [host(gate)], ...PATIENT }
    const trying = connect(readOnly(place.url), options)

    // Both are one server, and what is read-only is the connection: so the second one is passed over, too.
    await assert.rejects(trying, {
      code: 'PGSESS_READ_ONLY',
      message: new RegExp(`^no server .*${host(gate)}: the server`)
    })
  })

  test("it is 'any' without hosts, and 'read-write' holds for a single server, too", async t => {
    const place = await database.emptySchema(t)
    await place.sessions({ fields: FIELDS })

    const sessions = await place.sessions({ fields: FIELDS }, readOnly(place.url))
    assert.equal(await sessions.validate('0f8fad5b-d9cb-469f-a165-70867728950e'), null)

    const strict = connect(readOnly(place.url), { fields: FIELDS, targetSessionAttrs: 'read-write' })
    await assert.rejects(strict, { code: 'PGSESS_READ_ONLY' })
  })

  test("'any' takes a server that takes no writes", async t => {
    const place = await database.emptySchema(t)
    await place.sessions({ fields: FIELDS })
    const [gate] = await gates(place, 1)

    const options = { fields: FIELDS, hosts: [host(gate)], targetSessionAttrs: 'any', ...PATIENT }
    const sessions = await place.sessions(options, readOnly(place.url))

    await assert.rejects(sessions.create({ user_id: 1 }), { code: '25006' })
  })
})

/**
 * @param {import('./support/place.js').Place} place
 * @param {number} count
 */
function gates(place, count) {
  return Promise.all(Array.from({ length: count }, () => startGate(place)))
}

/** @param {{ port: number }} gate */
function host({ port }) {
  return `127.0.0.1:${port}`
}

/** @param {string} url */
function readOnly(url) {
  const address = new URL(url)
  const options = address.searchParams.get('options')
  address.searchParams.set('options', options ? `${options} ${READ_ONLY}` : READ_ONLY)
  return address.href
}
