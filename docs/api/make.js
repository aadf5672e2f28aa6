'use strict'

// Makes the API reference out of the typings into docs/api/html: `npm run docs:api`. A name that is not described, a link
// that leads nowhere, or any other warning of typedoc is an error.
//
// typedoc needs an older TypeScript than the checks of this package, so both are installed here, apart.

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const ROOT = path.resolve(__dirname, '../..')
const OUTPUT = path.join(__dirname, 'html')
const OF_SESSIONS = ['Sessions', 'CallOptions', 'ListOptions', 'DestroyAllOptions'].map(name => `pgSess.${name}`)
const OF_REQUESTS = ['Columns', 'Fields', 'Input', ...OF_SESSIONS]
/**
 * Each by itself: express and express-session say different things of `req.session`, and no program has both. What stays
 * out: how rows are computed from datatypes, since editors show the result; what another one describes; and the door of
 * Fastify, whose typings are not installed here.
 *
 * @type {{ [door: string]: { intentionallyNotExported: string[], intentionallyNotDocumented?: string[] } }}
 */
const DOORS = {
  index: {
    intentionallyNotExported: 'AtLeastOne Change Column FieldMap Flat Fold Folded Input OneByOne Output Sought'.split(
      ' '
    )
  },
  express: { intentionallyNotExported: OF_REQUESTS },
  hono: { intentionallyNotExported: OF_REQUESTS },
  koa: { intentionallyNotExported: OF_REQUESTS },
  next: { intentionallyNotExported: OF_REQUESTS },
  'express-session': {
    intentionallyNotExported: ['ConnectionConfig', 'PgPool', 'PgPromiseDatabase', 'Stats'].map(
      name => `pgSess.${name}`
    ),
    // Its class is described, and a constructor type takes no comment.
    intentionallyNotDocumented: ['ExpressSession.Store.__type']
  }
}

const OPTIONS = {
  compilerOptions: {
    strict: true,
    noEmit: true,
    module: 'nodenext',
    target: 'es2023',
    lib: ['es2024', 'esnext.disposable'],
    types: ['node'],
    typeRoots: [path.join(ROOT, 'node_modules/@types')]
  },
  disableSources: true,
  readme: 'none',
  requiredToBeDocumented: ['Namespace', 'Function', 'Class', 'Interface', 'Property', 'Method', 'TypeAlias'],
  treatWarningsAsErrors: true,
  treatValidationWarningsAsErrors: true,
  // What Node's own typings link to is theirs to describe.
  externalSymbolLinkMappings: { '@types/node': { 'EventEmitter.defaultMaxListeners': '#' } },
  validation: { notExported: true, invalidLink: true, notDocumented: true }
}

async function main() {
  if (!fs.existsSync(path.join(__dirname, 'node_modules'))) {
    execFileSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: __dirname, stdio: 'inherit' })
  }
  const { Application } = await import('typedoc')
  fs.rmSync(OUTPUT, { recursive: true, force: true })
  const described = []
  for (const door of Object.keys(DOORS)) described.push(await describe(Application, door))
  await writePages(Application, described)
  console.log(`the reference is ${path.relative(process.cwd(), path.join(OUTPUT, 'index.html'))}`)
}

/**
 * @param {any} Application
 * @param {string} door
 * @returns {Promise<string>} the file that holds what typedoc found out
 */
async function describe(Application, door) {
  const own = {
    name: door === 'index' ? 'pg-sess-rs' : `pg-sess-rs/${door}`,
    entryPoints: [path.join(ROOT, `${door}.d.ts`)],
    ...DOORS[door]
  }
  // No readers: a tsconfig.json found by chance would count.
  const app = await Application.bootstrap({ ...OPTIONS, ...own }, [])
  const project = await app.convert()
  if (project !== undefined) app.validate(project)
  refuseWarnings(app, `${door}.d.ts`)
  const file = path.join(OUTPUT, `${door}.json`)
  await app.generateJson(project, file)
  return file
}

/**
 * @param {any} Application
 * @param {string[]} entryPoints
 */
async function writePages(Application, entryPoints) {
  const options = { name: 'pg-sess-rs', readme: 'none', entryPointStrategy: 'merge', entryPoints }
  const app = await Application.bootstrap(options, [])
  const project = await app.convert()
  if (project !== undefined) await app.generateDocs(project, OUTPUT)
  refuseWarnings(app, 'the reference')
}

/**
 * @param {any} app
 * @param {string} what
 */
function refuseWarnings({ logger }, what) {
  if (logger.hasErrors() || logger.hasWarnings()) throw new Error(`${what}: see what typedoc says above`)
}

main().catch(error => {
  console.error(error.message)
  process.exitCode = 1
})
