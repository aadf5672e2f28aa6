// The public face of pg-sess-rs, for CommonJS and ES modules alike. What users meet comes first; how a row's type is
// read out of datatypes such as 'VARCHAR(255) NOT NULL' comes after it.
//
// It needs neither the typings of pg, nor those of pg-promise, nor those of Node.js: not everybody has them.

// biome-ignore-all lint/suspicious/noExplicitAny: what the types cannot know (own SQL types, rows without types) must not get in the way

export = pgSess

/**
 * Server-side sessions for Node.js, kept in PostgreSQL.
 *
 * A session is one row of one table: a random id, when it was made, when it ends, and the fields you choose, such as a
 * user's number. The browser keeps only the id, in a cookie; the server looks up the rest.
 *
 * There are two ways in, with the same core behind them:
 *
 * - the five functions of the npm package `pg-sess`, argument for argument: {@link pgSess.init | init},
 *   {@link pgSess.createSession | createSession}, {@link pgSess.validateSession | validateSession},
 *   {@link pgSess.extendSession | extendSession}, {@link pgSess.destroySession | destroySession};
 * - {@link pgSess.connect | connect}, which gives the same as an object and needs no pg-promise.
 *
 * The type of a row follows from the datatypes: `'INT'` gives `number | null`, `'INT NOT NULL'` gives `number`,
 * `'BIGINT'` and `'NUMERIC'` give `string` (a JavaScript number would lose digits), `'TEXT[]'` gives
 * `(string | null)[] | null`, `'JSONB'` gives `unknown`. A type this package does not know, such as an enum of your
 * own, gives `any`. Write a constant of fields with `as const`, otherwise TypeScript keeps only "some string" of it and
 * every field is `any`.
 *
 * @example
 * ```js
 * import { connect } from 'pg-sess-rs'
 *
 * const sessions = await connect('postgres://localhost/app', { fields: { user_id: 'INT NOT NULL' } })
 * const { sess_id } = await sessions.create({ user_id: 1 })
 * const session = await sessions.validate(sess_id) // { sess_id, …, user_id: 1 }, or null
 * ```
 */
declare namespace pgSess {
  // ---------------------------------------------------------------- the functions of pg-sess

  /**
   * Sets up the sessions of a database: makes the table `sess` if there is none, and adds the fields it lacks.
   *
   * Call it once, when the program starts. The other functions may be called at once: they wait for it. If it fails,
   * for example because the database is not up yet, later calls try again.
   *
   * @param pgp - pg-promise's root object, what `require('pg-promise')()` gives; `null` if `db` is not pg-promise's
   * @param db - the database, see {@link Database}; the other functions know it by this very object or string
   * @param FIELDS - what each session remembers, see {@link Fields}. Names are folded as PostgreSQL folds names without
   *   quotes: `userId` becomes `userid`, also in the rows
   * @param SLENGTH - how long a session lives without being extended, in ms (default 1_209_600_000, 14 days), or
   *   {@link InitOptions}
   * @returns the {@link Sessions} of this database; code written for `pg-sess` ignores it
   * @throws TypeError or RangeError for a wrong argument, naming it; {@link SessionsError} `PGSESS_TABLE` if the table
   *   is there and does not fit; {@link DatabaseError} or {@link NetworkError} if the database said no or said nothing
   * @remarks A datatype becomes part of the table's definition: write it yourself, never take it from a request.
   *
   * @example
   * ```js
   * import pgPromise from 'pg-promise'
   * import pgSess from 'pg-sess-rs'
   *
   * const pgp = pgPromise()
   * const db = pgp('postgres://localhost/app')
   * const FIELDS = [
   *   { field: 'user_id', datatype: 'INT' },
   *   { field: 'user_name', datatype: 'VARCHAR(255)' }
   * ]
   *
   * await pgSess.init(pgp, db, FIELDS, 24 * 60 * 60 * 1000) // one day
   * ```
   */
  export function init<const F extends Fields>(
    pgp: PgPromise | null | undefined,
    db: Database,
    FIELDS: F,
    SLENGTH?: number | InitOptions
  ): Promise<Sessions<InitFields<F>>>

  /**
   * Begins a session.
   *
   * Give the browser its `sess_id` in a cookie that scripts cannot read (`httpOnly`) and that travels only over HTTPS
   * (`secure`): whoever holds the id is logged in. Begin a new session at each log-in, never reuse one from before it.
   *
   * @typeParam T - `typeof FIELDS`, the constant given to {@link init}, or an interface that extends
   *   {@link SessionColumns}; without it every field is `any`
   * @param pgp - as in {@link init}
   * @param db - as in {@link init}, or a task, transaction or connection of it: then the session comes into being only
   *   if your transaction does
   * @param FIELDS - the values: `[{ field, value }]` or `{ name: value }`. A field left out, or `undefined`, takes its
   *   column's DEFAULT (NULL if it has none); `null` is NULL
   * @param options - a signal, see {@link CallOptions}; `pg-sess` has no such argument
   * @returns the new session's row
   * @throws TypeError if a field is unknown, naming it and those there are; {@link DatabaseError} if PostgreSQL refuses a
   *   value; {@link SessionsError} `PGSESS_NOT_INITIALISED` if `init` was never called for this `db`
   *
   * @example
   * ```js
   * const session = await pgSess.createSession(pgp, db, [{ field: 'user_id', value: 1 }])
   * res.cookie('sid', session.sess_id, { httpOnly: true, secure: true, sameSite: 'lax' })
   * ```
   */
  export function createSession<T extends Fields | SessionColumns = SessionRow>(
    pgp: PgPromise | null | undefined,
    db: Database,
    FIELDS: NoInfer<CreateFields<T>>,
    options?: CallOptions
  ): Promise<RowOf<T>>

  /**
   * Looks a session up.
   *
   * @typeParam T - as in {@link createSession}
   * @param pgp - as in {@link init}
   * @param db - as in {@link createSession}
   * @param SID - what the browser sent. It may be anything: what is not a UUID is simply no session
   * @param options - as in {@link createSession}
   * @returns the row if the session exists and has not ended, otherwise `null`
   * @throws {@link SessionsError}, {@link DatabaseError} or {@link NetworkError} if the database could not be asked. Do
   *   not take that for "logged out"
   *
   * @example
   * ```js
   * const session = await pgSess.validateSession(pgp, db, req.cookies.sid)
   * if (!session) return res.redirect('/login')
   * if (session.user_id !== user_id) return res.status(401).json({ message: 'Unauthorized.' })
   * ```
   */
  export function validateSession<T extends Fields | SessionColumns = SessionRow>(
    pgp: PgPromise | null | undefined,
    db: Database,
    SID: unknown,
    options?: CallOptions
  ): Promise<RowOf<T> | null>

  /**
   * Grants a live session its full length again, counted from this moment.
   *
   * @param pgp - as in {@link init}
   * @param db - as in {@link createSession}
   * @param SID - as in {@link validateSession}
   * @param options - as in {@link createSession}
   * @returns `true` if the session was live, `false` if there is none or it has ended: it is not revived
   * @throws as {@link validateSession}
   *
   * @example
   * ```js
   * if (!(await pgSess.extendSession(pgp, db, req.cookies.sid))) res.redirect('/login')
   * ```
   */
  export function extendSession(
    pgp: PgPromise | null | undefined,
    db: Database,
    SID: unknown,
    options?: CallOptions
  ): Promise<boolean>

  /**
   * Ends a session for good, by removing its row.
   *
   * The browser still holds the cookie: clear it too.
   *
   * @param pgp - as in {@link init}
   * @param db - as in {@link createSession}; in a transaction the session ends when the transaction commits
   * @param SID - as in {@link validateSession}
   * @param options - as in {@link createSession}
   * @returns `true` if there was such a row, `false` otherwise
   * @throws as {@link validateSession}; the session may then live on
   *
   * @example
   * ```js
   * await pgSess.destroySession(pgp, db, req.cookies.sid)
   * res.clearCookie('sid')
   * ```
   */
  export function destroySession(
    pgp: PgPromise | null | undefined,
    db: Database,
    SID: unknown,
    options?: CallOptions
  ): Promise<boolean>

  // ---------------------------------------------------------------- the object

  /**
   * Connects to a database and sets up its sessions; pg-promise is not needed.
   *
   * Field names are kept exactly as written, capitals too.
   *
   * @typeParam F - the fields, read from `options`
   * @param connection - where the database is: a URL such as `'postgres://user:password@host:5432/database'`, a
   *   {@link ConnectionConfig}, a `Pool` of the npm package `pg`, or a database of pg-promise. The given object is never
   *   changed or ended
   * @param options - at least the `fields`
   * @returns an object that keeps a few connections open until it is closed
   * @throws as {@link init}
   *
   * @example
   * ```js
   * import { connect } from 'pg-sess-rs'
   *
   * const sessions = await connect('postgres://localhost/app', {
   *   fields: { user_id: 'INT NOT NULL', theme: "TEXT NOT NULL DEFAULT 'light'", cart: 'JSONB' },
   *   sessionLength: 60 * 60 * 1000 // one hour
   * })
   * ```
   */
  export function connect<const F extends Fields>(
    connection: Connection,
    options: ConnectOptions<F>
  ): Promise<Sessions<F>>

  /**
   * The sessions of one table. {@link connect} and {@link init} give it; it has no constructor.
   *
   * Calls made at the same time share one question to the database, so thousands of calls need few connections.
   * It never keeps the program running by itself. Each call can be traced: `node:diagnostics_channel` has a tracing
   * channel for each method, `'pg-sess-rs:validate'` for example; no id and no value is in its messages.
   *
   * @typeParam F - the fields: `Sessions<typeof fields>`, or `Sessions<{ user_id: 'INT' }>`
   */
  export interface Sessions<F extends Fields = { [field: string]: string }> {
    /**
     * Begins a session.
     *
     * @param values - the fields by name. A field that is `NOT NULL` and has no DEFAULT is required
     * @param options - a signal, see {@link CallOptions}
     * @returns the new session's row; its `sess_id` belongs into an `httpOnly`, `secure` cookie and nowhere else
     * @throws TypeError if a field is unknown, naming it and those there are; {@link DatabaseError} if PostgreSQL refuses a
     *   value (too long, not unique, …); {@link SessionsError} or {@link NetworkError} if it could not be asked
     * @remarks `undefined` and `null` differ. `undefined` means not given: the column's DEFAULT counts. `null` means
     *   NULL, which a `NOT NULL` column refuses even if it has a DEFAULT.
     *
     * @example
     * ```js
     * const { sess_id } = await sessions.create({ user_id: 1, theme: undefined, cart: null })
     * // theme is 'light', its DEFAULT; cart is null
     * ```
     */
    create(values: Values<F>, options?: CallOptions): Promise<Row<F>>

    /**
     * Looks a session up.
     *
     * @param sid - what the browser sent. It may be anything: what is not a UUID is simply no session
     * @param options - as in {@link create}
     * @returns the row if the session exists and has not ended, otherwise `null`
     * @throws {@link SessionsError}, {@link DatabaseError} or {@link NetworkError} if the database could not be asked.
     *   Do not take that for "logged out"
     *
     * @example
     * ```js
     * const session = await sessions.validate(req.cookies.sid)
     * if (session) console.log(session.user_id, 'is logged in until', session.sess_expiration)
     * ```
     */
    validate(sid: unknown, options?: CallOptions): Promise<Row<F> | null>

    /**
     * Grants a live session its full `sessionLength` again, counted from this moment, but never beyond its
     * {@link InitOptions.absoluteLength | absoluteLength}.
     *
     * @param sid - as in {@link validate}
     * @param options - as in {@link create}
     * @returns `true` if the session was live, `false` if there is none or it has ended: it is not revived
     * @throws as {@link validate}
     *
     * @example
     * ```js
     * const stillLoggedIn = await sessions.extend(req.cookies.sid)
     * ```
     */
    extend(sid: unknown, options?: CallOptions): Promise<boolean>

    /**
     * Changes some fields of a live session, and nothing else of it: neither its end nor `sess_last_updated`.
     *
     * Fields that are not named stay as they are, so updates of different fields at the same time both survive. Of two
     * updates of one field, the later one counts.
     *
     * @param sid - as in {@link validate}
     * @param values - the fields by name. `undefined` means unchanged, `null` means NULL; `{}` only gives the row
     * @param options - as in {@link create}
     * @returns the row as it is now, or `null` if the session does not exist or has ended
     * @throws as {@link create}; then nothing has changed
     *
     * @example
     * ```js
     * const session = await sessions.update(req.cookies.sid, { theme: 'dark' })
     * ```
     */
    update(sid: unknown, values: Changes<F>, options?: CallOptions): Promise<Row<F> | null>

    /**
     * Gives a live session a new id; its fields and its creation date stay. Call it when rights change, for example after
     * log-in, and send the new id to the browser.
     *
     * @param sid - as in {@link validate}
     * @param options - as in {@link create}
     * @returns the row under its new id, or `null` if the session does not exist or has ended
     * @throws as {@link validate}; {@link SessionsError} `PGSESS_TABLE` if there is no table to remember the old id in:
     *   {@link init} makes it only if the option {@link InitOptions.refreshInterval | refreshInterval} is set
     * @remarks The old id works for {@link InitOptions.refreshGrace | refreshGrace} more. Whoever refreshes it meanwhile,
     *   at the same time or once more, in whatever process, gets the same new id; so an answer that was lost can be asked
     *   for again.
     *
     * @example
     * ```js
     * const session = await sessions.refresh(req.cookies.sid)
     * if (session) res.cookie('sid', session.sess_id, { httpOnly: true, secure: true, sameSite: 'lax' })
     * ```
     */
    refresh(sid: unknown, options?: CallOptions): Promise<Row<F> | null>

    /**
     * Hashes the ids that are still plain, after {@link InitOptions.hashIds | hashIds} was switched on for a table that
     * held plain ones.
     *
     * Sessions that are used meanwhile go on working. It runs in short transactions; if it rejects, call it again. Call
     * it once all programs that use the table have the option: those that have not would no longer find its sessions.
     *
     * @returns how many were hashed
     * @throws TypeError if `hashIds` is off; as {@link validate} besides
     *
     * @example
     * ```js
     * console.log(await sessions.hashPlainIds(), 'ids hashed')
     * ```
     */
    hashPlainIds(): Promise<number>

    /**
     * Ends a session for good, by any of its ids. The browser still holds the cookie: clear it too.
     *
     * @param sid - as in {@link validate}; after a {@link refresh}, an id that was replaced will do
     * @param options - as in {@link create}
     * @returns `true` if there was one, `false` otherwise; also `true` if the connection broke before the answer came
     *   and the second attempt found none, for then the first has probably ended it
     * @throws as {@link validate}; the session may then live on
     *
     * @example
     * ```js
     * await sessions.destroy(req.cookies.sid)
     * res.clearCookie('sid')
     * ```
     */
    destroy(sid: unknown, options?: CallOptions): Promise<boolean>

    /**
     * The live sessions whose fields have these values, newest first: "you are logged in on these devices".
     *
     * @param where - fields and what they are to be: a value, `null`, or an array (any of these; but a field that is an
     *   array itself is compared with it). At least one field, none of them `undefined`: a mistake such as
     *   `{ user_id: req.user?.id }` must not mean everyone. Everyone is meant by `({}, { all: true })`
     * @param options - how many at most; a signal
     * @returns rows without `sess_id`; in its place each has a handle ({@link ListedRow}), which opens no session
     * @throws TypeError for a `where` that means everyone by mistake, or names an unknown field; else as {@link create}
     *
     * @example
     * ```js
     * const { sess_id } = await sessions.validate(req.cookies.sid)
     * const current = sessions.handle(sess_id)
     * for (const { handle, sess_last_updated } of await sessions.list({ user_id: 1 })) {
     *   console.log(handle, sess_last_updated, handle === current ? 'this device' : '')
     * }
     * ```
     */
    list(where: Where<F>, options?: ListOptions): Promise<ListedRow<F>[]>
    /**
     * The live sessions of everyone: `list({}, { all: true })`.
     *
     * @param where - `{}`
     * @param options - `all: true`, and how many at most
     * @returns as above, newest first
     */
    list(where: { [field: string]: never }, options: ListOptions & { all: true }): Promise<ListedRow<F>[]>

    /**
     * Ends the live sessions whose fields have these values: "log out everywhere".
     *
     * @param where - as in {@link list}
     * @param options - which of them to leave, or which one to end; a signal, which leaves those that it did not come to
     * @returns how many were ended; rather fewer than there were, if a connection broke meanwhile and the work was done
     *   again
     * @throws as {@link list}; some of the sessions may have ended then, and it may be called again
     * @remarks A great number is ended piece by piece, so that nothing else has to wait. What was created meanwhile may
     *   live on.
     *
     * @example
     * ```js
     * await sessions.destroyAll({ user_id: 1 }) // log out everywhere
     * await sessions.destroyAll({ user_id: 1 }, { except: req.cookies.sid }) // everywhere else
     * await sessions.destroyAll({ user_id: 1 }, { only: req.body.handle }) // that device
     * ```
     */
    destroyAll(where: Where<F>, options?: DestroyAllOptions): Promise<number>
    /**
     * Ends the sessions of everyone: `destroyAll({}, { all: true })`.
     *
     * @param where - `{}`
     * @param options - `all: true`, and which of them to leave
     * @returns how many were ended
     */
    destroyAll(where: { [field: string]: never }, options: DestroyAllOptions & { all: true }): Promise<number>

    /**
     * Removes the rows of expired sessions now, and forgets replaced ids that no longer work. It happens by itself, too:
     * see {@link InitOptions.pruneInterval}.
     *
     * @param options - a signal that ends it early: what was removed until then stays removed
     * @returns how many rows were removed
     * @throws as {@link validate}
     * @remarks A million rows take a minute or two, in many short transactions with pauses between them. While another
     *   program prunes the same table, it waits for its turn.
     *
     * @example
     * ```js
     * const removed = await sessions.prune({ signal: AbortSignal.timeout(60_000) })
     * ```
     */
    prune(options?: CallOptions): Promise<number>

    /**
     * The handle that {@link list} shows for the session with this id: tells which of a list is the current one. It asks
     * no server.
     *
     * @param sid - as in {@link validate}
     * @returns `null` if it is no UUID
     * @remarks A session that gets a new id ({@link refresh}) is listed under that one's handle: take `sess_id` of the row
     *   that {@link validate} gave, not the cookie.
     *
     * @example
     * ```js
     * const { sess_id } = await sessions.validate(req.cookies.sid)
     * const current = sessions.handle(sess_id)
     * ```
     */
    handle(sid: unknown): string | null

    /**
     * Counts what goes on, for a dashboard. It asks no server and never fails.
     *
     * @example
     * ```js
     * const { calls, batches } = sessions.stats()
     * console.log('calls per question to the database:', calls / batches)
     * ```
     */
    stats(): Stats

    /**
     * Waits for the calls under way, then closes the connections.
     *
     * Later calls reject with {@link SessionsError} `PGSESS_CLOSED`. Closing twice does no harm. What was given to
     * {@link connect} or {@link init} (a pool, pg-promise's database) stays open: it is yours.
     *
     * @example
     * ```js
     * process.once('SIGTERM', async () => {
     *   server.close()
     *   await sessions.close()
     * })
     * ```
     */
    close(): Promise<void>

    /**
     * The same as {@link close}, for `await using`: the sessions close when the block ends, also by an error.
     *
     * @example
     * ```ts
     * await using sessions = await connect('postgres://localhost/app', { fields: { user_id: 'INT' } })
     * ```
     */
    [Symbol.asyncDispose](): Promise<void>
  }

  /** What every call may be told. */
  export interface CallOptions {
    /**
     * Aborts the call: its promise rejects at once with the signal's reason, by default an `AbortError`. If the signal is
     * aborted already, nothing is asked. A call that still waits for its turn is not sent; one that was sent may still
     * happen, as after a timeout. Connections stay as they are, and so does the transaction that the call was made in.
     *
     * @example
     * ```js
     * const session = await sessions.validate(req.cookies.sid, { signal: AbortSignal.timeout(500) })
     * ```
     */
    signal?: AbortSignalLike | undefined
  }

  /** What {@link Sessions.list} may be told. */
  export interface ListOptions extends CallOptions {
    /** How many sessions at most, the newest of them: up to 100_000. Without it, 1_000. */
    limit?: number | undefined
  }

  /** What {@link Sessions.destroyAll} may be told. */
  export interface DestroyAllOptions extends CallOptions {
    /**
     * A session id, or several, that live on. It may come from a cookie and be anything: what is no session's id excepts
     * none, so a broken cookie logs out more, never less. An id that was replaced excepts its session as long as it
     * works.
     */
    except?: unknown
    /**
     * A handle from {@link Sessions.list}: only the session that has it is ended, if it is among those of `where`. Text
     * that is no handle ends nothing. `undefined` is refused, since it would end all of them. If the session has got a new
     * id since it was listed, its handle still means it, as long as {@link Sessions.prune | prune} has not forgotten the
     * old one: the id before the current one never is.
     */
    only?: string
  }

  /** Node's `AbortSignal`, for those who have no typings of it. */
  export interface AbortSignalLike {
    /** Whether it has been given. */
    readonly aborted: boolean
    /** Why; what the call then rejects with. */
    readonly reason: any
    /** Calls the listener when it is given. */
    addEventListener(type: 'abort', listener: () => void): void
    /** Forgets the listener. */
    removeEventListener(type: 'abort', listener: () => void): void
  }

  /** What {@link Sessions.stats} counts. */
  export interface Stats {
    /** Connections open at this moment. */
    size: number
    /** Those among them that have nothing to do. */
    idle: number
    /** Calls that have not left for the database yet. */
    waiting: number
    /** Calls made since the start. */
    calls: number
    /** Questions sent to the database for them. The fewer per call, the better calls travel together. */
    batches: number
    /** Calls that rejected, but for those that were aborted. */
    errors: number
    /** Rows of expired sessions removed from here, by {@link Sessions.prune} or by itself. */
    pruned: number
    /** Sessions that got a new id from here, by {@link Sessions.refresh} or by {@link InitOptions.refreshInterval}. */
    refreshed: number
  }

  // ---------------------------------------------------------------- options

  /**
   * How sessions and their connections behave.
   *
   * `undefined` means the default. An option that does not exist, or a value of the wrong type, is a TypeError that
   * names it; a number that is not whole or out of its range, such as a time of zero, is a RangeError. `docs/options.md`
   * has all of them in one table.
   */
  export interface InitOptions {
    /**
     * How long a session lives without being extended, in ms: 14 days if you do not say.
     *
     * Shorter is safer, because a stolen cookie is worth less.
     *
     * @default 1_209_600_000
     *
     * @example
     * ```js
     * const options = { fields: { user_id: 'INT' }, sessionLength: 30 * 60 * 1000 } // half an hour
     * ```
     */
    sessionLength?: number | undefined

    /**
     * How long a session may live at most, counted from its creation, in ms: however often it is extended, it ends then.
     *
     * The one limit that a thief who keeps a stolen session busy cannot move. Sessions that began before you set it are
     * bound by it, too.
     *
     * @default none
     */
    absoluteLength?: number | undefined

    /**
     * An {@link Sessions.extend | extend} less than this many ms after the session was created or last extended writes
     * nothing and locks nothing; it still resolves to `true`.
     *
     * For apps that extend at every request: with one minute, a busy session costs one write a minute, and may end up to a
     * minute earlier.
     *
     * @default 0
     */
    extendInterval?: number | undefined

    /**
     * After how many ms {@link Sessions.validate | validate} gives a session a new id, which stands in the row as
     * `sess_id`: send it to the browser. `true` means 15 minutes. The age of an id counts from when it was issued.
     *
     * A stolen cookie is then of use for a short time only, unless the thief is the one who goes on using it. In a
     * transaction of yours, `validate` leaves the id as it is.
     *
     * @default false
     */
    refreshInterval?: number | boolean | undefined

    /**
     * How long an id goes on working after it was replaced, in ms, so that pages which are loading are not logged out.
     *
     * Each id has its own grace, and leads to the current one, which is what rows show.
     *
     * @default 30_000
     */
    refreshGrace?: number | undefined

    /**
     * Whether the table holds a hash of each id in place of the id, so that nobody who reads the table, its backups or
     * the server's log can take over a session.
     *
     * All programs that use one table must agree on it. A table with plain ids may be switched over at any time: its
     * sessions go on working, and each is hashed when it is used; {@link Sessions.hashPlainIds} hashes the rest.
     * Switching it off ends the sessions that are hashed.
     *
     * @default `true` in `connect`, `false` in `init`
     */
    hashIds?: boolean | undefined

    /**
     * The table's name, capitals included.
     *
     * @default 'sess'
     */
    tableName?: string | undefined

    /**
     * The schema (PostgreSQL's folder of tables) to keep the table in.
     *
     * It must exist: a missing schema is an error and is not made.
     *
     * @default found through the connection's `search_path`, which leads to `public` unless somebody changed it
     */
    schemaName?: string | undefined

    /**
     * Whether to make the table if it is missing and to add the fields it lacks. No row is ever touched.
     *
     * `false` only verifies: choose it where tables are changed by other means, such as migrations. A missing table or
     * field is then a {@link SessionsError} `PGSESS_TABLE`.
     *
     * @default true
     */
    createTable?: boolean | undefined

    /**
     * More servers, as `'host'` or `'host:port'`, tried in turn after the connection's own: after a failover the calls go
     * to the one that took over. Each has {@link InitOptions.connectTimeout} to answer. User, password, database and
     * TLS are the connection's.
     *
     * @default none
     */
    hosts?: readonly string[] | undefined

    /**
     * Which server will do: `'read-write'` passes over those that take no writes, such as standbys. If all are
     * passed over, calls reject with a {@link SessionsError} `PGSESS_READ_ONLY`.
     *
     * @default `'read-write'` with `hosts`, else `'any'`
     */
    targetSessionAttrs?: 'any' | 'read-write' | undefined

    /**
     * How many connections to the database may be open at a time. A few are enough, since calls travel together; more
     * than the database allows is an error there (`max_connections`, often 100 for all programs). Of two or more, one is
     * kept for calls that only read, which go on while all others wait.
     *
     * If the connection you gave says `max`, that is the default instead.
     *
     * @default 4
     */
    maxConnections?: number | undefined

    /**
     * How many calls may wait for the database at a time, so that one that does not keep up cannot fill the memory.
     * Calls whose statement is under way do not count.
     *
     * One more rejects at once with a {@link SessionsError} `PGSESS_QUEUE_FULL`.
     *
     * @default 100_000
     */
    maxQueue?: number | undefined

    /**
     * How long a new connection may take, in ms, and how long a call may wait for a free one.
     *
     * After that the call rejects with a {@link TimeoutError}.
     *
     * @default 10_000
     */
    connectTimeout?: number | undefined

    /**
     * How long the database may take to answer, in ms.
     *
     * After that the call rejects with a {@link TimeoutError}. The database may still have done what it was asked.
     *
     * @default 10_000
     */
    queryTimeout?: number | undefined

    /**
     * Whether statements are prepared once per connection and then reused, which is faster.
     *
     * A connection that leads to a pooler, such as PgBouncer, is noticed when it is made; nothing is prepared on it,
     * because the pooler may pass it on to another process of the server each time. `false` saves the question, and is
     * for poolers that pretend to be a server (errors with code `26000` or `42P05`).
     *
     * @default true
     */
    prepare?: boolean | undefined

    /**
     * Whether calls made at the same time share one statement. `false` sends one statement a call, which is slower but
     * easier to follow in the database's log.
     *
     * @default true
     */
    batch?: boolean | undefined

    /**
     * Functions that a datatype may call in DEFAULT, CHECK or GENERATED besides the well-known ones (`now`,
     * `gen_random_uuid`, `nextval`, `lower`, …), written as they are called there: `'next_number'` or
     * `'app.next_number'`. They run on the server with your rights at every `create`, so name only what you trust.
     *
     * @default none
     */
    allowedFunctions?: readonly string[] | undefined

    /**
     * How often the rows of expired sessions are removed, in ms; `false`: never. The real interval is up to a quarter
     * shorter or longer, so that programs which start together do not work together; of several, one at a time works.
     * It goes in pieces of some milliseconds, waits for nobody and holds up nobody. It ends with
     * {@link Sessions.close} and never keeps the program running; errors go to `onError`.
     *
     * An expired session opens nothing, whether its row is still there or not.
     *
     * @default 900_000
     */
    pruneInterval?: number | false | undefined

    /**
     * How many live sessions there may be with the same value of a field, such as the sessions of one user. Creating one
     * more ends the oldest at once; the new one always survives its own `create`. Expired sessions do not count, and
     * sessions whose field is NULL are not limited.
     *
     * @default none
     *
     * @example
     * ```js
     * const options = { fields: { user_id: 'INT' }, maxSessions: { by: 'user_id', limit: 5, index: true } }
     * ```
     */
    maxSessions?: MaxSessions | undefined

    /**
     * Told of errors that no call of yours can reject with, such as a failed removal of expired rows (the error's `table`
     * says where), or a column whose length differs from the datatype given. They never end the program.
     *
     * @default a warning of the process, as `process.emitWarning` gives
     */
    onError?: ((error: Error) => void) | undefined
  }

  /** A limit to live sessions, see {@link InitOptions.maxSessions}. */
  export interface MaxSessions<Name extends string = string> {
    /** The field whose values are counted. */
    by: Name
    /** How many live sessions there may be with the same value. */
    limit: number
    /**
     * Whether to make an index on the field, unless one begins with it. Each `create` looks for the sessions with the
     * same value, and without an index it reads the whole table for that. Making it on a large table takes a while in
     * which nobody can write.
     *
     * @remarks Default: `false`. Without {@link InitOptions.createTable} it is only looked for.
     */
    index?: boolean | undefined
  }

  /**
   * The options of {@link connect}: those of {@link init} and the fields.
   *
   * @typeParam F - the fields, see {@link Sessions}
   */
  export interface ConnectOptions<F extends Fields = Fields> extends InitOptions {
    /** What each session remembers: names and SQL datatypes. */
    fields: F
    maxSessions?: MaxSessions<Extract<keyof FieldMap<F>, string>> | undefined
  }

  // ---------------------------------------------------------------- fields, values, rows

  /** A field and its SQL datatype: `{ field: 'user_id', datatype: 'INT NOT NULL' }`. */
  export interface Field {
    /** The column's name, which becomes the row's key. */
    readonly field: string
    /**
     * The column's type as `CREATE TABLE` takes it, with its constraints if any: `'INT'`, `'VARCHAR(255) NOT NULL'`,
     * `"TEXT DEFAULT 'light'"`, `'INT REFERENCES users (id) ON DELETE CASCADE'`.
     */
    readonly datatype: string
  }

  /** What each session remembers: a list `[{ field, datatype }]`, or an object `{ user_id: 'INT' }`. */
  export type Fields = readonly Field[] | { readonly [field: string]: string }

  /** A field and its value in one session: `{ field: 'user_id', value: 1 }`. */
  export interface FieldValue<Name = string, Value = any> {
    /** The field's name. */
    readonly field: Name
    /** Its value; `undefined` means not given (the column's DEFAULT), `null` means NULL. */
    readonly value: Value
  }

  /** The four columns that every session has. */
  export interface SessionColumns {
    /** The session's id, a random UUID. It is a secret: whoever knows it is logged in. Keep it out of logs and URLs. */
    sess_id: string
    /** When the session began. */
    sess_creation_date: Date
    /** When it was last extended; at first, when it began. */
    sess_last_updated: Date
    /** When it ends unless it is extended before. */
    sess_expiration: Date
  }

  /** A session's row whose fields are not known to TypeScript. */
  export interface SessionRow extends SessionColumns {
    /** A field, by its name. */
    [field: string]: any
  }

  /**
   * A session's row: the four columns of {@link SessionColumns}, then the fields.
   *
   * A field has the JavaScript type that `pg` gives for its datatype. A field that is not `NOT NULL` may be `null`.
   *
   * @typeParam F - the fields, `Row<typeof fields>` or `Row<{ user_id: 'INT' }>`
   * @remarks The types are those of pg's own parsers. If you replaced one (`types.setTypeParser`), rows follow yours
   *   and TypeScript does not know. A date or timestamp `'infinity'` arrives as the number `Infinity`. An array is as
   *   deep as its datatype says (`'INT[][]'`: lists of lists), although PostgreSQL would store any depth.
   */
  export type Row<F extends Fields> = Flat<SessionColumns & Output<FieldMap<F>>>

  /**
   * What {@link Sessions.create} takes: a field that is `NOT NULL` and has no DEFAULT is required, the others may be
   * left out. A field that PostgreSQL computes (`GENERATED ALWAYS`) cannot be given.
   *
   * More may go in than comes out: a `BIGINT` takes a number, a bigint or a string, a `TIMESTAMP` a Date or a string,
   * an `INTERVAL` a string such as `'2 days'`.
   *
   * @typeParam F - the fields, see {@link Row}
   * @remarks For `JSON` and `JSONB`, objects and arrays are stored as JSON; a string must be JSON text itself.
   */
  export type Values<F extends Fields> = Flat<Input<FieldMap<F>>>

  /**
   * What {@link Sessions.update} takes: any of the fields, as in {@link Values}.
   *
   * @typeParam F - the fields, see {@link Row}
   */
  export type Changes<F extends Fields> = Flat<Change<FieldMap<F>>>

  /**
   * A session as {@link Sessions.list} shows it: no id, but a handle; then times and fields, as in {@link Row}.
   *
   * @typeParam F - the fields, see {@link Row}
   */
  export type ListedRow<F extends Fields> = Flat<
    {
      /** Tells the session from others, and opens none. Good for `{ only: handle }`, and as a key in a page. */
      handle: string
    } & Omit<SessionColumns, 'sess_id'> &
      Output<FieldMap<F>>
  >

  /**
   * Which sessions are meant: at least one field, with a value, `null`, or an array (any of these; a field that is an
   * array itself is compared with it).
   *
   * @typeParam F - the fields, see {@link Row}
   * @remarks Values are compared by PostgreSQL, in the type of the column; JSON as JSONB. A type without equality, such
   *   as `POINT`, is an error there.
   */
  export type Where<F extends Fields> = AtLeastOne<{
    -readonly [K in keyof FieldMap<F>]: Sought<Column<FieldMap<F>[K]>>
  }>

  /**
   * The fields as {@link init} names them: a plain name loses its capitals (`userId` becomes `userid`), any other name
   * stays as it is.
   *
   * @typeParam F - the constant given to `init`, `InitFields<typeof FIELDS>`
   */
  export type InitFields<F extends Fields> = Folded<FieldMap<F>>

  /** The row that {@link createSession} and {@link validateSession} resolve to, from their type parameter. */
  export type RowOf<T extends Fields | SessionColumns> = T extends SessionColumns
    ? T
    : T extends Fields
      ? Row<InitFields<T>>
      : never

  /** What {@link createSession} takes: `[{ field, value }]` or `{ name: value }`. */
  export type CreateFields<T extends Fields | SessionColumns> = T extends SessionColumns
    ? OneByOne<{ [K in Exclude<keyof T, keyof SessionColumns | number>]?: any }>
    : T extends Fields
      ? OneByOne<Values<T>> | OneByOne<Values<InitFields<T>>>
      : never

  /** What an `INTERVAL` arrives as: a span of time in parts; a part that is zero is absent. */
  export interface PostgresInterval {
    /** Whole years. */
    years?: number
    /** Whole months, up to 11. */
    months?: number
    /** Whole days. PostgreSQL makes no months of them. */
    days?: number
    /** Whole hours. PostgreSQL makes no days of them. */
    hours?: number
    /** Whole minutes. */
    minutes?: number
    /** Whole seconds. */
    seconds?: number
    /** May have a fraction, since PostgreSQL counts microseconds. */
    milliseconds?: number
    /** PostgreSQL's spelling: `'1 years 2 days'`. */
    toPostgres(): string
    /** The ISO 8601 spelling: `'P1Y0M2DT0H0M0S'`. */
    toISO(): string
    /** The same as `toISO`. */
    toISOString(): string
  }

  /** What a number's column takes. Write numbers beyond 2 to the power of 53, or with many decimals, as bigint or string. */
  export type NumberInput = number | bigint | string

  /**
   * What an `INTERVAL` column takes: PostgreSQL's spelling such as `'2 days'`, a number of seconds, or what came out of
   * one. An object of parts such as `{ days: 2 }` is none of these: PostgreSQL would refuse it or read something else.
   */
  export type IntervalInput =
    | string
    | number
    | {
        /** PostgreSQL's spelling of it. */
        toPostgres(...args: any[]): string
      }

  /** What a `POINT` arrives as. It goes in as a string: `'(1,2)'`. */
  export interface Point {
    /** The first coordinate. */
    x: number
    /** The second coordinate. */
    y: number
  }

  /** What a `CIRCLE` arrives as. It goes in as a string: `'<(1,2),3>'`. */
  export interface Circle extends Point {
    /** Its radius; `x` and `y` are its centre. */
    radius: number
  }

  // ---------------------------------------------------------------- databases

  /**
   * What the functions of `pg-sess` take as `db`: a connection string, a {@link ConnectionConfig}, an object of
   * pg-promise, or a pool or client of `pg`.
   *
   * With a task, a transaction or one single connection, the statement runs on it, and commits or rolls back with your
   * own work. With anything else it runs on connections of our own, made with the same settings.
   */
  export type Database = Connection | PgPromiseTask | PgPromiseConnection | PgClient

  /** What {@link connect} takes: the place of a database, or an object that knows it. */
  export type Connection =
    | string
    | (ConnectionConfig & {
        /** What has it is a client, which only the functions of `pg-sess` take. */
        query?: undefined
      })
    | PgPool
    | PgPromiseDatabase

  /**
   * Where the database is and how to log in, with the settings of the npm package `pg`.
   *
   * What is not given comes from the environment (`PGHOST`, `PGPORT`, `PGUSER`, `PGPASSWORD`, `PGDATABASE`, …), then
   * from pg's own defaults.
   */
  export interface ConnectionConfig {
    /** All of it in one URL. What it says counts more than the settings beside it. */
    connectionString?: string | undefined
    /** The server's name or address, or the folder of its socket. @default 'localhost' */
    host?: string | undefined
    /** The server's port. @default 5432 */
    port?: number | string | undefined
    /** The database user. @default the name of the user who runs the program */
    user?: string | undefined
    /** The password, or a function that gives it, called for each new connection. */
    password?: string | ((...args: any[]) => string | Promise<string>) | null | undefined
    /** The database. @default the database of the user's name */
    database?: string | undefined
    /**
     * Encryption. `true` encrypts and checks the server's certificate against the authorities that Node.js trusts; an
     * object is passed on as to Node's `tls.connect`, such as `{ ca }`. Danger: `{ rejectUnauthorized: false }` checks
     * nothing, and whoever sits between can read and change everything.
     *
     * @default false
     */
    ssl?: boolean | object | undefined
    /** A name for this program in the database's own lists (`pg_stat_activity`) and logs. @default none */
    application_name?: string | undefined
    /** The same, if `application_name` is not given. */
    fallback_application_name?: string | undefined
    /** Settings for the server, as on its command line: `'-c search_path=app'`. */
    options?: string | undefined
    /** The server gives a statement up after so many ms. */
    statement_timeout?: number | boolean | undefined
    /** The server gives waiting for a lock up after so many ms. */
    lock_timeout?: number | boolean | undefined
    /** The server closes a connection whose transaction idles for so many ms. */
    idle_in_transaction_session_timeout?: number | boolean | undefined
    /** How long `pg` itself waits for an answer, in ms: the default of {@link InitOptions.queryTimeout}. */
    query_timeout?: number | boolean | undefined
    /** How long `pg` itself tries to connect, in ms: the default of {@link InitOptions.connectTimeout}. */
    connectionTimeoutMillis?: number | undefined
    /** Whether the operating system probes a quiet connection. @default false */
    keepAlive?: boolean | undefined
    /** After how many ms of quiet it begins to. @default the operating system's */
    keepAliveInitialDelayMillis?: number | undefined
    /** How many connections a pool may open: the default of {@link InitOptions.maxConnections}. */
    max?: number | undefined
    /** Your own parsers of what comes out, in place of pg's. */
    types?:
      | {
          /** Gives the parser for a type, by its number. */
          getTypeParser(...args: any[]): any
        }
      | undefined
  }

  /** pg-promise's root object, `pgp`. */
  export interface PgPromise {
    /** The copy of `pg` that it uses, whose defaults, parsers and errors count here, too. */
    readonly pg: object
    /** Its formatting functions. */
    readonly as: object
  }

  /** A database of pg-promise, what `pgp(…)` gives. */
  export interface PgPromiseDatabase {
    /** What it was made with. */
    readonly $config: object
    /** Its pool of connections, of which only the settings are read. */
    readonly $pool: object
  }

  /** A task or transaction of pg-promise, the `t` of `db.task(t => …)` and `db.tx(t => …)`. */
  export interface PgPromiseTask {
    /** What it is part of. */
    readonly ctx: object
    /** Runs a statement that gives at most one row. */
    oneOrNone(...args: any[]): Promise<any>
  }

  /** One connection of pg-promise, what `db.connect()` resolves to. */
  export interface PgPromiseConnection {
    /** The client of `pg` behind it. */
    readonly client: object
    /** Runs a statement that gives at most one row. */
    oneOrNone(...args: any[]): Promise<any>
    /** Gives the connection back; that is for you to do. */
    done(...args: any[]): any
  }

  /** A `Pool` of `pg`. */
  export interface PgPool {
    /** Its settings, which are read for each new connection of ours. */
    readonly options: object
    /** How many connections it has open. */
    readonly totalCount: number
    /** Lends a connection. */
    connect(): Promise<any>
  }

  /** A `Client` of `pg`, connected, or what `pool.connect()` resolves to. */
  export interface PgClient {
    /** The server that it is connected to. */
    readonly host: string
    /** The server's port. */
    readonly port: number
    /** Runs a statement. */
    query(...args: any[]): any
  }

  // ---------------------------------------------------------------- errors

  /**
   * An error of our own. Test its `code`:
   *
   * - `'PGSESS_TIMEOUT'`: something took too long, see {@link TimeoutError}.
   * - `'PGSESS_QUEUE_FULL'`: as many calls as {@link InitOptions.maxQueue} were waiting already.
   * - `'PGSESS_TOO_LARGE'`: the answer is longer than a string of JavaScript can be, such as that to a `list` of many large
   *   sessions. What was asked was done.
   * - `'PGSESS_READ_ONLY'`: none of the servers takes writes, see {@link InitOptions.targetSessionAttrs}.
   * - `'PGSESS_CLOSED'`: the call came after {@link Sessions.close}.
   * - `'PGSESS_NOT_INITIALISED'`: {@link init} was never called for this `db`.
   * - `'PGSESS_TABLE'`: the table is there and does not fit, for example because a field has another type in it. The
   *   message shows both; change the fields or the table.
   * - `'PGSESS_INTERNAL'`: a fault of this package. Please report it.
   *
   * Neither session ids nor values of fields stand in its message. `docs/errors.md` says what to do about each, and about
   * those of PostgreSQL and of the network.
   *
   * @example
   * ```js
   * try {
   *   await sessions.validate(sid)
   * } catch (error) {
   *   if (error.code === 'PGSESS_TIMEOUT') res.status(503).send('The database is slow.')
   *   else throw error
   * }
   * ```
   */
  export interface SessionsError extends Error {
    /** Which error it is. */
    code:
      | 'PGSESS_TIMEOUT'
      | 'PGSESS_QUEUE_FULL'
      | 'PGSESS_TOO_LARGE'
      | 'PGSESS_READ_ONLY'
      | 'PGSESS_CLOSED'
      | 'PGSESS_NOT_INITIALISED'
      | 'PGSESS_TABLE'
      | 'PGSESS_INTERNAL'
  }

  /** The {@link SessionsError} of a call that took longer than `connectTimeout` or `queryTimeout`. */
  export interface TimeoutError extends SessionsError {
    /** Always this one. */
    code: 'PGSESS_TIMEOUT'
    /**
     * What took so long. After `'waiting for the answer'` the database may have done what it was asked; after the other
     * two it was not asked.
     */
    step: 'waiting for a connection' | 'connecting' | 'waiting for the answer'
  }

  /** What PostgreSQL itself says when it refuses something; the same as `DatabaseError` of the npm package `pg`. */
  export interface DatabaseError extends Error {
    /** Always `'error'`. */
    name: string
    /** Bytes of the server's message. */
    length: number
    /** The kind of error in five characters: `'23505'` not unique, `'23502'` NULL in a `NOT NULL` column, … */
    code: string | undefined
    /** `'ERROR'`, or `'FATAL'` if the connection ended with it. */
    severity: string | undefined
    /** More about this case, such as `'Key (user_id)=(1) already exists.'`. It may show values: do not send it to browsers. */
    detail: string | undefined
    /** What to do about it. */
    hint: string | undefined
    /** Which character of the statement it is about, counted from 1. */
    position: string | undefined
    /** The same, within a statement that the server made itself. */
    internalPosition: string | undefined
    /** That statement. */
    internalQuery: string | undefined
    /** Where in the server's work it happened. */
    where: string | undefined
    /** The table's schema, if it is about a table. */
    schema: string | undefined
    /** The table, if it is about one. */
    table: string | undefined
    /** The column, if it is about one. */
    column: string | undefined
    /** The datatype, if it is about one. */
    dataType: string | undefined
    /** The constraint that was violated, by its name. */
    constraint: string | undefined
    /** The file of PostgreSQL's source that says so. */
    file: string | undefined
    /** The line of that file. */
    line: string | undefined
    /** The function in that file. */
    routine: string | undefined
  }

  /** What Node.js says when the server cannot be reached or the connection breaks. */
  export interface NetworkError extends Error {
    /**
     * What happened: `'ECONNREFUSED'` nobody listens, `'ENOTFOUND'` no such host, `'ECONNRESET'` broken off, … Absent if
     * the server ended the connection without a word.
     */
    code?: string | undefined
    /** The operating system's number for it. */
    errno?: number | undefined
    /** What was tried, such as `'connect'`. */
    syscall?: string | undefined
    /** The address. */
    address?: string | undefined
    /** The port. */
    port?: number | undefined
    /** The name that has no address. */
    hostname?: string | undefined
  }

  /** The whole again, so that `require('pg-sess-rs').default` works as it does with `pg-sess`. */
  export { pgSess as default }
}

declare global {
  export interface SymbolConstructor {
    // As in TypeScript's own library and in Node's typings, for programs that load neither.
    readonly asyncDispose: unique symbol
  }
}

// ---------------------------------------------------------------- from datatypes to types
//
// A datatype is read once (`Column`), whatever it is used for, and TypeScript remembers the answer, so that a table with
// many fields costs little. Nothing here walks a datatype letter by letter: recursion is as deep as it has quotes,
// brackets or words.

/** The intersection written out as one object, which is what an editor shows. */
type Flat<T> = { [K in keyof T]: T[K] } & {}

/** Both forms of fields as an object `{ name: datatype }`. */
type FieldMap<F> = F extends readonly pgSess.Field[] ? { [E in F[number] as E['field']]: E['datatype'] } : F

/** The fields' part of a row. */
type Output<M> = { -readonly [K in keyof M]: Column<M[K]>['out'] }

/** The values of a new session: the required ones and the others. */
type Input<M> = {
  -readonly [K in keyof M as Column<M[K]>['required'] extends true ? K : never]: Column<M[K]>['in']
} & {
  -readonly [K in keyof M as Column<M[K]>['required'] extends true ? never : K]?: Column<M[K]>['in'] | undefined
}

/** Values of a session that is there already: none is required. */
type Change<M> = { -readonly [K in keyof M]?: Column<M[K]>['in'] | undefined }

/** What a field may be asked to be. */
type Sought<C> = C extends { out: infer O; in: infer I }
  ? 0 extends 1 & O
    ? any
    : NonNullable<O> extends readonly any[]
      ? I | null
      : OneOrMore<[I] extends [undefined] ? O : I>
  : never
type OneOrMore<V> = NonNullable<V> | null | readonly (NonNullable<V> | null)[]

/** One of the members, and any others. */
type AtLeastOne<T> = string extends keyof T ? T : { [K in keyof T]: Flat<{ [P in K]: T[P] } & Partial<T>> }[keyof T]

/** Values as an object, or as a list of `{ field, value }`. */
type OneByOne<V> =
  | (V & { [Symbol.iterator]?: undefined })
  | readonly { [K in keyof V]-?: pgSess.FieldValue<K, V[K]> }[keyof V][]

// Names

type Folded<M> = { -readonly [K in keyof M as K extends string ? Fold<K> : K]: M[K] } & {}

// Most names are in small letters already; only the others are looked at letter by letter.
type Fold<Name extends string> =
  Name extends Lowercase<Name>
    ? Name
    : Name extends `${Digit | '$'}${string}`
      ? Name
      : IsPlain<Lowercase<Name>> extends true
        ? Lowercase<Name>
        : Name

type IsPlain<Name extends string> = Name extends `${infer First}${infer Rest}`
  ? First extends Letter | Digit | '_' | '$'
    ? IsPlain<Rest>
    : false
  : Name extends ''
    ? true
    : false

type Letter = Letters<'abcdefghijklmnopqrstuvwxyz'>
type Letters<S extends string> = S extends `${infer First}${infer Rest}` ? First | Letters<Rest> : never
type Digit = `${0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9}`

// Columns

/** What a datatype means: what comes out, what goes in, and whether a new session must have it. */
type Column<D> = D extends string ? (string extends D ? { out: any; in: any; required: false } : Read<Plain<D>>) : never

type Read<S extends string> = S extends ` ${infer Name} ${infer Rest}`
  ? Finish<
      TypeNamed<Name extends `PG_CATALOG.${infer Bare}` ? Bare : Name>,
      Dimensions<Rest>,
      Name extends Serial ? true : IsNotNull<S>,
      Name extends Serial ? true : HasDefault<S>,
      IsGenerated<S>
    >
  : { out: any; in: any; required: false }

type Finish<T extends SqlType, D extends 1[], NotNull, Default, Generated> = {
  out: NotNull extends true ? OutOf<T, D> : OutOf<T, D> | null
  in: Generated extends true ? undefined : NotNull extends true ? NonNullable<InOf<T, D>> : InOf<T, D> | null
  required: NotNull extends true ? (Default extends true ? false : true) : false
}

type OutOf<T extends SqlType, D extends 1[]> = D extends [1, ...1[]]
  ? [T['element']] extends [never]
    ? string
    : Nested<T['element'], D>
  : T['out']
type Nested<T, D extends 1[]> = 0 extends 1 & T
  ? any
  : D extends [1, ...infer Inner extends 1[]]
    ? (Inner extends [] ? T | null : Nested<T, Inner>)[]
    : never

type InOf<T extends SqlType, D extends 1[]> = D extends [1, ...1[]] ? NestedIn<T['in'], D> | string : T['in']
type NestedIn<T, D extends 1[]> = D extends [1, ...infer Inner extends 1[]]
  ? readonly (Inner extends [] ? T | null : NestedIn<T, Inner>)[]
  : never

type IsNotNull<S extends string> = S extends
  | `${string} NOT NULL ${string}`
  | `${string} PRIMARY KEY ${string}`
  | `${string} AS IDENTITY ${string}`
  ? true
  : false
type HasDefault<S extends string> = S extends `${string} ${'DEFAULT' | 'GENERATED'} ${string}` ? true : false
type IsGenerated<S extends string> = S extends `${string} GENERATED ALWAYS ${string}` ? true : false

/** How many pairs of brackets follow the type's name, before constraints begin; `ARRAY` is one. */
type Dimensions<S extends string, D extends 1[] = []> = S extends `${infer Word} ${infer Rest}`
  ? Word extends '[]'
    ? Dimensions<Rest, [...D, 1]>
    : Word extends 'ARRAY'
      ? [1]
      : Word extends TypeWord
        ? Dimensions<Rest, D>
        : D
  : D

/** Words that may follow a type's first word and still belong to it: DOUBLE PRECISION, TIME WITH TIME ZONE, … */
type TypeWord =
  | ('PRECISION' | 'VARYING' | 'CHARACTER' | 'CHAR')
  | ('WITH' | 'WITHOUT' | 'TIME' | 'ZONE')
  | ('YEAR' | 'MONTH' | 'DAY' | 'HOUR' | 'MINUTE' | 'SECOND' | 'TO')

/**
 * A datatype in capitals, without what could be mistaken for a constraint: quoted text, what stands in parentheses,
 * `SET DEFAULT`. One space stands between words and at both ends, `[3]` is the word `[]`.
 */
type Plain<D extends string> = WithoutAction<` ${OneLine<Unbracketed<Unparenthesised<WithoutText<Uppercase<D>>>>>} `>

type WithoutText<S extends string> = Unquoted<Unquoted<S, "'">, '"'>
type OneLine<S extends string> = Swap<Swap<Swap<S, '\r', ' '>, '\n', ' '>, '\t', ' '>
type WithoutAction<S extends string> = Swap<OneSpace<S>, ' SET DEFAULT ', ' '>

// A doubled quote within quotes reads as two quoted texts beside each other, which comes to the same.
type Unquoted<S extends string, Q extends string, Done extends string = ''> = S extends `${infer A}${Q}${infer B}`
  ? B extends `${string}${Q}${infer C}`
    ? Unquoted<C, Q, `${Done}${A}?`>
    : `${Done}${S}`
  : `${Done}${S}`

type Unparenthesised<S extends string, Done extends string = '', Open extends 1[] = []> = Open extends [
  1,
  ...infer Outer extends 1[]
]
  ? S extends `${infer A})${infer B}`
    ? A extends `${string}(${infer Inner}`
      ? Unparenthesised<`${Inner})${B}`, Done, [...Open, 1]>
      : Unparenthesised<B, `${Done} `, Outer>
    : Done
  : S extends `${infer A}(${infer B}`
    ? Unparenthesised<B, `${Done}${A}`, [1]>
    : `${Done}${S}`

type Unbracketed<S extends string, Done extends string = ''> = S extends `${infer A}[${infer B}`
  ? B extends `${string}]${infer C}`
    ? Unbracketed<C, `${Done}${A} [] `>
    : `${Done}${S}`
  : `${Done}${S}`

type Swap<
  S extends string,
  From extends string,
  To extends string,
  Done extends string = ''
> = S extends `${infer A}${From}${infer B}` ? Swap<B, From, To, `${Done}${A}${To}`> : `${Done}${S}`

type OneSpace<S extends string> = S extends `${infer A}  ${infer B}` ? OneSpace<`${A} ${B}`> : S

// Types

/** What comes out, what goes in, and what comes out of an array of it: `never` if pg leaves such an array a string. */
interface SqlType<Out = any, In = any, Element = any> {
  out: Out
  in: In
  element: Element
}

type TypeNamed<Name> = Name extends keyof SqlTypes ? SqlTypes[Name] : SqlType

type Serial = 'SMALLSERIAL' | 'SERIAL2' | 'SERIAL' | 'SERIAL4' | 'BIGSERIAL' | 'SERIAL8'
// Node's Buffer, or what it is made of where Node's typings are not loaded.
type Bytes = typeof globalThis extends { Buffer: { isBuffer(obj: any): obj is infer B } } ? B : Uint8Array

type Small = SqlType<number, pgSess.NumberInput, number>
type Big = SqlType<string, pgSess.NumberInput, string>
type Exact = SqlType<string, pgSess.NumberInput, number>
type Text = SqlType<string, string, string>
type TextAlone = SqlType<string, string, never>

interface SqlTypes
  extends Record<'SMALLINT' | 'INT2' | 'INTEGER' | 'INT' | 'INT4' | 'OID', Small>,
    Record<'SMALLSERIAL' | 'SERIAL2' | 'SERIAL' | 'SERIAL4', Small>,
    Record<'REAL' | 'FLOAT' | 'FLOAT4' | 'FLOAT8' | 'DOUBLE', Small>,
    Record<'BIGINT' | 'INT8' | 'BIGSERIAL' | 'SERIAL8' | 'MONEY', Big>,
    Record<'NUMERIC' | 'DECIMAL' | 'DEC', Exact>,
    Record<'BOOLEAN' | 'BOOL', SqlType<boolean, boolean | string | number, boolean>>,
    Record<'TEXT' | 'VARCHAR' | 'CHARACTER' | 'CHAR' | 'BPCHAR' | 'NATIONAL' | 'NCHAR', Text>,
    Record<'UUID' | 'INET' | 'CIDR' | 'MACADDR' | 'TIME' | 'TIMETZ' | 'NUMRANGE' | 'REGPROC', Text>,
    Record<'CITEXT' | 'NAME' | 'XML' | 'JSONPATH' | 'BIT' | 'VARBIT' | 'MACADDR8', TextAlone>,
    Record<'INT4RANGE' | 'INT8RANGE' | 'TSRANGE' | 'TSTZRANGE' | 'DATERANGE', TextAlone>,
    Record<'INT4MULTIRANGE' | 'INT8MULTIRANGE' | 'NUMMULTIRANGE', TextAlone>,
    Record<'TSMULTIRANGE' | 'TSTZMULTIRANGE' | 'DATEMULTIRANGE', TextAlone>,
    Record<'LINE' | 'LSEG' | 'BOX' | 'PATH' | 'POLYGON', TextAlone>,
    Record<'TSVECTOR' | 'TSQUERY' | 'PG_LSN' | 'REGCLASS' | 'REGTYPE' | 'REGROLE', TextAlone>,
    Record<'HSTORE' | 'LTREE' | 'LQUERY' | 'CUBE', TextAlone>,
    Record<'BYTEA', SqlType<Bytes, Uint8Array | string, Bytes>>,
    Record<'JSON' | 'JSONB', SqlType<unknown, unknown, unknown>>,
    Record<'DATE' | 'TIMESTAMP' | 'TIMESTAMPTZ', SqlType<Date, Date | string, Date>>,
    Record<'INTERVAL', SqlType<pgSess.PostgresInterval, pgSess.IntervalInput, pgSess.PostgresInterval>>,
    Record<'POINT', SqlType<pgSess.Point, string, pgSess.Point>>,
    Record<'CIRCLE', SqlType<pgSess.Circle, string, never>> {}
