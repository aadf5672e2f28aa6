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
 * @typedef {import('../native/binding.js').TrustedCertificate} TrustedCertificate
 * @typedef {(certificate: Buffer) => void} CheckIdentity throws if the certificate is not the host's
 * @typedef {string | Buffer | (string | Buffer)[]} Pem
 */

/** What can be carried over; `host` is what pg sets, too. */
const SUPPORTED = new Set([
  'ca',
  'cert',
  'key',
  'passphrase',
  'servername',
  'host',
  'rejectUnauthorized',
  'checkServerIdentity'
])
const PEM_CERTIFICATE =
  /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]*-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g

/** @type {TrustedCertificate[] | undefined} */
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
  // As in pg: a host name always goes first, an address is never sent as a name.
  const isName = isIP(host) === 0
  const servername = isName ? host : options.servername
  return {
    settings: {
      trusted: options.ca ? certificates(options.ca, 'ssl.ca').map(trustedOf) : trustedByDefault(),
      certificates: options.cert ? certificates(options.cert, 'ssl.cert').map(certificate => certificate.raw) : [],
      key: options.key ? readKey(options.key, options.passphrase) : undefined,
      serverName: servername || undefined,
      verify: options.rejectUnauthorized !== false,
      direct
    },
    checkIdentity: identityCheck(options, servername || options.host || host)
  }
}

/** @param {{ [option: string]: unknown }} options */
function refuseUnsupported(options) {
  for (const [name, value] of Object.entries(options)) {
    if (SUPPORTED.has(name) || value === undefined || value === null) continue
    throw new TypeError(`ssl.${name}: this option of tls.connect cannot be carried over to the native pool`)
  }
}

/**
 * @param {Pem} pem
 * @param {string} option
 * @returns {X509Certificate[]}
 */
function certificates(pem, option) {
  const texts = [pem].flat().flatMap(text => String(text).match(PEM_CERTIFICATE) ?? [])
  if (texts.length === 0) throw new TypeError(`${option}: expected certificates in PEM format`)
  return texts.map(text => new X509Certificate(text))
}

/**
 * @param {X509Certificate} certificate
 * @returns {TrustedCertificate}
 */
function trustedOf(certificate) {
  return {
    certificate: certificate.raw,
    validFrom: Date.parse(certificate.validFrom),
    validTo: Date.parse(certificate.validTo)
  }
}

/** What Node trusts when no `ca` is given. */
function trustedByDefault() {
  defaultTrusted ??= defaultPems()
    .flatMap(pem => String(pem).match(PEM_CERTIFICATE) ?? [])
    .map(pem => trustedOf(new X509Certificate(pem)))
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
 * @returns {CheckIdentity}
 */
function identityCheck(options, name) {
  const check = options.checkServerIdentity ?? tls.checkServerIdentity
  return certificate => {
    const error = check(name, new X509Certificate(certificate).toLegacyObject())
    if (error) throw error
  }
}

exports.resolveTls = resolveTls
