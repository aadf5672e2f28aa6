'use strict'

// Which version is to be released: the newest in CHANGELOG.md. The manifests have to agree.

const fs = require('node:fs')
const path = require('node:path')
const { ROOT, manifest } = require('./stage.js')

/** A heading such as `## [1.2.3] - 2026-01-31`. */
const HEADING = /^## \[(\d+\.\d+\.\d+(?:-[\w.]+)?)\] - \d{4}-\d{2}-\d{2}$/m

/** @returns {{ version: string, notes: string }} `notes`: what its section says */
function newestRelease() {
  const changelog = fs.readFileSync(path.join(ROOT, 'CHANGELOG.md'), 'utf8')
  const heading = HEADING.exec(changelog)
  if (heading === null) throw new Error('CHANGELOG.md has no heading such as ## [1.2.3] - 2026-01-31')
  const [notes] = changelog.slice(heading.index + heading[0].length).split(/^## /m)
  return { version: heading[1], notes: notes.trim() }
}

/** @returns {string} the version of all manifests and of CHANGELOG.md */
function checkedVersion() {
  const { version } = newestRelease()
  const cargo = fs.readFileSync(path.join(ROOT, 'Cargo.toml'), 'utf8')
  const crate = /^version = "(.*)"$/m.exec(cargo)?.[1]
  const found = { 'CHANGELOG.md': version, 'package.json': manifest().version, 'Cargo.toml': crate }
  if (new Set(Object.values(found)).size > 1) throw new Error(`versions differ: ${JSON.stringify(found)}`)
  return version
}

/**
 * @param {string} version
 * @returns {'latest' | 'next'} what `npm install` without a version may give to everybody, and what not
 */
function tagFor(version) {
  return version.includes('-') ? 'next' : 'latest'
}

module.exports = { checkedVersion, newestRelease, tagFor }
