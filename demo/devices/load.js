'use strict'

// Traffic for the charts: some hundred visitors who look up their sessions as fast as they can, for some seconds.

const VISITORS = 256
const SECONDS = 8

class Load {
  /** How many visitors there are at the moment. */
  visitors = 0
  #sessions
  #values
  #end = 0
  /** @type {Promise<unknown> | undefined} */
  #running

  /**
   * @param {any} sessions
   * @param {object} values of the visitors' sessions
   */
  constructor(sessions, values) {
    this.#sessions = sessions
    this.#values = values
  }

  /** Starts it, or makes one that is running last longer. */
  start() {
    this.#end = Date.now() + SECONDS * 1000
    this.#running ??= this.#run()
      .catch(error => console.error(error))
      .finally(() => {
        this.#running = undefined
      })
  }

  async stop() {
    this.#end = 0
    await this.#running
  }

  async #run() {
    await Promise.all(Array.from({ length: VISITORS }, () => this.#visit()))
  }

  async #visit() {
    this.visitors++
    try {
      const { sess_id } = await this.#sessions.create(this.#values)
      while (Date.now() < this.#end) await this.#sessions.validate(sess_id)
      await this.#sessions.destroy(sess_id)
    } finally {
      this.visitors--
    }
  }
}

module.exports = { Load, SECONDS }
