// The middleware, for CommonJS and ES modules alike. It needs neither the typings of Express nor those of Node.js: what
// it asks of a request and an answer is written down here.

// biome-ignore-all lint/suspicious/noExplicitAny: requests and answers are the framework's

import type { Sessions } from 'pg-sess-rs'
import type {
  RequireSessionOptions,
  SessionCookieOptions,
  SessionMiddlewareOptions,
  SessionRow,
  WithSession
} from './http.js'

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

/** What a request must have. */
export interface IncomingRequest {
  /** Its headers. */
  headers: {
    /** The cookies. */
    cookie?: string | undefined
  }
}

/** What an answer must have. */
export interface OutgoingResponse {
  /** Whether the browser has the headers already, so that no cookie can be set any more. */
  readonly headersSent: boolean
  /** Set by guards. */
  statusCode: number
  /** Gives a header that has been set. */
  getHeader(name: string): any
  /** Sets a header. */
  setHeader(name: string, value: any): any
  /** Whether a header has been set. */
  hasHeader(name: string): boolean
  /** Sends the headers. */
  writeHead(...args: any[]): any
  /** Ends the answer. */
  end(...args: any[]): any
}

/** A middleware for Express, Connect, or plain `node:http`. */
export type Middleware = (req: IncomingRequest, res: OutgoingResponse, next: (error?: any) => void) => void

/**
 * Reads the session that a request's cookie leads to, as `req.session`, and gives `req.sessions` to work with.
 *
 * Not for one program together with express-session: both own `req.session`.
 *
 * @param sessions - what `connect` or `init` resolves to
 * @param options - the cookie's, and what follows when the database cannot be asked
 * @returns a middleware; put it before whatever looks at sessions
 * @throws TypeError for a wrong option, naming it
 *
 * @example
 * ```js
 * import express from 'express'
 * import { connect } from 'pg-sess-rs'
 * import { requireSession, sessionMiddleware } from 'pg-sess-rs/express'
 *
 * const sessions = await connect('postgres://localhost/app', { fields: { user_id: 'INT NOT NULL' } })
 * const app = express()
 * app.use(sessionMiddleware(sessions))
 * app.get('/', requireSession({ redirect: '/login' }), (req, res) => res.send(`You are ${req.session.user_id}.`))
 * ```
 */
export function sessionMiddleware(sessions: Sessions<any>, options?: SessionMiddlewareOptions): Middleware

/**
 * Guards a route: whoever has no session is refused or sent elsewhere.
 *
 * @param options - where to, or with which status; and what the session must be
 * @returns a middleware for after {@link sessionMiddleware}
 * @throws TypeError or RangeError for a wrong option, naming it
 *
 * @example
 * ```js
 * app.get('/account', requireSession({ redirect: '/login' }), (req, res) => res.send(`You are ${req.session.user_id}.`))
 * app.use('/admin', requireSession({ where: { role: ['admin', 'owner'] } }))
 * app.get('/orders/:user', requireSession({ where: row => row.user_id > 0 }), listOrders)
 * ```
 */
export function requireSession(options?: RequireSessionOptions): Middleware

/**
 * Makes a function that reads the session of a request that cannot be answered with a cookie, such as the handshake of a
 * WebSocket: the row, or `null`. It changes nothing; it never gives a session a new id.
 *
 * @param options - those of the cookie, as the middleware has them. Behind a proxy, where such a request does not know that
 *   it came over https, `secure: true`
 *
 * @example
 * ```js
 * const readSession = sessionReader(sessions)
 * io.use(async (socket, next) => {
 *   const session = await readSession(socket.request)
 *   next(session === null ? new Error('log in first') : undefined)
 * })
 * ```
 */
export function sessionReader(
  sessions: Sessions<any>,
  options?: SessionCookieOptions
): (req: IncomingRequest) => Promise<SessionRow | null>

declare global {
  namespace Express {
    interface Request extends WithSession {}
  }
}
