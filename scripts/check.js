'use strict'

// The whole check, as `npm test` and the CI run it: stops at the first step that fails. scripts/ensure.js has built
// what the tests load.

const fs = require('node:fs')
const path = require('node:path')
const { testServer } = require('./postgres.js')
const { run } = require('./run.js')

/**
 * @typedef {{ command: string, args: string[], env?: Record<string, string>, alone?: string }} Step `alone`: how to run it
 *   without the others
 */

const ROOT = path.resolve(__dirname, '..')

/** @type {Step[]} */
const WITHOUT_SERVER = [
  { command: 'cargo', args: ['fmt', '--check'] },
  { command: 'npm', args: ['run', '--silent', 'lint'] },
  { command: 'cargo', args: ['clippy', '--all-features', '--all-targets', '--', '-D', 'warnings'] },
  // Private modules link to each other: they are documented here, too.
  {
    command: 'cargo',
    args: ['doc', '--no-deps', '--document-private-items'],
    env: { RUSTDOCFLAGS: '-D warnings -A rustdoc::private_intra_doc_links' }
  },
  { command: 'npm', args: ['run', '--silent', 'types'] }
]

const TEST = ['--test', '--test-timeout=600000']

/** The other versions of PostgreSQL, with PGSESS_TEST_ALL=1. */
const OTHER_SERVERS = process.env.PGSESS_TEST_ALL === '1' ? ['embedded', 'embedded-12'] : []

/** @returns {Step[]} */
function withServer() {
  return [
    { command: 'cargo', args: ['test'], alone: 'npm run test:rust' },
    { command: 'node', args: [...TEST, ...testFiles('__test__')], alone: 'npm run test:js' },
    { command: 'node', args: [...TEST, ...testFiles('__test__/system')], alone: 'npm run test:system' }
  ]
}

/**
 * @param {string} folder
 * @returns {string[]}
 */
function testFiles(folder) {
  const names = fs.readdirSync(path.join(ROOT, folder)).filter(name => name.endsWith('.test.js'))
  if (names.length === 0) throw new Error(`${folder} has no *.test.js`)
  return names.sort().map(name => `${folder}/${name}`)
}

/**
 * @param {Step} step
 * @param {Record<string, string>} [env] in the place of the step's own
 */
async function check(step, env = step.env) {
  const { command, args, alone } = step
  const line = [command, ...args].join(' ')
  console.log(`\n== ${line}`)
  const begin = Date.now()
  const code = await run(command, args, env)
  const seconds = ((Date.now() - begin) / 1000).toFixed(1)
  if (code !== 0) throw new Error(`\nfailed after ${seconds} s with code ${code}; alone: ${alone ?? line}`)
  console.log(`== ${seconds} s`)
}

async function main() {
  process.chdir(ROOT)
  for (const step of WITHOUT_SERVER) await check(step)
  const server = await testServer()
  console.log(`\n== using ${server.name}`)
  try {
    for (const step of withServer()) await check(step, { PGSESS_TEST_URL: server.url })
  } finally {
    await server.stop()
  }
  for (const PGSESS_PG of OTHER_SERVERS) {
    console.log(`\n== PGSESS_PG=${PGSESS_PG}`)
    // Empty is as good as absent: a server or folder of the user is for the steps before.
    const env = { PGSESS_PG, PGSESS_TEST_URL: '', PGSESS_PG_BIN: '' }
    await check({ command: 'npm', args: ['run', '--silent', 'test:js'] }, env)
  }
  console.log('\nall checks passed')
}

main().catch(error => {
  console.error(error.message)
  process.exitCode = 1
})
