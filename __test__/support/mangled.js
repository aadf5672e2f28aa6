'use strict'

// Messages of PostgreSQL's, mangled in every way that a stream of bytes can be: for readers that must survive all.
// https://www.postgresql.org/docs/current/protocol-message-formats.html

const fc = require('fast-check')

const HEAD = 5

/** What the server says in the course of a connection, by the letters of the messages. */
const TAGS = ['R', 'S', 'K', 'Z', '1', 't', 'T', '2', 'D', 'C', 'E', 'n']
/** What it may say that nobody asked for. */
const UNASKED = ['N', 'A', 'S', 'E', 'Z', 'D', 'C', 'T', 'G', 'H', 'c', 's', 'I', '3', 'R', 'v', '\0', '\xff']
const LENGTHS = [0, 1, 3, 4, 5, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x3fff_ffff, 100_000]

/** @typedef {(message: Buffer) => Buffer} Mangle */

const bytes = fc.uint8Array({ minLength: 1, maxLength: 40 }).map(array => Buffer.from(array))
const place = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

/** @type {fc.Arbitrary<{ how: string, mangle: Mangle }>} */
const mangled = fc.oneof(
  fc.tuple(place, fc.integer({ min: 1, max: 255 })).map(([where, bits]) => ({
    how: `a byte at ${where} changed by ${bits}`,
    mangle: message => changed(message, where, bits)
  })),
  place.map(where => ({
    how: `cut off at ${where}`,
    mangle: message => message.subarray(0, Math.floor(where * message.length))
  })),
  place.map(where => ({
    how: `shortened to ${where}, and its length with it`,
    mangle: message => withLength(message.subarray(0, HEAD + Math.floor(where * (message.length - HEAD))))
  })),
  bytes.map(more => ({
    how: `longer by ${more.length}, and its length with it`,
    mangle: message => withLength(Buffer.concat([message, more]))
  })),
  bytes.map(garbage => ({ how: `garbage ${garbage.toString('hex')}`, mangle: () => garbage })),
  bytes.map(garbage => ({
    how: `a body of garbage ${garbage.toString('hex')}`,
    mangle: message => withLength(Buffer.concat([message.subarray(0, HEAD), garbage]))
  })),
  fc.constantFrom(...LENGTHS).map(length => ({
    how: `a length of ${length}`,
    mangle: message => withLength(message, length)
  })),
  fc.constantFrom(...UNASKED).map(tag => ({
    how: `of kind ${JSON.stringify(tag)}`,
    mangle: message => Buffer.concat([Buffer.from(tag, 'latin1'), message.subarray(1)])
  })),
  fc.tuple(fc.constantFrom(...UNASKED), bytes).map(([tag, body]) => ({
    how: `with a message ${JSON.stringify(tag)} before it: ${body.toString('hex')}`,
    mangle: message => Buffer.concat([ofKind(tag, body), message])
  })),
  fc.constant({ how: 'twice', mangle: (/** @type {Buffer} */ message) => Buffer.concat([message, message]) }),
  fc.constant({ how: 'never', mangle: () => Buffer.alloc(0) })
)

/**
 * @param {Buffer} message
 * @param {number} where
 * @param {number} bits
 */
function changed(message, where, bits) {
  const copy = Buffer.from(message)
  copy[Math.floor(where * copy.length)] ^= bits
  return copy
}

/**
 * @param {Buffer} message
 * @param {number} [length]
 */
function withLength(message, length = message.length - 1) {
  const copy = Buffer.from(message)
  copy.writeUInt32BE(length, 1)
  return copy
}

/**
 * @param {string} tag
 * @param {Buffer} body
 */
function ofKind(tag, body) {
  return withLength(Buffer.concat([Buffer.from(tag, 'latin1'), Buffer.alloc(4), body]))
}

module.exports = { TAGS, mangled, withLength }
