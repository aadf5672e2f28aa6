'use strict'

// What each command does. The result says whether all is as it should be.

const { checkFields, checkOptions } = require('../options.js')
const { Sessions } = require('../sessions.js')
const { Copying, toImport } = require('./import.js')
const { progressOn } = require('./progress.js')

/** @typedef {import('./arguments.js').Asked} Asked */

/** @type {{ [command: string]: (asked: Asked) => Promise<boolean> }} */
const commands = { sql, check, prune, stats, import: importSessions }

/** @param {Asked} asked */
async function sql(asked) {
  const sessions = open(asked, {})
  try {
    for (const statement of await Sessions.tableStatements(sessions)) console.log(`${statement};`)
  } finally {
    await sessions.close()
  }
  return true
}

/** @param {Asked} asked */
async function check(asked) {
  /** @type {string[]} */
  const differences = []
  const onError = (/** @type {Error} */ error) => differences.push(error.message)
  const sessions = open(asked, { createTable: false, onError })
  try {
    await Sessions.ready(sessions)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'PGSESS_TABLE')) throw error
    differences.push(error.message)
  } finally {
    await sessions.close()
  }
  const fits = differences.length === 0
  if (asked.json) console.log(JSON.stringify({ fits, differences }))
  else console.log(fits ? 'the table fits' : differences.join('\n'))
  return fits
}

/** @param {Asked} asked */
async function prune(asked) {
  const sessions = open(asked, { createTable: false, onlyMaintains: true })
  try {
    const pruned = await sessions.prune()
    console.log(asked.json ? JSON.stringify({ pruned }) : `removed ${pruned} expired sessions`)
  } finally {
    await sessions.close()
  }
  return true
}

/** @param {Asked} asked */
async function stats(asked) {
  const sessions = open(asked, { createTable: false, onlyMaintains: true })
  try {
    const { live, expired, bytes } = await Sessions.figures(sessions)
    const figures = { live, expired, bytes }
    const lines = Object.entries(figures).map(([name, figure]) => `${name} ${figure}`)
    console.log(asked.json ? JSON.stringify(figures) : lines.join('\n'))
  } finally {
    await sessions.close()
  }
  return true
}

/** @param {Asked} given */
async function importSessions(given) {
  const into = toImport(given.from)
  const asked = { ...given, fields: await fieldsOf(given) }
  const asks = into(asked.fields)
  const sessions = open(asked, asks.dry ? { createTable: false } : {})
  const progress = progressOn(process.stderr)
  const copying = new Copying(sessions, asks)
  try {
    const sums = await copying.run(progress)
    console.log(asked.json ? JSON.stringify(sums) : copying.report())
  } finally {
    progress.end()
    await sessions.close()
  }
  return true
}

/**
 * The fields that were given with their datatypes; else those of the table.
 *
 * @param {Asked} asked
 */
async function fieldsOf(asked) {
  if (checkFields(asked.fields, 'fields').length > 0) return asked.fields
  const sessions = open(asked, { createTable: false, onlyMaintains: true })
  try {
    return await Sessions.foundFields(sessions)
  } finally {
    await sessions.close()
  }
}

/**
 * Sessions that do nothing by themselves.
 *
 * @param {Asked} asked
 * @param {{ createTable?: boolean, onlyMaintains?: boolean, onError?: (error: Error) => void }} own
 */
function open({ connection, fields, options, foldNames }, own) {
  const checked = { ...checkOptions(options, 'options'), ...own, pruneInterval: 0, maxConnections: 1 }
  return new Sessions(connection, checkFields(fields, 'fields'), checked, foldNames)
}

exports.commands = commands
