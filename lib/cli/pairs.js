'use strict'

// Lists of `name=value` on the command line.

const { describe } = require('../errors.js')
const { UsageError } = require('./usage.js')

/**
 * Fields as `name=datatype`, with commas between them. A comma in parentheses, brackets or quotes is part of a datatype.
 *
 * @param {string} text
 */
function readFields(text) {
  return pairs('--fields', 'datatype', text).map(([field, datatype]) => ({ field, datatype }))
}

/**
 * Where the values of fields stand in the JSON, as `name=path.in.it`, with commas between them.
 *
 * @param {string} text
 * @returns {[field: string, path: string[]][]}
 */
function readMap(text) {
  return pairs('--map', 'path.in.the.json', text).map(([field, path]) => [field, path.split('.')])
}

/**
 * @param {string} flag
 * @param {string} expected what stands behind the name
 * @param {string} text
 * @returns {[name: string, value: string][]}
 */
function pairs(flag, expected, text) {
  return split(text).map(entry => {
    const [, name, value] = /^\s*("(?:[^"]|"")+"|[^="]+?)\s*=\s*(.*?)\s*$/s.exec(entry) ?? []
    if (name === undefined || value === '') {
      throw new UsageError(`${flag}: expected name=${expected}, got ${describe(entry.trim())}`)
    }
    const isQuoted = name.startsWith('"')
    return [isQuoted ? name.slice(1, -1).replaceAll('""', '"') : name, value]
  })
}

/** @param {string} text */
function split(text) {
  const entries = ['']
  let depth = 0
  for (const part of text.match(/'[^']*'?|"[^"]*"?|[()[\],]|[^'"()[\],]+/g) ?? []) {
    if (part === '(' || part === '[') depth++
    if (part === ')' || part === ']') depth--
    if (part === ',' && depth === 0) entries.push('')
    else entries[entries.length - 1] += part
  }
  return entries.filter(entry => entry.trim() !== '')
}

exports.readFields = readFields
exports.readMap = readMap
