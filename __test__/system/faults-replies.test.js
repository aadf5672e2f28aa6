'use strict'

// A server, or whoever sits in its place, that says what no PostgreSQL says, at each stage: every call settles in time,
// the program goes on, and memory stays bounded.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const fc = require('fast-check')
const { Client } = require('pg')
const { connect } = require('../../index.js')
const {
  FIELDS,
  PATIENT,
  assertRejected,
  assertSettledWell,
  assertWorksAgain,
  callAll,
  outcomeOf
} = require('../support/faults.js')
const { FOREVER, GOODBYE, authentication, errorResponse, message, startImpostor } = require('../support/impostor.js')
const { useLogins } = require('../support/logins.js')
const { TAGS, mangled, withLength } = require('../support/mangled.js')
const { startProxy } = require('../support/proxy.js')

const server = useLogins({}, async () => {
  const client = new Client(server.config({ user: 'postgres' }))
  await client.connect()
  await client.query('GRANT ALL ON SCHEMA public TO scram')
  await client.end()
})

/** A failure prints the seed and the message; PGSESS_SEED tries others. */
const SEED = Number(process.env.PGSESS_SEED ?? 20_261_123)
const RUNS = 30
const TIMEOUTS = { connectTimeout: 500, queryTimeout: 500 }
const CONNECTIONS = 2
const NAMES = ['create', 'validate', 'extend', 'update', 'refresh', 'list', 'destroy']
const MEGABYTE = 1 << 20

/** @typedef {{ after(hook: () => unknown): void }} Hooks */

describe('one message of the server, mangled', () => {
  for (const [stage, role] of Object.entries({ 'while it is connected': 'scram', 'under calls': 'trusted' })) {
    test(stage, async () => {
      const when = fc.record({ tag: fc.constantFrom(...TAGS), others: fc.nat(3), mangled })
      const property = fc.asyncProperty(when, async ({ tag, others, mangled: { mangle } }) => {
        await withHooks(async hooks => {
          const proxy = await startProxy(hooks, serverUrl(role))
          let left = others
          const change = (/** @type {Buffer} */ said) => {
            const isIt = said.toString('latin1', 0, 1) === tag && left-- === 0
            return isIt ? mangle(said) : said
          }
          await survives(hooks, proxy, change, stage === 'under calls')
        })
      })

      // What fails is printed with the seed and the way it was mangled.
      await fc.assert(property, { seed: SEED, numRuns: RUNS, endOnFailure: true, verbose: 1 })
    })
  }
})

describe('what is nonsense once', () => {
  /** @type {[name: string, change: (said: Buffer) => Buffer][]} */
  const CHANGES = [
    ['an answer to another question', said => (said.toString('latin1', 0, 1) === '2' ? message('3', '') : said)],
    ['a description of other columns', said => (said.toString('latin1', 0, 1) === 'T' ? withOtherType(said) : said)]
  ]
  for (const [name, change] of CHANGES) {
    test(`is forgotten: ${name}`, async t => {
      const { proxy, sessions } = await start(t, { maxConnections: 1, ...PATIENT })
      const { sess_id } = await sessions.create({ user_id: 1 })

      proxy.change = change
      await assert.rejects(sessions.validate(sess_id), { code: /^PGSESS_(INTERNAL|TABLE)$/ })
      proxy.change = undefined

      for (let time = 0; time < 2; time++) assert.equal((await sessions.validate(sess_id))?.user_id, 1)
    })
  }

  test('and the connection on which it was said is not lent again', async t => {
    const { proxy, sessions } = await start(t, { maxConnections: 1, ...PATIENT })
    const { sess_id } = await sessions.create({ user_id: 1 })
    const before = proxy.connections

    proxy.change = CHANGES[0][1]
    await assert.rejects(sessions.validate(sess_id), { code: 'PGSESS_INTERNAL' })
    proxy.change = undefined

    assert.equal((await sessions.validate(sess_id))?.user_id, 1)
    assert.ok(proxy.connections > before)
  })
})

/** What passes for a log-in. */
const WELCOME = [authentication(0), message('K', Buffer.alloc(8)), message('Z', 'I')]
const HUGE = 0x7fff_ffff

/** @type {[name: string, answers: any[], more?: object][]} to the start-up message, and to what follows it */
const REPLIES = [
  ['a length of 2 GB in the first answer', [withLength(message('R', 'x'), HUGE)]],
  ['an error of 2 GB', [withLength(message('E', 'SERROR\0'), HUGE)]],
  ['a length of 2 GB after the log-in', [WELCOME, withLength(message('D', 'x'), HUGE)]],
  ['a length that is negative', [withLength(message('R', 'x'), 0xffff_fff0)]],
  ['a length of nothing', [withLength(message('R', 'x'), 0)]],
  ['another protocol', ['HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n']],
  ['a greeting of MySQL', [Buffer.from('4a0000000a382e302e333600', 'hex')]],
  ['one byte', ['R']],
  ['an error without an end', [message('E', 'SERROR\0C28000')]],
  ['an error without anything', [message('E', '')]],
  ['an error whose fields are no text', [message('E', Buffer.from([0x53, 0xff, 0xfe, 0, 0x43, 0xff, 0, 0]))]],
  ['an error with fields twice', [errorResponse({ S: 'ERROR', C: '28000', M: 'no' }).subarray(0, 12)]],
  ['a demand for SASL without a name', [authentication(10)]],
  ['a demand for SASL of an unknown kind', [authentication(10, 'SCRAM-MD4\0\0')]],
  ['a proof that nobody asked for', [authentication(12, 'v=x')]],
  ['a SCRAM challenge of nothing', [authentication(10, 'SCRAM-SHA-256\0\0'), authentication(11, '')]],
  ['a SCRAM challenge for another', [authentication(10, 'SCRAM-SHA-256\0\0'), authentication(11, 'r=x,s=eA==,i=1')]],
  [
    'a SCRAM challenge that would take hours',
    [authentication(10, 'SCRAM-SHA-256\0\0'), (/** @type {Buffer} */ heard) => challenge(heard, 4_294_967_295)]
  ],
  [
    'a SCRAM log-in that proves nothing',
    [
      authentication(10, 'SCRAM-SHA-256\0\0'),
      (/** @type {Buffer} */ heard) => challenge(heard, 4096),
      [authentication(12, 'v=AAAA'), ...WELCOME]
    ]
  ],
  ['a SCRAM log-in that ends before the proof', [authentication(10, 'SCRAM-SHA-256\0\0'), WELCOME]],
  ['an answer to TLS that is none', ['X'], { ssl: { rejectUnauthorized: false } }],
  ['an error in place of TLS', [errorResponse({ S: 'FATAL', C: '53300', M: 'no' })], { ssl: true }],
  ['TLS of garbage', ['S', Buffer.alloc(1000, 0x16)], { ssl: { rejectUnauthorized: false } }],
  ['TLS with words before it', [['S', ...WELCOME]], { ssl: { rejectUnauthorized: false } }],
  ['rows that nobody asked for', [[...WELCOME, message('D', Buffer.from([0, 1, 0, 0, 0, 1, 65]))]]],
  ['a copy that nobody asked for', [WELCOME, [message('G', Buffer.from([0, 0, 0])), message('Z', 'I')]]]
]

describe('a server that is none', () => {
  for (const [name, answers, more] of REPLIES) {
    test(`and says ${name}: connect rejects in time`, async t => {
      const { port } = await startImpostor(t, ...answers)
      const config = { host: '127.0.0.1', port, user: 'user', password: 'password', database: 'app', ...more }

      const outcome = await outcomeOf('connect', connect(config, { fields: FIELDS, ...TIMEOUTS }))

      assertRejected(outcome)
    })
  }

  test('but a pooler that lets everybody in, and then has no server for them: its own words, and no storm', async t => {
    const said = errorResponse({ S: 'FATAL', V: 'FATAL', C: '08P01', M: 'server login has been failing' })
    const { port, heard } = await startImpostor(t, WELCOME, [said, GOODBYE])

    const outcome = await outcomeOf(
      'connect',
      connect(`postgres://user@127.0.0.1:${port}/app`, { fields: FIELDS, ...TIMEOUTS })
    )

    assertRejected(outcome, '08P01')
    assert.equal(outcome.error.message, 'server login has been failing')
    assert.equal(heard.length, 1)
  })

  for (const [name, word] of Object.entries({
    notices: message('N', 'SNOTICE\0C00000\0Mtalk\0\0'),
    settings: message('S', 'name\0value\0'),
    'zero bytes': Buffer.alloc(100)
  })) {
    test(`and never stops to send ${name}: connect rejects in time, and memory stays bounded`, async t => {
      const { port } = await startImpostor(t, [authentication(0), FOREVER, Buffer.concat(Array(500).fill(word))])
      const before = process.memoryUsage.rss()

      const outcome = await outcomeOf(
        'connect',
        connect(`postgres://user@127.0.0.1:${port}/app`, { fields: FIELDS, ...TIMEOUTS })
      )

      assertRejected(outcome)
      const grown = (process.memoryUsage.rss() - before) / MEGABYTE
      assert.ok(grown < 100, `${grown} MB`)
    })
  }
})

/**
 * Whatever the server says once, nobody is harmed for longer than that.
 *
 * @param {Hooks} hooks
 * @param {any} proxy
 * @param {(message: Buffer) => Buffer} change
 * @param {boolean} later only when everything is set up
 */
async function survives(hooks, proxy, change, later) {
  if (!later) proxy.change = change
  const options = { fields: FIELDS, maxConnections: CONNECTIONS, pruneInterval: false, ...TIMEOUTS }
  const opening = await outcomeOf('connect', connect(proxy.url, options))
  assertSettledWell(opening)
  proxy.change = change
  const sessions = opening.value
  if (sessions !== undefined) {
    hooks.after(() => sessions.close())
    await callsSettle(sessions)
    proxy.change = undefined
    await assertWorksAgain(sessions)
  }
}

/** @param {any} sessions */
async function callsSettle(sessions) {
  const row = { sess_id: '0f8fad5b-d9cb-469f-a165-70867728950e', user_id: 1 }
  for (let round = 0; round < 2; round++) {
    for (const outcome of await callAll(sessions, Array(NAMES.length).fill(row), NAMES)) assertSettledWell(outcome)
    const refused = await outcomeOf('create', sessions.create({ user_id: 'none' }))
    assertRejected(refused)
  }
}

/**
 * @param {Hooks} t
 * @param {object} options
 */
async function start(t, options) {
  const proxy = await startProxy(t, serverUrl('trusted'))
  const sessions = await connect(proxy.url, { fields: FIELDS, pruneInterval: false, ...options })
  t.after(() => sessions.close())
  return { proxy, sessions }
}

/** @param {string} role */
function serverUrl(role) {
  return `postgres://${role}:${encodeURIComponent(server.PASSWORD)}@127.0.0.1:${server.port}/app`
}

/**
 * The last column of a RowDescription has the type of OIDs.
 *
 * @param {Buffer} said
 */
function withOtherType(said) {
  const copy = Buffer.from(said)
  copy.writeUInt32BE(26, copy.length - 12)
  return copy
}

/** @param {(hooks: Hooks) => Promise<void>} use */
async function withHooks(use) {
  /** @type {(() => unknown)[]} */
  const hooks = []
  try {
    await use({ after: hook => hooks.push(hook) })
  } finally {
    for (const hook of hooks.reverse()) await hook()
  }
}

/**
 * @param {Buffer} heard the client's first message
 * @param {number} iterations
 */
function challenge(heard, iterations) {
  const nonce = /r=([^,]+)$/.exec(heard.toString('latin1'))?.[1]
  return authentication(11, `r=${nonce}more,s=c2FsdHNhbHQ=,i=${iterations}`)
}
