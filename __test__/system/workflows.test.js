'use strict'

// The workflows cannot be run here; that actionlint has nothing to say about them can be seen.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { ROOT } = require('../support/installed.js')
const { tool } = require('../support/tools.js')
const { PLATFORMS } = require('../../scripts/publish/platforms.js')

const WORKFLOWS = path.join(ROOT, '.github/workflows')
/** Machines that are younger than this actionlint. */
const NEWER_MACHINES =
  /"(ubuntu-24\.04|ubuntu-24\.04-arm|macos-15|macos-15-intel|windows-2025|windows-11-arm)" is unknown/

const actionlint = tool('actionlint/node.cjs')

test('actionlint accepts all workflows', { skip: actionlint.skip }, async () => {
  const lint = await require(actionlint.program).createLinter()
  const files = fs.readdirSync(WORKFLOWS)
  assert.deepEqual(files, ['audit.yml', 'ci.yml', 'release.yml'])

  for (const file of files) {
    const found = lint(fs.readFileSync(path.join(WORKFLOWS, file), 'utf8'), `.github/workflows/${file}`)
    const faults = found.filter(({ kind, message }) => kind !== 'runner-label' || !NEWER_MACHINES.test(message))
    assert.deepEqual(faults, [], file)
  }
})

test('a release builds and tests every target, and nothing else', () => {
  const release = fs.readFileSync(path.join(WORKFLOWS, 'release.yml'), 'utf8')
  const [, build, tests] = release.split(/^ {2}(?:build|test):$/m)
  const targets = PLATFORMS.map(({ target }) => target).sort()

  assert.deepEqual(targetsIn(build), targets)
  assert.deepEqual(targetsIn(tests), targets)
})

/** @param {string} text */
function targetsIn(text) {
  return [...new Set(text.match(/(?:x86_64|aarch64)-[a-z]+-[a-z]+(?:-[a-z]+)?/g))].sort()
}
