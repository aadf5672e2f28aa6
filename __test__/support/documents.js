'use strict'

// The documents as the tests read them: which there are, the blocks of code in them, where their links lead.

const fs = require('node:fs')
const path = require('node:path')

/**
 * A block of code, without the indentation of the list in which it may stand.
 *
 * @typedef {{ file: string, line: number, language: string, code: string, note: string }} Block `note`: what the HTML
 *   comment right before it says, see docs.test.js
 */

const ROOT = path.resolve(__dirname, '../..')
/** Where the documents say that the database is. */
const ADDRESS = 'postgres://localhost/app'

/** @param {string} file from the root */
function read(file) {
  return fs.readFileSync(path.join(ROOT, file), 'utf8')
}

/** @returns {string[]} what users and contributors read */
function documents() {
  const pages = fs.readdirSync(path.join(ROOT, 'docs')).filter(name => name.endsWith('.md'))
  return ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...pages.sort().map(name => `docs/${name}`)]
}

/**
 * @param {string} file
 * @returns {Block[]}
 */
function blocksOf(file) {
  const text = read(file)
  const found = text.matchAll(/^(?<indent> *)```(?<language>.*)\n(?<code>(?:.*\n)*?)\k<indent>```$/gm)
  return [...found].map(({ index, groups }) => {
    const before = text.slice(0, index)
    const code = groups.code.replaceAll(new RegExp(`^${groups.indent}`, 'gm'), '')
    const [, note = ''] = /<!-- (.*) -->\s*$/.exec(before) ?? []
    return { file, line: before.split('\n').length, language: groups.language, code, note }
  })
}

/**
 * @param {string} file
 * @param {string} language
 * @returns {string[]}
 */
function codeOf(file, language) {
  return blocksOf(file)
    .filter(block => block.language === language)
    .map(block => block.code)
}

/**
 * @param {string} file
 * @returns {string[]} the links to places in this repository that lead nowhere
 */
function brokenLinks(file) {
  const targets = [...withoutCode(read(file)).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target)
  return targets.filter(target => !/^https?:/.test(target) && !leadsSomewhere(target, file))
}

/**
 * @param {string} target
 * @param {string} from
 */
function leadsSomewhere(target, from) {
  const [file, anchor] = target.split('#')
  const full = file ? path.resolve(ROOT, path.dirname(from), file) : path.join(ROOT, from)
  if (!fs.existsSync(full)) return false
  return anchor === undefined || anchors(fs.readFileSync(full, 'utf8')).has(anchor)
}

/**
 * The anchors of a document's headings, as GitHub makes them: one that is there already gets a number.
 *
 * @param {string} text
 */
function anchors(text) {
  /** @type {Set<string>} */
  const all = new Set()
  for (const [, heading] of withoutCode(text).matchAll(/^#+ (.*)$/gm)) {
    const anchor = heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_\s-]/gu, '')
      .replaceAll(' ', '-')
    let name = anchor
    for (let number = 1; all.has(name); number++) name = `${anchor}-${number}`
    all.add(name)
  }
  return all
}

/** @param {string} text */
function withoutCode(text) {
  return text.replaceAll(/^( *)```.*\n(?:.*\n)*?\1```$/gm, '')
}

module.exports = { ADDRESS, blocksOf, brokenLinks, codeOf, documents, read }
