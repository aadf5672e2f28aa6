'use strict'

// A contestant at work: its process, its sessions, its server.

const { randomUUID } = require('node:crypto')
const { Child } = require('./child.js')
const { serverCpu } = require('./server-cpu.js')

/** @typedef {import('./cleanup.js').Cleanup} Cleanup */
/** @typedef {import('./contestants/index.js').Contestant} Contestant */
/** @typedef {import('./contestants/index.js').Place} Place */
/** @typedef {import('./measure.js').Turn & { serverMs?: number }} Turn */
/** @typedef {import('./servers.js').Servers} Servers */

/** How many sessions may be made for one turn of destroying them; more take longer to make than to destroy. */
const LARGEST_STOCK = 60_000
/** Sessions to destroy in a mix before it has made its own. */
const MIX_STOCK = 2000
const SPARE = 1.3

class Contender {
  #worker
  #data
  #serverPid
  /** @type {Map<string, number>} calls per ms in the turn before, by operation */
  #rates = new Map()

  /**
   * @param {Contestant} contestant
   * @param {Place} place
   * @param {Child} worker
   * @param {number | undefined} serverPid
   */
  constructor(contestant, place, worker, serverPid) {
    this.key = contestant.key
    this.contestant = contestant
    this.place = place
    this.#worker = worker
    this.#data = contestant.data(place)
    this.#serverPid = serverPid
  }

  /**
   * @param {Contestant} contestant
   * @param {Servers} servers
   * @param {string[]} ids of the sessions that shall be there
   * @param {Cleanup} cleanup
   */
  static async start(contestant, servers, ids, cleanup) {
    const worker = new Child('worker.js', contestant.name)
    cleanup.add(() => worker.kill())
    const place = await servers.place()
    const contender = new Contender(contestant, place, worker, servers.pid(contestant))
    await contender.#data.fill(ids)
    await worker.ask('open', { file: contestant.file, place, ids })
    return contender
  }

  /**
   * @param {string} operation
   * @param {number} inFlight
   * @param {number} ms
   * @returns {Promise<Turn>}
   */
  async turn(operation, inFlight, ms) {
    const stock = await this.#makeStock(operation, inFlight, ms)
    const before = serverCpu(this.#serverPid)
    const turn = await this.#worker.ask('turn', { operation, inFlight, ms, stock })
    const after = serverCpu(this.#serverPid)
    this.#rates.set(operation, turn.calls / turn.ms)
    if (operation !== 'validate') await this.#data.tidy()
    return before === undefined || after === undefined ? turn : { ...turn, serverMs: after - before }
  }

  /**
   * @param {import('./plan.js').Plan['memory']} details
   * @returns {Promise<{ grown: number, after: number }>} bytes
   */
  memory(details) {
    return this.#worker.ask('memory', details)
  }

  async close() {
    await this.#worker.ask('close')
    await this.#worker.end()
    await this.#data.close()
  }

  /**
   * @param {string} operation
   * @param {number} inFlight
   * @param {number} ms
   */
  async #makeStock(operation, inFlight, ms) {
    const size = this.#stockSize(operation, inFlight, ms)
    const ids = Array.from({ length: size }, () => randomUUID())
    if (size > 0) await this.#data.add(ids)
    return ids
  }

  /**
   * @param {string} operation
   * @param {number} inFlight
   * @param {number} ms
   * @returns {number} how many sessions that may be destroyed the turn needs
   */
  #stockSize(operation, inFlight, ms) {
    if (operation === 'mix') return MIX_STOCK
    if (operation !== 'destroy') return 0
    const expected = (this.#rates.get(operation) ?? 0) * ms * SPARE
    return Math.min(LARGEST_STOCK, Math.max(MIX_STOCK, 4 * inFlight, Math.ceil(expected)))
  }
}

exports.Contender = Contender
