// What the demo uses of Express and cookie-parser, which bring no typings of their own.

declare module 'express' {
  interface Request {
    body?: { [field: string]: unknown }
    cookies: { [name: string]: unknown }
  }

  interface Response {
    locals: { session: import('pg-sess-rs').SessionRow }
    clearCookie(name: string): this
    cookie(name: string, value: unknown, options: object): this
    redirect(status: number, url: string): void
    send(body: string): this
    set(name: string, value: string): this
    status(code: number): this
  }

  type Handler = (req: Request, res: Response, next: () => void) => unknown

  interface Application {
    (req: import('node:http').IncomingMessage, res: import('node:http').ServerResponse): void
    use(...handlers: Handler[]): this
    get(path: string, handler: Handler): this
    post(path: string, handler: Handler): this
  }

  function express(): Application
  namespace express {
    function urlencoded(): Handler
  }
  export = express
}

declare module 'cookie-parser' {
  function cookieParser(): import('express').Handler
  export = cookieParser
}
