'use strict'

// npm run soak: mixed traffic from several processes while server and network fail. The server writes to disk as in
// production, so what was acknowledged has to be there after a crash.

const { setTimeout: pause } = require('node:timers/promises')
const { Child } = require('../bench/child.js')
const { Cleanup } = require('../bench/cleanup.js')
const { startPostgres } = require('../scripts/postgres.js')
const { Faults } = require('./faults.js')
const { readFlags, USAGE } = require('./flags.js')
const { KINDS } = require('./kinds.js')
const { Network } = require('./network.js')
const { report } = require('./report.js')
const { connectionsLeft, verify } = require('./verify.js')

/** Traffic without faults, before memory is measured for the first time: at most so long, in ms. */
const WARM_UP = 20_000
/** As part of a short run. */
const WARM_UP_PART = 0.2

/**
 * @param {string} url
 * @param {number} port
 */
function through(url, port) {
  const address = new URL(url)
  address.port = String(port)
  return address.href
}

/**
 * Two threads a process, each with two kinds of sessions; one of them goes through the network that fails.
 *
 * @param {number} at the process's number
 * @param {number} seed
 * @param {{ direct: string, networked: string }} urls
 */
function settings(at, seed, { direct, networked }) {
  const kinds = (/** @type {number} */ first) => [first % KINDS.length, (first + 1) % KINDS.length]
  return {
    main: { name: `${at}.0`, url: networked, seed: seed + 10 * at + 1, kinds: kinds(2 * at) },
    thread: { name: `${at}.1`, url: direct, seed: seed + 10 * at + 2, kinds: kinds(2 * at + 1) }
  }
}

/**
 * @param {import('./flags.js').Flags} flags
 * @param {Cleanup} cleanup
 */
async function start({ seed, processes }, cleanup) {
  const server = await startPostgres({ durable: true })
  cleanup.add(() => server.remove())
  const network = new Network({ host: server.host, port: server.port })
  const urls = { direct: server.url, networked: through(server.url, await network.open()) }
  cleanup.add(() => network.close())
  const children = []
  for (let at = 0; at < processes; at++) {
    const child = new Child('../soak/process.js', `process ${at}`)
    cleanup.add(() => child.kill())
    await child.ask('open', settings(at, seed, urls))
    children.push(child)
  }
  return { server, network, children }
}

/**
 * @param {import('./flags.js').Flags} flags
 * @param {Cleanup} cleanup
 */
async function soak(flags, cleanup) {
  const { server, network, children } = await start(flags, cleanup)
  const memory = () => Promise.all(children.map(child => child.ask('memory')))
  const warmUp = Math.min(WARM_UP, flags.seconds * 1000 * WARM_UP_PART)
  await pause(warmUp)
  const before = await memory()
  const faults = new Faults({ server, network, tables: KINDS.map(({ table }) => table) }, flags)
  faults.begin()
  await pause(flags.seconds * 1000 - warmUp)
  await faults.end()
  const after = await memory()
  const reports = (await Promise.all(children.map(child => child.ask('end')))).flat()
  const last = await verify(
    server.url,
    reports.flatMap(({ expectations }) => expectations)
  )
  return report({
    reports,
    faults: faults.counts,
    last,
    memory: before.map((start, at) => ({ start, end: after[at] })),
    connections: await connectionsLeft(server.url),
    growth: flags.growth
  })
}

async function main() {
  const flags = readFlags(process.argv.slice(2))
  if (flags.help) return console.log(USAGE)
  console.log(`${flags.seconds} s, ${flags.processes} processes; again with the same choices: --seed ${flags.seed}\n`)
  const cleanup = new Cleanup()
  try {
    const { lines, isGood } = await soak(flags, cleanup)
    console.log(lines.join('\n'))
    console.log(isGood ? '\nall is well' : '\nsomething is wrong')
    if (!isGood) process.exitCode = 1
  } catch (error) {
    if (cleanup.isInterrupted) return
    console.error(error)
    process.exitCode = 1
  } finally {
    await cleanup.run()
  }
}

main().catch(error => {
  console.error(`${error.message}\n\n${USAGE}`)
  process.exitCode = 2
})
