'use strict'

// Setting the table up: made, completed or adopted as it is, whoever else does the same at that moment. Rows that are
// there are never touched.

const assert = require('node:assert/strict')
const { randomBytes } = require('node:crypto')
const { describe, test } = require('node:test')
const pgSess = require('pg-sess-rs')
const { eventually } = require('./support/eventually.js')
const { hashedId } = require('./support/ids.js')
const { useDatabase } = require('./support/place.js')
const { runScript } = require('./support/script.js')

const database = useDatabase('set_up')

const { connect } = pgSess
const FIELDS = { user_id: 'INT', user_name: 'VARCHAR(255)' }
const OWN_COLUMNS = `
  sess_id uuid PRIMARY KEY, sess_creation_date timestamp NOT NULL, sess_last_updated timestamp NOT NULL,
  sess_expiration timestamp NOT NULL`

describe('programs that start at once', () => {
  const PROGRAMS = 8
  /** Waits until the test gives the sign, so that all begin in the same moment. */
  const AT_THE_SIGN = `
    const { Client } = require('pg')
    const client = new Client(url)
    await client.connect()
    await client.query('SELECT pg_advisory_lock_shared(7)')
    await client.end()
  `

  for (const [name, fields, prepare] of [
    ['on an empty database all succeed, with one table', FIELDS, () => []],
    [
      'with new fields for an old table all succeed',
      { ...FIELDS, theme: 'TEXT' },
      place => place.sessions({ fields: FIELDS })
    ],
    ['with a field that brings a sequence along all succeed', { user_id: 'SERIAL', mood: 'TEXT[]' }, () => []]
  ]) {
    test(name, async t => {
      const place = await database.emptyDatabase(t)
      await prepare(place)
      const script = `
        ${AT_THE_SIGN}
        pgSess.init(pgp, db, ${JSON.stringify(fields)})
        const { sess_id } = await pgSess.createSession(pgp, db, { user_id: process.pid })
        assert.equal((await pgSess.validateSession(pgp, db, sess_id)).user_id, process.pid)
      `
      const client = await place.client()
      await client.query('SELECT pg_advisory_lock(7)')

      const programs = Promise.all(Array.from({ length: PROGRAMS }, () => runScript(script, { url: place.url })))
      const waiting = () => place.query("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
      await eventually(waiting, ({ length }) => length === PROGRAMS)
      await client.query('SELECT pg_advisory_unlock(7)')
      const outcomes = await programs

      const expected = { code: 0, stderr: '' }
      assert.deepEqual(
        outcomes.map(({ code, stderr }) => ({ code, stderr })),
        Array(PROGRAMS).fill(expected)
      )
      assert.equal((await place.query('SELECT DISTINCT user_id FROM sess')).length, PROGRAMS)
      assert.deepEqual(await tables(place), ['sess'])
      assert.deepEqual((await columns(place)).slice(4), Object.keys(fields))
    })
  }

  test('in one process all succeed, too', async t => {
    const place = await database.emptySchema(t)

    const all = await Promise.all(
      Array.from({ length: 8 }, () => place.sessions({ fields: FIELDS, maxConnections: 1 }))
    )

    const { sess_id } = await all[0].create({ user_id: 1 })
    for (const sessions of all) assert.equal((await sessions.validate(sess_id)).user_id, 1)
  })
})

describe('a table that is complete', () => {
  for (const [name, createTable] of [
    ['is sent no DDL', undefined],
    ['is sent no DDL with createTable: false', false]
  ]) {
    test(name, async t => {
      const place = await database.emptyDatabase(t)
      await (await connect(place.url, { fields: FIELDS })).close()
      await forbidDdl(place)

      const sessions = await place.sessions({ fields: FIELDS, createTable })

      const row = await sessions.create({ user_id: 1 })
      assert.deepEqual(await sessions.validate(row.sess_id), row)
    })
  }

  test('serves a role that may not create anything', async t => {
    const place = await database.emptyDatabase(t)
    await (await connect(place.url, { fields: FIELDS })).close()
    const url = await poorRole(place)

    const sessions = await place.sessions({ fields: FIELDS }, url)

    const { sess_id } = await sessions.create({ user_id: 1 })
    assert.equal((await sessions.validate(sess_id)).user_id, 1)
    assert.equal(await sessions.extend(sess_id), true)
    assert.equal(await sessions.destroy(sess_id), true)
  })

  test('may have more columns, which stay out of the rows', async t => {
    const place = await database.emptySchema(t)
    await place.query(`CREATE TABLE sess (${OWN_COLUMNS}, user_id INT, secret TEXT, version INT NOT NULL DEFAULT 1)`)

    const sessions = await place.sessions({ fields: { user_id: 'INT' } })

    const row = await sessions.create({ user_id: 1 })
    assert.deepEqual(Object.keys(row).slice(4), ['user_id'])
    assert.deepEqual(await place.query('SELECT user_id, secret, version FROM sess'), [
      { user_id: 1, secret: null, version: 1 }
    ])
    await assert.rejects(sessions.create({ secret: 'x' }), {
      message: 'unknown field "secret"; this table has user_id'
    })
  })

  test('may have its columns in another order, and dropped ones', async t => {
    const place = await database.emptySchema(t)
    await place.query(`CREATE TABLE sess (user_name VARCHAR(255), gone INT NOT NULL, user_id INT, ${OWN_COLUMNS})`)
    await place.query('ALTER TABLE sess DROP COLUMN gone')

    const sessions = await place.sessions({ fields: FIELDS })

    const row = await sessions.create({ user_id: 1, user_name: 'Alice' })
    assert.deepEqual([row.user_id, row.user_name], [1, 'Alice'])
  })

  test('may have a quoted name for a field that init would fold', async t => {
    const place = await database.emptySchema(t)
    await place.query(`CREATE TABLE sess (${OWN_COLUMNS}, "userId" INT)`)
    const { pgp, db } = place.pgPromise()
    await place.closing(pgSess.init(pgp, db, { userId: 'INT' }))

    const row = await pgSess.createSession(pgp, db, { userId: 1 })

    assert.equal(row.userId, 1)
    assert.deepEqual((await columns(place)).slice(4), ['userId'])
  })

  test('may have another name for the same type', async t => {
    const place = await database.emptySchema(t)
    await place.query(
      `CREATE TABLE sess (${OWN_COLUMNS}, a INT8, b BOOL, c CHARACTER VARYING(5), d DECIMAL(4,1), e SERIAL)`
    )

    const fields = { a: 'BIGINT', b: 'boolean', c: 'VarChar(5)', d: 'numeric(4, 1)', e: 'INTEGER' }
    const sessions = await place.sessions({ fields, onError: error => assert.fail(error) })

    assert.equal((await sessions.create({ a: 1 })).a, '1')
  })

  for (const [name, ddl] of [
    ['timestamptz columns', `CREATE TABLE sess (${OWN_COLUMNS.replaceAll('timestamp', 'timestamptz')}, user_id INT)`],
    [
      'timestamptz for the end only',
      `CREATE TABLE sess (${OWN_COLUMNS.replace('sess_expiration timestamp', 'sess_expiration timestamptz')}, user_id INT)`
    ],
    ['times without NOT NULL', `CREATE TABLE sess (${OWN_COLUMNS.replaceAll(' NOT NULL', '')}, user_id INT)`],
    [
      'partitions',
      `CREATE TABLE sess (${OWN_COLUMNS}, user_id INT) PARTITION BY HASH (sess_id);
       CREATE TABLE sess_0 PARTITION OF sess FOR VALUES WITH (MODULUS 2, REMAINDER 0);
       CREATE TABLE sess_1 PARTITION OF sess FOR VALUES WITH (MODULUS 2, REMAINDER 1)`
    ],
    [
      'a unique index for a primary key',
      `CREATE TABLE sess (${OWN_COLUMNS.replace('PRIMARY KEY', 'NOT NULL UNIQUE')}, user_id INT, PRIMARY KEY (sess_id, user_id))`
    ],
    [
      'domains over its types',
      `CREATE DOMAIN id AS uuid; CREATE TABLE sess (${OWN_COLUMNS.replace('uuid', 'id')}, user_id INT)`
    ]
  ]) {
    test(`may have ${name}: it is adopted, and dates are right in every zone`, async t => {
      const place = await database.emptyDatabase(t)
      await place.query(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone TO ''Pacific/Auckland''', current_database()); END $$"
      )
      await place.query(ddl)

      const sessions = await place.sessions({ fields: { user_id: 'INT' }, sessionLength: 60_000 })
      const began = Date.now()
      const rows = await Promise.all(Array.from({ length: 20 }, (_, user_id) => sessions.create({ user_id })))
      const [one, other, third] = rows.map(row => row.sess_id)
      await place.ageSession(other, '61 seconds')

      for (const row of rows) assert.ok(Math.abs(row.sess_creation_date - began) < 30_000)
      assert.deepEqual(await sessions.validate(one), rows[0])
      assert.equal(await sessions.extend(one), true)
      const { sess_last_updated, sess_expiration } = await sessions.validate(one)
      assert.equal(sess_expiration - sess_last_updated, 60_000)
      assert.ok(sess_last_updated >= rows[0].sess_last_updated)
      assert.deepEqual([await sessions.validate(other), await sessions.extend(other)], [null, false])
      assert.deepEqual([await sessions.destroy(third), await sessions.destroy(third)], [true, false])
    })
  }
})

describe('a table that does not fit is a clear error', () => {
  for (const [name, ddl, message, fields = FIELDS] of [
    [
      'a field of another type shows both',
      `CREATE TABLE sess (${OWN_COLUMNS}, user_id BIGINT, user_name VARCHAR(255))`,
      /^column "user_id" is bigint in table "sess" but integer in the fields; change one of them$/
    ],
    [
      'an array is another type than its elements',
      `CREATE TABLE sess (${OWN_COLUMNS}, user_id INT[], user_name VARCHAR(255))`,
      /^column "user_id" is integer\[\] in table "sess" but integer in the fields/
    ],
    [
      'a column that every session has is missing',
      `CREATE TABLE sess (${OWN_COLUMNS.replace(/sess_last_updated.*?,/s, '')}, user_id INT)`,
      /table "sess" exists but has no column "sess_last_updated"; expected timestamp/
    ],
    [
      'the id is text',
      `CREATE TABLE sess (${OWN_COLUMNS.replace('uuid', 'text')}, user_id INT)`,
      /column "sess_id" is text in table "sess"; expected uuid/
    ],
    [
      'a time is a number',
      `CREATE TABLE sess (${OWN_COLUMNS.replace('sess_expiration timestamp', 'sess_expiration bigint')}, user_id INT)`,
      /column "sess_expiration" is bigint in table "sess"; expected timestamp/
    ],
    [
      'a further column has to be given',
      `CREATE TABLE sess (${OWN_COLUMNS}, user_id INT, version INT NOT NULL, tenant INT NOT NULL)`,
      /NOT NULL without DEFAULT and not among the fields: "tenant", "version"; add it to the fields or give it a DEFAULT/
    ],
    [
      'the id is not unique',
      `CREATE TABLE sess (${OWN_COLUMNS.replace('PRIMARY KEY', 'NOT NULL')}, user_id INT)`,
      /neither a primary key nor a unique index on "sess_id" alone/
    ],
    [
      'the id is unique only together with another column',
      `CREATE TABLE sess (${OWN_COLUMNS.replace('PRIMARY KEY', 'NOT NULL')}, user_id INT, UNIQUE (sess_id, user_id))`,
      /neither a primary key nor a unique index on "sess_id" alone/
    ],
    [
      'it is a view',
      `CREATE TABLE other (${OWN_COLUMNS}, user_id INT, user_name VARCHAR(255)); CREATE VIEW sess AS SELECT * FROM other`,
      /"sess" exists but is not a table/
    ],
    [
      'it is a view that lacks a field',
      `CREATE TABLE other (${OWN_COLUMNS}); CREATE VIEW sess AS SELECT * FROM other`,
      /"sess" exists but is not a table/
    ],
    ['it is a sequence', 'CREATE SEQUENCE sess', /"sess" exists but is not a table/]
  ]) {
    test(`if ${name}`, async t => {
      const place = await database.emptySchema(t)
      await place.query(ddl)
      const before = await catalogue(place)

      await assert.rejects(connect(place.url, { fields }), { code: 'PGSESS_TABLE', message })

      assert.deepEqual(await catalogue(place), before)
    })
  }

  test('and rows that are there stay as they are', async t => {
    const place = await database.emptySchema(t)
    const sessions = await place.sessions({ fields: FIELDS })
    await sessions.create({ user_id: 1 })
    const before = await place.query('SELECT xmin, ctid, * FROM sess')

    await assert.rejects(connect(place.url, { fields: { theme: 'TEXT', user_id: 'TEXT' } }), { code: 'PGSESS_TABLE' })

    assert.deepEqual(await place.query('SELECT xmin, ctid, * FROM sess'), before)
  })

  test('but a length that differs is only reported, and the table’s stands', async t => {
    const place = await database.emptySchema(t)
    await place.query(
      `CREATE TABLE sess (${OWN_COLUMNS}, user_name VARCHAR(5), amount NUMERIC(10,2), at TIMESTAMPTZ(3))`
    )
    const reports = []
    const fields = { user_name: 'VARCHAR(255)', amount: 'NUMERIC(12,2)', at: 'TIMESTAMPTZ(3)' }

    const sessions = await place.sessions({ fields, onError: error => reports.push(error) })

    assert.deepEqual(
      reports.map(({ code, message }) => [code, message]),
      [
        [
          'PGSESS_TABLE',
          'column "user_name" is character varying(5) in table "sess" but VARCHAR(255) in the fields; the table\'s stands'
        ],
        [
          'PGSESS_TABLE',
          'column "amount" is numeric(10,2) in table "sess" but NUMERIC(12,2) in the fields; the table\'s stands'
        ]
      ]
    )
    await assert.rejects(sessions.create({ user_name: 'Alice B' }), { code: '22001' })
  })
})

describe('a field', () => {
  test('brings its constraints along', async t => {
    const place = await database.emptySchema(t)
    await place.query('CREATE TABLE users (id INT PRIMARY KEY); INSERT INTO users VALUES (1)')
    const sessions = await place.sessions({
      fields: {
        user_id: 'INT NOT NULL REFERENCES users (id) ON DELETE CASCADE',
        device: 'TEXT UNIQUE',
        level: 'SMALLINT DEFAULT 1 CHECK (level BETWEEN 1 AND 3)',
        twice: 'INT GENERATED ALWAYS AS (level * 2) STORED',
        number: 'INT GENERATED BY DEFAULT AS IDENTITY'
      }
    })

    const row = await sessions.create({ user_id: 1, device: 'phone' })

    assert.deepEqual([row.level, row.twice, row.number], [1, 2, 1])
    await assert.rejects(sessions.create({}), { code: '23502', column: 'user_id' })
    await assert.rejects(sessions.create({ user_id: 2 }), { code: '23503', constraint: 'sess_user_id_fkey' })
    await assert.rejects(sessions.create({ user_id: 1, device: 'phone' }), { code: '23505' })
    await assert.rejects(sessions.create({ user_id: 1, level: 4 }), { code: '23514' })
    await place.query('DELETE FROM users')
    assert.equal(await sessions.validate(row.sess_id), null)
  })

  test('of a type that the server does not know is an error that names both, and nothing is made', async t => {
    const place = await database.emptySchema(t)

    await assert.rejects(
      connect(place.url, { fields: { user_id: 'INT', mood: 'NO_SUCH_TYPE' } }),
      /no_such_type|NO_SUCH_TYPE/
    )

    assert.deepEqual(await tables(place), [])
  })

  test('that is added with a DEFAULT has it in the sessions there are', async t => {
    const place = await database.emptySchema(t)
    const { sess_id } = await (await place.sessions({ fields: FIELDS })).create({ user_id: 1 })

    const sessions = await place.sessions({ fields: { ...FIELDS, theme: "TEXT NOT NULL DEFAULT 'light'" } })

    assert.equal((await sessions.validate(sess_id)).theme, 'light')
  })

  test('that is added by a newer program does not disturb the older one', async t => {
    const place = await database.emptySchema(t)
    const older = await place.sessions({ fields: FIELDS })
    const { sess_id } = await older.create({ user_id: 1 })
    await older.validate(sess_id)

    const newer = await place.sessions({ fields: { theme: 'TEXT', ...FIELDS } })

    assert.equal((await older.validate(sess_id)).user_id, 1)
    assert.equal(await older.extend(sess_id), true)
    const created = await older.create({ user_id: 2 })
    assert.equal((await newer.validate(created.sess_id)).theme, null)
    assert.equal((await newer.create({ theme: 'dark' })).theme, 'dark')
  })

  test('whose column gets longer under a running program does not disturb it', async t => {
    const place = await database.emptySchema(t)
    const sessions = await place.sessions({ fields: { user_name: 'VARCHAR(5)' } })
    const { sess_id } = await sessions.create({ user_name: 'Alice' })
    await sessions.validate(sess_id)

    await place.query('ALTER TABLE sess ALTER COLUMN user_name TYPE TEXT')

    assert.equal((await sessions.validate(sess_id)).user_name, 'Alice')
    assert.equal((await sessions.create({ user_name: 'Alice B' })).user_name, 'Alice B')
    assert.equal(await sessions.extend(sess_id), true)
  })
})

describe('createTable: false', () => {
  test('makes no table: a missing one is an error', async t => {
    const place = await database.emptySchema(t)
    const missing = { code: 'PGSESS_TABLE', message: 'table "sess" does not exist, and createTable is false' }

    await assert.rejects(connect(place.url, { fields: FIELDS, createTable: false }), missing)

    assert.deepEqual(await tables(place), [])
  })

  test('adds no field: missing ones are an error that names them', async t => {
    const place = await database.emptySchema(t)
    await place.sessions({ fields: FIELDS })
    const fields = { ...FIELDS, theme: 'TEXT', cart: 'JSONB' }
    const missing = {
      code: 'PGSESS_TABLE',
      message: 'table "sess" has no column "theme", "cart", and createTable is false'
    }

    await assert.rejects(connect(place.url, { fields, createTable: false }), missing)

    assert.deepEqual((await columns(place)).slice(4), Object.keys(FIELDS))
  })
})

describe('tableName', () => {
  for (const tableName of [
    'Sessions',
    'my sessions',
    'a "quoted" one',
    "it's",
    'select',
    'a.b',
    'sess; DROP TABLE neighbour; --',
    '"; DROP TABLE neighbour; --',
    'Größe 🍪',
    'x'.repeat(63)
  ]) {
    test(`may be ${tableName}`, async t => {
      const place = await database.emptySchema(t)
      await place.query('CREATE TABLE neighbour ()')
      const { pgp, db } = place.pgPromise()
      await place.closing(pgSess.init(pgp, db, FIELDS, { tableName }))

      const { sess_id } = await pgSess.createSession(pgp, db, { user_id: 1 })
      const inTransaction = await db.tx(tx => pgSess.validateSession(pgp, tx, sess_id))
      await place.sessions({ fields: { theme: 'TEXT' }, tableName })

      assert.equal(inTransaction.user_id, 1)
      assert.equal(await pgSess.destroySession(pgp, db, sess_id), true)
      assert.deepEqual(await tables(place), ['neighbour', tableName].sort())
    })
  }

  test('keeps the sessions of one table apart from those of another', async t => {
    const place = await database.emptySchema(t)
    const users = await place.sessions({ fields: FIELDS, tableName: 'users_sess' })
    const admins = await place.sessions({ fields: { level: 'INT' }, tableName: 'admins_sess' })

    const { sess_id } = await users.create({ user_id: 1 })

    assert.equal(await admins.validate(sess_id), null)
    assert.equal(await admins.destroy(sess_id), false)
    assert.equal((await users.validate(sess_id)).user_id, 1)
  })
})

describe('schemaName', () => {
  for (const schemaName of ['app', 'My "App"', 'select']) {
    test(`may be ${schemaName}, which need not be in the search_path`, async t => {
      const place = await database.emptyDatabase(t)
      const quoted = `"${schemaName.replaceAll('"', '""')}"`
      await place.query(`CREATE SCHEMA ${quoted}`)

      const sessions = await place.sessions({ fields: FIELDS, schemaName })

      const { sess_id } = await sessions.create({ user_id: 1 })
      assert.deepEqual(await place.query(`SELECT sess_id FROM ${quoted}.sess`), [{ sess_id: hashedId(sess_id) }])
      assert.deepEqual(await tables(place), [])
    })
  }

  test('that does not exist is an error, and it is not made', async t => {
    const place = await database.emptyDatabase(t)
    const missing = { code: 'PGSESS_TABLE', message: 'schemaName: schema "app" does not exist' }

    await assert.rejects(connect(place.url, { fields: FIELDS, schemaName: 'app' }), missing)

    assert.deepEqual(await place.query("SELECT 1 FROM pg_namespace WHERE nspname = 'app'"), [])
  })

  test('left out leads to the first schema of the search_path, also of pg-promise’s option schema', async t => {
    const place = await database.emptyDatabase(t)
    await place.query('CREATE SCHEMA "My App"; CREATE SCHEMA other')
    const { pgp, db } = place.pgPromise({ options: { schema: ['My App', 'other'] } })
    await place.closing(pgSess.init(pgp, db, FIELDS))

    const { sess_id } = await pgSess.createSession(pgp, db, { user_id: 1 })

    assert.deepEqual(await place.query('SELECT sess_id FROM "My App".sess'), [{ sess_id }])
    assert.deepEqual(await db.tx(tx => pgSess.destroySession(pgp, tx, sess_id)), true)
  })
})

describe('a role', () => {
  test('that may not create tables gets PostgreSQL’s own error if the table is missing', async t => {
    const place = await database.emptyDatabase(t)
    const url = await poorRole(place)

    await assert.rejects(connect(url, { fields: FIELDS }), { code: '42501' })

    assert.deepEqual(await tables(place), [])
  })

  test('that may only read gets PostgreSQL’s own error for what it may not do', async t => {
    const place = await database.emptyDatabase(t)
    const owner = await place.sessions({ fields: FIELDS })
    const { sess_id } = await owner.create({ user_id: 1 })
    const url = await poorRole(place, 'SELECT')
    const sessions = await place.sessions({ fields: FIELDS }, url)

    assert.equal((await sessions.validate(sess_id)).user_id, 1)
    const refused = { name: 'error', code: '42501', message: 'permission denied for table sess' }
    await assert.rejects(sessions.create({ user_id: 2 }), refused)
    await assert.rejects(sessions.extend(sess_id), refused)
    await assert.rejects(sessions.destroy(sess_id), refused)
  })
})

test('a set-up that failed leaves the next one free to succeed', async t => {
  const place = await database.emptySchema(t)

  for (let round = 0; round < 3; round++) {
    await assert.rejects(connect(place.url, { fields: { user_id: 'INT DEFAULT 1/0 CHECK (no_such_column)' } }))
  }

  const sessions = await place.sessions({ fields: FIELDS })
  assert.equal((await sessions.create({ user_id: 1 })).user_id, 1)
})

/** Makes every DDL statement fail from now on. */
async function forbidDdl(place) {
  await place.query(`
    CREATE FUNCTION forbid() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'DDL: %', tg_tag; END $$;
    CREATE EVENT TRIGGER forbid ON ddl_command_start EXECUTE FUNCTION forbid()`)
  await assert.rejects(place.query('CREATE TABLE t ()'), /DDL: CREATE TABLE/)
}

/** The URL of a role that may create nothing, but has some rights on the tables there are. */
async function poorRole(place, rights = 'SELECT, INSERT, UPDATE, DELETE') {
  const role = `role_${randomBytes(6).toString('hex')}`
  await place.query(`
    CREATE ROLE ${role} LOGIN PASSWORD 'poor';
    REVOKE CREATE ON SCHEMA public FROM PUBLIC;
    GRANT ${rights} ON ALL TABLES IN SCHEMA public TO ${role}`)
  place.defer(() => place.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`))
  const url = new URL(place.url)
  url.username = role
  url.password = 'poor'
  return url.href
}

/** The tables of the place. Those that remember replaced ids have their own tests. */
async function tables(place) {
  const rows = await place.query(
    `SELECT relname AS name FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
     AND relname !~ '_ids$'`
  )
  return rows.map(row => row.name).sort()
}

async function columns(place) {
  const rows = await place.query(
    "SELECT attname AS name FROM pg_attribute WHERE attrelid = 'sess'::regclass AND attnum > 0 ORDER BY attnum"
  )
  return rows.map(row => row.name)
}

/** All that is in the place: its relations with their columns. */
function catalogue(place) {
  return place.query(
    `SELECT relname, relkind, attname, atttypid, attnotnull FROM pg_class LEFT JOIN pg_attribute ON attrelid = pg_class.oid
     WHERE relnamespace = current_schema()::regnamespace ORDER BY relname, attnum`
  )
}
