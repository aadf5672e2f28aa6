// For Next.js, for CommonJS and ES modules alike. What it asks of a cookie store is written down here, so it needs no
// typings of Next.js.

// biome-ignore-all lint/suspicious/noExplicitAny: any fields will do

import type { Sessions } from 'pg-sess-rs'
import type { RequestSessions, SessionMiddlewareOptions, SessionRow } from './http.js'

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

/** What `cookies()` of `next/headers` gives. */
export interface CookieStore {
  /** All cookies of the request. */
  getAll(): {
    /** Its name. */
    name: string
    /** Its value. */
    value: string
  }[]
  /** Gives the answer a cookie. */
  set(name: string, value: string, attributes?: any): any
  /** Takes a cookie away. */
  delete(name: string): any
}

/** What {@link nextSessions} may be told. */
export interface NextSessionsOptions extends Omit<SessionMiddlewareOptions, 'secure'> {
  /** `cookies` of `next/headers`. */
  cookies: () => CookieStore | Promise<CookieStore>
  /**
   * Whether the cookie is only for https: nothing here can tell how a request came.
   *
   * @default false with `next dev` (where NODE_ENV is development), else true
   */
  secure?: boolean | undefined
}

/** What a request does with its session; `session` follows it. */
export interface NextRequestSessions extends RequestSessions {
  /** The session that the request has now; `null` without one. */
  readonly session: SessionRow | null
}

/** The sessions of an app. */
export interface NextSessions {
  /**
   * For route handlers and server actions: reads the request's session, to work with it.
   *
   * @throws `code` `PGSESS_HEADERS_SENT` in a page that is being rendered
   * @throws status 503 if the database cannot be asked
   */
  open(): Promise<NextRequestSessions>
  /**
   * For pages: the row of the request's session, or `null`. It changes nothing; it never gives a session a new id.
   *
   * @throws status 503 if the database cannot be asked
   */
  read(): Promise<SessionRow | null>
}

/**
 * Sessions for Next.js, on Node.js.
 *
 * @param sessions - what `connect` or `init` resolves to
 * @throws TypeError for a wrong option, naming it
 *
 * @example
 * ```js
 * import { cookies } from 'next/headers'
 * import { nextSessions } from 'pg-sess-rs/next'
 *
 * export const auth = nextSessions(sessions, { cookies })
 *
 * const session = await auth.read() // in a page
 * await (await auth.open()).create({ user_id: user.id }) // in a server action
 * ```
 */
export function nextSessions(sessions: Sessions<any>, options: NextSessionsOptions): NextSessions
