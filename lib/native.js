'use strict'

// The only file that uses the addon. Calls of one turn of the event loop cross to Rust together, in one call an
// operation; outcomes come back in one call a batch, and the promises are settled here.

const { setImmediate, setInterval } = require('node:timers')
const { binding } = require('./addon.js')
const { rejected, toError, withoutId } = require('./errors.js')
const { Answer, Kind } = require('./packed.js')

const { Core: NativeCore, StoreCore: NativeStoreCore } = binding

/**
 * @typedef {import('./errors.js').Failure} Failure
 * @typedef {import('./errors.js').ErrorClasses} ErrorClasses
 * @typedef {(value: any) => void} Resolve
 * @typedef {import('./abortable.js').Abort} Abort
 * @typedef {import('./rows.js').RowReader} RowReader
 * @typedef {object} Tell what is told that belongs to no call
 * @property {(error: Error, table: string) => void} report an error
 * @property {() => void} changed the table is to be described again, before the next row is read
 * @typedef {{ schema: string | undefined, table: string, paths: [place: number, path: string[]][], secret: string,
 *   dry: boolean }} Import
 * @typedef {{ copied: number, known: number, expired: number, unmapped: [reason: string, count: number][],
 *   next: string | null }} Imported
 */

/** How many failures of the caller's own functions are kept for the calls that failed by them. */
const KEPT_FAILURES = 64
/** As in native/binding.d.ts, whose `const enum` has no value for a file that is not compiled. */
const Operation = /** @type {const} */ ({ validate: 0, extend: 1, destroy: 2, refresh: 3 })
const ID_LENGTH = 36
const OPERATIONS = Object.values(Operation)
/** Calls that cross together at most: as many as the second part of a call's number can tell apart. */
const MAX_GROUP = 128 ** 2
/** The longest period that a timer takes, in ms. */
const LONGEST_PERIOD = 2 ** 31 - 1

/** Keeps the program alive while calls are under way; the addon's own handle never does. */
const keeper = setInterval(() => {}, LONGEST_PERIOD).unref()
let callsUnderWay = 0

/** @param {number} change in the number of calls under way */
function countCalls(change) {
  const before = callsUnderWay
  callsUnderWay += change
  if (before === 0 && callsUnderWay > 0) keeper.ref()
  if (before > 0 && callsUnderWay === 0) keeper.unref()
}

/** Calls that crossed to the core together. */
class Group {
  /** @type {(Resolve | undefined)[]} */
  resolves = []
  /** The ids that the calls name, as they were given. @type {string[]} */
  sids = []
  /** How many calls have no outcome yet. */
  open = 0
  /** The number of the first call, once they have crossed; the others follow. */
  first = 0

  /**
   * @param {string} sid
   * @returns {Promise<any>}
   */
  add(sid) {
    const promise = new Promise(takeResolve)
    this.resolves.push(taken)
    this.sids.push(sid)
    this.open++
    return promise
  }
}

/** The resolve function of the promise made last. @type {Resolve | undefined} */
let taken

/**
 * One function for all promises, instead of a closure for each.
 *
 * @param {Resolve} resolve
 */
function takeResolve(resolve) {
  taken = resolve
}

/** Calls on their way, by number. Holds nothing of the addon, so that an abandoned core can be collected. */
class Waiting {
  /** By the first part of their calls' numbers. @type {(Group | undefined)[]} */
  #groups = []
  /** Places in `#groups` that are free. @type {number[]} */
  #free = []
  #classes
  #questions
  #tell
  /** Set once the table stands. @type {RowReader | undefined} */
  reader

  /**
   * @param {ErrorClasses} classes
   * @param {Questions} questions
   * @param {Tell} tell
   */
  constructor(classes, questions, tell) {
    this.#classes = classes
    this.#questions = questions
    this.#tell = tell
  }

  /**
   * Keeps the calls until their outcomes come.
   *
   * @param {Group} group
   * @returns {number} the first call's number; the others follow
   */
  add(group) {
    countCalls(group.open)
    const place = this.#free.pop() ?? this.#groups.length
    this.#groups[place] = group
    return place * MAX_GROUP
  }

  /**
   * Settles the calls of a batch, or one that is not batched, answers a question, or hands on an error.
   *
   * @param {string} message as src/node/packed.rs packs outcomes and reports, and src/node/questions.rs questions
   */
  receive(message) {
    if (Answer.isIn(message)) {
      this.#settleAll(new Answer(message))
      return
    }
    const [what, whose, detail] = JSON.parse(message)
    if (what === 'done') this.#settle(whose, detail)
    else if (what === 'failed') this.#settle(whose, this.#failed(detail))
    else if (what === 'report') this.#tell.report(toError(detail, this.#classes), whose)
    else if (what === 'changed') this.#tell.changed()
    else this.#questions.answer(what, whose, detail)
  }

  /**
   * Rejects calls that never left.
   *
   * @param {number} first
   * @param {number} count
   * @param {unknown} error
   */
  fail(first, count, error) {
    for (let number = first; number < first + count; number++) this.#settle(number, Promise.reject(error))
  }

  /**
   * @param {number} number
   * @param {unknown} value a promise that rejects, if the call failed
   */
  #settle(number, value) {
    const place = Math.floor(number / MAX_GROUP)
    const group = this.#groups[place]
    if (group === undefined) return
    this.#take(group, place, number % MAX_GROUP)?.(value)
    countCalls(-1)
  }

  /** @param {Answer} answer */
  #settleAll(answer) {
    for (let left = answer.count; left > 0; left--) {
      const place = answer.group()
      const member = answer.member()
      const group = /** @type {Group} */ (this.#groups[place])
      const value = this.#read(answer, group.sids[member])
      this.#take(group, place, member)?.(value)
    }
    countCalls(-answer.count)
  }

  /**
   * @param {Group} group
   * @param {number} place the group's
   * @param {number} member
   */
  #take(group, place, member) {
    const resolve = group.resolves[member]
    group.resolves[member] = undefined
    group.open--
    if (group.open === 0) {
      this.#groups[place] = undefined
      this.#free.push(place)
    }
    return resolve
  }

  /**
   * The next outcome, as the value that the call's promise is resolved with.
   *
   * @param {Answer} answer
   * @param {string} sid the id that the call names
   */
  #read(answer, sid) {
    switch (answer.kind()) {
      case Kind.yes:
        return true
      case Kind.no:
        return false
      case Kind.row:
        return this.#readRow(answer, sid.toLowerCase())
      case Kind.newRow:
        return this.#readRow(answer, answer.text())
      case Kind.failure:
        return this.#failed(withoutId(answer.failure(), sid))
      case Kind.rows:
        return this.#readList(answer)
      default:
        return null
    }
  }

  /**
   * @param {Answer} answer
   * @param {string} sid
   */
  #readRow(answer, sid) {
    try {
      return /** @type {RowReader} */ (this.reader).read(answer, sid)
    } catch (error) {
      // A type parser of the user threw: its own call fails, its neighbours do not.
      return Promise.reject(error)
    }
  }

  /** @param {Answer} answer with a list and nothing else */
  #readList(answer) {
    try {
      return /** @type {RowReader} */ (this.reader).list(answer)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** @param {Failure} failure */
  #failed(failure) {
    const thrown = this.#questions.thrown(failure)
    return thrown === undefined ? rejected(failure, this.#classes) : Promise.reject(thrown)
  }
}

/**
 * Answers what the core asks while it makes a connection. Holds the addon weakly, for the same reason.
 */
class Questions {
  #answers
  /** What the caller's own functions threw, by question: those who wait get the very error. @type {Map<number, unknown>} */
  #failures = new Map()
  /** @type {WeakRef<import('../native/binding.js').Core | import('../native/binding.js').StoreCore> | undefined} */
  native

  /** @param {import('./connection.js').Answers} answers */
  constructor(answers) {
    this.#answers = answers
  }

  /**
   * @param {'password' | 'identity'} question
   * @param {number} number
   * @param {string} detail
   */
  async answer(question, number, detail) {
    try {
      const value = await this.#answers[question](detail)
      this.native?.deref()?.answer(number, value ?? undefined, undefined)
    } catch (error) {
      this.#keep(number, error)
      this.native?.deref()?.answer(number, undefined, String(error))
    }
  }

  /**
   * What was thrown while answering.
   *
   * @param {Failure | undefined} failure
   */
  thrown(failure) {
    return failure?.kind === 'caller' ? this.#failures.get(Number(failure.question)) : undefined
  }

  /**
   * @param {number} number
   * @param {unknown} error
   */
  #keep(number, error) {
    this.#failures.set(number, error)
    const [oldest] = this.#failures.keys()
    if (this.#failures.size > KEPT_FAILURES) this.#failures.delete(oldest)
  }
}

/** The core of one `Sessions`. */
class Core {
  #native
  #waiting
  /** Calls of this turn that name a session, by operation. @type {[Group, Group, Group, Group]} */
  #asked = [new Group(), new Group(), new Group(), new Group()]
  #creates = new Group()
  /** @type {string[]} */
  #createPayloads = []
  #updates = new Group()
  /** @type {string[]} */
  #updatePayloads = []
  #flushing = false
  /** Calls that were aborted since the event loop last came round. @type {[Group, member: number][]} */
  #aborted = []

  /**
   * @param {import('../native/binding.js').ConnectionSettings} settings
   * @param {import('../native/binding.js').Field[]} fields
   * @param {import('../native/binding.js').SessionsOptions} options
   * @param {ErrorClasses} classes
   * @param {import('./connection.js').Answers} answers
   * @param {Tell} tell must not hold the core: it would never be collected
   */
  constructor(settings, fields, options, classes, answers, tell) {
    const questions = new Questions(answers)
    const waiting = new Waiting(classes, questions, tell)
    this.#waiting = waiting
    this.#native = new NativeCore(settings, fields, options, message => waiting.receive(message))
    questions.native = new WeakRef(this.#native)
  }

  /**
   * How rows are read from now on.
   *
   * @param {RowReader} reader must not hold the core: it would never be collected
   */
  setReader(reader) {
    this.#waiting.reader = reader
  }

  /**
   * @param {keyof typeof Operation} operation
   * @param {unknown} sid
   * @param {unknown} missing what "no session" is for this operation
   * @param {Abort} [abort]
   * @returns {Promise<any>}
   */
  ask(operation, sid, missing, abort) {
    const id = this.#listedId(sid)
    if (id === null) return Promise.resolve(missing)
    const at = Operation[operation]
    const group = this.#asked[at]
    const answer = group.add(id)
    if (abort !== undefined) this.#letAbort(abort, group)
    if (group.open === MAX_GROUP) this.#flushIds(at)
    else this.#flushSoon()
    return answer
  }

  /**
   * @param {number[]} given places of the given fields, ascending
   * @param {(string | null | { hex: string })[]} values
   * @param {string | null} replaced the id of the session in whose place it comes
   * @param {Abort} [abort]
   * @returns {Promise<any>}
   */
  create(given, values, replaced, abort) {
    this.#createPayloads.push(JSON.stringify([given, values, replaced]))
    const row = this.#creates.add('')
    if (abort !== undefined) this.#letAbort(abort, this.#creates)
    if (this.#creates.open === MAX_GROUP) this.#flushCreates()
    else this.#flushSoon()
    return row
  }

  /**
   * @param {string} search see src/node/searches.rs
   * @param {number | undefined} limit
   * @param {Abort} [abort]
   * @returns {Promise<any>}
   */
  list(search, limit, abort) {
    const group = new Group()
    const rows = this.#single(number => this.#native.list(number, search, limit), group)
    if (abort !== undefined) this.#letAbort(abort, group)
    return rows
  }

  /**
   * @param {string} search see src/node/searches.rs
   * @param {Abort} [abort]
   * @returns {Promise<any>}
   */
  destroyAll(search, abort) {
    const group = new Group()
    if (abort !== undefined) this.#letStop(abort, group)
    return this.#single(number => this.#native.destroyAll(number, search), group)
  }

  /**
   * @param {Abort} [abort]
   * @returns {Promise<any>}
   */
  prune(abort) {
    const group = new Group()
    if (abort !== undefined) this.#letStop(abort, group)
    return this.#single(number => this.#native.prune(number), group)
  }

  /** @param {unknown} sid */
  handle(sid) {
    const id = this.readId(sid)
    return id === null ? null : this.#native.handle(id)
  }

  /** @returns {Promise<any>} */
  figures() {
    return this.#single(number => this.#native.figures(number))
  }

  /** @returns {Promise<any>} */
  foundFields() {
    return this.#single(number => this.#native.foundFields(number))
  }

  /**
   * @param {Import} asked
   * @returns {Promise<any>}
   */
  importTotal(asked) {
    return this.#single(number => this.#native.importTotal(number, questionOf(asked, null)))
  }

  /**
   * @param {Import} asked
   * @param {string | null} after the last session that was looked at
   * @returns {Promise<any>}
   */
  import(asked, after) {
    return this.#single(number => this.#native.import(number, questionOf(asked, after)))
  }

  /** @returns {Promise<any>} */
  tableStatements() {
    return this.#single(number => this.#native.tableStatements(number))
  }

  get tableName() {
    return this.#native.tableName()
  }

  get listLimit() {
    return this.#native.listLimit()
  }

  /** @param {string} search */
  listStatement(search) {
    return this.#native.listStatement(search)
  }

  /** @param {string} search */
  destroyAllStatement(search) {
    return this.#native.destroyAllStatement(search)
  }

  /**
   * @param {unknown} sid
   * @param {number[]} given places of the given fields, ascending
   * @param {(string | null | { hex: string })[]} values
   * @param {Abort} [abort]
   * @returns {Promise<any>}
   */
  update(sid, given, values, abort) {
    const id = this.readId(sid)
    if (id === null) return Promise.resolve(null)
    this.#updatePayloads.push(JSON.stringify([id, given, values]))
    const row = this.#updates.add(id)
    if (abort !== undefined) this.#letAbort(abort, this.#updates)
    if (this.#updates.open === MAX_GROUP) this.#flushUpdates()
    else this.#flushSoon()
    return row
  }

  /** @returns {Promise<any>} how many ids were hashed */
  hashPlainIds() {
    return this.#single(number => this.#native.hashPlainIds(number))
  }

  /** @returns {Promise<any>} the description of the table, see src/node/packed.rs */
  setUp() {
    return this.#single(number => this.#native.setUp(number))
  }

  /** The table as it was found last. */
  describe() {
    return JSON.parse(this.#native.describe())
  }

  /** @returns {Promise<unknown>} */
  close() {
    // The calls of this turn were made before.
    this.#flush()
    return this.#single(number => this.#native.close(number))
  }

  stats() {
    return this.#native.stats()
  }

  newId() {
    return this.#native.newId()
  }

  /**
   * Under which ids the row of a session may stand in the table.
   *
   * @param {string} id as `readId` gives it
   */
  storedIds(id) {
    return this.#native.storedIds(id)
  }

  /**
   * Under which one, if it was made with these options.
   *
   * @param {string} id
   */
  storedId(id) {
    return this.#native.storedId(id)
  }

  /**
   * The id that opens a session which was found for `id` over a path of ids.
   *
   * @param {string} id
   * @param {string} path as the statements for pg give it
   */
  follow(id, path) {
    return this.#native.follow(id, path)
  }

  /**
   * @param {string} id
   * @param {string} successor
   */
  seal(id, successor) {
    return this.#native.seal(id, successor)
  }

  /** @param {number[]} given */
  updateStatement(given) {
    return this.#native.updateStatement(given)
  }

  /** @param {number[]} given */
  createStatement(given) {
    return this.#native.createStatement(given)
  }

  /**
   * The id as it is written everywhere, or `null` if it is none.
   *
   * @param {unknown} sid
   * @returns {string | null}
   */
  readId(sid) {
    if (typeof sid !== 'string') return null
    // In braces or without hyphens an id is longer or shorter, but not by more than this.
    return sid.length >= ID_LENGTH - 4 && sid.length <= ID_LENGTH + 2 ? this.#native.canonicalId(sid) : null
  }

  /**
   * The same for a list of ids, where asking the core for each would cost too much: what has the length of an id goes
   * as it is, and the core finds out whether it is one.
   *
   * @param {unknown} sid
   * @returns {string | null}
   */
  #listedId(sid) {
    return typeof sid === 'string' && sid.length === ID_LENGTH ? sid : this.readId(sid)
  }

  /**
   * @param {(number: number) => void} send
   * @param {Group} [group] an empty one
   */
  #single(send, group = new Group()) {
    const outcome = group.add('')
    this.#send(group, send)
    return outcome
  }

  /**
   * If the call that was added last is aborted while it waits for a batch, it will not leave.
   *
   * @param {Abort} abort
   * @param {Group} group
   */
  #letAbort(abort, group) {
    const member = group.resolves.length - 1
    abort.stop = () => {
      // Together: the core has to look through all that wait.
      if (this.#aborted.push([group, member]) === 1) setImmediate(() => this.#withdraw())
    }
  }

  #withdraw() {
    // A number belongs to its call until that has an outcome.
    const open = this.#aborted.filter(([group, member]) => group.resolves[member] !== undefined)
    this.#aborted = []
    if (open.length > 0) this.#native.withdraw(open.map(([group, member]) => group.first + member))
  }

  /**
   * If work that is done in pieces is aborted, there will be no further piece.
   *
   * @param {Abort} abort
   * @param {Group} group
   */
  #letStop(abort, group) {
    abort.stop = () => {
      if (group.open > 0) this.#native.stop(group.first)
    }
  }

  #flushSoon() {
    if (this.#flushing) return
    this.#flushing = true
    queueMicrotask(() => this.#flush())
  }

  #flush() {
    this.#flushing = false
    for (const operation of OPERATIONS) this.#flushIds(operation)
    this.#flushCreates()
    this.#flushUpdates()
  }

  /** @param {0 | 1 | 2 | 3} operation */
  #flushIds(operation) {
    const group = this.#asked[operation]
    if (group.open === 0) return
    this.#asked[operation] = new Group()
    const { open, sids } = group
    this.#send(group, first => this.#native.submitIds(operation, first, open, sids.join('')))
  }

  #flushCreates() {
    const group = this.#creates
    if (group.open === 0) return
    const payloads = this.#createPayloads
    this.#creates = new Group()
    this.#createPayloads = []
    this.#send(group, first => this.#native.submitCreates(first, `[${payloads.join()}]`))
  }

  #flushUpdates() {
    const group = this.#updates
    if (group.open === 0) return
    const payloads = this.#updatePayloads
    this.#updates = new Group()
    this.#updatePayloads = []
    this.#send(group, first => this.#native.submitUpdates(first, `[${payloads.join()}]`))
  }

  /**
   * @param {Group} group
   * @param {(first: number) => void} send gets the number of the group's first call
   */
  #send(group, send) {
    const count = group.open
    const first = this.#waiting.add(group)
    group.first = first
    try {
      send(first)
    } catch (error) {
      this.#waiting.fail(first, count, error)
    }
  }
}

/**
 * As src/node/imports.rs reads it.
 *
 * @param {Import} asked
 * @param {string | null} after
 */
function questionOf({ schema, table, paths, secret, dry }, after) {
  return JSON.stringify([schema ?? null, table, paths, secret, dry, after])
}

exports.Core = Core
exports.Group = Group
exports.MAX_GROUP = MAX_GROUP
exports.NativeStoreCore = NativeStoreCore
exports.Questions = Questions
exports.Waiting = Waiting
exports.importedId = NativeCore.importedId
