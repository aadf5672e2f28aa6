'use strict'

// Certificates made on the fly, good ones and each kind of bad one: signed by Node, written in DER by hand, since no
// library makes the bad ones. https://www.rfc-editor.org/rfc/rfc5280#section-4.1

const { createHash, generateKeyPairSync, randomBytes, sign } = require('node:crypto')
const { isIPv4 } = require('node:net')

const DAY = 24 * 60 * 60 * 1000

/** What a signature by a key of this type is called. */
const SIGNATURES = {
  ec: '1.2.840.10045.4.3.2', // ecdsa-with-SHA256
  rsa: '1.2.840.113549.1.1.11', // sha256WithRSAEncryption
  ed25519: '1.3.101.112'
}
/** Bits of a key usage, from the left. */
const USES = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign'
]
const PURPOSES = { serverAuth: '1.3.6.1.5.5.7.3.1', clientAuth: '1.3.6.1.5.5.7.3.2' }

/**
 * @typedef {object} Wish
 * @property {string} [name] its common name
 * @property {Certificate} [issuer] default: itself
 * @property {string[]} [names] host names and addresses it is for
 * @property {[from: number, to: number]} [days] from when and until when it holds, counted from today
 * @property {boolean | 'unsaid'} [ca] whether it may issue others
 * @property {number} [pathLength] how many may stand between it and the last one
 * @property {string[]} [uses] of its key
 * @property {(keyof typeof PURPOSES)[]} [purposes]
 * @property {string} [only] the only domain that it may issue for
 * @property {boolean} [strange] whether it has a critical extension that nobody knows
 * @property {number} [netscape] the bits of its Netscape type: what a certificate was for in old days
 * @property {string} [claims] what the signed part calls its signature
 * @property {1 | 3} [version]
 * @property {any} [key] default: a new one on the curve P-256
 * @property {any} [signer] a key that signs in place of the issuer's
 *
 * @typedef {object} Certificate
 * @property {string} name
 * @property {string} pem
 * @property {Buffer} der
 * @property {import('node:crypto').KeyObject} privateKey
 * @property {import('node:crypto').KeyObject} publicKey
 */

/**
 * @param {Wish} [wish]
 * @returns {Certificate}
 */
function issue(wish = {}) {
  const { name = 'localhost', issuer, days = [-1, 1], version = 3, key = newKey() } = wish
  const signer = wish.signer ?? issuer?.privateKey ?? key.privateKey
  const type = /** @type {keyof typeof SIGNATURES} */ (signer.asymmetricKeyType)
  const algorithm = sequence(oid(SIGNATURES[type]), ...(type === 'rsa' ? [value(0x05, '')] : []))
  const publicKey = key.publicKey.export({ type: 'spki', format: 'der' })
  const signed = sequence(
    ...(version === 3 ? [value(0xa0, integer(Buffer.from([2])))] : []),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    wish.claims ? sequence(oid(wish.claims)) : algorithm,
    commonName(issuer?.name ?? name),
    sequence(...days.map(day => time(new Date(Date.now() + day * DAY)))),
    commonName(name),
    publicKey,
    ...(version === 3 ? [value(0xa3, sequence(...extensions(wish, publicKey)))] : [])
  )
  const signature = sign(type === 'ed25519' ? null : 'sha256', signed, signer)
  const der = sequence(signed, algorithm, bits(signature))
  return { name, der, pem: pemOf(der), privateKey: key.privateKey, publicKey: key.publicKey }
}

/**
 * @param {Wish} wish
 * @param {Buffer} publicKey
 */
function extensions({ ca = false, pathLength, uses, purposes, names, only, strange, netscape }, publicKey) {
  const found = [extension('2.5.29.14', value(0x04, createHash('sha1').update(publicKey).digest()))]
  if (ca !== 'unsaid') {
    const limit = pathLength === undefined ? [] : [integer(Buffer.from([pathLength]))]
    found.push(extension('2.5.29.19', sequence(...(ca ? [value(0x01, Buffer.from([0xff])), ...limit] : [])), true))
  }
  if (uses) found.push(extension('2.5.29.15', usage(uses), true))
  if (purposes) found.push(extension('2.5.29.37', sequence(...purposes.map(purpose => oid(PURPOSES[purpose])))))
  if (names) found.push(extension('2.5.29.17', sequence(...names.map(alternativeName))))
  if (only) found.push(extension('2.5.29.30', sequence(value(0xa0, sequence(value(0x82, only)))), true))
  if (netscape !== undefined) found.push(extension('2.16.840.1.113730.1.1', bits(Buffer.from([netscape]))))
  if (strange) found.push(extension('1.2.3.4.5', value(0x05, ''), true))
  return found
}

/**
 * @param {string} id
 * @param {Buffer} content
 * @param {boolean} [critical]
 */
function extension(id, content, critical = false) {
  return sequence(oid(id), ...(critical ? [value(0x01, Buffer.from([0xff]))] : []), value(0x04, content))
}

/** @param {string[]} uses */
function usage(uses) {
  const byte = uses.reduce((sum, use) => sum | (0x80 >> USES.indexOf(use)), 0)
  return bits(Buffer.from([byte]))
}

/** @param {string} name */
function alternativeName(name) {
  return isIPv4(name) ? value(0x87, Buffer.from(name.split('.').map(Number))) : value(0x82, name)
}

/** @param {string} name */
function commonName(name) {
  return sequence(value(0x31, sequence(oid('2.5.4.3'), value(0x0c, name))))
}

/** @param {Date} date */
function time(date) {
  return value(0x18, date.toISOString().replace(/[-:T]|\.\d+/g, ''))
}

function newKey(curve = 'P-256') {
  return generateKeyPairSync('ec', { namedCurve: curve })
}

/** @param {Buffer} der */
function pemOf(der) {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
}

/**
 * @param {number} tag
 * @param {Buffer | string} content
 */
function value(tag, content) {
  const body = Buffer.from(content)
  const length = body.length
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...head]), body])
}

/** @param {Buffer[]} members */
function sequence(...members) {
  return value(0x30, Buffer.concat(members))
}

/** @param {Buffer} bytes */
function integer(bytes) {
  return value(0x02, bytes)
}

/** @param {Buffer} bytes */
function bits(bytes) {
  return value(0x03, Buffer.concat([Buffer.from([0]), bytes]))
}

/** @param {string} text */
function oid(text) {
  const [first, second, ...others] = text.split('.').map(Number)
  return value(0x06, Buffer.from([first * 40 + second, ...others.flatMap(base128)]))
}

/** @param {number} number */
function base128(number) {
  const digits = [number & 0x7f]
  for (let rest = number >> 7; rest > 0; rest >>= 7) digits.unshift((rest & 0x7f) | 0x80)
  return digits
}

/** @param {Certificate} certificate */
function keyOf({ privateKey }) {
  return /** @type {string} */ (privateKey.export({ type: 'pkcs8', format: 'pem' }))
}

module.exports = { issue, keyOf, newKey }
