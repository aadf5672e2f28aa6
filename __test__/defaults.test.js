'use strict'

// Every default is written in three places: for the core, for editors, for readers.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { connect } = require('pg-sess-rs')
const { read } = require('./support/documents.js')

/** No options: in them the functions of pg-sess differ from `connect`, or the command from both. */
const INTERNAL = ['foldNames', 'onlyMaintains', 'rememberIds']

const typings = read('index.d.ts')
const options = read('src/options.rs')
const ROW = /^\| `(\w+)` \| ([^|]*) \| ([^|]*) \|/gm

test('the numbers, names and switches in @default are those of src/options.rs', () => {
  const documented = documentedDefaults()
  const inCode = defaultsInCode()

  for (const [option, text] of Object.entries(inCode)) assert.equal(withoutDoor(documented[option]), text, option)
  for (const [option, text] of Object.entries(documented)) {
    // What is off unless it is asked for is `None` there.
    const isOff = text === 'false' && inCode[option] === undefined
    if (!isOff && /^[\d'tf]/.test(text) && !text.includes(' ')) assert.equal(inCode[option], text, option)
  }
  assert.ok(Object.keys(inCode).length >= 8)
})

test('docs/options.md lists every option with its default', () => {
  const documented = documentedDefaults()
  const listed = listedDefaults('docs/options.md')

  assert.deepEqual(Object.keys(listed).sort(), ['fields', ...Object.keys(documented)].sort())
  for (const [option, text] of Object.entries(defaultsInCode())) assert.equal(withoutDoor(listed[option]), text, option)
})

test('docs/options.md says what each option takes, in the words of its error', async () => {
  const rows = [...read('docs/options.md').matchAll(ROW)]
  assert.ok(rows.length >= 20)

  for (const [, option, , takes] of rows) {
    const options = { fields: {}, [option]: Symbol('is never right') }
    const error = await connect('postgres://nowhere.invalid/app', /** @type {any} */ (options)).catch(thrown => thrown)
    assert.ok(error instanceof TypeError, option)
    const expected = takes.replaceAll('`', '')
    assert.ok(error.message.includes(`expected ${expected}, got a symbol`), `${option}: ${error.message}`)
  }
})

test('the options that the README shows have the defaults of docs/options.md', () => {
  const listed = listedDefaults('docs/options.md')
  const shown = Object.entries(listedDefaults('README.md'))

  assert.ok(shown.length >= 5)
  for (const [option, text] of shown) assert.equal(text, listed[option], option)
})

test('the Store documents the defaults of src/options.rs', () => {
  const documented = documentedInStore()
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

test('docs/express-session.md lists every option of the Store that has a default, with it', () => {
  const documented = Object.entries(documentedInStore()).filter(([, text]) => text !== undefined)
  const rows = [...read('docs/express-session.md').matchAll(/^\| (`\w+`(?:, `\w+`)*) \| ([^|]*) \|/gm)]
  const listed = rows.flatMap(([, names, text]) => names.split(', ').map(name => [name, text]))

  const plain = entries => entries.map(entry => entry.map(text => text.replaceAll('`', ''))).sort()
  assert.deepEqual(plain(listed), plain(documented))
})

/** The options of index.d.ts, each with what its comment gives as default. */
function documentedDefaults() {
  const [, body] = /export interface InitOptions \{\n([\s\S]*?)\n {2}\}/.exec(typings)
  return documentedIn(body)
}

/** The same of the Store. */
function documentedInStore() {
  const [, body] = /export interface PgStoreOptions \{\n([\s\S]*?)\n {2}\}/.exec(read('express-session.d.ts'))
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
  return Object.fromEntries(entries.filter(([name, value]) => !INTERNAL.includes(name) && value !== 'None'))
}

/**
 * Where the doors differ, the core's default is that of `connect`.
 *
 * @param {string} text
 */
function withoutDoor(text) {
  return text.replaceAll('`', '').replace(/ in connect, \w+ in init$/, '')
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

/** @param {string} file */
function listedDefaults(file) {
  const rows = read(file).matchAll(ROW)
  return Object.fromEntries([...rows].map(([, name, text]) => [name, text.replace(/^`([^`]*)`$/, '$1')]))
}
