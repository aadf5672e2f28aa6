'use strict'

// Writes THIRD-PARTY-LICENSES: the licences of all that is compiled into the addon, for any of its platforms, and the
// names of the npm packages that come along. With --check only compares: `npm run licences` after a change of
// dependencies.

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const manifest = require('../package.json')

/** @typedef {{ id: string, name: string, version: string, license: string | null, manifest_path: string, source: string | null, targets: { kind: string[] }[] }} Crate */
/** @typedef {{ id: string, deps: { pkg: string, dep_kinds: { kind: string | null }[] }[] }} Node */

const ROOT = path.resolve(__dirname, '..')
const FILE = path.join(ROOT, 'THIRD-PARTY-LICENSES')
const LICENCE = /^(licen[sc]e|copying|copyright|notice)/i
/** What a crate that leaves us the choice is taken under, if its text is there. */
const PREFERRED = /mit/i

const HEAD = `The addon of ${manifest.name} contains the Rust crates below and Rust's standard library, which is
Copyright (c) The Rust Project Contributors, under the MIT licence (or, if you prefer, the Apache licence 2.0).
Made by \`npm run licences\`.
`

/** @returns {Crate[]} what is linked into the addon of some platform, our own crate excepted */
function linkedCrates() {
  const platforms = manifest.napi.targets.flatMap(target => ['--filter-platform', target])
  const args = ['metadata', '--format-version=1', '--locked', '--features=node', ...platforms]
  const options = { cwd: ROOT, encoding: /** @type {const} */ ('utf8'), maxBuffer: 2 ** 28 }
  const { packages, resolve } = JSON.parse(execFileSync('cargo', args, options))
  const crates = new Map(packages.map((/** @type {Crate} */ crate) => [crate.id, crate]))
  const nodes = new Map(resolve.nodes.map((/** @type {Node} */ node) => [node.id, node]))
  const linked = [...reach(resolve.root, nodes, crates)].map(id => crates.get(id))
  return linked.filter(crate => crate.source !== null).sort((a, b) => compare(label(a), label(b)))
}

/**
 * @param {string} root
 * @param {Map<string, Node>} nodes
 * @param {Map<string, Crate>} crates
 * @returns {Set<string>}
 */
function reach(root, nodes, crates) {
  const reached = new Set([root])
  for (const id of reached) {
    for (const { pkg, dep_kinds } of nodes.get(id)?.deps ?? []) {
      const isLinked = dep_kinds.some(({ kind }) => kind === null) && !runsInTheCompiler(crates.get(pkg))
      if (isLinked) reached.add(pkg)
    }
  }
  return reached
}

/** @param {Crate} [crate] */
function runsInTheCompiler(crate) {
  return crate?.targets.some(({ kind }) => kind.includes('proc-macro'))
}

/** @param {Crate} crate */
function label({ name, version, license }) {
  return `${name} ${version} (${license})`
}

/**
 * @param {Crate} crate
 * @returns {string}
 */
function licenceText({ manifest_path, license }) {
  const folder = path.dirname(manifest_path)
  const files = fs
    .readdirSync(folder)
    .filter(name => LICENCE.test(name) && fs.statSync(path.join(folder, name)).isFile())
  const preferred = files.filter(name => PREFERRED.test(name))
  const chosen =
    / OR |\//.test(license ?? '') && !/ AND /.test(license ?? '') && preferred.length > 0 ? preferred : files
  return chosen
    .sort()
    .map(name => tidy(fs.readFileSync(path.join(folder, name), 'utf8')))
    .join('\n\n')
}

/** @param {string} text */
function tidy(text) {
  const lines = text
    .replace(/\r/g, '')
    .split('\n')
    .map(line => line.trimEnd())
  return lines
    .join('\n')
    .replace(/\n{3,}/g, '\n\n')
    .replace(/^\n+|\n+$/g, '')
}

/** @returns {string} */
function rendered() {
  /** @type {Map<string, string[]>} */
  const byText = new Map()
  for (const crate of linkedCrates()) {
    const text = licenceText(crate)
    byText.set(text, [...(byText.get(text) ?? []), label(crate)])
  }
  const withText = [...byText]
    .filter(([text]) => text !== '')
    .map(([text, names]) => `${names.join('\n')}\n\n${text}\n`)
  const without = `These crates come without a text of their licence:\n\n${(byText.get('') ?? ['none']).join('\n')}\n`
  return [HEAD, npmPackages(), ...withText, without].join(`\n${'-'.repeat(80)}\n\n`)
}

/** @returns {string} they keep their licences in their own folders */
function npmPackages() {
  const { packages } = JSON.parse(fs.readFileSync(path.join(ROOT, 'package-lock.json'), 'utf8'))
  const installed = Object.entries(packages).filter(([name, { dev, devOptional }]) => name && !dev && !devOptional)
  const names = installed.map(([place, { license }]) => `${place.replace(/^.*node_modules\//, '')} (${license})`)
  return `npm installs these packages beside it, each with its own licence:\n\n${[...new Set(names)].join('\n')}\n`
}

/**
 * @param {string} a
 * @param {string} b
 */
function compare(a, b) {
  return a < b ? -1 : Number(a > b)
}

function main() {
  const text = rendered()
  if (!process.argv.includes('--check')) return fs.writeFileSync(FILE, text)
  if (fs.existsSync(FILE) && fs.readFileSync(FILE, 'utf8') === text) return
  console.error('THIRD-PARTY-LICENSES is stale: npm run licences')
  process.exitCode = 1
}

main()
