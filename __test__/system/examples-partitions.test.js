'use strict'

// examples/partitions.js: a table whose partitions are on two servers.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { folderForExamples, remains, startExample } = require('../support/examples.js')
const { lacksForeignData } = require('../support/needs.js')

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
