'use strict'

// The command line and the config file, as the arguments of `connect`.

const fs = require('node:fs')
const path = require('node:path')
const { pathToFileURL } = require('node:url')
const { parseArgs } = require('node:util')
const { isObject } = require('../options.js')
const { commands } = require('./commands.js')
const { readFields } = require('./pairs.js')
const { UsageError } = require('./usage.js')

/**
 * @typedef {{ command: string, connection: any, fields: any, options: { [name: string]: unknown }, foldNames: boolean,
 *   json: boolean, help: boolean, from: From }} Asked
 * @typedef {{ library: string | undefined, table: string, schema: string | undefined, map: string | undefined,
 *   dry: boolean }} From what is to be imported
 */

const FLAGS = /** @type {const} */ ({
  url: { type: 'string' },
  table: { type: 'string' },
  schema: { type: 'string' },
  fields: { type: 'string' },
  config: { type: 'string' },
  from: { type: 'string' },
  'from-table': { type: 'string', default: 'session' },
  'from-schema': { type: 'string' },
  map: { type: 'string' },
  'dry-run': { type: 'boolean', default: false },
  'fold-names': { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false }
})

/**
 * @param {string[]} args
 * @returns {Promise<Asked>}
 */
async function readArguments(args) {
  const { values, positionals } = parse(args)
  const [command, ...others] = positionals
  const known = Object.keys(commands)
  if (!values.help && (command === undefined || !known.includes(command))) {
    throw new UsageError(`expected one of the commands ${known.join(', ')}`)
  }
  if (others.length > 0) throw new UsageError('expected one command')
  const { connection = {}, fields = {}, ...config } = values.config === undefined ? {} : await readConfig(values.config)
  const options = { ...config }
  if (values.table !== undefined) options.tableName = values.table
  if (values.schema !== undefined) options.schemaName = values.schema
  // Without a map of its own, an import is told by --fields where the values stand.
  const isMap = command === 'import' && values.map === undefined
  return {
    command,
    connection: values.url ?? connection,
    fields: values.fields === undefined || isMap ? fields : readFields(values.fields),
    options,
    foldNames: values['fold-names'],
    json: values.json,
    help: values.help,
    from: {
      library: values.from,
      table: values['from-table'],
      schema: values['from-schema'],
      map: isMap ? values.fields : values.map,
      dry: values['dry-run']
    }
  }
}

/** @param {string[]} args */
function parse(args) {
  try {
    return parseArgs({ args, options: FLAGS, allowPositionals: true })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

/**
 * @param {string} file
 * @returns {Promise<{ [name: string]: any }>}
 */
async function readConfig(file) {
  // With the URL of a database, its password would be shown.
  if (file.includes('://')) throw new UsageError('--config: expected a file, got a URL')
  const config = await load(path.resolve(file)).catch(error => {
    throw new UsageError(`--config: ${file} cannot be read: ${error.message}`)
  })
  if (!isObject(config)) throw new UsageError(`--config: ${file} must hold an object`)
  return config
}

/** @param {string} file */
async function load(file) {
  if (file.endsWith('.json')) return parseJson(fs.readFileSync(file, 'utf8'))
  const loaded = await import(pathToFileURL(file).href)
  return loaded.default
}

/** @param {string} text */
function parseJson(text) {
  try {
    return JSON.parse(text)
  } catch {
    // Node's own message quotes what stands at the fault, and that may be a password.
    throw new Error('it is not JSON')
  }
}

exports.readArguments = readArguments
