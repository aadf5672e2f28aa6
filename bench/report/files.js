'use strict'

// What a run leaves on disk.

const fs = require('node:fs')
const path = require('node:path')
const { drawChart } = require('./chart.js')
const { asMarkdown } = require('./markdown.js')

/** @typedef {import('../goals.js').Verdict} Verdict */
/** @typedef {import('../results.js').Results} Results */

const FOLDER = path.resolve(__dirname, '..')

/**
 * What the flags ask for.
 *
 * @param {Results} results
 * @param {Verdict[]} verdicts
 * @param {{ json?: string, svg?: string }} files
 */
function write(results, verdicts, { json, svg }) {
  if (json !== undefined) fs.writeFileSync(json, asJson(results, verdicts))
  if (svg !== undefined) fs.writeFileSync(svg, drawChart(results))
}

/**
 * What the repository keeps.
 *
 * @param {Results} results
 * @param {Verdict[]} verdicts
 */
function publish(results, verdicts) {
  write(results, verdicts, { json: path.join(FOLDER, 'results.json'), svg: path.join(FOLDER, 'chart.svg') })
  fs.writeFileSync(path.join(FOLDER, 'RESULTS.md'), asMarkdown(results, verdicts))
}

/**
 * Each thing measured on a line of its own, for people who compare two files.
 *
 * @param {Results} results
 * @param {Verdict[]} goals
 */
function asJson(results, goals) {
  const { machine, plan, leftOut, contestants, calls, apps, memory } = results
  const parts = Object.entries({ machine, plan, leftOut, contestants, goals, calls, apps, memory })
  return `{\n${parts.map(([name, part]) => `"${name}": ${toLines(part)}`).join(',\n')}\n}\n`
}

/** @param {unknown} part */
function toLines(part) {
  if (!Array.isArray(part)) return JSON.stringify(part, round)
  return `[${part.map(element => `\n  ${JSON.stringify(element, round)}`).join(',')}]`
}

/**
 * @param {string} _key
 * @param {unknown} value
 */
function round(_key, value) {
  return typeof value === 'number' ? Number(value.toPrecision(6)) : value
}

module.exports = { publish, write }
