'use strict'

// The report for a terminal.

const { facts } = require('./facts.js')
const { tables } = require('./tables.js')

/** @typedef {import('./tables.js').Table} Table */

/**
 * @param {import('../results.js').Results} results
 * @param {import('../goals.js').Verdict[]} verdicts
 * @returns {string}
 */
function asText(results, verdicts) {
  const head = facts(results).map(([name, text]) => `${name.padEnd(12)} ${text}`)
  return [head.join('\n'), ...tables(results, verdicts).map(tableAsText)].join('\n\n')
}

/** @param {Table} table */
function tableAsText({ title, header, rows }) {
  const widths = header.map((_, column) => Math.max(...[header, ...rows].map(row => row[column].length)))
  const toLine = (/** @type {string[]} */ row) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))).join('  ')
  return [title, ...[header, ...rows].map(row => `  ${toLine(row)}`)].join('\n')
}

module.exports = { asText }
