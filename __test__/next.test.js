'use strict'

// The door for Next.js without Next.js, whose cookie stores are simple: what is set is sent.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { nextSessions } = require('pg-sess-rs/next')
const { useDatabase } = require('./support/place.js')

const database = useDatabase('next')

test('create that cannot end the session from before leaves the cookie as it is', async t => {
  const place = await database.emptySchema(t)
  const sessions = await place.sessions({ fields: { user_id: 'INT' } })
  const { sess_id } = await sessions.create({ user_id: 7 })
  const store = new Store({ sid: sess_id })
  const own = await nextSessions(sessions, { cookies: () => store, secure: false }).open()
  await place.query(`
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;
    CREATE TRIGGER refuse BEFORE DELETE ON sess FOR EACH ROW WHEN (OLD.user_id = 7) EXECUTE FUNCTION refuse()`)

  await assert.rejects(own.create({ user_id: 8 }), /not this one/)

  assert.equal(own.session?.user_id, 7)
  assert.deepEqual(store.getAll(), [{ name: 'sid', value: sess_id }])
  assert.deepEqual(await place.query('SELECT user_id FROM sess'), [{ user_id: 7 }])
})

test('create gives the cookie of the new session once the one from before has ended', async t => {
  const place = await database.emptySchema(t)
  const sessions = await place.sessions({ fields: { user_id: 'INT' } })
  const { sess_id } = await sessions.create({ user_id: 7 })
  const store = new Store({ sid: sess_id })
  const auth = nextSessions(sessions, { cookies: () => store, secure: false })

  await (await auth.open()).create({ user_id: 8 })

  assert.equal((await auth.read())?.user_id, 8)
  assert.deepEqual(await place.query('SELECT user_id FROM sess'), [{ user_id: 8 }])
})

class Store {
  #cookies

  /** @param {Record<string, string>} cookies */
  constructor(cookies) {
    this.#cookies = new Map(Object.entries(cookies))
  }

  getAll() {
    return Array.from(this.#cookies, ([name, value]) => ({ name, value }))
  }

  /**
   * @param {string} name
   * @param {string} value
   */
  set(name, value) {
    this.#cookies.set(name, value)
  }

  /** @param {string} name */
  delete(name) {
    this.#cookies.delete(name)
  }
}
