// The plugin from a CommonJS module.

import fastify = require('fastify')
import pgSess = require('pg-sess-rs')
import door = require('pg-sess-rs/fastify')

async function serve() {
  const sessions = await pgSess.connect('postgres://localhost/app', { fields: { user_id: 'INT NOT NULL' } })
  const app = fastify.fastify()
  await app.register(door.sessionPlugin, { sessions })
}

export = serve
