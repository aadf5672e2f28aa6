// The Store, from a CommonJS module.

import session = require('express-session')
import connectPgStore = require('pg-sess-rs/express-session')

const PgStore = connectPgStore(session)
class OwnStore extends PgStore {
  override async close() {
    await super.close()
  }
}
const store: connectPgStore.PgStore = new OwnStore({ conString: 'postgres://localhost/app' })
const same: typeof connectPgStore = connectPgStore.default

export = { same, store }
