// What the doors for requests share, whichever framework they are for. No door itself: each exports all of it.

// biome-ignore-all lint/suspicious/noExplicitAny: requests and answers are the framework's

import type { CallOptions, DestroyAllOptions, ListOptions, Row } from 'pg-sess-rs'

// biome-ignore lint/complexity/noUselessEmptyExport: without it, a declaration file exports all that it declares
export {}

/**
 * The fields of your sessions, which you declare once, for the door that you use: it types the request's `session` and
 * `sessions`. Without it, fields are `any`.
 *
 * @example
 * ```ts
 * const sessions = await connect('postgres://localhost/app', { fields: { user_id: 'INT NOT NULL' } })
 *
 * declare module 'pg-sess-rs/express' {
 *   interface SessionFields extends FieldsOf<typeof sessions> {}
 * }
 * ```
 */
// biome-ignore lint/suspicious/noEmptyInterface: whoever uses it fills it
export interface SessionFields {}

/** What `req.session` is when there is one: the row, see `Row`. */
export type SessionRow = Columns & Fields

/** A session as `req.sessions.list` shows it: a handle in place of its id. */
export type ListedSession = {
  /** Tells the session from others, and opens none. Good for `{ only: handle }`, and as a key in a page. */
  handle: string
} & Omit<Columns, 'sess_id'> &
  Fields

/** Values of fields. `undefined` means not given, `null` is NULL. */
export type SessionValues = { [K in keyof Fields]?: Input<Fields[K]> | undefined }

/**
 * Which sessions are meant: at least one field, with a value, `null`, or an array (any of these).
 */
export type SessionWhere = { [K in keyof Fields]?: Input<Fields[K]> | null | readonly (Input<Fields[K]> | null)[] }

/**
 * What one request does with sessions. `req.session` and the cookie follow it.
 *
 * Errors are those of `Sessions`, with `status` 503 where the database could not be reached or not do its work. Without a
 * session, the methods that need one resolve to `null` or `false`; if it is not known whether there is one (see
 * {@link SessionMiddlewareOptions.onError}) they reject with status 503.
 *
 * Each takes a signal as its last argument, among its options where it has some. A call that is aborted leaves `req.session`
 * and the cookie as they were. Whether it happened all the same, the browser's next request shows.
 */
export interface RequestSessions {
  /**
   * Begins a session, always with a new id, and ends the one that the request came with: call it at each log-in.
   *
   * @param values - the fields by name
   * @param options - a signal. Aborted, it gives the browser no cookie: the new session is ended, or expires unused, and
   *   the one from before may have ended
   * @returns the new session's row, which is `req.session` from then on
   * @throws `code` `PGSESS_HEADERS_SENT` after the headers were sent: the browser could not be told, and no session is
   *   left behind
   *
   * @example
   * ```js
   * app.post('/login', async (req, res) => {
   *   const user = await checkPassword(req.body)
   *   if (!user) return res.redirect('/login')
   *   await req.sessions.create({ user_id: user.id })
   *   res.redirect('/')
   * })
   * ```
   */
  create(values: SessionValues, options?: CallOptions): Promise<SessionRow>
  /**
   * Changes the named fields of the session, and nothing else of it.
   *
   * @param values - `undefined` means unchanged, `null` is NULL
   * @param options - a signal. Aborted, the fields may have changed, and `req.session` shows what they were
   * @returns its row, or `null` if it has ended
   */
  update(values: SessionValues, options?: CallOptions): Promise<SessionRow | null>
  /**
   * Gives the session its full length again; `false` if it has ended. After the headers were sent, the cookie stays.
   *
   * @param options - a signal. Aborted, the session may live longer than its cookie, until it is extended again
   */
  extend(options?: CallOptions): Promise<boolean>
  /**
   * Gives the session a new id and the browser a new cookie: call it when a user's rights change. Requests that are under
   * way with the old id go on for a while.
   *
   * @param options - a signal. Aborted, the session may have a new id, which the browser gets with its next request, if
   *   that comes within `refreshGrace`
   * @throws `code` `PGSESS_HEADERS_SENT` after the headers were sent
   */
  refresh(options?: CallOptions): Promise<SessionRow | null>
  /**
   * Ends the session and takes the cookie away. Works after the headers were sent, too; only the cookie stays then, and
   * opens nothing.
   *
   * @param options - a signal. Aborted, the session may live on, and the browser keeps its cookie
   * @returns `false` if there was none
   *
   * @example
   * ```js
   * app.post('/logout', async (req, res) => {
   *   await req.sessions.destroy()
   *   res.redirect('/login')
   * })
   * ```
   */
  destroy(options?: CallOptions): Promise<boolean>
  /**
   * The live sessions whose fields have these values, newest first, such as those of one user.
   *
   * @param options - `limit`: how many at most, 1_000 if you do not say; `all`: everyone's, with `{}`; a signal
   */
  list(where: SessionWhere, options?: ListOptions & { all?: boolean }): Promise<ListedSession[]>
  /**
   * Ends the live sessions whose fields have these values; how many. If this request's is among them, it has none from
   * then on.
   *
   * @param options - `except`: session ids that live on (`req.session.sess_id`: sign out everywhere else); `only`: the
   *   handle of the one to end; `all`: everyone's, with `{}`; a signal. Aborted, some may have ended, this request's among
   *   them, and the browser keeps its cookie
   *
   * @example
   * ```js
   * const { user_id, sess_id } = req.session
   * await req.sessions.destroyAll({ user_id }, { except: sess_id }) // everywhere else
   * await req.sessions.destroyAll({ user_id }, { only: req.body.handle }) // that device
   * ```
   */
  destroyAll(where: SessionWhere, options?: DestroyAllOptions & { all?: boolean }): Promise<number>
  /** The handle of this request's session, to mark it in a list; `null` without one. It asks no server. */
  handle(): string | null
}

/** What a request has after the middleware or plugin. Where it does not have it by itself, write it beside its type. */
export interface WithSession {
  /** The session that the request has now; `null` without one. */
  session: SessionRow | null
  /** What can be done with sessions. */
  sessions: RequestSessions
}

/** Of the cookie, which each door takes. */
export interface SessionCookieOptions {
  /**
   * The cookie's name. A name that begins with `__Host-` or `__Secure-` is only used over https.
   *
   * @default '__Host-sid' over https if path is '/' and there is no domain, else 'sid'
   */
  name?: string | undefined
  /**
   * Under which path the browser sends the cookie.
   *
   * @default '/'
   */
  path?: string | undefined
  /**
   * To which domain, with its subdomains, the browser sends the cookie.
   *
   * @default none: to the host alone, without its subdomains
   */
  domain?: string | undefined
  /**
   * Whether the cookie is only for https. `'auto'`: on requests that came over https, as the framework says (behind a
   * proxy it has to be told: `trust proxy` of Express, `trustProxy` of Fastify, `app.proxy` of Koa, `isHttps` for Hono).
   * With `true`, an answer to a plain request sets no cookie, and a process warning says so once.
   *
   * @default 'auto'
   */
  secure?: boolean | 'auto' | undefined
  /**
   * Whether scripts in the page cannot read the cookie.
   *
   * @default true
   */
  httpOnly?: boolean | undefined
  /**
   * On which requests from other sites the browser sends the cookie: `'lax'` on links, `'strict'` on none, `'none'` on
   * all (and over https only).
   *
   * @default 'lax'
   */
  sameSite?: 'lax' | 'strict' | 'none' | undefined
  /** Which cookies a browser drops last. @default none */
  priority?: 'low' | 'medium' | 'high' | undefined
  /**
   * Whether the cookie belongs to the site in which this one is embedded. Over https only.
   *
   * @default false
   */
  partitioned?: boolean | undefined
  /**
   * Signs the cookie. Of several, the first signs and each is good for reading, so that they can be changed. Ids are
   * random and cannot be guessed, so this is not needed; it spares the database queries for ids that somebody made up.
   *
   * @default none
   */
  secret?: string | readonly string[] | undefined
  /**
   * While an app moves from express-session: its cookie, which leads to the session that `npx pg-sess-rs import` made of
   * the old one, if a browser has no other. `secret` is express-session's; of several, each is good for reading, and the
   * first is the one that `import` was given.
   *
   * @default none
   */
  importedFrom?:
    | {
        /** The name of express-session's cookie. @default 'connect.sid' */
        name?: string | undefined
        /** What signs it. */
        secret: string | readonly string[]
      }
    | undefined
}

/** What a door may be told. */
export interface SessionMiddlewareOptions extends SessionCookieOptions {
  /**
   * Whether each request extends its session, at most once every `extendInterval` of the sessions.
   *
   * @default false
   */
  rolling?: boolean | undefined
  /**
   * What follows when the database cannot be asked. `'next'`: an error with status 503, and the database's as `cause`.
   * `'anonymous'`: the request goes on without a session, for pages that everybody may see; the error goes to the
   * sessions' `onError`, and what needs a session (guards, the methods of `sessions`) still says 503. The cookie stays
   * as it is either way.
   *
   * @default 'next'
   */
  onError?: 'next' | 'anonymous' | undefined
}

/** What a guard may be told. */
export interface RequireSessionOptions<Request = any> {
  /** Where those without a session are sent, or a function of the request that says so. @default nowhere */
  redirect?: string | ((request: Request) => string) | undefined
  /**
   * The status for those without a session, if they are not sent elsewhere.
   *
   * @default 401
   */
  status?: number | undefined
  /**
   * What the session must be; another is answered with 403. Fields and their values (an array: any of them), at least one,
   * or a function of the row.
   *
   * @default anything
   */
  where?: SessionWhere | ((row: SessionRow) => unknown) | undefined
}

/** The columns that every session has. */
type Columns = Row<Record<never, string>>
type Fields = keyof SessionFields extends never ? { [field: string]: any } : SessionFields
/** What goes in may be wider than what comes out. */
type Input<T> = T extends string ? string | number | bigint : T extends Date ? Date | string : T
