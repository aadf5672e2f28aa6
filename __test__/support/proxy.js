'use strict'

// The network between the package and PostgreSQL, with everything that goes wrong in one: it refuses, swallows, cuts,
// delays, cuts up, forgets connections, and changes what the server says.

const { once } = require('node:events')
const net = require('node:net')
const { setImmediate: turn, setTimeout: sleep } = require('node:timers/promises')
const { Client } = require('pg')

const HOST = '127.0.0.1'
/** https://www.postgresql.org/docs/current/protocol-message-formats.html */
const HEAD = 5
const TAGS = { execute: 'E', query: 'Q', sync: 'S', ready: 'Z' }

/** @typedef {'before' | 'after'} Moment before the server saw the statement, or after its work and before the answer */
/** @typedef {(message: Buffer) => Buffer} Change of one message of the server */

/**
 * @param {{ after(hook: () => unknown): void }} t
 * @param {string} url of the server
 */
async function startProxy(t, url) {
  const proxy = new FaultyProxy(url)
  await proxy.open()
  t.after(() => proxy.close())
  return proxy
}

class FaultyProxy {
  /** How many statements were cut off. */
  cuts = 0
  /** How many connections were made. */
  connections = 0
  #target
  #url
  #port = 0
  /** @type {net.Server | undefined} */
  #listener
  /** @type {Set<Pair>} */
  #pairs = new Set()
  /** What befalls connections from now on. */
  state = { swallows: false, delay: 0, piecemeal: false }
  /** The statement to be cut off: how many come before it. @type {{ moment: Moment, others: number } | undefined} */
  #cut
  /** @type {Change | undefined} */
  change

  /** @param {string} url */
  constructor(url) {
    const { host, port } = new Client({ connectionString: url })
    this.#target = host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port }
    this.#url = url
  }

  /** Leads to the server's database through here. */
  get url() {
    const url = new URL(this.#url)
    url.hostname = HOST
    url.port = String(this.#port)
    url.searchParams.delete('host')
    return url.href
  }

  get port() {
    return this.#port
  }

  /** Connections that are open. */
  get size() {
    return this.#pairs.size
  }

  /** Accepts connections, always on the same port. */
  async open() {
    const listener = net.createServer({ allowHalfOpen: true }, near => this.#connect(near))
    this.#listener = listener.listen(this.#port, HOST)
    await once(listener, 'listening')
    this.#port = /** @type {net.AddressInfo} */ (listener.address()).port
  }

  /** Refuses new connections and ends those there are. */
  async close() {
    const listener = this.#listener
    this.#listener = undefined
    this.cutAll()
    if (listener) await new Promise(resolve => listener.close(resolve))
  }

  /** Ends all connections. */
  cutAll() {
    for (const pair of this.#pairs) pair.cut()
  }

  /**
   * Cuts the connection of the next statement, or of a later one.
   *
   * @param {Moment} moment
   * @param {number} [others] that come before it
   */
  cutOnce(moment, others = 0) {
    this.#cut = { moment, others }
  }

  /** Forgets a cut whose statement did not come. */
  cutNothing() {
    this.#cut = undefined
  }

  /** From now on nothing comes through, neither of old connections nor of new ones, which are accepted. */
  swallow() {
    this.state.swallows = true
    for (const pair of this.#pairs) pair.isDead = true
  }

  /** New connections work again; those that fell into the hole stay there. */
  heal() {
    this.state.swallows = false
  }

  /** The server's ends of all connections vanish, and nobody tells the others. New connections work. */
  forget() {
    for (const pair of this.#pairs) pair.forget()
  }

  /** The moment's cut, if a statement is to be cut off. */
  takeCut() {
    const cut = this.#cut
    if (cut === undefined || cut.others-- > 0) return undefined
    this.#cut = undefined
    this.cuts++
    return cut.moment
  }

  /** @param {net.Socket} near */
  #connect(near) {
    this.connections++
    const pair = new Pair(this, near, this.#target)
    this.#pairs.add(pair)
    near.once('close', () => this.#pairs.delete(pair))
  }
}

/** A connection from end to end. */
class Pair {
  /** Whether nothing comes through any more. */
  isDead
  #proxy
  #near
  #far
  #requests = new Messages(false)
  #answers = new Messages(true)
  /** Answers that the server owes; the first one is to the start-up. */
  #owed = 1
  #answerIsLost = false
  #isForgotten = false

  /**
   * @param {FaultyProxy} proxy
   * @param {net.Socket} near
   * @param {net.NetConnectOpts} target
   */
  constructor(proxy, near, target) {
    this.#proxy = proxy
    this.#near = near
    this.isDead = proxy.state.swallows
    this.#far = net.connect(target)
    near.setNoDelay(true)
    this.#far.setNoDelay(true)
    this.#carry(near, this.#far, this.#requests, message => this.#request(message))
    this.#carry(this.#far, near, this.#answers, message => this.#answer(message))
  }

  cut() {
    this.#near.destroy()
    this.#far.destroy()
  }

  forget() {
    this.isDead = true
    this.#isForgotten = true
    this.#far.destroy()
  }

  /**
   * @param {net.Socket} from
   * @param {net.Socket} to
   * @param {Messages} messages
   * @param {(message: Buffer) => Buffer | undefined} pass what is passed on of a message
   */
  #carry(from, to, messages, pass) {
    let way = Promise.resolve()
    const then = (/** @type {() => unknown} */ work) => {
      const { delay } = this.#proxy.state
      const arrived = delay > 0 ? sleep(delay, undefined, { ref: false }) : undefined
      way = way.then(() => arrived).then(work)
    }
    from.on('data', bytes => {
      if (this.isDead) return
      const passed = messages.take(bytes).flatMap(message => pass(message) ?? [])
      then(() => this.#write(to, Buffer.concat(passed)))
    })
    from.on('error', () => {})
    from.on('end', () => this.isDead || then(() => to.end()))
    from.on('close', () => this.#isForgotten || then(() => to.destroy()))
  }

  /**
   * @param {net.Socket} to
   * @param {Buffer} bytes
   */
  async #write(to, bytes) {
    const length = this.#proxy.state.piecemeal ? 1 : bytes.length
    for (let at = 0; at < bytes.length && !to.destroyed; at += length) {
      to.write(bytes.subarray(at, at + length))
      if (length < bytes.length) await turn()
    }
  }

  /** @param {Buffer} message */
  #request(message) {
    const tag = this.#requests.tagOf(message)
    if (tag === TAGS.sync || tag === TAGS.query) this.#owed++
    if (tag !== TAGS.execute) return message
    const moment = this.#proxy.takeCut()
    if (moment === 'before') this.cut()
    if (moment === 'after') this.#answerIsLost = true
    return moment === 'before' ? undefined : message
  }

  /** @param {Buffer} message */
  #answer(message) {
    if (this.#answers.tagOf(message) === TAGS.ready) this.#owed--
    if (this.#answerIsLost) {
      if (this.#owed === 0) this.cut()
      return undefined
    }
    return this.#proxy.change?.(message) ?? message
  }
}

/** Finds the messages in a stream of bytes. */
class Messages {
  #hasTag
  #rest = Buffer.alloc(0)

  /** @param {boolean} hasTag whether the first message has one: a client's has not */
  constructor(hasTag) {
    this.#hasTag = hasTag
  }

  /**
   * The messages that are complete now.
   *
   * @param {Buffer} bytes
   */
  take(bytes) {
    /** @type {Buffer[]} */
    const messages = []
    this.#rest = Buffer.concat([this.#rest, bytes])
    for (let length = this.#next(); length <= this.#rest.length; length = this.#next()) {
      messages.push(this.#rest.subarray(0, length))
      this.#rest = this.#rest.subarray(length)
      this.#hasTag = true
    }
    return messages
  }

  /**
   * A start-up message begins with its length, and no message is so long that it would pass for a tag.
   *
   * @param {Buffer} message
   */
  tagOf(message) {
    return message[0] === 0 ? '' : message.toString('latin1', 0, 1)
  }

  /** The length of the next message. */
  #next() {
    const head = this.#hasTag ? HEAD : HEAD - 1
    if (this.#rest.length < head) return Number.POSITIVE_INFINITY
    return this.#rest.readUInt32BE(head - 4) + head - 4
  }
}

module.exports = { startProxy }
