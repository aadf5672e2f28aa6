// Packages without typings, of which too little is used to describe them.

declare module 'autocannon'
declare module 'connect-pg-simple'
declare module 'cookie-parser'
declare module 'cookie-signature'
