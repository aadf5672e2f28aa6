'use strict'

// The report for bench/RESULTS.md.

const { facts } = require('./facts.js')
const { tables } = require('./tables.js')

/** @typedef {import('./tables.js').Table} Table */

const COMMAND = 'npm run bench -- --save'

/**
 * @param {import('../results.js').Results} results
 * @param {import('../goals.js').Verdict[]} verdicts
 * @returns {string}
 */
function asMarkdown(results, verdicts) {
  const head = facts(results).map(([name, text]) => `- ${name}: ${text}`)
  const intro = `Written by \`${COMMAND}\`; everything measured is in [results.json](results.json).`
  const sections = tables(results, verdicts).map(tableAsMarkdown)
  return ['# Results', intro, head.join('\n'), '![](chart.svg)', ...sections].join('\n\n').concat('\n')
}

/** @param {Table} table */
function tableAsMarkdown({ title, header, rows }) {
  const toLine = (/** @type {string[]} */ row) => `| ${row.join(' | ')} |`
  const rule = header.map((_, column) => (column === 0 ? '---' : '---:'))
  return [`## ${title}`, '', ...[header, rule, ...rows].map(toLine)].join('\n')
}

module.exports = { asMarkdown }
