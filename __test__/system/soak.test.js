'use strict'

// A short `npm run soak`: traffic and faults, and that it notices what goes wrong.

const assert = require('node:assert/strict')
const { execFile } = require('node:child_process')
const path = require('node:path')
const { describe, test } = require('node:test')

const SOAK = path.resolve(__dirname, '../../soak/run.js')
const SECONDS = '10'

describe('npm run soak', () => {
  test('while server and network fail, nothing acknowledged is lost, nothing ended comes back, no call hangs', async () => {
    const { code, stdout, stderr } = await runSoak('--seconds', SECONDS)

    assert.equal(code, 0, stdout + stderr)
    for (const none of ['unexpected', 'lost', 'resurrected', 'wrong', 'hung']) {
      assert.match(stdout, new RegExp(`^${none} +0$`, 'm'))
    }
    assert.match(stdout, /^calls +\d{3,} \(.*\bcreate \d/m)
    assert.match(stdout, /^faults +[1-9]/m)
    assert.match(stdout, /^connections +0 left$/m)
    assert.match(stdout, /^verified +[1-9]\d* sessions in the tables$/m)
  })

  test('it notices when sessions are removed, set back or brought back behind its back', async () => {
    const { code, stdout } = await runSoak('--seconds', '6', '--spoil', '--seed', '5')

    assert.equal(code, 1)
    assert.match(stdout, /^lost +[1-9]/m)
    assert.match(stdout, /^resurrected +[1-9]/m)
  })

  test('a flag that makes no sense is refused', async () => {
    const { code, stderr } = await runSoak('--seconds', 'soon')

    assert.equal(code, 2)
    assert.match(stderr, /^--seconds: expected a whole number greater than 0, got soon\n\nusage:/)
  })
})

/**
 * @param {string[]} flags
 * @returns {Promise<{ code: unknown, stdout: string, stderr: string }>}
 */
function runSoak(...flags) {
  // A runner's settings are meant for the runner.
  const { NODE_OPTIONS: _options, NODE_TEST_CONTEXT: _context, ...env } = process.env
  return new Promise(resolve => {
    execFile(process.execPath, [SOAK, ...flags], { env }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : error.code, stdout, stderr })
    })
  })
}
