'use strict'

// Those who check packages find nothing to say about ours.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { ROOT, runIn, tarballs } = require('../support/installed.js')
const { tool } = require('../support/tools.js')

const publint = tool('.bin/publint')
for (const which of /** @type {const} */ (['main', 'platform'])) {
  test(`publint has no error, no warning and no suggestion for the ${which} package`, {
    skip: publint.skip
  }, async () => {
    const { code, stdout, stderr } = await runIn(ROOT, publint.program, ['run', '--strict', tarballs()[which]])

    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' }, stdout)
    assert.match(stdout, /All good!/)
  })
}

const attw = tool('.bin/attw')
test('are-the-types-wrong finds that no types are', { skip: attw.skip }, async () => {
  const options = ['--profile', 'node16', '--format', 'ascii', '--no-color', '--no-emoji']
  const { code, stdout } = await runIn(ROOT, attw.program, [tarballs().main, ...options])

  assert.equal(code, 0, stdout)
  assert.match(stdout, /No problems found/)
})
