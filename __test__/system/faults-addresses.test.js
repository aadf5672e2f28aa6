'use strict'

// The name of the server's host leads to several addresses, to dead ones, to others than before, to none.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { after, before, describe, test } = require('node:test')
const { startPostgres } = require('../../scripts/postgres.js')
const { mayNotMount } = require('../support/needs.js')
const { Place } = require('../support/place.js')
const { startProgram } = require('../support/program.js')

const NAME = 'database.test'
const ALIVE = '127.0.0.1'
/** Addresses of this machine at which nobody listens. */
const DEAD = ['127.0.0.2', '127.0.0.3']

/** Tells what comes of a call, again and again. */
const ASKING = `
  for (let word = await command(); word !== 'end'; word = await command()) {
    const outcome = await sessions.create({ user_id: 1 }).then(() => 'works', error => error.code)
    report(outcome)
  }
  await sessions.close()`

/** @type {Awaited<ReturnType<typeof startPostgres>>} */
let server

before(async () => {
  server = await startPostgres()
})
after(() => server.remove())

describe('a host name', { skip: mayNotMount() }, () => {
  for (const [name, addresses] of Object.entries({
    'the first is dead': [DEAD[0], ALIVE],
    'all but the last are dead': [...DEAD, ALIVE],
    'the last is dead': [ALIVE, DEAD[0]]
  })) {
    test(`with several addresses, of which ${name}, leads to the one that lives`, async t => {
      const program = start(t, addresses)

      assert.equal(await program.ask(), 'works')
      await program.end()
    })
  }

  test('that leads elsewhere is looked up by each new connection: none is remembered', async t => {
    const program = start(t, [ALIVE])
    const place = new Place(server.url)
    t.after(() => place.leave())
    const endConnections = () =>
      place.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'moved'")
    assert.equal(await program.ask(), 'works')

    program.lead(DEAD)
    assert.equal(await program.ask(), 'works', 'open connections go on')
    await endConnections()
    assert.equal(await program.ask(), 'ECONNREFUSED')

    program.lead([ALIVE])
    assert.equal(await program.ask(), 'works')
    await endConnections()
    program.lead([])
    assert.match(await program.ask(), /^(ENOTFOUND|EAI_AGAIN)$/)

    program.lead([...DEAD, ALIVE])
    assert.equal(await program.ask(), 'works')
    await program.end()
  })
})

/**
 * A program that knows the server by its name only.
 *
 * @param {import('node:test').TestContext} t
 * @param {string[]} addresses
 */
function start(t, addresses) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pgsess-hosts-'))
  t.after(() => fs.rmSync(folder, { recursive: true }))
  const hosts = path.join(folder, 'hosts')
  const lead = (/** @type {string[]} */ to) => fs.writeFileSync(hosts, to.map(one => `${one} ${NAME}\n`).join(''))
  lead(addresses)
  const url = new URL(server.url)
  url.hostname = NAME
  url.searchParams.set('application_name', 'moved')
  const program = startProgram(t, ASKING, { url: url.href, hosts })
  const ask = () => {
    const heard = program.heard()
    program.tell('ask')
    return heard
  }
  const end = async () => {
    program.tell('end')
    assert.equal((await program.ended()).code, 0)
  }
  return { lead, ask, end }
}
