'use strict'

// What must be true of the sessions of one owner, who is the only one to touch them and does one thing at a time.
//
// An acknowledged call has happened. One that was rejected has happened, or not, or happens yet: a statement may stand
// in the server's queue, or in the network, while its caller has given up. So for a while both are right.

/** Long enough for a statement that nobody waits for to be over: no fault lasts so long. In ms. */
const LATE = 20_000
/** How far the clocks of the database and of this process may be apart: it is one machine. In ms. */
const SKEW = 250

/** @typedef {{ value: number, late: { value: number, until: number }[] }} Field what was acknowledged, what may come */

/**
 * @typedef {object} Session
 * @property {string} nonce
 * @property {string[]} ids the latest last; none if the answer to its creation was lost
 * @property {{ one: Field, other: Field }} fields
 * @property {number} doubtUntil until when it may end, or begin, without an acknowledgement; 0: no doubt
 * @property {boolean} mayBeGone
 * @property {[earliest: number, latest: number]} expiry
 */

/** A claim of the contract that did not hold. */
class Violation extends Error {
  /**
   * @param {'lost' | 'resurrected' | 'wrong'} kind
   * @param {string} whose a session's nonce, or an owner's name
   * @param {string} message
   */
  constructor(kind, whose, message) {
    super(`${whose}: ${message}`)
    this.kind = kind
    this.whose = whose
  }
}

class Model {
  /** By nonce, in the order of their creation. @type {Map<string, Session>} */
  sessions = new Map()
  #length
  #limit

  /** @param {import('./kinds.js').Kind} kind */
  constructor({ length = Number.POSITIVE_INFINITY, limit = Number.POSITIVE_INFINITY }) {
    this.#length = length
    this.#limit = limit
  }

  /**
   * @param {string} nonce
   * @param {string | undefined} id none if it is not known whether it was made
   * @param {{ one: number, other: number }} values
   * @param {{ begin: number, end: number }} time of the call
   */
  created(nonce, id, { one, other }, time) {
    const isSure = id !== undefined
    this.sessions.set(nonce, {
      nonce,
      ids: isSure ? [id] : [],
      fields: { one: { value: one, late: [] }, other: { value: other, late: [] } },
      doubtUntil: isSure ? 0 : time.end + LATE,
      mayBeGone: !isSure,
      expiry: [time.begin + this.#length, time.end + this.#length + (isSure ? 0 : LATE)]
    })
    this.#applyLimit(time.end)
  }

  /**
   * One session more ends the oldest. Those of which it is not known whether they are there make that uncertain; and
   * where the answer to a creation was lost, the session may have begun later than it seems.
   *
   * @param {number} now
   */
  #applyLimit(now) {
    if (this.#limit === Number.POSITIVE_INFINITY) return
    const all = [...this.sessions.values()]
    for (const [at, session] of all.entries()) {
      const newer = all.slice(at + 1)
      const wanderers = all.slice(0, at).filter(isUnmet)
      const surelyNewer = newer.filter(({ mayBeGone }) => !mayBeGone).length
      if (surelyNewer >= this.#limit && !isUnmet(session)) this.sessions.delete(session.nonce)
      else if (newer.length + wanderers.length >= this.#limit) this.doubt(session, now)
    }
  }

  /**
   * A rejected call may have ended all of them.
   *
   * @param {number} now
   */
  doubtAll(now) {
    for (const session of this.sessions.values()) this.doubt(session, now)
  }

  /**
   * It may have ended, or end yet.
   *
   * @param {Session} session
   * @param {number} now
   */
  doubt(session, now) {
    session.mayBeGone = true
    session.doubtUntil = now + LATE
  }

  /** @param {Session} session that has ended, as acknowledged */
  ended(session) {
    this.sessions.delete(session.nonce)
  }

  /**
   * All that are acknowledged as ended. What is not known to have begun may begin yet.
   *
   * @param {number} now
   */
  endedAll(now) {
    for (const session of this.sessions.values()) {
      if (!isUnmet(session) || session.doubtUntil <= now) this.sessions.delete(session.nonce)
      else session.mayBeGone = true
    }
  }

  /**
   * @param {Session} session
   * @param {boolean} isSure
   * @param {{ begin: number, end: number }} time
   */
  extended(session, isSure, { begin, end }) {
    const [earliest, latest] = session.expiry
    session.expiry = isSure
      ? [Math.max(earliest, begin + this.#length), Math.max(latest, end + this.#length)]
      : [earliest, Math.max(latest, end + LATE + this.#length)]
  }

  /**
   * @param {Session} session
   * @param {'one' | 'other'} name
   * @param {number} value
   * @param {boolean} isSure
   * @param {number} now
   */
  updated(session, name, value, isSure, now) {
    const field = session.fields[name]
    if (isSure) field.value = value
    else field.late.push({ value, until: now + LATE })
  }

  /**
   * An answer that shows the session: checks it, and learns.
   *
   * @param {Session} session
   * @param {any} row
   * @param {{ begin: number, end: number }} time
   */
  seen(session, row, { begin, end }) {
    if (row.nonce !== session.nonce) throw new Violation('wrong', session.nonce, 'an answer is another session')
    if (begin > session.expiry[1] + SKEW) throw new Violation('resurrected', session.nonce, 'live after its expiry')
    for (const name of /** @type {const} */ (['one', 'other'])) this.#check(session, name, row[name], begin)
    if (session.mayBeGone && session.doubtUntil <= begin) session.mayBeGone = false
    if (row.sess_id !== undefined && row.sess_id !== session.ids.at(-1)) session.ids.push(row.sess_id)
    if (session.ids.length > 4) session.ids.shift()
    // A session that was seen is sure to be there now, but what is on its way may end it yet.
    if (session.doubtUntil <= end) session.doubtUntil = 0
  }

  /**
   * @param {Session} session
   * @param {'one' | 'other'} name
   * @param {number} value
   * @param {number} begin
   */
  #check(session, name, value, begin) {
    const field = session.fields[name]
    const expected = [field.value, ...field.late.map(late => late.value)]
    if (!expected.includes(value)) {
      const kind = value < field.value ? 'lost' : 'wrong'
      throw new Violation(kind, session.nonce, `${name} is ${value}, expected ${expected.join(' or ')}`)
    }
    field.value = value
    field.late = field.late.filter(({ until }) => until > begin)
  }

  /**
   * An answer that there is no such session: checks it, and learns.
   *
   * @param {Session} session
   * @param {{ begin: number, end: number }} time
   */
  missed(session, { end }) {
    if (this.mustLive(session, end)) throw new Violation('lost', session.nonce, 'gone, and nobody ended it')
    this.sessions.delete(session.nonce)
  }

  /**
   * @param {Session} session
   * @param {number} now
   */
  mustLive(session, now) {
    return !session.mayBeGone && now + SKEW < session.expiry[0]
  }
}

/**
 * Whether nobody learnt its id, since the answer to its creation was lost.
 *
 * @param {Session} session
 */
function isUnmet({ ids }) {
  return ids.length === 0
}

module.exports = { LATE, Model, SKEW, Violation }
