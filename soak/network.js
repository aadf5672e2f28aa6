'use strict'

// An address that leads to the server, over a network that fails on request.

const { once } = require('node:events')
const net = require('node:net')
const { setTimeout: pause } = require('node:timers/promises')

const HOST = '127.0.0.1'

class Network {
  #target
  #server = net.createServer(near => this.#accept(near))
  /** @type {Set<net.Socket>} */
  #sockets = new Set()
  /** Whether nothing passes. */
  #isHole = false
  /** How long everything takes, in ms. */
  #delay = 0
  #port = 0

  /** @param {{ host: string, port: number }} target */
  constructor(target) {
    this.#target = target
  }

  /** @returns {Promise<number>} its port */
  async open() {
    this.#server.listen(this.#port, HOST)
    await once(this.#server, 'listening')
    this.#port = /** @type {net.AddressInfo} */ (this.#server.address()).port
    return this.#port
  }

  /** From now on it refuses. What is open ends. */
  async close() {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.cut()
    await closed
  }

  /** Ends what is open. */
  cut() {
    for (const socket of this.#sockets) socket.destroy()
  }

  /**
   * Connections stay, and new ones are accepted, but nothing passes; what was sent passes afterwards.
   *
   * @param {boolean} isHole
   */
  setHole(isHole) {
    this.#isHole = isHole
    for (const socket of this.#sockets) isHole ? socket.pause() : socket.resume()
  }

  /** @param {number} ms each way */
  setDelay(ms) {
    this.#delay = ms
  }

  /** @param {net.Socket} near */
  #accept(near) {
    const far = net.connect(this.#target)
    this.#join(near, far)
    this.#join(far, near)
  }

  /**
   * @param {net.Socket} from
   * @param {net.Socket} to
   */
  #join(from, to) {
    let passed = Promise.resolve()
    this.#sockets.add(from)
    from.setNoDelay(true)
    from.on('data', chunk => {
      const due = Date.now() + this.#delay
      passed = passed.then(() => this.#pass(chunk, to, due))
    })
    from.on('error', () => {})
    from.once('end', () => passed.then(() => to.end()))
    from.once('close', () => {
      this.#sockets.delete(from)
      passed.then(() => to.destroy())
    })
    if (this.#isHole) from.pause()
  }

  /**
   * @param {Buffer} chunk
   * @param {net.Socket} to
   * @param {number} due
   */
  async #pass(chunk, to, due) {
    const wait = due - Date.now()
    if (wait > 0) await pause(wait)
    if (to.writable) to.write(chunk)
  }
}

exports.Network = Network
