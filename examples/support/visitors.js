'use strict'

// People who use a site: they log in, come back, log out, all the time. What was acknowledged is written down.

const { setTimeout: sleep } = require('node:timers/promises')

/** @typedef {import('pg-sess-rs').Sessions<any>} Sessions */

const PAUSE = 5

class Visitors {
  /** Ids of sessions that were acknowledged, and not ended. @type {Set<string>} */
  loggedIn = new Set()
  /** Ids of sessions whose end was acknowledged. @type {Set<string>} */
  loggedOut = new Set()
  /** When calls failed, and with which words. @type {{ at: number, why: string }[]} */
  failures = []
  calls = 0
  #sessions
  #stop = false
  /** @type {Promise<void>[]} */
  #visits
  #longest = 0

  /**
   * @param {Sessions} sessions
   * @param {number} count
   */
  constructor(sessions, count) {
    this.#sessions = sessions
    this.#visits = Array.from({ length: count }, (_, user) => this.#comeAndGo(user))
  }

  /** The longest that a call took, in ms. */
  get longest() {
    return Math.round(this.#longest)
  }

  async leave() {
    this.#stop = true
    await Promise.all(this.#visits)
  }

  /** @param {number} user */
  async #comeAndGo(user) {
    for (let visit = 0; !this.#stop; visit++) {
      const row = await this.#timed(() => this.#sessions.create({ user_id: user }))
      if (row !== undefined) {
        this.loggedIn.add(row.sess_id)
        await this.#timed(() => this.#sessions.extend(row.sess_id))
        if (visit % 2 === 1) await this.#logOut(row.sess_id)
      }
      await sleep(PAUSE)
    }
  }

  /** @param {string} sid */
  async #logOut(sid) {
    // Until it is acknowledged, nobody can say which of both it is.
    this.loggedIn.delete(sid)
    const ended = await this.#timed(() => this.#sessions.destroy(sid))
    if (ended !== undefined) this.loggedOut.add(sid)
  }

  /**
   * @template T
   * @param {() => Promise<T>} call
   */
  async #timed(call) {
    const begin = performance.now()
    this.calls++
    try {
      return await call()
    } catch (error) {
      this.failures.push({ at: Date.now(), why: /** @type {Error} */ (error).message })
      return undefined
    } finally {
      this.#longest = Math.max(this.#longest, performance.now() - begin)
    }
  }

  /**
   * What became of everything that was acknowledged.
   *
   * @param {Sessions} sessions
   * @returns {Promise<{ lost: number, revived: number }>}
   */
  async account(sessions = this.#sessions) {
    const live = async (/** @type {Set<string>} */ ids) =>
      (await Promise.all([...ids].map(sid => sessions.validate(sid)))).filter(row => row !== null).length
    return { lost: this.loggedIn.size - (await live(this.loggedIn)), revived: await live(this.loggedOut) }
  }
}

/**
 * Asks until a call works again, many times a second; one that hangs counts as one that fails.
 *
 * @param {Sessions} sessions
 * @returns {Promise<number>} when a login was acknowledged
 */
async function backAgain(sessions) {
  for (;;) {
    const done = await Promise.race([
      sessions.create({ user_id: 0 }).then(
        () => true,
        () => false
      ),
      sleep(1000, false)
    ])
    if (done) return Date.now()
    await sleep(10)
  }
}

module.exports = { Visitors, backAgain }
