'use strict'

// Whole Express apps under load, one after the other.

const { Child } = require('./child.js')
const { order } = require('./calls.js')

/** @typedef {import('./cleanup.js').Cleanup} Cleanup */
/** @typedef {import('./contender.js').Contender} Contender */
/** @typedef {import('./load.js').Load} Load */
/** @typedef {import('./load.js').Loaded & { cpuMs: number }} AppTurn `cpuMs` of the app's process */
/** @typedef {import('./plan.js').Plan} Plan */

/** @typedef {{ app: string, turns: AppTurn[] }} AppSeries one turn a round */

const COOKIES_ONLY = 'cookies only'

class App {
  #child
  #url = ''

  /** @param {string} key */
  constructor(key) {
    this.key = key
    this.#child = new Child('app.js', `the app of ${key}`)
  }

  /**
   * @param {Contender | undefined} contender none: cookies only
   * @param {Cleanup} cleanup
   */
  static async start(contender, cleanup) {
    const app = new App(contender?.key ?? COOKIES_ONLY)
    cleanup.add(() => app.#child.kill())
    const details = contender ? { file: contender.contestant.file, place: contender.place } : {}
    app.#url = (await app.#child.ask('start', details)).url
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
    const loaded = await load.run(this.#url, connections, seconds)
    const cpuMs = (await this.#child.ask('cpu')) - before
    return { ...loaded, cpuMs }
  }

  async close() {
    await this.#child.ask('close')
    await this.#child.end()
  }
}

/**
 * @param {Contender[]} contenders whose sessions the apps use
 * @param {Load} load
 * @param {Plan['apps']} plan
 * @param {Cleanup} cleanup
 * @returns {Promise<AppSeries[]>}
 */
async function measureApps(contenders, load, plan, cleanup) {
  const apps = await Promise.all([undefined, ...contenders].map(contender => App.start(contender, cleanup)))
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
