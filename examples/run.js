'use strict'

// Runs one example by its name: `npm run example -- replication`

const fs = require('node:fs')
const path = require('node:path')

const names = fs
  .readdirSync(__dirname)
  .filter(name => name.endsWith('.js') && name !== path.basename(__filename))
  .map(name => path.basename(name, '.js'))

const [wanted] = process.argv.slice(2)
if (names.includes(wanted)) {
  require(`./${wanted}.js`)
} else {
  console.error(
    `usage: npm run example -- <${names.join(' | ')}>\n\nexamples/README.md says what each shows and needs.`
  )
  process.exitCode = 2
}
