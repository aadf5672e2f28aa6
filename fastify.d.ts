// The plugin for Fastify 5, for CommonJS and ES modules alike. It needs the typings of Fastify, as every program that
// uses Fastify does.

// biome-ignore-all lint/suspicious/noExplicitAny: any fields will do

import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
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

/** What {@link sessionPlugin} may be told. */
export interface SessionPluginOptions extends SessionMiddlewareOptions {
  /** What `connect` or `init` resolves to. */
  sessions: Sessions<any>
}

/**
 * Reads the session that a request's cookie leads to, as `request.session`, and gives `request.sessions` to work with, in
 * the whole app: it need not be wrapped by `fastify-plugin`, and it needs no `@fastify/cookie`.
 *
 * Not for one app together with `@fastify/session`: both own `request.session`.
 *
 * @throws TypeError for a wrong option, naming it
 *
 * @example
 * ```js
 * import { requireSession, sessionPlugin } from 'pg-sess-rs/fastify'
 *
 * app.register(sessionPlugin, { sessions })
 * app.get('/', { onRequest: requireSession() }, async request => `You are ${request.session.user_id}.`)
 * ```
 */
export const sessionPlugin: FastifyPluginAsync<SessionPluginOptions>

/**
 * Guards a route, as its hook `onRequest` or `preHandler`: whoever has no session is refused or sent elsewhere.
 *
 * @throws TypeError or RangeError for a wrong option, naming it
 */
export function requireSession(
  options?: RequireSessionOptions<FastifyRequest>
): (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>

declare module 'fastify' {
  interface FastifyRequest extends WithSession {}
}
