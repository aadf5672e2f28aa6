// The middleware for Hono on Node.js, for CommonJS and ES modules alike. What it asks of a context is written down here, so
// it needs no typings of Hono.

// biome-ignore-all lint/suspicious/noExplicitAny: contexts are Hono's

import type { Sessions } from 'pg-sess-rs'
import type { RequireSessionOptions, SessionMiddlewareOptions, WithSession } from './http.js'

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

/** What the context holds after the middleware: `new Hono<{ Variables: SessionVariables }>()`. */
export type SessionVariables = WithSession

/** What {@link sessionMiddleware} may be told. */
export interface HonoSessionOptions extends SessionMiddlewareOptions {
  /**
   * Whether a request came over https. Behind a proxy the URL does not tell: `c => c.req.header('X-Forwarded-Proto') ===
   * 'https'`, if the proxy sets this header whatever the client sent.
   *
   * @default as the URL of the request says
   */
  isHttps?: ((c: any) => boolean) | undefined
}

/** A middleware for Hono. */
export type Middleware = (c: any, next: () => Promise<void>) => Promise<any>

/**
 * Reads the session that a request's cookie leads to, as `c.get('session')`, and gives `c.get('sessions')` to work with.
 *
 * @param sessions - what `connect` or `init` resolves to
 * @throws TypeError for a wrong option, naming it
 *
 * @example
 * ```js
 * import { requireSession, sessionMiddleware } from 'pg-sess-rs/hono'
 *
 * app.use(sessionMiddleware(sessions))
 * app.get('/', requireSession(), c => c.text(`You are ${c.get('session').user_id}.`))
 * ```
 */
export function sessionMiddleware(sessions: Sessions<any>, options?: HonoSessionOptions): Middleware

/**
 * Guards a route: whoever has no session is refused or sent elsewhere.
 *
 * @throws TypeError or RangeError for a wrong option, naming it
 */
export function requireSession(options?: RequireSessionOptions): Middleware
