'use strict'

// Makes calls about sessions of its own, one after the other or two at once, and compares every answer with its model.

const { Model, Violation } = require('./model.js')

/** More sessions than this, and it makes no more of them. */
const MOST = 8
/** Ids of ended sessions that are tried again. */
const REMEMBERED = 50

/** How often it does what. @type {(readonly [weight: number, what: string])[]} */
const STEPS = [
  [5, 'create'],
  [10, 'validate'],
  [4, 'extend'],
  [5, 'update'],
  [2, 'updateTwice'],
  [1, 'refresh'],
  [2, 'destroy'],
  [2, 'askForEnded'],
  [1, 'list'],
  [0.3, 'destroyAll'],
  [0.3, 'destroyOthers'],
  [0.2, 'prune']
]

class Owner {
  #name
  #place
  #tally
  #random
  #model
  #numbers = 0
  /** @type {string[]} */
  #ended = []

  /**
   * @param {string} name no other owner has it
   * @param {{ sessions: any, kind: import('./kinds.js').Kind }} place
   * @param {import('./tally.js').Tally} tally
   * @param {import('./random.js').Random} random
   */
  constructor(name, place, tally, random) {
    this.#name = name
    this.#place = place
    this.#tally = tally
    this.#random = random
    this.#model = new Model(place.kind)
  }

  /** Does one thing. */
  async step() {
    const what = this.#random.weighted(STEPS)
    await this.#checking(() => /** @type {any} */ (this)[what]())
  }

  /** Looks at every session once more, when nothing fails any more. */
  async settle() {
    for (const session of [...this.#model.sessions.values()]) {
      if (session.ids.length > 0) await this.#checking(() => this.#validate(session))
    }
    await this.#checking(() => this.list())
  }

  /** What has to be in the table. */
  expectations() {
    return [...this.#model.sessions.values()].map(({ nonce, fields, mayBeGone, expiry }) => ({
      nonce,
      mayBeGone,
      expiry: expiry[0],
      one: valuesOf(fields.one),
      other: valuesOf(fields.other)
    }))
  }

  async create() {
    if (this.#model.sessions.size >= MOST) return
    const nonce = `${this.#name}.${++this.#numbers}`
    const values = { one: this.#next(), other: this.#next() }
    const { value, error, time } = await this.#call('create', { nonce, owner: this.#name, ...values })
    this.#forgetting(() => this.#model.created(nonce, error ? undefined : value.sess_id, values, time))
    const session = this.#model.sessions.get(nonce)
    if (!error && session) this.#model.seen(session, value, time)
  }

  async validate() {
    const session = this.#pick()
    if (session) await this.#validate(session)
  }

  async extend() {
    const session = this.#pick()
    if (!session) return
    const { value, error, time } = await this.#call('extend', this.#idOf(session))
    if (error) this.#model.extended(session, false, time)
    else if (value) this.#model.extended(session, true, time)
    else this.#missed(session, time)
  }

  async update() {
    const session = this.#pick()
    if (session) await this.#update(session, this.#random.pick(['one', 'other']))
  }

  /** Both must survive. */
  async updateTwice() {
    const session = this.#pick()
    if (session) await Promise.all([this.#update(session, 'one'), this.#update(session, 'other')])
  }

  async refresh() {
    const session = this.#pick()
    if (!session) return
    const { value, error, time } = await this.#call('refresh', this.#idOf(session))
    if (!error) this.#answered(session, value, time)
  }

  async destroy() {
    const session = this.#pick()
    if (!session) return
    const { value, error, time } = await this.#call('destroy', this.#idOf(session))
    if (error) return this.#model.doubt(session, time.end)
    if (value === false) return this.#missed(session, time)
    this.#forgetting(() => this.#model.ended(session))
  }

  async destroyAll() {
    const { error, time } = await this.#call('destroyAll', { owner: this.#name })
    if (error) this.#model.doubtAll(time.end)
    else this.#forgetting(() => this.#model.endedAll(time.end))
  }

  async destroyOthers() {
    const kept = this.#pick()
    if (!kept) return
    const { error, time } = await this.#call('destroyAll', { owner: this.#name }, { except: this.#idOf(kept) })
    for (const session of [...this.#model.sessions.values()]) {
      if (session === kept) continue
      if (error || session.ids.length === 0) this.#model.doubt(session, time.end)
      else this.#forgetting(() => this.#model.ended(session))
    }
  }

  async askForEnded() {
    if (this.#ended.length === 0) return
    const id = this.#random.pick(this.#ended)
    const operation = this.#random.pick(['validate', 'extend', 'refresh', 'destroy'])
    const { value, error } = await this.#call(operation, id)
    // Where an answer was lost on the way, destroy tells what may have been its own work: that there was one.
    if (operation !== 'destroy' && !error && value)
      throw new Violation('resurrected', this.#name, `${operation} finds an ended session`)
  }

  async list() {
    const { value, error, time } = await this.#call('list', { owner: this.#name })
    if (error) return
    const found = new Map(value.map((/** @type {any} */ row) => [row.nonce, row]))
    if (found.size < value.length) throw new Violation('wrong', this.#name, 'a session is listed twice')
    for (const session of [...this.#model.sessions.values()]) {
      const row = found.get(session.nonce)
      if (row) this.#model.seen(session, row, time)
      else if (session.ids.length > 0 || session.doubtUntil < time.begin) this.#missed(session, time)
      found.delete(session.nonce)
    }
    for (const nonce of found.keys()) throw new Violation('resurrected', nonce, 'listed, and it has ended')
  }

  async prune() {
    await this.#call('prune')
  }

  /** @param {import('./model.js').Session} session */
  async #validate(session) {
    const { value, error, time } = await this.#call('validate', this.#idOf(session))
    if (!error) this.#answered(session, value, time)
  }

  /**
   * @param {import('./model.js').Session} session
   * @param {'one' | 'other'} field
   */
  async #update(session, field) {
    const number = this.#next()
    const { value, error, time } = await this.#call('update', this.#idOf(session), { [field]: number })
    if (value === null) return this.#missed(session, time)
    this.#model.updated(session, field, number, !error, time.end)
    // The other field may be changed at the same time.
    if (!error && value[field] !== number) throw new Violation('lost', session.nonce, `${field} is not what was set`)
  }

  /**
   * @param {import('./model.js').Session} session
   * @param {any} row
   * @param {{ begin: number, end: number }} time
   */
  #answered(session, row, time) {
    if (row === null) this.#missed(session, time)
    else this.#model.seen(session, row, time)
  }

  /**
   * @param {import('./model.js').Session} session
   * @param {{ begin: number, end: number }} time
   */
  #missed(session, time) {
    this.#forgetting(() => this.#model.missed(session, time))
  }

  /**
   * Remembers the ids of sessions that the work takes out of the model.
   *
   * @param {() => void} work
   */
  #forgetting(work) {
    const before = [...this.#model.sessions.values()]
    try {
      work()
    } finally {
      const ended = before.filter(({ nonce }) => !this.#model.sessions.has(nonce))
      this.#ended.push(...ended.flatMap(({ ids }) => ids))
      this.#ended.splice(0, this.#ended.length - REMEMBERED)
    }
  }

  /**
   * @param {string} operation
   * @param {unknown[]} args
   */
  #call(operation, ...args) {
    return this.#tally.watch(operation, () => this.#place.sessions[operation](...args))
  }

  /** @param {() => unknown} work */
  async #checking(work) {
    try {
      await work()
    } catch (error) {
      if (!(error instanceof Violation)) throw error
      this.#tally.violated(error)
    }
  }

  /** A session whose id is known. */
  #pick() {
    const known = [...this.#model.sessions.values()].filter(({ ids }) => ids.length > 0)
    return known.length === 0 ? undefined : this.#random.pick(known)
  }

  /**
   * Any of them works, mostly the latest is used.
   *
   * @param {import('./model.js').Session} session
   */
  #idOf({ ids }) {
    return this.#random.next() < 0.7 ? ids[ids.length - 1] : this.#random.pick(ids)
  }

  #next() {
    return ++this.#numbers
  }
}

/** @param {import('./model.js').Field} field */
function valuesOf({ value, late }) {
  return [value, ...late.map(one => one.value)]
}

exports.Owner = Owner
