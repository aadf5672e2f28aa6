'use strict'

// Makes the API reference out of the typings into docs/api/html: `npm run docs:api`. A name that is not described, a link
// that leads nowhere, or any other warning of typedoc is an error.
//
// typedoc needs an older TypeScript than the checks of this package, so both are installed here, apart.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const ROOT = path.resolve(__dirname, '../..')
const OUTPUT = path.join(__dirname, 'html')
/** Each by itself: express and express-session say different things of `req.session`, and no program has both. */
const DOORS = ['index', 'express', 'express-session']

/** @type {any} typedoc's options */
const CHECKS = {
  compilerOptions: {
    strict: true,
    noEmit: true,
    module: 'nodenext',
    target: 'es2023',
    lib: ['lib.es2024.d.ts', 'lib.esnext.disposable.d.ts'],
    types: ['node'],
    typeRoots: [path.join(ROOT, 'node_modules/@types')]
  },
  readme: 'none',
  disableSources: true,
  treatWarningsAsErrors: true,
  treatValidationWarningsAsErrors: true,
  validation: { notExported: true, invalidLink: true, notDocumented: true },
  requiredToBeDocumented: ['Namespace', 'Variable', 'Function', 'Class', 'Interface', 'Property', 'Method', 'TypeAlias']
}

function install() {
  if (fs.existsSync(path.join(__dirname, 'node_modules'))) return
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: __dirname, stdio: 'inherit' })
  if (status !== 0) throw new Error('npm ci in docs/api failed')
}

/**
 * @param {any} typedoc
 * @param {string} door
 * @returns {Promise<string>} the file that describes it
 */
async function describe(typedoc, door) {
  const app = await typedoc.Application.bootstrap({
    ...CHECKS,
    name: door === 'index' ? 'pg-sess-rs' : `pg-sess-rs/${door}`,
    entryPoints: [path.join(ROOT, `${door}.d.ts`)],
    tsconfig: path.join(__dirname, 'tsconfig', `${door}.json`)
  })
  const project = await app.convert()
  if (!project) throw new Error(`${door}.d.ts cannot be read`)
  app.validate(project)
  const file = path.join(OUTPUT, `${door}.json`)
  await app.generateJson(project, file)
  if (app.logger.hasErrors() || app.logger.hasWarnings()) throw new Error(`${door}.d.ts is not described well`)
  return file
}

async function main() {
  install()
  const typedoc = await import('typedoc')
  const files = []
  for (const door of DOORS) files.push(await describe(typedoc, door))
  const app = await typedoc.Application.bootstrap({
    name: 'pg-sess-rs',
    entryPointStrategy: 'merge',
    entryPoints: files,
    readme: 'none'
  })
  const project = await app.convert()
  if (!project) throw new Error('the descriptions cannot be put together')
  await app.generateDocs(project, OUTPUT)
  if (app.logger.hasErrors() || app.logger.hasWarnings()) throw new Error('see above')
  console.log(`the API reference is in ${path.relative(process.cwd(), OUTPUT)}/index.html`)
}

main().catch(error => {
  console.error(error.message)
  process.exitCode = 1
})
