'use strict'

// TLS: pg and we try the same server side by side, with certificates of every kind. What pg accepts we accept, and what
// it refuses we refuse with the same code.

const assert = require('node:assert/strict')
const { generateKeyPairSync } = require('node:crypto')
const net = require('node:net')
const { before, describe, test } = require('node:test')
const { createSecureContext } = require('node:tls')
const { attempts, byUs, open } = require('./support/attempts.js')
const { issue, keyOf, newKey } = require('./support/certificates.js')
const { useLogins } = require('./support/logins.js')
const { runScript } = require('./support/script.js')

const server = useLogins({}, async () => {
  show(good)
  server.write('root.crt', root.pem)
  await server.query('ALTER SYSTEM SET ssl = on')
  await server.query("ALTER SYSTEM SET ssl_ca_file = 'root.crt'")
  await server.reload()
})

const root = issue({ name: 'Root', ca: true })
const intermediate = issue({ name: 'Intermediate', ca: true, issuer: root })
const good = issue({ issuer: root, names: ['localhost'] })

/**
 * What the server shows from the next reload on.
 *
 * @param {import('./support/certificates.js').Certificate} own
 * @param {import('./support/certificates.js').Certificate[]} others
 */
function show(own, ...others) {
  server.write('server.key', keyOf(own))
  server.write('server.crt', [own, ...others].map(({ pem }) => pem).join(''))
}

const NAMES = { names: ['localhost'] }
const OTHER = 'db.other.example'
const AS_OTHER = { host: '127.0.0.1', ssl: { servername: OTHER } }
/** Bits of a Netscape type. */
const NETSCAPE = { client: 0x80, server: 0x40 }
const ECDSA_WITH_SHA384 = '1.2.840.10045.4.3.3'
const LAST_WEEK = /** @type {[number, number]} */ ([-7, -1])
const NEXT_WEEK = /** @type {[number, number]} */ ([1, 7])

/**
 * @typedef {object} Case
 * @property {any[]} shown by the server, its own first
 * @property {any} [ca] the certificates that the client trusts; default: the root
 * @property {object} [ssl] more of the client's options
 * @property {string} [host]
 * @property {string} [code] of the error; none: it is accepted
 */

const outdatedRoot = issue({ name: 'Outdated', ca: true, days: LAST_WEEK })
const futureRoot = issue({ name: 'Future', ca: true, days: NEXT_WEEK })
const otherRoot = issue({ name: 'Other', ca: true })
const falseRoot = issue({ name: 'Root', ca: true })
const oldRoot = issue({ name: 'Old', version: 1 })
const silentRoot = issue({ name: 'Silent', ca: 'unsaid' })
const signingRoot = issue({ name: 'Signing', ca: 'unsaid', uses: ['keyCertSign'] })
const uselessRoot = issue({ name: 'Useless', ca: true, uses: ['digitalSignature'] })
const lonelyRoot = issue({ name: 'Lonely', ca: true, pathLength: 0 })
const endlessRoot = issue({ name: 'Endless', ca: true, pathLength: 0xff })
const strangeRoot = issue({ name: 'Strange', ca: true, strange: true })
const clientsRoot = issue({ name: 'Clients', ca: true, purposes: ['clientAuth'] })
const narrowRoot = issue({ name: 'Narrow', ca: true, only: 'example.com' })
const localRoot = issue({ name: 'Local', ca: true, only: 'localhost' })
const rsaRoot = issue({ name: 'RSA', ca: true, key: generateKeyPairSync('rsa', { modulusLength: 2048 }) })
const under = {
  lonely: issue({ name: 'Under lonely', ca: true, issuer: lonelyRoot }),
  noIssuer: issue({ name: 'No issuer', issuer: root }),
  outdated: issue({ name: 'Outdated intermediate', ca: true, issuer: root, days: LAST_WEEK }),
  otherOutdated: issue({ name: 'Other outdated', ca: true, issuer: otherRoot, days: LAST_WEEK }),
  useless: issue({ name: 'Useless intermediate', ca: true, issuer: root, uses: ['digitalSignature'] }),
  clients: issue({ name: 'For clients', ca: true, issuer: root, purposes: ['clientAuth'] }),
  second: issue({ name: 'Second', ca: true, issuer: intermediate }),
  narrow: issue({ name: 'Narrow intermediate', ca: true, issuer: root, only: 'example.com' }),
  silent: issue({ name: 'Silent intermediate', ca: 'unsaid', issuer: root }),
  narrowed: issue({ name: 'Narrowed', ca: true, issuer: narrowRoot })
}
const alone = issue(NAMES)
const aloneForOthers = issue({ names: ['other.example'] })
const aloneCa = issue({ ...NAMES, ca: true })
const aloneOld = issue({ version: 1 })
const aloneOutdated = issue({ ...NAMES, days: LAST_WEEK })
const aloneStrange = issue({ ...NAMES, strange: true })
const aloneForClients = issue({ ...NAMES, purposes: ['clientAuth'] })
const underIntermediate = issue({ ...NAMES, issuer: intermediate })

/** @type {{ [name: string]: Case }} */
const SERVERS = {
  'issued by the trusted root': { shown: [good] },
  'with the host among several names': { shown: [issue({ issuer: root, names: ['a.example', 'localhost'] })] },
  'with the host as its common name only': { shown: [issue({ issuer: root })] },
  'with the host as its common name, and other names': {
    shown: [issue({ issuer: root, names: ['other.example'] })],
    code: 'ERR_TLS_CERT_ALTNAME_INVALID'
  },
  'for another host': {
    shown: [issue({ name: 'other.example', issuer: root, names: ['other.example'] })],
    code: 'ERR_TLS_CERT_ALTNAME_INVALID'
  },
  'with another common name only': {
    shown: [issue({ name: 'other.example', issuer: root })],
    code: 'ERR_TLS_CERT_ALTNAME_INVALID'
  },
  'that has expired': { shown: [issue({ ...NAMES, issuer: root, days: LAST_WEEK })], code: 'CERT_HAS_EXPIRED' },
  'that is not yet valid': { shown: [issue({ ...NAMES, issuer: root, days: NEXT_WEEK })], code: 'CERT_NOT_YET_VALID' },
  'of a root that has expired': {
    shown: [issue({ ...NAMES, issuer: outdatedRoot })],
    ca: [outdatedRoot],
    code: 'CERT_HAS_EXPIRED'
  },
  'of a root that is not yet valid': {
    shown: [issue({ ...NAMES, issuer: futureRoot })],
    ca: [futureRoot],
    code: 'CERT_NOT_YET_VALID'
  },
  'that has expired, of nobody trusted': {
    shown: [issue({ ...NAMES, issuer: otherRoot, days: LAST_WEEK })],
    code: 'CERT_HAS_EXPIRED'
  },
  'of its own making, trusted': { shown: [alone], ca: [alone] },
  'of its own making, trusted, a CA': { shown: [aloneCa], ca: [aloneCa] },
  'of its own making, trusted, of version 1': { shown: [aloneOld], ca: [aloneOld] },
  'of its own making, trusted, expired': { shown: [aloneOutdated], ca: [aloneOutdated], code: 'CERT_HAS_EXPIRED' },
  'of its own making, trusted, for clients': {
    shown: [aloneForClients],
    ca: [aloneForClients],
    code: 'INVALID_PURPOSE'
  },
  'of its own making, trusted, with a critical extension that nobody knows': {
    shown: [aloneStrange],
    ca: [aloneStrange],
    code: 'UNSPECIFIED'
  },
  'of its own making, trusted, for another host': {
    shown: [aloneForOthers],
    ca: [aloneForOthers],
    code: 'ERR_TLS_CERT_ALTNAME_INVALID'
  },
  'of its own making, not trusted': { shown: [alone], code: 'DEPTH_ZERO_SELF_SIGNED_CERT' },
  'of its own making, not trusted, a CA': { shown: [aloneCa], code: 'DEPTH_ZERO_SELF_SIGNED_CERT' },
  'of its own making, not trusted, of version 1': { shown: [aloneOld], code: 'DEPTH_ZERO_SELF_SIGNED_CERT' },
  'of its own making, not trusted, expired': { shown: [aloneOutdated], code: 'CERT_HAS_EXPIRED' },
  'of a root not trusted': {
    shown: [issue({ ...NAMES, issuer: otherRoot })],
    code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'
  },
  'of a root not trusted, sent with it': {
    shown: [issue({ ...NAMES, issuer: otherRoot }), otherRoot],
    code: 'SELF_SIGNED_CERT_IN_CHAIN'
  },
  'of a root that only has the trusted one’s name': {
    shown: [issue({ ...NAMES, issuer: falseRoot })],
    code: 'CERT_SIGNATURE_FAILURE'
  },
  'with an intermediate': { shown: [underIntermediate, intermediate] },
  'with an intermediate and the root': { shown: [underIntermediate, intermediate, root] },
  'with two intermediates, in disorder': {
    shown: [issue({ ...NAMES, issuer: under.second }), intermediate, under.second]
  },
  'without its intermediate': { shown: [underIntermediate], code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' },
  'without its intermediate, which the client has': { shown: [underIntermediate], ca: [root, intermediate] },
  'with an intermediate, trusted, without its root': {
    shown: [underIntermediate, intermediate],
    ca: [intermediate],
    code: 'UNABLE_TO_GET_ISSUER_CERT'
  },
  'without its intermediate, trusted, without its root': {
    shown: [underIntermediate],
    ca: [intermediate],
    code: 'UNABLE_TO_GET_ISSUER_CERT'
  },
  'with an intermediate of a root not trusted': {
    shown: [underIntermediate, intermediate],
    ca: [otherRoot],
    code: 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'
  },
  'itself trusted, without its root': { shown: [good], ca: [good], code: 'SELF_SIGNED_CERT_IN_CHAIN' },
  'with an intermediate that has expired': {
    shown: [issue({ ...NAMES, issuer: under.outdated }), under.outdated],
    code: 'CERT_HAS_EXPIRED'
  },
  'of somebody who may not issue': {
    shown: [issue({ ...NAMES, issuer: under.noIssuer }), under.noIssuer],
    code: 'INVALID_PURPOSE'
  },
  'of an intermediate whose key may not sign': {
    shown: [issue({ ...NAMES, issuer: under.useless }), under.useless],
    code: 'UNSPECIFIED'
  },
  'of an intermediate for clients only': {
    shown: [issue({ ...NAMES, issuer: under.clients }), under.clients],
    code: 'INVALID_PURPOSE'
  },
  'of an intermediate too many': {
    shown: [issue({ ...NAMES, issuer: under.lonely }), under.lonely],
    ca: [lonelyRoot],
    code: 'PATH_LENGTH_EXCEEDED'
  },
  'of a root that says how few it may lead to': { shown: [issue({ ...NAMES, issuer: lonelyRoot })], ca: [lonelyRoot] },
  'of a root that says it may lead to fewer than none': {
    shown: [issue({ ...NAMES, issuer: endlessRoot })],
    ca: [endlessRoot],
    code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'
  },
  'of a root with a critical extension that nobody knows': {
    shown: [issue({ ...NAMES, issuer: strangeRoot })],
    ca: [strangeRoot],
    code: 'UNSPECIFIED'
  },
  'that may itself issue others, of a root with a critical extension that nobody knows': {
    shown: [issue({ ...NAMES, issuer: strangeRoot, ca: true })],
    ca: [strangeRoot],
    code: 'UNSPECIFIED'
  },
  'of a root for clients only': {
    shown: [issue({ ...NAMES, issuer: clientsRoot })],
    ca: [clientsRoot],
    code: 'INVALID_PURPOSE'
  },
  'of an expired intermediate, whose root is not trusted': {
    shown: [issue({ ...NAMES, issuer: under.otherOutdated }), under.otherOutdated],
    code: 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'
  },
  'that has expired, for clients': {
    shown: [issue({ ...NAMES, issuer: root, days: LAST_WEEK, purposes: ['clientAuth'] })],
    code: 'CERT_HAS_EXPIRED'
  },
  'that has expired, of a false root': {
    shown: [issue({ ...NAMES, issuer: falseRoot, days: LAST_WEEK })],
    code: 'CERT_HAS_EXPIRED'
  },
  'of a root for other domains': {
    shown: [issue({ ...NAMES, issuer: narrowRoot })],
    ca: [narrowRoot],
    code: 'UNSPECIFIED'
  },
  'of a root for this domain': { shown: [issue({ ...NAMES, issuer: localRoot })], ca: [localRoot] },
  'of a root for other domains, with the host as its common name only': {
    shown: [issue({ name: OTHER, issuer: narrowRoot })],
    ca: [narrowRoot],
    ...AS_OTHER,
    code: 'UNSPECIFIED'
  },
  'of a root for other domains, with a common name that is no domain’s': {
    shown: [issue({ issuer: narrowRoot })],
    ca: [narrowRoot]
  },

  'of a root for this domain, with the host as its common name only': {
    shown: [issue({ issuer: localRoot })],
    ca: [localRoot]
  },
  'of an intermediate for other domains': {
    shown: [issue({ ...NAMES, issuer: under.narrow }), under.narrow],
    code: 'UNSPECIFIED'
  },
  'of an intermediate for other domains, with the host as its common name only': {
    shown: [issue({ name: OTHER, issuer: under.narrow }), under.narrow],
    ...AS_OTHER,
    code: 'UNSPECIFIED'
  },

  'of an intermediate of a root for other domains, with the host as its common name only': {
    shown: [issue({ name: OTHER, issuer: under.narrowed }), under.narrowed],
    ca: [narrowRoot],
    ...AS_OTHER,
    code: 'UNSPECIFIED'
  },

  'of a root for other domains, for an address, with the host as its common name': {
    shown: [issue({ name: OTHER, issuer: narrowRoot, names: ['127.0.0.1'] })],
    ca: [narrowRoot],
    host: '127.0.0.1',
    code: 'UNSPECIFIED'
  },

  'of a root for other domains, for an address, with another common name': {
    shown: [issue({ issuer: narrowRoot, name: 'a.example.com', names: ['127.0.0.1'] })],
    ca: [narrowRoot],
    host: '127.0.0.1'
  },

  'of an intermediate that does not say whether it may issue': {
    shown: [issue({ ...NAMES, issuer: under.silent }), under.silent],
    code: 'INVALID_PURPOSE'
  },
  'of one of its own making, trusted, that may not issue': {
    shown: [issue({ ...NAMES, name: 'child', issuer: alone })],
    ca: [alone],
    code: 'INVALID_PURPOSE'
  },
  'of its own making, trusted, beside another root': { shown: [alone], ca: [root, alone] },
  'of its own making, with a trusted one’s name': {
    shown: [issue(NAMES)],
    ca: [alone],
    code: 'DEPTH_ZERO_SELF_SIGNED_CERT'
  },
  'whose chain leads through its own name': {
    shown: [issue({ ...NAMES, name: 'Root', issuer: falseRoot }), falseRoot],
    code: 'DEPTH_ZERO_SELF_SIGNED_CERT'
  },
  'of version 1': { shown: [issue({ version: 1, issuer: root })] },
  'of version 1, expired': { shown: [issue({ version: 1, issuer: root, days: LAST_WEEK })], code: 'CERT_HAS_EXPIRED' },
  'of version 1, for another host': {
    shown: [issue({ version: 1, issuer: root, name: 'other.example' })],
    code: 'ERR_TLS_CERT_ALTNAME_INVALID'
  },
  'of version 1, of a root that only has the trusted one’s name': {
    shown: [issue({ version: 1, issuer: falseRoot })],
    code: 'CERT_SIGNATURE_FAILURE'
  },
  'of version 1, of a root of version 1': { shown: [issue({ version: 1, issuer: oldRoot })], ca: [oldRoot] },
  'of version 1, whose signature has two names': {
    shown: [issue({ version: 1, issuer: root, claims: ECDSA_WITH_SHA384 })],
    code: 'CERT_SIGNATURE_FAILURE'
  },
  'of version 1, with an RSA key': {
    shown: [issue({ version: 1, issuer: rsaRoot, key: generateKeyPairSync('rsa', { modulusLength: 2048 }) })],
    ca: [rsaRoot]
  },
  'of a root of version 1': { shown: [issue({ ...NAMES, issuer: oldRoot })], ca: [oldRoot] },
  'of a root that does not say whether it may issue': {
    shown: [issue({ ...NAMES, issuer: silentRoot })],
    ca: [silentRoot],
    code: 'INVALID_PURPOSE'
  },
  'of a root that says it by its key’s usage': { shown: [issue({ ...NAMES, issuer: signingRoot })], ca: [signingRoot] },
  'of a root whose key may not sign': {
    shown: [issue({ ...NAMES, issuer: uselessRoot })],
    ca: [uselessRoot],
    code: 'UNSPECIFIED'
  },
  'that may itself issue others': { shown: [issue({ ...NAMES, issuer: root, ca: true })] },
  'that says it may itself issue others, and whose key may not sign them': {
    shown: [issue({ ...NAMES, issuer: root, ca: true, uses: ['digitalSignature'] })]
  },
  'that may itself issue others, expired': {
    shown: [issue({ ...NAMES, issuer: root, ca: true, days: LAST_WEEK })],
    code: 'CERT_HAS_EXPIRED'
  },
  'that may itself issue others, of a false root': {
    shown: [issue({ ...NAMES, issuer: falseRoot, ca: true })],
    code: 'CERT_SIGNATURE_FAILURE'
  },
  'that may itself issue others, and is strange': {
    shown: [issue({ ...NAMES, issuer: root, ca: true, strange: true })],
    code: 'UNSPECIFIED'
  },
  'that may itself issue others, for clients': {
    shown: [issue({ ...NAMES, issuer: root, ca: true, purposes: ['clientAuth'] })],
    code: 'INVALID_PURPOSE'
  },
  'for servers': { shown: [issue({ ...NAMES, issuer: root, purposes: ['serverAuth'] })] },
  'for clients': { shown: [issue({ ...NAMES, issuer: root, purposes: ['clientAuth'] })], code: 'INVALID_PURPOSE' },
  'for servers, as Netscape said it': { shown: [issue({ ...NAMES, issuer: root, netscape: NETSCAPE.server })] },
  'for clients, as Netscape said it': {
    shown: [issue({ ...NAMES, issuer: root, netscape: NETSCAPE.client })],
    code: 'INVALID_PURPOSE'
  },
  'whose key may sign': { shown: [issue({ ...NAMES, issuer: root, uses: ['digitalSignature'] })] },
  'whose key may not be used in TLS': {
    shown: [issue({ ...NAMES, issuer: root, uses: ['nonRepudiation'] })],
    code: 'INVALID_PURPOSE'
  },
  'with a critical extension that nobody knows': {
    shown: [issue({ ...NAMES, issuer: root, strange: true })],
    code: 'UNSPECIFIED'
  },
  'whose signature has two names': {
    shown: [issue({ ...NAMES, issuer: root, claims: ECDSA_WITH_SHA384 })],
    code: 'CERT_SIGNATURE_FAILURE'
  },
  'with a key on P-384': { shown: [issue({ ...NAMES, issuer: root, key: newKey('P-384') })] },
  'with an RSA key': {
    shown: [issue({ ...NAMES, issuer: root, key: generateKeyPairSync('rsa', { modulusLength: 2048 }) })]
  },
  'with an Ed25519 key': { shown: [issue({ ...NAMES, issuer: root, key: generateKeyPairSync('ed25519') })] },
  'of an RSA root': { shown: [issue({ ...NAMES, issuer: rsaRoot })], ca: [rsaRoot] },
  'for an address': { shown: [issue({ issuer: root, names: ['127.0.0.1'] })], host: '127.0.0.1' },
  'for an address as a name': {
    shown: [issue({ issuer: root, name: '127.0.0.1' })],
    host: '127.0.0.1',
    code: 'ERR_TLS_CERT_ALTNAME_INVALID'
  },
  'for a host, at an address': { shown: [good], host: '127.0.0.1', code: 'ERR_TLS_CERT_ALTNAME_INVALID' },
  'for a host, at an address, with that servername': {
    shown: [good],
    host: '127.0.0.1',
    ssl: { servername: 'localhost' }
  },
  'for a host, at an address, with another servername': {
    shown: [good],
    host: '127.0.0.1',
    ssl: { servername: 'other.example' },
    code: 'ERR_TLS_CERT_ALTNAME_INVALID'
  },
  'for a host, at an address, with that host': { shown: [good], host: '127.0.0.1', ssl: { host: 'localhost' } },
  'for a host, with a servername that is not heard': { shown: [good], ssl: { servername: 'other.example' } },
  'for any host of a domain, at an address': {
    shown: [issue({ issuer: root, names: ['*.example.com'] })],
    host: '127.0.0.1',
    ssl: { servername: 'db.example.com' }
  }
}

describe('a server’s certificate: as pg', () => {
  for (const [name, { shown, ca = [root], ssl, host = 'localhost', code }] of Object.entries(SERVERS)) {
    test(`${code === undefined ? 'accepted' : 'refused'}: one ${name}`, async () => {
      show(...shown)
      await server.reload()
      const options = { ca: ca.map(({ pem }) => pem), ...ssl }
      const config = rejectUnauthorized => server.config({ host, ssl: { ...options, rejectUnauthorized } })

      const { pg, ours } = await attempts(() => config(true))
      const careless = await attempts(() => config(false))

      if (code === undefined) assert.ok('reached' in pg, pg.failed)
      else assert.equal(pg.failed?.code, code, JSON.stringify(pg))
      assert.deepEqual(ours, pg)
      assert.ok('reached' in careless.pg)
      assert.deepEqual(careless.ours, careless.pg)
    })
  }
})

describe('a check of the host’s name by the user', () => {
  test('sees the name and the certificates that Node shows it', async () => {
    show(underIntermediate, intermediate)
    await server.reload()
    /** @type {any[]} */
    const seen = []
    const checkServerIdentity = (/** @type {string} */ name, /** @type {any} */ certificate) => {
      seen.push([name, described(certificate)])
    }

    for (const host of ['localhost', '127.0.0.1']) {
      const { pg, ours } = await attempts(server.config({ host, ssl: { ca: root.pem, checkServerIdentity } }))

      assert.ok('reached' in pg)
      assert.deepEqual(ours, pg)
      const [theirs, own] = seen.splice(0)
      assert.deepEqual(own, theirs)
    }
  })

  test('is asked under the name of the server that is tried', async () => {
    show(good)
    await server.reload()
    /** @type {string[]} */
    const names = []
    const checkServerIdentity = (/** @type {string} */ name) => void names.push(name)
    const config = server.config({ host: '127.0.0.1', ssl: { ca: root.pem, checkServerIdentity } })

    await byUs({ ...config, port: 1 }, { hosts: [`localhost:${config.port}`] })

    assert.deepEqual(new Set(names), new Set(['localhost']))
  })

  test('refuses with its own error', async () => {
    show(good)
    await server.reload()
    const refusal = new Error('not this one')
    const checks = {
      returns: () => refusal,
      throws: () => {
        throw refusal
      }
    }

    for (const checkServerIdentity of Object.values(checks)) {
      const refused = byUs(server.config({ host: 'localhost', ssl: { ca: root.pem, checkServerIdentity } }))
      await assert.rejects(refused, error => error === refusal)
    }
  })

  test('is not asked about a certificate that is bad anyway, or need not be good', async () => {
    show(issue({ ...NAMES, issuer: otherRoot }))
    await server.reload()
    const checkServerIdentity = () => assert.fail('it was asked')

    for (const rejectUnauthorized of [true, false]) {
      const ssl = { ca: root.pem, checkServerIdentity, rejectUnauthorized }
      const { pg, ours } = await attempts(server.config({ host: 'localhost', ssl }))

      assert.deepEqual(ours, pg)
    }
  })
})

const rsaKey = generateKeyPairSync('rsa', { modulusLength: 2048 })
const client = issue({ name: 'cert', issuer: root })
const rsaClient = issue({ name: 'cert', issuer: root, key: rsaKey })
const edClient = issue({ name: 'cert', issuer: root, key: generateKeyPairSync('ed25519') })
const clientUnderIntermediate = issue({ name: 'cert', issuer: intermediate })
const foreignClient = issue({ name: 'cert', issuer: otherRoot })
const otherClient = issue({ name: 'somebody else', issuer: root })
const PASSPHRASE = 'open sesame'
/** @param {any} certificate @param {object} format */
const exported = ({ privateKey }, format) => privateKey.export({ type: 'pkcs8', format: 'pem', ...format })
const ENCRYPTED = { cipher: 'aes-256-cbc', passphrase: PASSPHRASE }
const encrypted = exported(client, ENCRYPTED)

/** @type {{ [name: string]: { ssl: object, code?: string, host?: string } }} */
const CLIENTS = {
  none: { ssl: {}, code: '28000' },
  'a key in PKCS#8': { ssl: { cert: client.pem, key: keyOf(client) } },
  'a key in SEC1': { ssl: { cert: client.pem, key: exported(client, { type: 'sec1' }) } },
  'an RSA key in PKCS#8': { ssl: { cert: rsaClient.pem, key: keyOf(rsaClient) } },
  'an RSA key in PKCS#1': { ssl: { cert: rsaClient.pem, key: exported(rsaClient, { type: 'pkcs1' }) } },
  'an Ed25519 key': { ssl: { cert: edClient.pem, key: keyOf(edClient) } },
  Buffers: { ssl: { cert: Buffer.from(client.pem), key: Buffer.from(keyOf(client)) } },
  arrays: { ssl: { cert: [client.pem], key: [keyOf(client)] } },
  'an encrypted key': { ssl: { cert: client.pem, key: encrypted, passphrase: PASSPHRASE } },
  'an encrypted RSA key in PKCS#1': {
    ssl: { cert: rsaClient.pem, key: exported(rsaClient, { type: 'pkcs1', ...ENCRYPTED }), passphrase: PASSPHRASE }
  },
  'an encrypted key in SEC1': {
    ssl: { cert: client.pem, key: exported(client, { type: 'sec1', ...ENCRYPTED }), passphrase: PASSPHRASE }
  },
  'an encrypted key with its own passphrase': {
    ssl: { cert: client.pem, key: [{ pem: encrypted, passphrase: PASSPHRASE }] }
  },
  'a passphrase that is not needed': { ssl: { cert: client.pem, key: keyOf(client), passphrase: PASSPHRASE } },
  'a wrong passphrase': { ssl: { cert: client.pem, key: encrypted, passphrase: 'x' }, code: 'ERR_OSSL_BAD_DECRYPT' },
  'no passphrase': {
    ssl: { cert: client.pem, key: encrypted },
    code: 'ERR_OSSL_BAD_DECRYPT'
  },
  'the key of another': {
    ssl: { cert: client.pem, key: keyOf(otherClient) },
    code: 'ERR_OSSL_X509_KEY_VALUES_MISMATCH'
  },
  'a certificate that is none': { ssl: { cert: 'x', key: keyOf(client) }, code: 'ERR_OSSL_PEM_NO_START_LINE' },
  'a key that is none': { ssl: { cert: client.pem, key: 'x' }, code: 'ERR_OSSL_UNSUPPORTED' },
  'a key without a certificate': { ssl: { key: keyOf(client) }, code: '28000' },
  'a certificate without a key': { ssl: { cert: client.pem }, code: '28000' },
  'an intermediate with it': {
    ssl: { cert: clientUnderIntermediate.pem + intermediate.pem, key: keyOf(clientUnderIntermediate) }
  },
  'an intermediate among the trusted ones': {
    ssl: {
      ca: [root.pem, intermediate.pem],
      cert: clientUnderIntermediate.pem,
      key: keyOf(clientUnderIntermediate)
    }
  },
  'its intermediate missing': {
    ssl: { cert: clientUnderIntermediate.pem, key: keyOf(clientUnderIntermediate) },
    code: 'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA'
  },
  'a certificate of somebody unknown': {
    ssl: { cert: foreignClient.pem, key: keyOf(foreignClient) },
    code: 'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA'
  },
  'an expired certificate': {
    ssl: expiredClient(),
    code: 'ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED'
  },
  'a certificate of another role': { ssl: { cert: otherClient.pem, key: keyOf(otherClient) }, code: '28000' }
}

function expiredClient() {
  const expired = issue({ name: 'cert', issuer: root, days: LAST_WEEK })
  return { cert: expired.pem, key: keyOf(expired) }
}

describe('a client’s certificate: as pg', () => {
  for (const version of ['TLSv1.2', 'TLSv1.3']) {
    describe(`in ${version}`, () => {
      before(() => speak(version))

      for (const [name, { ssl, code }] of Object.entries(CLIENTS)) {
        test(name, async () => {
          const config = () => server.config({ host: 'localhost', user: 'cert', ssl: { ca: root.pem, ...ssl } })

          const { pg, ours } = await attempts(config)

          // What the server says of the certificate comes amidst the handshake in TLS 1.2, and after it in TLS 1.3.
          const expected = version === 'TLSv1.2' ? code?.replace(/^ERR_SSL.*/, 'EPROTO') : code
          if (code === undefined) assert.equal(pg.reached?.tls, version, JSON.stringify(pg))
          else assert.equal(pg.failed?.code, expected, JSON.stringify(pg))
          assert.deepEqual(sameWords(ours), sameWords(pg))
        })
      }
    })
  }
})

const ALTNAME = 'ERR_TLS_CERT_ALTNAME_INVALID'
const UNKNOWN = 'SELF_SIGNED_CERT_IN_CHAIN'
/**
 * What a URL, or PGSSLMODE, makes of a server whose root is given, of one for another host, and of one whose root is
 * not given: TLS ("yes"), no TLS ("plain") or an error's code.
 *
 * @type {[query: string, expected: [good: string, forAnother: string, unknown: string]][]}
 */
const QUERIES = [
  ['', ['plain', 'plain', 'plain']],
  ['ssl=0', ['plain', 'plain', 'plain']],
  ['sslmode=disable', ['plain', 'plain', 'plain']],
  ['ssl=true', [UNKNOWN, UNKNOWN, UNKNOWN]],
  ['ssl=1', [UNKNOWN, UNKNOWN, UNKNOWN]],
  ['ssl=no-verify', ['yes', 'yes', 'yes']],
  ['sslmode=no-verify', ['yes', 'yes', 'yes']],
  ['sslmode=require', [UNKNOWN, UNKNOWN, UNKNOWN]],
  ['sslrootcert={root}', ['yes', ALTNAME, UNKNOWN]],
  ...['allow', 'prefer', 'require', 'verify-ca', 'verify-full'].map(
    mode => /** @type {any} */ ([`sslmode=${mode}&sslrootcert={root}`, ['yes', ALTNAME, UNKNOWN]])
  ),
  ['sslmode=no-verify&sslrootcert={root}', ['yes', 'yes', 'yes']],
  ['sslmode=disable&sslrootcert={root}', ['plain', 'plain', 'plain']],
  ['uselibpqcompat=true&sslmode=prefer', ['yes', 'yes', 'yes']],
  ['uselibpqcompat=true&sslmode=require', ['yes', 'yes', 'yes']],
  ['uselibpqcompat=true&sslmode=require&sslrootcert={root}', ['yes', 'yes', UNKNOWN]],
  ['uselibpqcompat=true&sslmode=verify-ca&sslrootcert={root}', ['yes', 'yes', UNKNOWN]],
  ['uselibpqcompat=true&sslmode=verify-full&sslrootcert={root}', ['yes', ALTNAME, UNKNOWN]]
]
const VARIABLES = [
  ['disable', ['plain', 'plain', 'plain']],
  ['prefer', [UNKNOWN, UNKNOWN, UNKNOWN]],
  ['verify-full', [UNKNOWN, UNKNOWN, UNKNOWN]],
  ['no-verify', ['yes', 'yes', 'yes']]
]
const SHOWN = [
  ['a server whose root is given', [good, root]],
  ['a server for another host', [issue({ name: 'other.example', issuer: root }), root]],
  ['a server whose root is not given', [issue({ ...NAMES, issuer: otherRoot }), otherRoot]]
]

for (const [at, [name, shown]] of SHOWN.entries()) {
  describe(`${name}: as pg`, () => {
    /** @type {string} */
    let file

    before(async () => {
      show(...shown)
      file = server.write('trusted.crt', root.pem)
      await server.reload()
    })

    for (const [query, expected] of QUERIES) {
      test(`with ${query || 'nothing'} in the URL`, async () => {
        const { port } = server
        const url = `postgres://trusted@localhost:${port}/app?${query.replace('{root}', encodeURIComponent(file))}`

        await assertOutcome(url, {}, expected[at])
      })
    }

    for (const [mode, expected] of VARIABLES) {
      test(`with PGSSLMODE=${mode}`, async () => {
        await assertOutcome(server.config({ host: 'localhost' }), { PGSSLMODE: mode }, expected[at])
      })
    }
  })
}

/**
 * @param {any} connection
 * @param {{ [name: string]: string }} variables
 * @param {string} expected
 */
async function assertOutcome(connection, variables, expected) {
  const { pg, ours } = await attempts(connection, variables)

  const { reached, failed } = /** @type {any} */ (pg)
  assert.equal(failed?.code ?? (reached.tls ? 'yes' : 'plain'), expected, JSON.stringify(pg))
  assert.deepEqual(ours, pg)
}

describe('certificates in files', () => {
  test('of a URL: sslcert, sslkey, sslrootcert', async () => {
    await speak('TLSv1.3')
    const files = { sslcert: client.pem, sslkey: keyOf(client), sslrootcert: root.pem }
    const query = Object.entries(files).map(([name, pem]) => `${name}=${encodeURIComponent(server.write(name, pem))}`)
    const url = `postgres://cert@localhost:${server.port}/app?sslmode=verify-full&${query.join('&')}`

    const { pg, ours } = await attempts(url)

    assert.equal(/** @type {any} */ (pg).reached?.certificate, '/CN=cert')
    assert.deepEqual(ours, pg)
  })

  test('of NODE_EXTRA_CA_CERTS are trusted, beside those that Node brings', async () => {
    show(good)
    await server.reload()
    const url = `postgres://trusted@localhost:${server.port}/app?sslmode=verify-full`
    const body = `
      const { attempts } = require('./__test__/support/attempts.js')
      const { pg, ours } = await attempts(url)
      assert.deepEqual(ours, pg)
      console.log(pg.reached?.tls ?? pg.failed.code)
    `
    const file = server.write('extra.crt', root.pem)
    for (const [env, expected] of /** @type {[any, RegExp][]} */ ([
      [{ NODE_EXTRA_CA_CERTS: file }, /^TLSv1/],
      [{}, /^SELF_SIGNED_CERT_IN_CHAIN|^UNABLE_TO_VERIFY_LEAF_SIGNATURE/],
      [{ NODE_EXTRA_CA_CERTS: '/nowhere' }, /^SELF_SIGNED_CERT_IN_CHAIN|^UNABLE_TO_VERIFY_LEAF_SIGNATURE/]
    ])) {
      const { code, stdout, stderr } = await runScript(body, { url, env })

      assert.equal(code, 0, stderr)
      assert.match(stdout, expected)
    }
  })
})

test('a certificate that changed is looked at by each new connection', async t => {
  show(good)
  await server.reload()
  const config = server.config({ host: 'localhost', application_name: 'rotated', ssl: { ca: root.pem } })
  const sessions = await open(config)
  t.after(() => sessions.close())
  const create = () => sessions.create({})

  show(issue({ ...NAMES, issuer: otherRoot }))
  await server.reload()
  await create()
  await server.endConnections('rotated')
  await assert.rejects(create(), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' })
  show(issue({ ...NAMES, issuer: root }))
  await server.reload()
  assert.match((await create()).facts.tls, /^TLSv1/)
})

describe('options of tls.connect', () => {
  const PFX = Buffer.from('x')
  /** @type {[option: string, value: unknown][]} */
  const REFUSED = [
    ['ALPNProtocols', ['postgresql']],
    ['ciphers', 'ALL'],
    ['sigalgs', 'ed25519'],
    ['ecdhCurve', 'auto'],
    ['minVersion', 'TLSv1.3'],
    ['maxVersion', 'TLSv1.2'],
    ['secureProtocol', 'TLS_method'],
    ['secureOptions', 1],
    ['secureContext', createSecureContext()],
    ['pfx', PFX],
    ['crl', 'x'],
    ['session', PFX],
    ['minDHSize', 2048],
    ['pskCallback', () => null],
    ['socket', new net.Socket()],
    ['allowPartialTrustChain', true],
    ['cert', [client.pem, rsaClient.pem]],
    ['key', [keyOf(client), keyOf(rsaClient)]]
  ]
  for (const [option, value] of REFUSED) {
    test(`${option} is refused by name`, async () => {
      const ssl = { rejectUnauthorized: false, cert: client.pem, key: keyOf(client), [option]: value }

      const message = new RegExp(`^ssl\\.${option}: `)
      await assert.rejects(byUs(server.config({ ssl })), { name: 'TypeError', message })
    })
  }

  test('that Node makes nothing of, we make nothing of', async () => {
    show(good)
    await server.reload()
    const ssl = {
      ca: root.pem,
      require: true,
      sslmode: 'require',
      requestCert: true,
      port: 1,
      path: '/nowhere',
      lookup: () => assert.fail('it was called'),
      timeout: 1,
      sessionTimeout: 1,
      minVersion: 'TLSv1.2',
      maxVersion: 'TLSv1.3',
      ciphers: undefined,
      pfx: null
    }

    const { pg, ours } = await attempts(server.config({ host: 'localhost', ssl }))

    assert.ok('reached' in pg, JSON.stringify(pg))
    assert.deepEqual(ours, pg)
  })

  test('`ca` that holds no certificate is an error that names it', async () => {
    const refused = byUs(server.config({ ssl: { ca: 'certificates/root.crt' } }))

    await assert.rejects(refused, { name: 'TypeError', message: 'ssl.ca: expected certificates in PEM format' })
  })

  test('`ca` of many certificates, with words between them, and Buffers', async () => {
    show(good)
    await server.reload()
    const text = `The first:\n${otherRoot.pem}\nThe second:\r\n${root.pem.replaceAll('\n', '\r\n')}`

    for (const ca of [text, Buffer.from(text), [otherRoot.pem, Buffer.from(root.pem)]]) {
      const { pg, ours } = await attempts(server.config({ host: 'localhost', ssl: { ca } }))

      assert.ok('reached' in pg, JSON.stringify(pg))
      assert.deepEqual(ours, pg)
    }
  })
})

test('TLS on a Unix socket, where the server has none: as pg', async () => {
  const { pg, ours } = await attempts(server.config({ host: server.socketDir, ssl: { ca: root.pem } }))

  assert.match(/** @type {any} */ (pg).failed?.message, /does not support SSL/)
  assert.deepEqual(ours, pg)
})

test('a key on P-521 is beyond us: refused where it counts, taken where it does not', async () => {
  show(issue({ ...NAMES, issuer: root, key: newKey('P-521') }))
  await server.reload()
  const config = (/** @type {boolean} */ rejectUnauthorized) =>
    server.config({ host: 'localhost', ssl: { ca: root.pem, rejectUnauthorized } })

  await assert.rejects(byUs(config(true)), { code: 'EPROTO' })
  assert.match((await byUs(config(false))).tls, /^TLSv1/)
})

/**
 * The server speaks this version only.
 *
 * @param {string} version
 */
async function speak(version) {
  show(good)
  for (const limit of ['min', 'max'])
    await server.query(`ALTER SYSTEM SET ssl_${limit}_protocol_version = '${version}'`)
  await server.reload()
}

/**
 * An error of OpenSSL's names its source files and lines: only its code is compared.
 *
 * @param {any} outcome
 */
function sameWords({ reached, failed }) {
  return /^(EPROTO|ERR_SSL_)/.test(failed?.code) ? { failed: { ...failed, message: '' } } : { reached, failed }
}

/**
 * What tells a certificate, and those behind it.
 *
 * @param {any} certificate
 * @returns {any}
 */
function described({ issuerCertificate, ...own }) {
  const isLast = issuerCertificate === undefined || issuerCertificate.fingerprint256 === own.fingerprint256
  return { ...own, issuerCertificate: isLast ? issuerCertificate?.fingerprint256 : described(issuerCertificate) }
}
