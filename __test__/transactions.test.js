'use strict'

// Calls through an object of the caller that holds a connection: they are part of the caller's own work there.

const assert = require('node:assert/strict')
const { randomUUID } = require('node:crypto')
const { describe, test } = require('node:test')
const pg = require('pg')
const pgSess = require('pg-sess-rs')
const { useDatabase } = require('./support/place.js')

const database = useDatabase('transactions')

const { createSession, destroySession, extendSession, init, validateSession } = pgSess
const FIELDS = { user_id: 'INT', cart: 'JSONB' }
const ALICE = { user_id: 1, cart: { items: [1, 2] } }

class Undo extends Error {}

describe('in a transaction of pg-promise', () => {
  test('a new session exists for others only after the commit', async t => {
    const { pgp, db } = await start(t)

    const sid = await db.tx(async tx => {
      const { sess_id } = await createSession(pgp, tx, ALICE)
      assert.equal((await validateSession(pgp, tx, sess_id)).user_id, 1)
      assert.equal(await validateSession(pgp, db, sess_id), null)
      return sess_id
    })

    assert.equal((await validateSession(pgp, db, sid)).user_id, 1)
  })

  test('a rollback takes back what create, extend and destroy did', async t => {
    const { pgp, db, place } = await start(t)
    const [extended, destroyed] = [await createSession(pgp, db, ALICE), await createSession(pgp, db, ALICE)]
    await place.ageSession(extended.sess_id, '1 day')
    const before = await place.query('SELECT * FROM sess ORDER BY sess_id')

    await rolledBack(db, async tx => {
      const created = await createSession(pgp, tx, ALICE)
      assert.equal(await extendSession(pgp, tx, extended.sess_id), true)
      assert.equal(await destroySession(pgp, tx, destroyed.sess_id), true)
      assert.equal(await validateSession(pgp, tx, destroyed.sess_id), null)
      assert.notEqual(await validateSession(pgp, tx, created.sess_id), null)
    })

    assert.deepEqual(await place.query('SELECT * FROM sess ORDER BY sess_id'), before)
  })

  test('the caller’s own statements and ours commit together', async t => {
    const { pgp, db, place } = await start(t)
    await place.query('CREATE TABLE logins (sess_id uuid REFERENCES sess ON DELETE CASCADE)')

    const sid = await db.tx(async tx => {
      const { sess_id } = await createSession(pgp, tx, ALICE)
      await tx.none('INSERT INTO logins VALUES ($1)', [sess_id])
      return sess_id
    })
    await db.tx(tx => destroySession(pgp, tx, sid))

    assert.deepEqual(await place.query('SELECT * FROM logins'), [])
  })

  test('a rolled back savepoint takes back its own part only', async t => {
    const { pgp, db } = await start(t)

    const { outer, inner, after } = await db.tx(async tx => {
      const outer = await createSession(pgp, tx, { user_id: 1 })
      let inner
      await rolledBack(tx, async nested => {
        inner = await createSession(pgp, nested, { user_id: 2 })
        await destroySession(pgp, nested, outer.sess_id)
      })
      return { outer, inner, after: await createSession(pgp, tx, { user_id: 3 }) }
    })

    const rows = await Promise.all([outer, inner, after].map(row => validateSession(pgp, db, row.sess_id)))
    assert.deepEqual(
      rows.map(row => row?.user_id),
      [1, undefined, 3]
    )
  })

  test('a task in a transaction belongs to it', async t => {
    const { pgp, db } = await start(t)
    let sid

    await rolledBack(db, async tx => {
      const row = await tx.task(task => createSession(pgp, task, ALICE))
      sid = row.sess_id
    })

    assert.equal(await validateSession(pgp, db, sid), null)
  })

  test('a refused value rejects with pg’s own error and leaves the transaction aborted, as any statement does', async t => {
    const { pgp, db, place } = await start(t)

    await rolledBack(db, async tx => {
      const error = await createSession(pgp, tx, { user_id: 'one' }).catch(error => error)
      assert.ok(error instanceof pgp.pg.DatabaseError)
      assert.equal(error.code, '22P02')
      await assert.rejects(validateSession(pgp, tx, randomUUID()), { code: '25P02' })
    })

    assert.deepEqual(await place.query('SELECT 1 FROM sess'), [])
  })

  test('rows are the same as outside of it, type parsers and dates included', async t => {
    const { pgp, db } = await start(t, {
      big: 'BIGINT',
      amount: 'NUMERIC(10,2)',
      moment: 'TIMESTAMPTZ',
      list: 'INT[]',
      bytes: 'BYTEA',
      cart: 'JSON'
    })
    const values = {
      big: 2n ** 60n,
      amount: 1.5,
      moment: new Date(),
      list: [1, null],
      bytes: Buffer.from('é'),
      cart: [1]
    }

    const created = await db.tx(tx => createSession(pgp, tx, values))
    const inside = await db.tx(tx => validateSession(pgp, tx, created.sess_id))

    assert.deepEqual(await validateSession(pgp, db, created.sess_id), created)
    assert.deepEqual(inside, created)
  })

  test('a call waits for init, as it does outside', async t => {
    const place = await database.emptySchema(t)
    const { pgp, db } = place.pgPromise()

    place.closing(init(pgp, db, FIELDS))
    const row = await db.tx(tx => createSession(pgp, tx, ALICE))

    assert.deepEqual(await validateSession(pgp, db, row.sess_id), row)
  })
})

describe('in a task of pg-promise', () => {
  test('calls run on the task’s own connection', async t => {
    const { pgp, db } = await start(t)

    const sid = await db.task(async task => {
      await task.none('BEGIN')
      const { sess_id } = await createSession(pgp, task, ALICE)
      assert.equal((await validateSession(pgp, task, sess_id)).user_id, 1)
      await task.none('ROLLBACK')
      return sess_id
    })

    assert.equal(await validateSession(pgp, db, sid), null)
  })

  test('calls after its end reject with pg-promise’s own error', async t => {
    const { pgp, db } = await start(t)
    let released
    await db.task(async task => {
      released = task
    })

    const expected = { message: 'Querying against a released or lost connection.' }
    await assert.rejects(createSession(pgp, released, ALICE), expected)
    await assert.rejects(validateSession(pgp, released, randomUUID()), expected)
    await assert.rejects(extendSession(pgp, released, randomUUID()), expected)
    await assert.rejects(destroySession(pgp, released, randomUUID()), expected)
  })
})

/** Objects that are one connection: how to get one, and how to ask it. */
const CONNECTIONS = [
  {
    name: 'what db.connect() gives',
    async open(place) {
      const { pgp, db } = place.pgPromise()
      await place.closing(init(pgp, db, FIELDS))
      const connected = await db.connect()
      place.defer(() => connected.done())
      return { pgp, db, connection: connected, run: text => connected.none(text) }
    }
  },
  {
    name: 'a client of a pg.Pool',
    async open(place) {
      const db = place.pool()
      await place.closing(init(null, db, FIELDS))
      const client = await db.connect()
      place.defer(() => client.release())
      return { pgp: null, db, connection: client, run: text => client.query(text) }
    }
  },
  {
    name: 'a client of pg',
    async open(place) {
      const db = place.url
      await place.closing(init(null, db, FIELDS))
      const client = await place.client()
      return { pgp: null, db, connection: client, run: text => client.query(text) }
    }
  }
]

for (const { name, open } of CONNECTIONS) {
  describe(`on ${name}`, () => {
    test('BEGIN and ROLLBACK of the caller take back what was done', async t => {
      const { pgp, db, connection, run } = await open(await database.emptyDatabase(t))
      const kept = await createSession(pgp, db, ALICE)

      await run('BEGIN')
      const created = await createSession(pgp, connection, ALICE)
      assert.equal((await validateSession(pgp, connection, created.sess_id)).user_id, 1)
      assert.equal(await extendSession(pgp, connection, created.sess_id), true)
      assert.equal(await destroySession(pgp, connection, kept.sess_id), true)
      await run('ROLLBACK')

      assert.equal(await validateSession(pgp, db, created.sess_id), null)
      assert.deepEqual(await validateSession(pgp, db, kept.sess_id), kept)
    })

    test('BEGIN and COMMIT of the caller keep it', async t => {
      const { pgp, db, connection, run } = await open(await database.emptyDatabase(t))

      await run('BEGIN')
      const created = await createSession(pgp, connection, ALICE)
      assert.equal(await validateSession(pgp, db, created.sess_id), null)
      await run('COMMIT')

      assert.deepEqual(await validateSession(pgp, db, created.sess_id), created)
    })

    test('a call without a transaction is done at once', async t => {
      const { pgp, db, connection } = await open(await database.emptyDatabase(t))

      const created = await createSession(pgp, connection, ALICE)

      assert.deepEqual(await validateSession(pgp, db, created.sess_id), created)
    })
  })
}

describe('a database whose pool was ended', () => {
  for (const [name, end] of [
    ['db.$pool.end()', ({ db }) => db.$pool.end()],
    ['pgp.end()', ({ pgp }) => pgp.end()]
  ]) {
    test(`by ${name} rejects calls in pg-promise’s own words`, async t => {
      const { pgp, db } = await start(t)
      const { sess_id } = await createSession(pgp, db, ALICE)
      await end({ pgp, db })
      const own = await db.any('SELECT 1').catch(error => error)

      const expected = { message: own.message }
      await assert.rejects(createSession(pgp, db, ALICE), expected)
      await assert.rejects(validateSession(pgp, db, sess_id), expected)
      await assert.rejects(extendSession(pgp, db, sess_id), expected)
      await assert.rejects(destroySession(pgp, db, sess_id), expected)
      assert.equal(own.message, 'Connection pool of the database object has been destroyed.')
    })
  }
})

describe('a task, transaction or connection finds the sessions of its database', () => {
  test('also with several databases, told apart by their contexts', async t => {
    const { one, other, pgp } = await startTwo(t, 'one', 'other')

    const [inOne, inOther] = await Promise.all(
      [one, other].map(({ db }, user_id) => db.tx(tx => createSession(pgp, tx, { user_id })))
    )

    assert.deepEqual(await validateSession(pgp, one.db, inOne.sess_id), inOne)
    assert.deepEqual(await validateSession(pgp, other.db, inOther.sess_id), inOther)
    assert.equal(await validateSession(pgp, one.db, inOther.sess_id), null)
    assert.equal(await validateSession(pgp, other.db, inOne.sess_id), null)
  })

  test('and rejects if it may belong to several, saying how to tell them apart', async t => {
    const { one, pgp } = await startTwo(t, undefined, undefined)
    const expected = {
      code: 'PGSESS_NOT_INITIALISED',
      message: /may belong to 2 initialised databases; give each database a context/
    }

    await one.db.tx(async tx => {
      await assert.rejects(createSession(pgp, tx, ALICE), expected)
      await assert.rejects(validateSession(pgp, tx, randomUUID()), expected)
    })
    await createSession(pgp, one.db, ALICE)
  })

  test('and is not taken for one of another pg-promise', async t => {
    const { place } = await start(t)
    const { pgp, db } = place.pgPromise()
    const expected = { code: 'PGSESS_NOT_INITIALISED', message: /never initialised/ }

    await db.tx(tx => assert.rejects(createSession(pgp, tx, ALICE), expected))
  })

  test('also when init was called again for it', async t => {
    const { pgp, db, place } = await start(t)
    await place.closing(init(pgp, db, FIELDS))

    const row = await db.tx(tx => createSession(pgp, tx, ALICE))

    assert.deepEqual(await validateSession(pgp, db, row.sess_id), row)
  })

  test('and a connection to another database is not taken for it', async t => {
    const [place, elsewhere] = [await database.emptyDatabase(t), await database.emptyDatabase(t)]
    await place.closing(init(null, place.url, FIELDS))
    const client = await elsewhere.client()

    await assert.rejects(createSession(null, client, ALICE), { code: 'PGSESS_NOT_INITIALISED' })
  })
})

test('connect takes no connection of the caller: its sessions have their own', async t => {
  const place = await database.emptySchema(t)
  const { db } = place.pgPromise()
  const refused = { name: 'TypeError', message: /^connection: expected a pg-promise database, a pg\.Pool/ }

  await db.tx(tx => assert.rejects(pgSess.connect(tx, { fields: FIELDS }), refused))
  await assert.rejects(pgSess.connect(await place.client(), { fields: FIELDS }), refused)
  await assert.rejects(pgSess.connect(new pg.Client(place.url), { fields: FIELDS }), refused)
})

async function start(t, fields = FIELDS) {
  const place = await database.emptySchema(t)
  const { pgp, db } = place.pgPromise()
  await place.closing(init(pgp, db, fields))
  return { place, pgp, db }
}

/** Two places of one pg-promise, with the contexts given. */
async function startTwo(t, ...contexts) {
  const places = [await database.emptySchema(t), await database.emptySchema(t)]
  const { pgp } = places[0].pgPromise()
  const [one, other] = places.map((place, at) => ({ place, ...place.pgPromise({ pgp, dc: contexts[at] }) }))
  for (const { place, db } of [one, other]) await place.closing(init(pgp, db, FIELDS))
  return { pgp, one, other }
}

/** Runs `work` in a transaction, or in a savepoint of one, and takes it back. */
async function rolledBack(db, work) {
  const undone = db.tx(async tx => {
    await work(tx)
    throw new Undo()
  })
  await assert.rejects(undone, Undo)
}
