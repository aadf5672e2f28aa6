'use strict'

// npm run bench: servers, contestants, measurements, report. What the flags mean is in flags.js.

const { randomUUID } = require('node:crypto')
const { measureApps } = require('./apps.js')
const { measureCalls } = require('./calls.js')
const { Cleanup } = require('./cleanup.js')
const { Contender } = require('./contender.js')
const { contestants: findContestants } = require('./contestants/index.js')
const { readFlags, USAGE } = require('./flags.js')
const { failures, judge } = require('./goals.js')
const { findLoad } = require('./load.js')
const { describeMachine } = require('./machine.js')
const { OPERATIONS } = require('./plan.js')
const { publish, write } = require('./report/files.js')
const { asText } = require('./report/text.js')
const { Results } = require('./results.js')
const { Servers } = require('./servers.js')

/** @typedef {import('./flags.js').Flags} Flags */
/** @typedef {import('./contestants/index.js').Contestant} Contestant */

/** How many sessions the requests to an app are spread over. */
const APP_SESSIONS = 10_000
/** So many programs for each core are too many beside us. */
const BUSY = 0.3

/** @param {Flags} flags */
async function bench(flags) {
  const cleanup = new Cleanup()
  try {
    const results = await measureAll(flags, cleanup)
    report(results, flags)
  } catch (error) {
    if (cleanup.isInterrupted) return
    console.error(error)
    process.exitCode = 1
  } finally {
    await cleanup.run()
  }
}

/**
 * @param {Flags} flags
 * @param {Cleanup} cleanup
 */
async function measureAll({ plan, contestants: keys, also, save }, cleanup) {
  const asked = findContestants(keys, also)
  const servers = await Servers.start(cleanup, asked)
  const present = asked.filter(contestant => servers.has(contestant))
  const ids = Array.from({ length: plan.sessions }, () => randomUUID())
  const load = findLoad(cleanup)
  const machine = describeMachine(
    present.flatMap(({ packages }) => packages),
    { ...servers.versions, load: load.name }
  )
  const results = new Results(plan, machine, present)
  results.leftOut = missing(asked, present)
  warn(results)
  if (save && machine.isDebug) throw new Error('--save: not with a debug build')
  const contenders = await startAll(present, servers, ids, cleanup)
  await fillIn(results, contenders, ids, load, cleanup)
  return results
}

/**
 * @param {Contestant[]} asked
 * @param {Contestant[]} present
 */
function missing(asked, present) {
  const names = asked.filter(contestant => !present.includes(contestant)).map(({ name }) => name)
  return names.map(name => `${name}: redis-server is not installed (Debian, Ubuntu: apt install redis-server)`)
}

/** @param {Results} results */
function warn({ machine, leftOut }) {
  for (const line of leftOut) console.error(`NOT MEASURED: ${line}`)
  if (machine.isDebug) console.error('DEBUG BUILD in native/: its figures say nothing; run npm run build')
  if (machine.busy > BUSY) console.error('OTHER PROGRAMS ARE BUSY on this machine: the figures will be noise')
}

/**
 * @param {Contestant[]} contestants
 * @param {Servers} servers
 * @param {string[]} ids
 * @param {Cleanup} cleanup
 */
function startAll(contestants, servers, ids, cleanup) {
  progress(`starting ${contestants.length} contestants with ${ids.length} sessions each`)
  return Promise.all(contestants.map(contestant => Contender.start(contestant, servers, ids, cleanup)))
}

/**
 * @param {Results} results
 * @param {Contender[]} contenders
 * @param {string[]} ids
 * @param {import('./load.js').Load} load
 * @param {Cleanup} cleanup
 */
async function fillIn(results, contenders, ids, load, cleanup) {
  const { plan } = results
  for (const operation of OPERATIONS.filter(name => plan.measurements.includes(name))) {
    for (const inFlight of plan.inFlight) {
      progress(`${operation}, ${inFlight} in flight`)
      results.calls.push(...(await measureCalls(contenders, operation, inFlight, plan)))
    }
  }
  if (plan.measurements.includes('memory')) results.memory = await measureMemory(contenders, plan.memory)
  for (const contender of contenders) await contender.close()
  if (!plan.measurements.includes('apps')) return
  for (const crowd of plan.apps.crowds) {
    progress(`Express apps, ${crowd.processes} processes, ${crowd.connections} connections`)
    results.apps.push(...(await measureApps(contenders, ids.slice(0, APP_SESSIONS), load, plan.apps, crowd, cleanup)))
  }
}

/**
 * @param {Contender[]} contenders
 * @param {import('./plan.js').Plan['memory']} details
 */
async function measureMemory(contenders, details) {
  progress(`memory, ${details.calls} validations`)
  const all = []
  for (const contender of contenders) {
    all.push({ contestant: contender.key, calls: details.calls, ...(await contender.memory(details)) })
  }
  return all
}

/** @param {string} what */
function progress(what) {
  console.error(`${process.uptime().toFixed(0).padStart(5)} s  ${what}`)
}

/**
 * @param {Results} results
 * @param {Flags} flags
 */
function report(results, flags) {
  const verdicts = judge(results)
  console.log(asText(results, verdicts))
  write(results, verdicts, flags)
  if (flags.save) publish(results, verdicts)
  if (!flags.check) return
  const failed = failures(verdicts)
  for (const line of failed) console.error(`UNDER 0.7 OF ITS GOAL: ${line}`)
  if (failed.length > 0) process.exitCode = 1
}

function main() {
  try {
    const flags = readFlags(process.argv.slice(2))
    if (flags.help) return console.log(USAGE)
    return bench(flags)
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${USAGE}`)
    process.exitCode = 2
  }
}

main()
