'use strict'

// Whole Express apps under load, one after the other.

const { Child } = require('./child.js')
const { order } = require('./calls.js')
const { doors } = require('./doors/index.js')

/** @typedef {import('./cleanup.js').Cleanup} Cleanup */
/** @typedef {import('./contender.js').Contender} Contender */
/** @typedef {import('./load.js').Load} Load */
/** @typedef {import('./load.js').Loaded & { cpuMs: number }} AppTurn `cpuMs` of the app's process */
/** @typedef {import('./plan.js').Plan} Plan */

/** @typedef {{ app: string, turns: AppTurn[] }} AppSeries one turn a round */

/**
 * @typedef {object} Kind of an app
 * @property {string} key
 * @property {{ file?: string, place?: import('./contestants/index.js').Place }} details of its sessions; empty: none
 * @property {(id: string) => string} cookie of a session
 */

const COOKIES_ONLY = 'cookies only'

class App {
  #child
  #cookies
  #url = ''

  /**
   * @param {Kind} kind
   * @param {string[]} ids
   */
  constructor({ key, cookie }, ids) {
    this.key = key
    this.#child = new Child('app.js', `the app of ${key}`)
    this.#cookies = ids.map(cookie)
  }

  /**
   * @param {Kind} kind
   * @param {string[]} ids of the sessions that requests come with
   * @param {Cleanup} cleanup
   */
  static async start(kind, ids, cleanup) {
    const app = new App(kind, ids)
    cleanup.add(() => app.#child.kill())
    app.#url = (await app.#child.ask('start', kind.details)).url
    return app
  }

  /**
   * @param {Load} load
   * @param {number} connections
   * @param {number} seconds
   * @returns {Promise<AppTurn>}
   */
  async turn(load, connections, seconds) {
    const before = await this.#child.ask('cpu')
    const loaded = await load.run(this.#url, this.#cookies, connections, seconds)
    const cpuMs = (await this.#child.ask('cpu')) - before
    return { ...loaded, cpuMs }
  }

  async close() {
    await this.#child.ask('close')
    await this.#child.end()
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
 * @param {Cleanup} cleanup
 * @returns {Promise<AppSeries[]>}
 */
async function measureApps(contenders, ids, load, plan, cleanup) {
  const apps = await Promise.all(kinds(contenders).map(kind => App.start(kind, ids, cleanup)))
  const { connections, warmUpSeconds, seconds } = plan
  if (warmUpSeconds > 0) for (const app of apps) await app.turn(load, connections, warmUpSeconds)
  const series = apps.map(({ key }) => ({ app: key, turns: /** @type {AppTurn[]} */ ([]) }))
  for (let round = 0; round < plan.rounds; round++) {
    for (const at of order(apps.length, round)) {
      series[at].turns.push(await apps[at].turn(load, connections, seconds))
    }
  }
  await Promise.all(apps.map(app => app.close()))
  return series
}

module.exports = { COOKIES_ONLY, measureApps }
