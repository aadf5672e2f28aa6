'use strict'

// What docs/session-life.md says of hashed ids, computed here once more: a test that used the package's own hash would
// agree with any.

const { createHash } = require('node:crypto')

/**
 * The hash under which `connect` keeps a session's row.
 *
 * @param {string} sid
 */
function hashedId(sid) {
  const id = Buffer.from(sid.replaceAll('-', ''), 'hex')
  const hash = createHash('sha256').update('pg-sess-rs/id/1:').update(id).digest().subarray(0, 16)
  hash[6] = (hash[6] & 0x0f) | 0x80
  hash[8] = (hash[8] & 0x3f) | 0x80
  hash[15] = 0x73
  return hash.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/**
 * Under which ids the row may stand, whatever `hashIds` is.
 *
 * @param {string} sid
 */
function storedIds(sid) {
  return [sid, hashedId(sid)]
}

module.exports = { hashedId, storedIds }
