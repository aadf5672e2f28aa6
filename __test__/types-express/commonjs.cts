// The middleware, from a CommonJS module with plain node:http.

import http = require('node:http')
import pgSess = require('pg-sess-rs')
import door = require('pg-sess-rs/express')

async function serve() {
  const sessions = await pgSess.connect('postgres://localhost/app', { fields: { user_id: 'INT NOT NULL' } })
  const middleware = door.sessionMiddleware(sessions)
  http.createServer((req: http.IncomingMessage & Partial<door.WithSession>, res) => {
    middleware(req, res, error => res.end(error ? '' : String(req.session?.sess_id)))
  })
}

export = serve
