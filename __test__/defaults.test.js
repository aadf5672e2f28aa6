'use strict'

// Every default is written in three places: for the core, for editors, for readers.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const typings = read('index.d.ts')
const options = read('src/options.rs')
const readme = read('README.md')

test('the numbers, names and switches in @default are those of src/options.rs', () => {
  const documented = documentedDefaults()
  const inCode = defaultsInCode()

  for (const [option, text] of Object.entries(inCode)) assert.equal(documented[option], text, option)
  for (const [option, text] of Object.entries(documented)) {
    if (/^[\d'tf]/.test(text) && !text.includes(' ')) assert.equal(inCode[option], text, option)
  }
  assert.ok(Object.keys(inCode).length >= 8)
})

test('the README lists every option with its default', () => {
  const documented = documentedDefaults()
  const listed = readmeDefaults()

  assert.deepEqual(Object.keys(listed).sort(), ['fields', ...Object.keys(documented)].sort())
  for (const [option, text] of Object.entries(defaultsInCode())) assert.equal(listed[option], text, option)
})

test('the Store documents the defaults of src/options.rs', () => {
  const [, body] = /export interface PgStoreOptions \{\n([\s\S]*?)\n {2}\}/.exec(read('express-session.d.ts'))
  const documented = documentedIn(body)
  const [, own] = /impl Default for StoreOptions \{[\s\S]*?Self \{\n([\s\S]*?)\n {8}\}/.exec(options)
  const inStore = [...own.matchAll(/^ +(\w+): (.*),$/gm)].map(([, name, value]) => [camelCase(name), inJs(value)])
  const { createTable: createTableIfMissing, ...others } = { ...defaultsInCode(), ...Object.fromEntries(inStore) }
  const shared = ['maxConnections', 'connectTimeout', 'queryTimeout', 'prepare', 'batch']

  const expected = { createTableIfMissing, ...others }
  for (const name of [
    'tableName',
    'ttl',
    'merge',
    'hashIds',
    'pruneSessionInterval',
    'createTableIfMissing',
    ...shared
  ]) {
    assert.equal(documented[name], expected[name], name)
  }
})

/** @param {string} file */
function read(file) {
  return fs.readFileSync(path.resolve(__dirname, '..', file), 'utf8')
}

/** The options of index.d.ts, each with what its comment gives as default. */
function documentedDefaults() {
  const [, body] = /export interface InitOptions \{\n([\s\S]*?)\n {2}\}/.exec(typings)
  return documentedIn(body)
}

/** @param {string} body of an interface */
function documentedIn(body) {
  const found = body.matchAll(/\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s+(\w+)\?:/g)
  return Object.fromEntries([...found].map(([, comment, name]) => [name, /@default (.*)/.exec(comment)?.[1]]))
}

/** The same from the core, written as JavaScript writes them. */
function defaultsInCode() {
  const [, body] = /impl Default for Options \{[\s\S]*?Self \{\n([\s\S]*?)\n {8}\}/.exec(options)
  const entries = [...body.matchAll(/^ +(\w+): (.*),$/gm)].map(([, name, value]) => [camelCase(name), inJs(value)])
  // `fold_names` is no option: the functions of pg-sess fold, `connect` does not. `only_maintains` is the command's.
  const isOption = (/** @type {string} */ name) => !['foldNames', 'onlyMaintains'].includes(name)
  return Object.fromEntries(entries.filter(([name, value]) => isOption(name) && value !== 'None'))
}

/** @param {string} name */
function camelCase(name) {
  return name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase())
}

/** @param {string} value */
function inJs(value) {
  if (value === 'Vec::new()') return 'none'
  return value
    .replace(/^Some\((.*)\)$/, '$1')
    .replace(/Duration::from_(?:millis|secs)\((.*)\)/, '$1')
    .replace(/"(.*)"\.to_owned\(\)/, "'$1'")
}

function readmeDefaults() {
  const [, section] = /\n## Options\n([\s\S]*?)\n## /.exec(readme)
  const rows = section.matchAll(/^\| `(\w+)` \| ([^|]*) \|/gm)
  return Object.fromEntries([...rows].map(([, name, text]) => [name, text.replace(/^`(.*)`$/, '$1')]))
}
