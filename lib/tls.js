'use strict'

// The `ssl` of a connection, as Node would take it: certificates and keys are read by Node's own crypto, whatever
// their format, and a host's name is checked by Node's own function. What cannot be carried over is refused by name.

const { X509Certificate, createPrivateKey } = require('node:crypto')
const fs = require('node:fs')
const { isIP } = require('node:net')
const tls = require('node:tls')
const { describe } = require('./errors.js')

/**
 * @typedef {import('../native/binding.js').TlsSettings} TlsSettings
 * @typedef {(certificates: Buffer) => void} CheckIdentity throws if the first of the certificates is not the host's
 * @typedef {string | Buffer | (string | Buffer)[]} Pem
 */

/**
 * What changes a handshake, or what is accepted in it, and cannot be carried over. Of everything else, tls.connect
 * makes nothing here either: pg brings the socket, and other libraries' options such as `require` are unknown to it.
 */
const REFUSED = [
  'ALPNProtocols',
  'allowPartialTrustChain',
  'ciphers',
  'clientCertEngine',
  'crl',
  'ecdhCurve',
  'enableTrace',
  'isServer',
  'maxVersion',
  'minDHSize',
  'minVersion',
  'pfx',
  'privateKeyEngine',
  'privateKeyIdentifier',
  'pskCallback',
  'secureContext',
  'secureOptions',
  'secureProtocol',
  'session',
  'sigalgs',
  'socket'
]
/** Versions before 1.2 are spoken by nobody here: to allow them changes nothing. @type {{ [option: string]: string[] | undefined }} */
const MET_VERSIONS = { minVersion: ['TLSv1', 'TLSv1.1', 'TLSv1.2'], maxVersion: ['TLSv1.3'] }
const PEM_CERTIFICATE =
  /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]*-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g
/** A sequence whose length takes more than one byte says so with this bit. */
const LONG_LENGTH = 0x80

/** @type {X509Certificate[] | undefined} */
let defaultTrusted

/**
 * @param {any} ssl `true` or an object of options for `tls.connect`
 * @param {string} host
 * @param {boolean} direct
 * @returns {{ settings: TlsSettings, checkIdentity: CheckIdentity }}
 */
function resolveTls(ssl, host, direct) {
  const options = ssl === true ? {} : ssl
  if (typeof options !== 'object')
    throw new TypeError(`ssl: expected true or an object of options, got ${describe(ssl)}`)
  refuseUnsupported(options)
  const { ca, cert, key, passphrase } = options
  // Node refuses here, and in its own words, what it would refuse when it connects: no certificate, another's key, a
  // wrong passphrase.
  tls.createSecureContext({ ca: [], cert, key, passphrase })
  const verify = options.rejectUnauthorized !== false
  const trusted = verify ? trustedOf(ca) : []
  // As in pg: a host name always goes first, an address is never sent as a name.
  const servername = isIP(host) === 0 ? host : options.servername
  return {
    settings: {
      trusted: trusted.map(certificate => certificate.raw),
      ...(cert && key ? ownIdentity(options) : { certificates: [] }),
      serverName: servername || undefined,
      verify,
      direct
    },
    checkIdentity: identityCheck(options, servername || options.host || host, trusted)
  }
}

/** @param {{ [option: string]: any }} options */
function refuseUnsupported(options) {
  for (const name of REFUSED) {
    const value = options[name]
    const isMet = MET_VERSIONS[name]?.includes(value)
    if (value === undefined || value === null || isMet) continue
    throw new TypeError(`ssl.${name}: this option of tls.connect cannot be carried over to the native pool`)
  }
  for (const name of ['cert', 'key']) {
    if (Array.isArray(options[name]) && options[name].length > 1) {
      throw new TypeError(`ssl.${name}: more than one cannot be carried over to the native pool`)
    }
  }
}

/**
 * @param {Pem | undefined} ca
 * @returns {X509Certificate[]}
 */
function trustedOf(ca) {
  if (!ca) return trustedByDefault()
  const given = certificates(ca)
  // Node would trust nobody, and blame the server.
  if (given.length === 0) throw new TypeError('ssl.ca: expected certificates in PEM format')
  return given
}

/**
 * @param {Pem} pem
 * @returns {X509Certificate[]}
 */
function certificates(pem) {
  const texts = [pem].flat().flatMap(text => String(text).match(PEM_CERTIFICATE) ?? [])
  return texts.map(text => new X509Certificate(text))
}

/**
 * The client's key, and its certificate with those that lead to its issuer. As OpenSSL does, a certificate that comes
 * alone is completed from the trusted ones; one of the two alone is left out.
 *
 * @param {any} options
 */
function ownIdentity({ ca, cert, key, passphrase }) {
  const chain = certificates(cert)
  const whole = chain.length === 1 && ca ? completed(chain, certificates(ca)) : chain
  return { certificates: whole.map(certificate => certificate.raw), key: readKey(key, passphrase) }
}

/**
 * @param {X509Certificate[]} chain
 * @param {X509Certificate[]} others
 */
function completed(chain, others) {
  const whole = [...chain]
  for (;;) {
    const last = whole[whole.length - 1]
    const issuer = others.find(other => !whole.includes(other) && last.checkIssued(other))
    if (last.checkIssued(last) || issuer === undefined) return whole
    whole.push(issuer)
  }
}

/** What Node trusts when no `ca` is given. */
function trustedByDefault() {
  defaultTrusted ??= certificates(defaultPems())
  return defaultTrusted
}

/** @returns {string[]} */
function defaultPems() {
  // Newer versions of Node tell it themselves, NODE_EXTRA_CA_CERTS and the system's store included.
  const { getCACertificates } = /** @type {{ getCACertificates?: (type: string) => string[] }} */ (
    /** @type {unknown} */ (tls)
  )
  if (getCACertificates !== undefined) return getCACertificates('default')
  return [...tls.rootCertificates, extraPem()]
}

function extraPem() {
  const file = process.env.NODE_EXTRA_CA_CERTS
  try {
    return file ? fs.readFileSync(file, 'utf8') : ''
  } catch {
    // Node has warned of it already, and goes on without.
    return ''
  }
}

/**
 * @param {any} key PEM, or `[{ pem, passphrase }]` as tls takes it
 * @param {string | undefined} passphrase
 */
function readKey(key, passphrase) {
  const [first] = [key].flat()
  const pem = first?.pem ?? first
  return createPrivateKey({ key: pem, passphrase: first?.passphrase ?? passphrase }).export({
    type: 'pkcs8',
    format: 'der'
  })
}

/**
 * @param {any} options
 * @param {string} name
 * @param {X509Certificate[]} trusted
 * @returns {CheckIdentity}
 */
function identityCheck(options, name, trusted) {
  const check = options.checkServerIdentity ?? tls.checkServerIdentity
  return der => {
    const error = check(name, peerCertificate(split(der), trusted))
    if (error) throw error
  }
}

/**
 * The server's certificate as `tls.TLSSocket.getPeerCertificate(true)` gives it: each with its issuer, as far as known.
 *
 * @param {X509Certificate[]} sent
 * @param {X509Certificate[]} trusted
 */
function peerCertificate([own, ...others], trusted) {
  const chain = completed([own], [...others, ...trusted])
  const described = chain.map(certificate => /** @type {any} */ (certificate).toLegacyObject())
  for (const [at, certificate] of chain.entries()) {
    const issuer = certificate.checkIssued(certificate) ? described[at] : described[at + 1]
    if (issuer !== undefined) described[at].issuerCertificate = issuer
  }
  return described[0]
}

/**
 * Certificates that lie one after the other.
 *
 * @param {Buffer} der
 * @returns {X509Certificate[]}
 */
function split(der) {
  const found = []
  for (let at = 0; at < der.length; ) {
    const length = lengthOf(der.subarray(at))
    found.push(new X509Certificate(der.subarray(at, at + length)))
    at += length
  }
  return found
}

/**
 * Of the sequence that begins here, with its head: a tag, and its length in one byte or in as many as that byte says.
 *
 * @param {Buffer} der
 */
function lengthOf(der) {
  const first = der[1]
  if (first < LONG_LENGTH) return 2 + first
  const digits = first - LONG_LENGTH
  return 2 + digits + der.readUIntBE(2, digits)
}

exports.resolveTls = resolveTls
