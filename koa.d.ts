// The middleware for Koa, for CommonJS and ES modules alike. What it asks of a context is written down here, so it needs
// no typings of Koa.

// biome-ignore-all lint/suspicious/noExplicitAny: contexts are Koa's

import type { Sessions } from 'pg-sess-rs'
import type { RequireSessionOptions, SessionMiddlewareOptions } from './http.js'

export * from './http.js'

/**
 * The fields of a `Sessions`, for {@link SessionFields}. Declared here, so that what you declare for this module finds it.
 */
export type FieldsOf<
  S extends {
    /** What gives the row away. */
    validate(sid: unknown): Promise<any>
  }
> = Omit<
  NonNullable<Awaited<ReturnType<S['validate']>>>,
  'sess_id' | 'sess_creation_date' | 'sess_last_updated' | 'sess_expiration'
>

/** A middleware for Koa. What it adds to the context is {@link WithSession}: `new Koa<DefaultState, WithSession>()`. */
export type Middleware = (ctx: any, next: () => Promise<any>) => Promise<any>

/**
 * Reads the session that a request's cookie leads to, as `ctx.session`, and gives `ctx.sessions` to work with.
 *
 * Not for one app together with `koa-session`: both own `ctx.session`.
 *
 * @param sessions - what `connect` or `init` resolves to
 * @throws TypeError for a wrong option, naming it
 *
 * @example
 * ```js
 * import { requireSession, sessionMiddleware } from 'pg-sess-rs/koa'
 *
 * app.use(sessionMiddleware(sessions))
 * app.use(requireSession({ redirect: '/login' }))
 * ```
 */
export function sessionMiddleware(sessions: Sessions<any>, options?: SessionMiddlewareOptions): Middleware

/**
 * Lets only those with a session go on: others are refused or sent elsewhere.
 *
 * @throws TypeError or RangeError for a wrong option, naming it
 */
export function requireSession(options?: RequireSessionOptions): Middleware
