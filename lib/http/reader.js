'use strict'

// Reads the session of a request where no cookie can be sent back: the handshake of a WebSocket, a page that is being
// rendered. So it gives no session a new id.

const { SessionCookie } = require('./cookie.js')
const { checkOptions, checkSessions } = require('./door.js')
const { unavailable } = require('./unavailable.js')

class SessionReader {
  #sessions
  #cookie

  /**
   * @param {unknown} sessions
   * @param {unknown} options
   */
  constructor(sessions, options) {
    this.#sessions = checkSessions(sessions)
    this.#cookie = new SessionCookie(checkOptions(options, SessionCookie.options), '')
  }

  /**
   * @param {import('./cookie.js').Asked} asked
   * @returns {Promise<import('./request-sessions.js').Row | null>}
   */
  async read(asked) {
    const id = this.#cookie.read(asked) ?? this.#cookie.readImported(asked)
    if (id === undefined) return null
    try {
      // Not `validate`, which may give the session a new id that the browser could not be told.
      return await this.#sessions.update(id, {})
    } catch (error) {
      throw unavailable(error)
    }
  }
}

exports.SessionReader = SessionReader
