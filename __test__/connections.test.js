'use strict'

// Every way in which pg can be told where to connect, and as whom: pg and we try it side by side.

const assert = require('node:assert/strict')
const { generateKeyPairSync } = require('node:crypto')
const fs = require('node:fs')
const net = require('node:net')
const { describe, test } = require('node:test')
const { inspect } = require('node:util')
const pg = require('pg')
// @ts-expect-error -- it has no typings
const PgPool = require('pg-pool')
const { init, validateSession } = require('../index.js')
const { attempts, byUs, open, outcome, withVariables } = require('./support/attempts.js')
const { GOODBYE, startImpostor, startUpParameters } = require('./support/impostor.js')
const { useLogins } = require('./support/logins.js')

const server = useLogins()

const NO_SESSION = '0f8fad5b-d9cb-469f-a165-70867728950e'
const KEY = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' })

/**
 * What comes of it for pg, so that a row in which both fail for another reason is noticed: some of what is reached, or
 * an error's code, or its message.
 *
 * @typedef {{ [fact: string]: unknown } | string | RegExp} Expected
 * @typedef {[connection: any, expected: Expected, variables?: { [name: string]: string }]} Row
 */

const TRUSTED = { user: 'trusted', database: 'app' }
const SCRAM = { user: 'scram', database: 'app' }
const OVER_SOCKET = { ...TRUSTED, address: null }
const NO_STRING = 'SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string'
const NO_TLS = 'The server does not support SSL connections'
/** All that a string may leave open. */
const ELSEWHERE = { PGHOST: '127.0.0.1', PGPORT: '{port}', PGUSER: 'trusted' }
const PORT_AND_USER = { PGPORT: '{port}', PGUSER: 'trusted' }

/** @type {{ [group: string]: Row[] }} */
const STRINGS = {
  'the parts of a URL': [
    ['postgres://trusted:anything@127.0.0.1:{port}/app', TRUSTED],
    ['postgresql://trusted@127.0.0.1:{port}/app', TRUSTED],
    ['POSTGRES://trusted@127.0.0.1:{port}/app', TRUSTED],
    ['pg://trusted@127.0.0.1:{port}/app', TRUSTED],
    ['tcp://trusted@127.0.0.1:{port}/app', TRUSTED],
    ['http://trusted@127.0.0.1:{port}/app', TRUSTED],
    ['postgres://trusted@127.0.0.1:{port}', { user: 'trusted', database: 'trusted' }],
    ['postgres://trusted@127.0.0.1:{port}/', { user: 'trusted', database: 'trusted' }],
    ['postgres://trusted@127.0.0.1:{port}/nowhere', '3D000'],
    ['postgres://nobody@127.0.0.1:{port}/app', '28000'],
    ['postgres://refused@127.0.0.1:{port}/app', '28000'],
    ['postgres://127.0.0.1:{port}/app', TRUSTED, { PGUSER: 'trusted' }],
    ['postgres://:anything@127.0.0.1:{port}/app', TRUSTED, { PGUSER: 'trusted' }],
    ['postgres:///app', TRUSTED, ELSEWHERE],
    ['postgres://trusted@/app', TRUSTED, ELSEWHERE],
    ['postgres://trusted@localhost:{port}/app', TRUSTED],
    ['postgres://sp ace@127.0.0.1:{port}/sp ace', { user: 'sp ace', database: 'sp ace' }],
    ['postgres://sp%20ace@127.0.0.1:{port}/sp%20ace', { user: 'sp ace', database: 'sp ace' }],
    ['postgres://trusted@127.0.0.1:{port}/d%2Fb', { database: 'd%2Fb' }],
    ['postgres://trusted@127.0.0.1:{port}/Gr%C3%B6%C3%9Fe', { database: 'Größe' }],
    ['postgres://trusted@127.0.0.1:{port}/app#fragment', TRUSTED],
    ['postgres://trusted@[::1]:{port}/app', 'ECONNREFUSED']
  ],
  'a password in a URL': [
    ['postgres://scram:{password}@127.0.0.1:{port}/app', SCRAM],
    ['postgres://scram:wrong@127.0.0.1:{port}/app', '28P01'],
    ['postgres://scram@127.0.0.1:{port}/app', NO_STRING],
    ['postgres://scram:@127.0.0.1:{port}/app', NO_STRING],
    ['postgres://scram:@127.0.0.1:{port}/app', SCRAM, { PGPASSWORD: '{rawPassword}' }],
    ['postgres://scram:wrong@127.0.0.1:{port}/app', '28P01', { PGPASSWORD: '{rawPassword}' }],
    ['postgres://md5:{password}@127.0.0.1:{port}/app', { user: 'md5' }],
    ['postgres://md5:wrong@127.0.0.1:{port}/app', '28P01'],
    ['postgres://md5@127.0.0.1:{port}/app', '28P01'],
    ['postgres://plain:{password}@127.0.0.1:{port}/app', { user: 'plain' }],
    ['postgres://plain:wrong@127.0.0.1:{port}/app', '28P01'],
    ['postgres://plain@127.0.0.1:{port}/app', '28P01'],
    ['postgres://odd:{oddPassword}@127.0.0.1:{port}/app', { user: 'odd' }],
    ['postgres://odd:p@ss@127.0.0.1:{port}/app', '28P01'],
    ['postgres://odd:p#ss@127.0.0.1:{port}/app', 'ERR_INVALID_URL'],
    ['postgres://odd:p/ss@127.0.0.1:{port}/app', 'ERR_INVALID_URL'],
    ['postgres://without:none@127.0.0.1:{port}/app', '28P01']
  ],
  'a Unix socket': [
    ['postgres://trusted@{%socket}:{port}/app', OVER_SOCKET],
    ['postgres://{%socket}/app?port={port}&user=trusted', OVER_SOCKET],
    ['postgres:///app?host={socket}&port={port}&user=trusted', OVER_SOCKET],
    ['postgres://trusted@/app?host={%socket}&port={port}', OVER_SOCKET],
    ['{socket} app', OVER_SOCKET, PORT_AND_USER],
    ['{socket}', { user: 'trusted', database: 'trusted', address: null }, PORT_AND_USER],
    ['socket:{socket}?db=app&encoding=utf8', OVER_SOCKET, PORT_AND_USER],
    ['socket://trusted:p@{socket}?db=app', OVER_SOCKET, { PGPORT: '{port}' }],
    ['postgres://scram:{password}@{%socket}:{port}/app', { ...SCRAM, address: null }],
    ['postgres://scram@{%socket}:{port}/app', NO_STRING],
    ['postgres://md5:{password}@{%socket}:{port}/app', { user: 'md5', address: null }],
    ['postgres://trusted@{%socket}:1/app', 'ENOENT'],
    ['postgres:///app?host=/nowhere&user=trusted', 'ENOENT'],
    ['postgres://trusted@{%socket}:{port}/app?ssl=true', NO_TLS]
  ],
  'query parameters': [
    ['postgres://a:b@h:1/app?host=127.0.0.1&port={port}&user=trusted&password=z', TRUSTED],
    ['postgres://trusted@127.0.0.1:{port}/app?database=scram&dbname=scram', TRUSTED],
    ['postgres://trusted@127.0.0.1:{port}/app?options=-c+work_mem%3D5MB', { work_mem: '5MB' }],
    [
      'postgres://trusted@127.0.0.1:{port}/app?options=-c%20work_mem%3D5MB%20-c%20search_path%3Da%2Cb',
      { work_mem: '5MB', search_path: 'a,b' }
    ],
    ['postgres://trusted@127.0.0.1:{port}/app?options=--application_name%3Da%5C%20b', { application_name: 'a b' }],
    ['postgres://trusted@127.0.0.1:{port}/app?options=-c nonsense', '42601'],
    ['postgres://trusted@127.0.0.1:{port}/app?application_name=my%20app', { application_name: 'my app' }],
    ['postgres://trusted@127.0.0.1:{port}/app?fallback_application_name=x', { application_name: 'x' }],
    [
      'postgres://trusted@127.0.0.1:{port}/app?application_name=y&fallback_application_name=x',
      { application_name: 'y' }
    ],
    [
      'postgres://trusted@127.0.0.1:{port}/app?statement_timeout=1234&lock_timeout=77&idle_in_transaction_session_timeout=88',
      { statement_timeout: '1234ms', lock_timeout: '77ms', idle_in_transaction_session_timeout: '88ms' }
    ],
    [
      'postgres://trusted@127.0.0.1:{port}/app?statement_timeout=1234&options=-c%20statement_timeout%3D5',
      { statement_timeout: '1234ms' }
    ],
    ['postgres://trusted@127.0.0.1:{port}/app?query_timeout=9000', TRUSTED],
    ['postgres://trusted@127.0.0.1:{port}/app?client_encoding=latin1', { client_encoding: 'UTF8' }],
    [
      'postgres://trusted@127.0.0.1:{port}/app?pgbouncer=true&schema=x&max=3&connect_timeout=5&keepalives=1&unheard=of',
      TRUSTED
    ],
    [
      'postgres://trusted@127.0.0.1:{port}/app?channel_binding=require&target_session_attrs=read-only&load_balance_hosts=random',
      TRUSTED
    ],
    ['postgres://trusted@127.0.0.1/app?port=99999', 'ERR_SOCKET_BAD_PORT'],
    ['postgres://trusted@127.0.0.1/app?port=-1', 'ERR_SOCKET_BAD_PORT'],
    ['postgres://trusted@127.0.0.1/app?port=nonsense', 'ERR_SOCKET_BAD_PORT'],
    ['postgres://trusted@127.0.0.1/app?port=0', 'ECONNREFUSED']
  ],
  'strings that are no URL, or no good one': [
    ['postgres://trusted@127.0.0.1:99999/app', 'ERR_INVALID_URL'],
    ['postgres://trusted@h1:1,h2:2/app', 'ERR_INVALID_URL'],
    ['postgres://trusted@h1,h2/app', /^getaddrinfo .* h1,h2$/],
    ['host=127.0.0.1 dbname=app', /^getaddrinfo .* base$/],
    ['app', /^getaddrinfo .* base$/, ELSEWHERE],
    ['', /^getaddrinfo .* base$/, ELSEWHERE]
  ],
  'TLS where the server has none': [
    ['postgres://trusted@127.0.0.1:{port}/app?ssl=0', TRUSTED],
    ['postgres://trusted@127.0.0.1:{port}/app?sslmode=disable', TRUSTED],
    ['postgres://trusted@127.0.0.1:{port}/app?sslmode=disable&uselibpqcompat=true', TRUSTED],
    ...[
      'ssl=true',
      'ssl=1',
      'ssl=no-verify',
      'sslmode=allow',
      'sslmode=prefer',
      'sslmode=require',
      'sslmode=verify-ca',
      'sslmode=verify-full',
      'sslmode=no-verify',
      'sslmode=unheard-of',
      'sslmode=prefer&uselibpqcompat=true',
      'sslmode=require&uselibpqcompat=true',
      'sslmode=verify-full&uselibpqcompat=true'
    ].map(query => /** @type {Row} */ ([`postgres://trusted@127.0.0.1:{port}/app?${query}`, NO_TLS])),
    ['postgres://trusted@127.0.0.1:{port}/app?sslmode=verify-ca&uselibpqcompat=true', /^SECURITY WARNING/],
    ['postgres://trusted@127.0.0.1:{port}/app?sslnegotiation=direct', 'ECONNRESET'],
    ['postgres://trusted@127.0.0.1:{port}/app?sslnegotiation=direct&sslmode=disable', /requires SSL/],
    ['postgres://trusted@127.0.0.1:{port}/app?sslnegotiation=unheard-of', /^Invalid sslnegotiation/],
    ['postgres://trusted@127.0.0.1:{port}/app?sslrootcert=/nowhere', 'ENOENT'],
    ['postgres://trusted@127.0.0.1:{port}/app?sslcert=/nowhere', 'ENOENT']
  ],
  'variables of the environment': [
    ...['disable', 'allow', 'unheard-of'].map(
      PGSSLMODE => /** @type {Row} */ (['postgres://trusted@127.0.0.1:{port}/app', TRUSTED, { PGSSLMODE }])
    ),
    ...['prefer', 'require', 'verify-ca', 'verify-full', 'no-verify'].map(
      PGSSLMODE => /** @type {Row} */ (['postgres://trusted@127.0.0.1:{port}/app', NO_TLS, { PGSSLMODE }])
    ),
    ['postgres://trusted@127.0.0.1:{port}/app', { application_name: 'x' }, { PGAPPNAME: 'x' }],
    ['postgres://trusted@127.0.0.1:{port}/app', { work_mem: '7MB' }, { PGOPTIONS: '-c work_mem=7MB' }],
    ['postgres://scram@127.0.0.1:{port}/app', SCRAM, { PGPASSWORD: '{rawPassword}' }],
    ['postgres://trusted@127.0.0.1:{port}', { database: 'trusted' }, { PGDATABASE: '' }],
    ['postgres://trusted@127.0.0.1:{port}', { database: 'scram' }, { PGDATABASE: 'scram' }],
    [
      'postgres://trusted@127.0.0.1:{port}/app',
      { ...TRUSTED, client_encoding: 'UTF8', time_zone: 'UTC' },
      {
        PGTZ: 'Asia/Tokyo',
        PGSERVICE: 'x',
        PGHOSTADDR: '192.0.2.1',
        PGSSLROOTCERT: '/nowhere',
        PGTARGETSESSIONATTRS: 'read-only',
        PGCONNECT_TIMEOUT: '1',
        PGCLIENTENCODING: 'latin1',
        PGCLIENT_ENCODING: 'latin1',
        PGBINARY: 'true',
        PGUNHEARDOF: 'x'
      }
    ]
  ]
}

/** @type {Row[]} */
const OBJECTS = [
  [{ host: '127.0.0.1', port: '{number}', user: 'trusted', database: 'app' }, TRUSTED],
  [{ host: '127.0.0.1', port: '{port}', user: 'trusted', database: 'app' }, TRUSTED],
  [{}, { user: 'trusted', database: 'trusted' }, ELSEWHERE],
  [{ user: '', host: '', port: 0, database: '' }, { user: 'trusted', database: 'trusted' }, ELSEWHERE],
  [{ user: undefined, host: null, port: undefined, database: null }, { database: 'trusted' }, ELSEWHERE],
  [{ host: '{socket}', port: '{number}', user: 'trusted', database: 'app' }, OVER_SOCKET],
  [{ host: '/nowhere', port: '{number}', user: 'trusted', database: 'app' }, 'ENOENT'],
  [{ connectionString: 'postgres://trusted@127.0.0.1:{port}/app' }, TRUSTED],
  [{ connectionString: 'postgres://trusted@127.0.0.1:{port}/app', user: 'scram', database: 'scram', port: 1 }, TRUSTED],
  [
    { connectionString: 'postgres://trusted@127.0.0.1:{port}', database: 'app' },
    { user: 'trusted', database: 'trusted' }
  ],
  [{ connectionString: 'postgres://scram@127.0.0.1:{port}/app', password: '{rawPassword}' }, NO_STRING],
  [{ host: '127.0.0.1', port: '{number}', user: 'scram', database: 'app', password: '{rawPassword}' }, SCRAM],
  [{ host: '127.0.0.1', port: '{number}', user: 'scram', database: 'app', password: 'wrong' }, '28P01'],
  [{ host: '127.0.0.1', port: '{number}', user: 'scram', database: 'app', password: 12345 }, NO_STRING],
  [{ host: '127.0.0.1', port: '{number}', user: 'scram', database: 'app', password: { a: 1 } }, NO_STRING],
  [{ host: '127.0.0.1', port: '{number}', user: 'trusted', database: 'app', password: 12345 }, TRUSTED],
  [
    { host: '127.0.0.1', port: '{number}', user: 'trusted', database: 'app', options: '-c work_mem=6MB' },
    { work_mem: '6MB' }
  ],
  [
    {
      host: '127.0.0.1',
      port: '{number}',
      user: 'trusted',
      database: 'app',
      application_name: 'a',
      fallback_application_name: 'b',
      statement_timeout: 1500,
      lock_timeout: '1600',
      idle_in_transaction_session_timeout: 1700.9,
      query_timeout: 9000,
      connectionTimeoutMillis: 9000,
      keepAlive: true,
      keepAliveInitialDelayMillis: 30_000,
      client_encoding: 'latin1',
      binary: true,
      max: 3,
      min: 0,
      idleTimeoutMillis: 1000,
      maxUses: 5,
      maxLifetimeSeconds: 60,
      allowExitOnIdle: true,
      unheard: 'of'
    },
    {
      application_name: 'a',
      statement_timeout: '1500ms',
      lock_timeout: '1600ms',
      idle_in_transaction_session_timeout: '1700ms'
    }
  ],
  [{ host: '127.0.0.1', port: '{number}', user: 'trusted', database: 'app', statement_timeout: 0 }, TRUSTED],
  [{ host: '127.0.0.1', port: '{number}', user: 'trusted', database: 'app', statement_timeout: false }, TRUSTED],
  [{ host: '127.0.0.1', port: '{number}', user: 'trusted', database: 'app', statement_timeout: 'x' }, '22023'],
  [{ host: '127.0.0.1', port: '{number}', user: 'trusted', database: 'app', ssl: false }, TRUSTED],
  [{ host: '127.0.0.1', port: '{number}', user: 'trusted', database: 'app', ssl: null }, TRUSTED],
  [
    { host: '127.0.0.1', port: '{number}', user: 'trusted', database: 'app', ssl: false },
    TRUSTED,
    { PGSSLMODE: 'require' }
  ],
  [{ host: '127.0.0.1', port: '{number}', user: 'trusted', database: 'app', ssl: true }, NO_TLS],
  [{ host: '127.0.0.1', port: '{number}', user: 'trusted', database: 'app', ssl: 'true' }, NO_TLS],
  [{ host: '127.0.0.1', port: '{number}', user: 'trusted', database: 'app', ssl: {} }, NO_TLS],
  [{ host: '127.0.0.1', port: 1, user: 'trusted', database: 'app' }, 'ECONNREFUSED'],
  [{ host: '127.0.0.1', port: 65536, user: 'trusted', database: 'app' }, 'ERR_SOCKET_BAD_PORT'],
  [{ host: '127.0.0.1', port: 'nonsense', user: 'trusted', database: 'app' }, 'ERR_SOCKET_BAD_PORT'],
  [{ host: 'nowhere.invalid', port: 1, user: 'trusted', database: 'app' }, /^getaddrinfo .* nowhere\.invalid$/]
]

for (const [group, rows] of Object.entries({ ...STRINGS, 'a config object': OBJECTS })) {
  describe(`${group}: as pg`, () => {
    for (const [connection, expected, variables] of rows) {
      test(`${nameOf(connection)}${variables ? ` with ${JSON.stringify(variables)}` : ''}`, async () => {
        const { pg, ours } = await attempts(fill(connection), fill(variables))

        assertExpected(pg, expected)
        assert.deepEqual(ours, pg)
      })
    }
  })
}

describe('a config object', () => {
  test('is left as it was, and may be frozen', async () => {
    const config = freeze(server.config({ password: 'x', ssl: { rejectUnauthorized: false, key: KEY } }))
    const before = describeDeeply(config)

    await assert.rejects(byUs(config), { message: NO_TLS })
    await byUs(freeze(server.config()))

    assert.deepEqual(describeDeeply(config), before)
  })

  test('that is changed later changes nothing', async t => {
    const config = server.config({ application_name: 'first' })
    const sessions = await start(t, config)
    const facts = async () => (await sessions.create({})).facts.application_name
    Object.assign(config, { application_name: 'second', user: 'nobody', password: 'x' })

    assert.equal(await facts(), 'first')
    await server.endConnections('first')
    assert.equal(await facts(), 'first')
  })
})

describe('a pg.Pool', () => {
  /** @type {[options: any, max: number][]} */
  const SIZES = [
    [{}, 4],
    [{ max: 2 }, 2],
    [{ max: 7 }, 7],
    [{ poolSize: 3 }, 3]
  ]
  for (const [options, max] of SIZES) {
    test(`of ${JSON.stringify(options)} gives its settings; ${max} connections at most`, async t => {
      const pool = openPool(t, { application_name: 'from a pool', ...options })
      const sessions = await start(t, pool, { batch: false })

      const rows = await Promise.all(Array.from({ length: 40 }, () => sessions.create({})))

      assert.ok(rows.every(({ facts }) => facts.application_name === 'from a pool'))
      assert.ok(sessions.stats().size <= max, `${sessions.stats().size} connections`)
    })
  }

  test('is neither used, nor changed, nor ended', async t => {
    const pool = openPool(t, { ssl: false })
    const before = describeDeeply(pool.options)

    const sessions = await start(t, pool)
    await sessions.create({})
    await sessions.close()

    assert.deepEqual(describeDeeply(pool.options), before)
    assert.equal(pool.totalCount, 0)
    assert.equal((await pool.query('SELECT 1 AS one')).rows[0].one, 1)
  })

  test('whose password changes is followed, as its own connections do', async t => {
    const pool = openPool(t, { user: 'scram', password: server.PASSWORD, application_name: 'followed' })
    const sessions = await start(t, pool)
    pool.options.password = 'wrong'
    await server.endConnections('followed')

    await assert.rejects(sessions.validate(NO_SESSION), { code: '28P01' })
    pool.options.password = server.PASSWORD
    assert.equal(await sessions.validate(NO_SESSION), null)
  })

  test('that was ended rejects in its own words', async t => {
    const pool = openPool(t)
    await pool.end()
    const words = await outcome(() => pool.query('SELECT 1'))

    assert.deepEqual(await outcome(() => byUs(pool)), words)
  })

  test('that is ended later rejects the functions in its own words', async t => {
    const pool = openPool(t)
    const sessions = await init(null, pool, { facts: 'JSONB' }, { tableName: 'reached', schemaName: 'public' })
    t.after(() => sessions.close())
    await pool.end()
    const words = await outcome(() => pool.query('SELECT 1'))

    assert.deepEqual(await outcome(() => validateSession(null, pool, NO_SESSION)), words)
  })

  test('that changes each new connection: its own connections are used', async t => {
    for (const event of ['connect', 'acquire']) {
      const pool = openPool(t)
      pool.on(event, (/** @type {any} */ client) => client.query("SET work_mem = '6MB'"))

      assert.equal((await byUs(pool)).work_mem, '6MB')
    }
  })

  test('of another copy of pg makes errors of that copy', async t => {
    const other = anotherPg()
    const pool = openPool(t, { user: 'scram', password: 'wrong' }, other)

    await assert.rejects(byUs(pool), error => {
      assert.ok(error instanceof other.DatabaseError)
      assert.ok(!(error instanceof pg.DatabaseError))
      return true
    })
  })
})

test('the defaults of pg count', async t => {
  const { host, port, user, database } = server.config()
  withDefaults(t, pg.defaults, { host, port, user, database })

  const { pg: theirs, ours } = await attempts({})

  assertExpected(theirs, { user, database })
  assert.deepEqual(ours, theirs)
})

test('the types of a connection count there only', async t => {
  const types = { getTypeParser: () => (/** @type {string} */ text) => `parsed ${text}` }

  for (const source of [server.config({ types }), openPool(t, { types })]) {
    assert.match(await byUs(source), /^parsed \{/)
  }
  assert.equal(typeof (await byUs(server.config())), 'object')
})

describe('what cannot be carried over is refused by name', () => {
  class OwnClient extends pg.Client {}
  class NativeClient {
    connectionParameters = {}
  }
  /** @type {[name: string, config: () => any, message: RegExp, variables?: { [name: string]: string }][]} */
  const REFUSED = [
    ['stream', () => ({ stream: () => new net.Socket() }), /"stream"/],
    ['connection', () => ({ connection: new pg.Connection() }), /"connection"/],
    ['onConnect', () => ({ onConnect: () => {} }), /"onConnect"/],
    ['verify', () => ({ verify: () => {} }), /"verify"/],
    ['Client', () => ({ Client: OwnClient }), /"Client"/],
    ['enableChannelBinding', () => ({ enableChannelBinding: true }), /"enableChannelBinding"/],
    ['scramMaxIterations', () => ({ scramMaxIterations: 4096 }), /"scramMaxIterations"/],
    ['replication', () => ({ replication: 'database' }), /"replication"/],
    ['replication in the environment', () => ({}), /"replication"/, { PGREPLICATION: 'true' }],
    ['replication in a URL', () => fill('postgres://trusted@127.0.0.1:{port}/app?replication=true'), /"replication"/],
    ['user', () => ({ user: 5 }), /"user": expected a string, got the number 5/],
    ['database', () => ({ database: {} }), /"database": expected a string, got an object/],
    ['application_name', () => ({ application_name: 5 }), /"application_name": expected a string/],
    ['options', () => ({ options: ['-c x'] }), /"options": expected a string, got an array/],
    ['ssl as a string', () => ({ ssl: 'require' }), /ssl: expected true or an object/],
    ['ssl=false in a URL, which pg takes for a string', () => fill('postgres://h/app?ssl=false'), /ssl: expected true/],
    ['a pool of a Client of its own', () => new PgPool(server.config(), OwnClient), /a Client of your own/],
    ['a pool of pg-native', () => new PgPool(server.config(), /** @type {any} */ (NativeClient)), /pg-native/]
  ]
  for (const [name, config, message, variables = {}] of REFUSED) {
    test(name, async () => {
      const given = config()
      const connection = isPlain(given) ? server.config(given) : given

      await withVariables(variables, () => assert.rejects(byUs(connection), { name: 'TypeError', message }))
    })
  }

  test('but not what changes nothing', async () => {
    const options = { Promise, pipeline: true, binary: true, enableChannelBinding: false, scramMaxIterations: 0 }

    assert.equal((await byUs(server.config(options))).database, 'app')
  })
})

test('a connection begins with the same start-up message as one of pg', async t => {
  const { port, heard } = await startImpostor(t, GOODBYE)
  const config = {
    host: '127.0.0.1',
    port,
    user: 'üser',
    database: 'data base',
    application_name: 'app',
    options: '-c work_mem=5MB',
    statement_timeout: 1,
    lock_timeout: 2,
    idle_in_transaction_session_timeout: 3
  }

  for (const variant of [config, { host: '127.0.0.1', port }, { ...config, options: undefined }]) {
    await attempts(variant, { PGUSER: 'u' })

    const [theirs, ours] = heard.splice(0).map(([packet]) => startUpParameters(packet).sort())
    assert.ok(theirs.length > 2)
    assert.deepEqual(ours, theirs)
  }
})

describe('keep-alive', () => {
  /** @type {[options: any, probed: boolean][]} */
  const KEPT = [
    [{}, false],
    [{ keepAlive: false }, false],
    [{ keepAlive: true }, true],
    [{ keepAlive: true, keepAliveInitialDelayMillis: 60_000 }, true],
    [{ keepAlive: true, keepAliveInitialDelayMillis: 500 }, true]
  ]
  for (const [options, probed] of KEPT) {
    test(`${JSON.stringify(options)}: as pg`, { skip: process.platform !== 'linux' && 'only Linux tells' }, async t => {
      const config = server.config(options)
      const client = new pg.Client({ ...config, application_name: 'kept by pg' })
      await client.connect()
      t.after(() => client.end())
      await start(t, { ...config, application_name: 'kept by us' })

      assert.equal(await isProbed('kept by pg'), probed)
      assert.equal(await isProbed('kept by us'), probed)
    })
  }
})

/**
 * @param {{ after(hook: () => unknown): void }} t
 * @param {object} [options]
 * @param {any} [copyOfPg]
 */
function openPool(t, options, copyOfPg = pg) {
  const pool = new copyOfPg.Pool(server.config({ ...options }))
  t.after(() => pool.ending || pool.end())
  return pool
}

/**
 * @param {{ after(hook: () => unknown): void }} t
 * @param {any} connection
 * @param {object} [options]
 */
async function start(t, connection, options) {
  const sessions = await open(connection, options)
  t.after(() => sessions.close())
  return sessions
}

/** pg once more, as npm may install it beside the first. */
function anotherPg() {
  const isOfPg = (/** @type {string} */ file) => /[\\/]node_modules[\\/]pg[\w-]*[\\/]/.test(file)
  const first = Object.entries(require.cache).filter(([file]) => isOfPg(file))
  for (const [file] of first) delete require.cache[file]
  const second = require('pg')
  Object.assign(require.cache, Object.fromEntries(first))
  return second
}

/**
 * Everything that can be read of it, hidden members and functions too.
 *
 * @param {unknown} value
 */
function describeDeeply(value) {
  return inspect(value, { showHidden: true, depth: null })
}

/**
 * @param {any} value
 * @returns {any}
 */
function freeze(value) {
  if (typeof value === 'object' && value !== null) Object.values(value).forEach(freeze)
  return Object.freeze(value)
}

/**
 * @param {{ after(hook: () => void): void }} t
 * @param {any} defaults
 * @param {{ [name: string]: unknown }} values
 */
function withDefaults(t, defaults, values) {
  const before = Object.fromEntries(Object.keys(values).map(name => [name, defaults[name]]))
  Object.assign(defaults, values)
  t.after(() => Object.assign(defaults, before))
}

/**
 * Whether the client's end of a connection is probed: the first timer's kind 2, in https://docs.kernel.org/networking/proc_net_tcp.html
 *
 * @param {string} applicationName
 */
async function isProbed(applicationName) {
  const [{ client_port }] = await server.query('SELECT client_port FROM pg_stat_activity WHERE application_name = $1', [
    applicationName
  ])
  const ports = [client_port, server.port].map(port => port.toString(16).toUpperCase().padStart(4, '0'))
  const line = fs
    .readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .find(line => line.includes(`:${ports[0]} `) && line.indexOf(`:${ports[0]} `) < line.indexOf(`:${ports[1]} `))
  return / 02:/.test(line ?? '')
}

/** @param {unknown} connection */
function nameOf(connection) {
  return typeof connection === 'string' ? connection || 'an empty string' : JSON.stringify(connection)
}

/**
 * Puts this server in.
 *
 * @param {any} value
 * @returns {any}
 */
function fill(value) {
  if (value === '{number}') return server.port
  if (typeof value !== 'string') {
    return isPlain(value)
      ? Object.fromEntries(Object.entries(value).map(([name, member]) => [name, fill(member)]))
      : value
  }
  return value
    .replaceAll('{port}', String(server.port))
    .replaceAll('{socket}', server.socketDir)
    .replaceAll('{%socket}', encodeURIComponent(server.socketDir))
    .replaceAll('{password}', encodeURIComponent(server.PASSWORD))
    .replaceAll('{oddPassword}', encodeURIComponent(server.ODD_PASSWORD))
    .replaceAll('{rawPassword}', server.PASSWORD)
}

/** @param {any} value */
function isPlain(value) {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}

/**
 * @param {any} outcome
 * @param {Expected} expected
 */
function assertExpected({ reached, failed }, expected) {
  if (expected instanceof RegExp) return assert.match(failed?.message ?? '', expected)
  if (typeof expected === 'string')
    return assert.ok([failed?.code, failed?.message].includes(expected), failed ?? reached)
  assert.ok(reached, failed)
  for (const [fact, value] of Object.entries(expected)) assert.equal(reached[fact], value, fact)
}
