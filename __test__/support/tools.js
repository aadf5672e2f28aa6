'use strict'

// The programs of __test__/system/tools, which are installed apart.

const fs = require('node:fs')
const path = require('node:path')
const { lacks } = require('./needs.js')

const INSTALLED = path.resolve(__dirname, '../system/tools/node_modules')
const HINT = 'run npm ci --ignore-scripts in __test__/system/tools'

/**
 * @param {string} file in the tools' node_modules
 * @returns {{ program: string, skip: string | false }} `skip` is for node:test
 */
function tool(file) {
  const program = path.join(INSTALLED, file)
  return { program, skip: !fs.existsSync(program) && lacks(program, HINT) }
}

module.exports = { tool }
