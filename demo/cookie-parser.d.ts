// What the demo uses of cookie-parser, which has no typings of its own.

declare module 'cookie-parser' {
  function cookieParser(): import('express').RequestHandler
  export = cookieParser
}
