'use strict'

// examples/partitions.js: a table whose partitions are on two servers.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { findBinaries } = require('../../scripts/postgres-binaries.js')
const { folderForExamples, remains, startExample } = require('../support/examples.js')
const { lacks } = require('../support/needs.js')

test('all but refresh works on a table with partitions on another server', { skip: lacksForeignData() }, async t => {
  const folder = folderForExamples(t)

  const { code, stdout, stderr } = await startExample('partitions', folder).ended

  assert.equal(code, 0, stdout + stderr)
  const [, there] = /create: 1000 sessions, (\d+) of them on the second server/.exec(stdout)
  assert.ok(Number(there) > 300 && Number(there) < 700, stdout)
  for (const operation of ['validate', 'extend', 'update'])
    assert.match(stdout, new RegExp(`${operation}: 1000 of 1000\n`))
  // An id that changes would have to change its server. If this passes one day, docs/scaling.md can say so.
  assert.match(stdout, /refresh: \d+ of 100 \(/)
  assert.match(stdout, /rows left: 0\n/)
  assert.deepEqual(await remains(folder), [])
})

/** Debian's server brings postgres_fdw, and so do the npm packages. */
function lacksForeignData() {
  const bin = findBinaries()
  const [version] = /\d+(?=\/bin$)/.exec(bin) ?? []
  const places = [
    path.join(bin, '../share/postgresql/extension'),
    path.join(bin, '../share/extension'),
    `/usr/share/postgresql/${version}/extension`
  ].map(place => path.join(place, 'postgres_fdw.control'))
  return places.some(file => fs.existsSync(file)) ? false : lacks('postgres_fdw', 'apt install postgresql')
}
