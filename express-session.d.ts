// The Store for express-session, for CommonJS and ES modules alike. It needs the typings of express-session
// (`@types/express-session`), as every program that uses express-session with TypeScript does.

// biome-ignore-all lint/suspicious/noExplicitAny: the callbacks are those of @types/express-session

import type { CookieOptions, SessionData, Store } from 'express-session'
import type { ConnectionConfig, PgPool, PgPromiseDatabase, Stats } from 'pg-sess-rs'

export = connectPgStore

/**
 * Makes the Store class for express-session, in the place of connect-pg-simple.
 *
 * It takes that library's options and works on its table, also while that library does: change the `require`, and
 * sessions that are there stay.
 *
 * @param session - what `require('express-session')` gives
 *
 * @example
 * ```js
 * const session = require('express-session')
 * const PgStore = require('pg-sess-rs/express-session')(session)
 *
 * app.use(session({
 *   store: new PgStore({ conString: 'postgres://localhost/app' }),
 *   secret: process.env.COOKIE_SECRET,
 *   resave: false,
 *   saveUninitialized: false
 * }))
 * ```
 */
declare function connectPgStore(session: connectPgStore.ExpressSession): connectPgStore.PgStoreClass

/** What belongs to the Store: its class, its options, what it gives. */
declare namespace connectPgStore {
  export { connectPgStore as default }

  /** What `require('express-session')` gives. */
  export interface ExpressSession {
    /** The class that every store extends. */
    Store: abstract new (
      ...args: any[]
    ) => Store
  }

  /** The data of a session, as it was saved. */
  export type Data = SessionData & {
    /** What express-session keeps of the cookie. */
    cookie: CookieOptions
    [key: string]: any
  }

  /** Called with `null`, or with what went wrong. */
  export type Callback = (error?: any) => void

  /** A session that {@link PgStore.listBy} found. */
  export interface FoundSession {
    /** Its id as the table holds it: with `hashIds`, a hash that opens no session. */
    sid: string
    /** What it holds. */
    session: Data
    /** When it ends. */
    expires: Date
  }

  /**
   * What {@link PgStore} may be told: connect-pg-simple's options, with its meaning, then those it does not have.
   *
   * Where to connect is taken from the first of `pool`, `pgPromise`, `conObject` and `conString` that is given, else from
   * the environment variable `DATABASE_URL`, else from those of PostgreSQL (`PGHOST`, …). Connections of its own are made
   * with these settings; what was given is never changed or closed.
   *
   * @throws TypeError or RangeError for a wrong value, naming the option. An unknown option is only a process warning,
   *   since connect-pg-simple ignores it.
   */
  export interface PgStoreOptions {
    /** A pool of `pg`. If it has listeners for `connect` or `acquire`, statements run through it, one by one. */
    pool?: PgPool | null | undefined
    /**
     * A database of pg-promise. If its event `connect`, `query` or `receive` is set, statements run through it, one by
     * one.
     */
    pgPromise?: PgPromiseDatabase | null | undefined
    /** What a client of `pg` takes as an object. */
    conObject?: ConnectionConfig | null | undefined
    /** A connection string. */
    conString?: string | null | undefined
    /**
     * The table's name.
     *
     * @default 'session'
     */
    tableName?: string | null | undefined
    /**
     * The table's schema.
     *
     * @default the connection's search_path
     */
    schemaName?: string | null | undefined
    /**
     * Whether a table that is missing is made, with an index on `expire`. Safe in any number of processes at once.
     *
     * @default false
     */
    createTableIfMissing?: boolean | null | undefined
    /**
     * How long a session lives whose cookie has no end of its own, in seconds.
     *
     * @default 86_400
     */
    ttl?: number | null | undefined
    /**
     * Whether `touch` leaves the end of a session as it is.
     *
     * @default false
     */
    disableTouch?: boolean | null | undefined
    /**
     * How often expired sessions are removed, in seconds; `false`: never. The first time is one interval after the first
     * call.
     *
     * @default 900
     */
    pruneSessionInterval?: number | false | null | undefined
    /**
     * Makes a delay, in ms, of the interval, in ms; `false`: exactly the interval.
     *
     * @default at random from half the interval to one and a half
     */
    pruneSessionRandomizedInterval?: ((delay: number) => number) | false | null | undefined
    /**
     * Told of errors that nobody else is told of: of pruning, and of calls without a callback whose promise nobody
     * looked at.
     *
     * @default console.error
     */
    errorLog?: ((...args: any[]) => void) | null | undefined
    /**
     * Whether what a request changed at the top level of its session is merged into the row as it is by then, so that
     * parallel requests keep each other's changes. `false`: the last one to save writes the whole.
     *
     * @default true
     */
    merge?: boolean | undefined
    /**
     * Whether the table holds hashes of the ids: what leaks from the database opens no session. Not for a table that
     * connect-pg-simple uses, too; switched on, it ends the sessions that are there.
     *
     * @default false
     */
    hashIds?: boolean | undefined
    /**
     * More servers, as `'host'` or `'host:port'`, tried in turn after the connection's own.
     *
     * @default none
     */
    hosts?: readonly string[] | undefined
    /**
     * Which server will do: `'read-write'` passes over those that take no writes.
     *
     * @default `'read-write'` with `hosts`, else `'any'`
     */
    targetSessionAttrs?: 'any' | 'read-write' | undefined
    /**
     * How many connections may be open at a time. Few are enough, since calls travel together. Of two or more, one is kept
     * for `get` and whatever else only reads, which goes on while all others wait.
     *
     * @default 4
     */
    maxConnections?: number | undefined
    /**
     * How long a new connection may take, and how long a call may wait for a free one, in ms. After that the call fails
     * with `code` `PGSESS_TIMEOUT`.
     *
     * @default 10_000
     */
    connectTimeout?: number | undefined
    /**
     * How long the database may take to answer, in ms. After that the call fails with `code` `PGSESS_TIMEOUT`; the database
     * may still have done what it was asked.
     *
     * @default 10_000
     */
    queryTimeout?: number | undefined
    /**
     * Whether statements are prepared. Behind a pooler such as PgBouncer none is, whatever this says.
     *
     * @default true
     */
    prepare?: boolean | undefined
    /**
     * Whether calls made at the same time share one statement. `false`: one statement a call.
     *
     * @default true
     */
    batch?: boolean | undefined
  }

  /** What makes a {@link PgStore}; may be extended. */
  export interface PgStoreClass {
    /**
     * Connects at the first call, not here.
     *
     * @param options - where the database is, and how sessions are kept
     * @throws TypeError or RangeError for a wrong value, naming the option
     */
    new (options?: PgStoreOptions): PgStore
    /** What every {@link PgStore} has. */
    readonly prototype: PgStore
  }

  /**
   * A Store for express-session.
   *
   * Every method takes a callback, as express-session wants it; without one it gives a promise. A promise that nobody
   * looks at ends no program: its failure goes to `errorLog`.
   *
   * A session that express-session has loaded is only ever updated: if it was destroyed meanwhile, saving it does
   * nothing, and is no error. One that was generated in the request, and any other object, is written whether there was
   * one or not.
   */
  export interface PgStore extends Store {
    /** The option `ttl`, in seconds; `undefined` without it. */
    ttl: number | undefined

    /** The data of a live session; in a promise, `null` if there is none. */
    get(sid: string, callback: (error: any, session?: SessionData | null) => void): void
    /** The same, without the callback or with it. */
    get(sid: string): Promise<Data | null>

    /**
     * Saves a session.
     *
     * @throws TypeError if the data holds a NUL character, which PostgreSQL cannot store
     */
    set(sid: string, session: SessionData, callback: Callback): void
    /** The same, without the callback or with it. */
    set(sid: string, session: SessionData): Promise<void>

    /** Moves the end of a session to that of its cookie, or to the `ttl` from now. */
    touch(sid: string, session: SessionData, callback: Callback): void
    /** The same, without the callback or with it. */
    touch(sid: string, session: SessionData): Promise<void>

    /** Removes a session. */
    destroy(sid: string, callback: Callback): void
    /** The same, without the callback or with it. */
    destroy(sid: string): Promise<void>

    /** The data of all live sessions. */
    all(callback: (error: any, sessions?: SessionData[] | { [sid: string]: SessionData } | null) => void): void
    /** The same, without the callback or with it. */
    all(): Promise<Data[]>

    /** How many live sessions there are. */
    length(callback: (error: any, length?: number) => void): void
    /** The same, without the callback or with it. */
    length(): Promise<number>

    /** Removes all sessions. */
    clear(callback: Callback): void
    /** The same, without the callback or with it. */
    clear(): Promise<void>

    /** The ids of all live sessions, as the table holds them. */
    ids(callback: (error: any, ids?: string[]) => void): void
    /** The same, without the callback or with it. */
    ids(): Promise<string[]>

    /**
     * The live sessions whose data has this value, of this type, at this path.
     *
     * @param path - `'passport.user'`, or `['passport', 'user']` for keys with dots
     * @param value - compared with its type: `7` is not `'7'`
     * @throws TypeError for a value that is no string, number or boolean, and for a text with a NUL or half a character
     *
     * @example
     * ```js
     * for (const { expires, session } of await store.listBy('passport.user', 7)) console.log(session.device, expires)
     * ```
     */
    listBy(
      path: string | readonly string[],
      value: string | number | boolean,
      callback: (error: any, sessions?: FoundSession[]) => void
    ): void
    /** The same, without the callback or with it. */
    listBy(path: string | readonly string[], value: string | number | boolean): Promise<FoundSession[]>

    /**
     * Removes the sessions whose data has this value at this path; how many.
     *
     * @param path - as in {@link listBy}
     * @param value - as in {@link listBy}
     * @param options - `except`: the ids of sessions that stay, such as the one that asks
     * @throws as {@link listBy}
     *
     * @example
     * ```js
     * await store.endBy('passport.user', 7, { except: req.sessionID }) // sign out everywhere else
     * ```
     */
    endBy(
      path: string | readonly string[],
      value: string | number | boolean,
      options: { except?: string | readonly string[] } | undefined,
      callback: (error: any, count?: number) => void
    ): void
    /** The same, without the callback or with it. */
    endBy(
      path: string | readonly string[],
      value: string | number | boolean,
      callback: (error: any, count?: number) => void
    ): void
    /** The same, without the callback or with it. */
    endBy(
      path: string | readonly string[],
      value: string | number | boolean,
      options?: { except?: string | readonly string[] }
    ): Promise<number>

    /** Removes expired sessions now. */
    pruneSessions(callback: Callback): void
    /** The same, without the callback or with it. */
    pruneSessions(): Promise<void>

    /** What the connections and queues look like, and what has happened so far. */
    stats(): Stats

    /** Waits for calls under way, stops pruning and closes its connections. Later calls fail. */
    close(): Promise<void>

    /** {@link PgStore.close}, for `await using`. */
    [Symbol.asyncDispose](): Promise<void>
  }
}
