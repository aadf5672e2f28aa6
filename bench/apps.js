'use strict'

// Whole Express apps under load, one after the other.

const { Child } = require('./child.js')
const { order } = require('./calls.js')
const { doors } = require('./doors/index.js')
const { sum } = require('./stats.js')

/** @typedef {import('./cleanup.js').Cleanup} Cleanup */
/** @typedef {import('./contender.js').Contender} Contender */
/** @typedef {import('./load.js').Load} Load */
/** @typedef {import('./load.js').Loaded & { cpuMs: number }} AppTurn `cpuMs` of the app's processes */
/** @typedef {import('./plan.js').Plan} Plan */
/** @typedef {import('./plan.js').Crowd} Crowd */

/** @typedef {{ app: string, processes: number, turns: AppTurn[] }} AppSeries one turn a round */

/**
 * @typedef {object} Kind of an app
 * @property {string} key
 * @property {{ file?: string, place?: import('./contestants/index.js').Place }} details of its sessions; empty: none
 * @property {(id: string) => string} cookie of a session
 */

const COOKIES_ONLY = 'cookies only'

/** An app in as many processes as are wanted, among which its connections are divided. */
class App {
  #processes
  #cookies
  /** @type {string[]} */
  #urls = []

  /**
   * @param {Kind} kind
   * @param {string[]} ids
   * @param {number} processes
   */
  constructor({ key, cookie }, ids, processes) {
    this.key = key
    this.#processes = Array.from({ length: processes }, () => new Child('app.js', `the app of ${key}`))
    this.#cookies = ids.map(cookie)
  }

  /**
   * @param {Kind} kind
   * @param {string[]} ids of the sessions that requests come with
   * @param {number} processes
   * @param {Cleanup} cleanup
   */
  static async start(kind, ids, processes, cleanup) {
    const app = new App(kind, ids, processes)
    for (const child of app.#processes) cleanup.add(() => child.kill())
    app.#urls = (await app.#ask('start', kind.details)).map(({ url }) => url)
    return app
  }

  /**
   * @param {Load} load
   * @param {number} connections
   * @param {number} seconds
   * @returns {Promise<AppTurn>}
   */
  async turn(load, connections, seconds) {
    const before = sum(await this.#ask('cpu'))
    const each = Math.ceil(connections / this.#urls.length)
    const loaded = await Promise.all(this.#urls.map(url => load.run(url, this.#cookies, each, seconds)))
    const cpuMs = sum(await this.#ask('cpu')) - before
    return { ...together(loaded), cpuMs }
  }

  async close() {
    await this.#ask('close')
    await Promise.all(this.#processes.map(child => child.end()))
  }

  /**
   * @param {string} order
   * @param {object} [details]
   * @returns {Promise<any[]>} an answer a process
   */
  #ask(order, details) {
    return Promise.all(this.#processes.map(child => child.ask(order, details)))
  }
}

/**
 * What all processes served; latencies are those of the slowest.
 *
 * @param {import('./load.js').Loaded[]} loaded
 * @returns {import('./load.js').Loaded}
 */
function together(loaded) {
  return {
    requests: sum(loaded.map(({ requests }) => requests)),
    rate: sum(loaded.map(({ rate }) => rate)),
    p50: Math.max(...loaded.map(({ p50 }) => p50)),
    p99: Math.max(...loaded.map(({ p99 }) => p99))
  }
}

/**
 * @param {Contender[]} contenders
 * @returns {Kind[]} one that reads cookies only, one for each contender, and the doors to their tables
 */
function kinds(contenders) {
  const cookie = (/** @type {string} */ id) => `sess_id=${id}`
  const guards = contenders.map(({ key, contestant, place }) => ({
    key,
    details: { file: contestant.file, place },
    cookie
  }))
  const open = doors().flatMap(({ key, file, table, cookie }) => {
    const home = contenders.find(contender => contender.key === table)
    return home ? [{ key, details: { file, place: home.place }, cookie }] : []
  })
  return [{ key: COOKIES_ONLY, details: {}, cookie }, ...guards, ...open]
}

/**
 * @param {Contender[]} contenders whose sessions the apps use
 * @param {string[]} ids of the sessions that requests come with
 * @param {Load} load
 * @param {Plan['apps']} plan
 * @param {Crowd} crowd
 * @param {Cleanup} cleanup
 * @returns {Promise<AppSeries[]>}
 */
async function measureApps(contenders, ids, load, plan, { processes, connections }, cleanup) {
  const apps = await Promise.all(kinds(contenders).map(kind => App.start(kind, ids, processes, cleanup)))
  const { warmUpSeconds, seconds } = plan
  if (warmUpSeconds > 0) for (const app of apps) await app.turn(load, connections, warmUpSeconds)
  const series = apps.map(({ key }) => ({ app: key, processes, turns: /** @type {AppTurn[]} */ ([]) }))
  for (let round = 0; round < plan.rounds; round++) {
    for (const at of order(apps.length, round)) {
      series[at].turns.push(await apps[at].turn(load, connections, seconds))
    }
  }
  await Promise.all(apps.map(app => app.close()))
  return series
}

module.exports = { COOKIES_ONLY, measureApps }
