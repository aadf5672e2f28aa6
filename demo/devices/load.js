'use strict'

// Traffic for the charts: some hundred visitors who ask for their session as fast as they can, for some seconds.

const VISITORS = 256
const SECONDS = 6

class Load {
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
    const { sess_id } = await this.#sessions.create(this.#values)
    try {
      while (Date.now() < this.#end) await this.#sessions.validate(sess_id)
    } finally {
      await this.#sessions.destroy(sess_id)
    }
  }
}

module.exports = { Load }
