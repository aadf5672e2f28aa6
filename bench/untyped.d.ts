// Packages without typings of which too little is used to describe them. Express is described in demo/express.d.ts.

declare module 'autocannon'
declare module 'connect-pg-simple'
declare module 'express-session'
