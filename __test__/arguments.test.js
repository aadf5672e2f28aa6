'use strict'

// What callers may get wrong. A session id comes from a cookie, so it may be anything and is never an error; what the
// programmer writes is checked, and the error says what was expected and what came.

const assert = require('node:assert/strict')
const { randomUUID } = require('node:crypto')
const { describe, test } = require('node:test')
const pgSess = require('pg-sess-rs')
const { useDatabase } = require('./support/place.js')

const database = useDatabase('arguments')

const FIELDS = { user_id: 'INT', user_name: 'VARCHAR(255)' }
const ID = '0f8fad5b-d9cb-469f-a165-70867728950e'

/** What a cookie, or a bug before it, can hold in place of an id. @type {[string, unknown][]} */
const NO_IDS = [
  ['undefined', undefined],
  ['null', null],
  ['an empty string', ''],
  ['a number', 7],
  ['NaN', Number.NaN],
  ['a bigint', 7n],
  ['a boolean', true],
  ['an object', {}],
  ['an object without a prototype', Object.create(null)],
  ['an array', []],
  ['an array that holds an id', [ID]],
  ['an id as a String object', Object(ID)],
  ['a symbol', Symbol('id')],
  ['a function', () => ID],
  ['a Buffer', Buffer.from(ID)],
  ['a Date', new Date()],
  ['1 MB of text', 'x'.repeat(2 ** 20)],
  ['1 MB of hexadecimal digits', 'a'.repeat(2 ** 20)],
  ['a NUL', '\0'],
  ['an id with a NUL at its end', `${ID.slice(0, -1)}\0`],
  ['36 NULs', '\0'.repeat(36)],
  ['SQL', "' or 1=1 --"],
  ['36 characters of SQL', "' or 1=1; DROP TABLE sess; -- 3456789"],
  ['an array literal of 36 characters', `{${'0f8fad5bd9cb469fa1657086,7728950e'},x}`],
  ['36 characters outside ASCII', 'é'.repeat(36)],
  ['36 characters that grow in lower case', 'İ'.repeat(36)],
  ['an id with a character that grows in lower case', `İ${ID.slice(1)}`],
  ['an id in full-width digits', ID.replaceAll('0', '０')],
  ['18 characters outside the BMP', '🍪'.repeat(18)],
  ['half of a surrogate pair', '\ud800'],
  ['36 halves of surrogate pairs', '\ud83c'.repeat(36)],
  ['an id with a low half in front', `\udf6a${ID.slice(1)}`],
  ['an id with a high half at its end', `${ID.slice(0, -1)}\ud83c`],
  ['an id that is one digit short', ID.slice(0, -1)],
  ['an id that is one digit long', `${ID}0`],
  ['an id with a letter that is no digit', `${ID.slice(0, -1)}g`],
  ['an id with its hyphens in other places', '0f8fad5bd-9cb-469f-a165-70867728950e'],
  ['an id with blanks around', ` ${ID} `],
  ['an id as a URN', `urn:uuid:${ID}`],
  ['an id in one brace', `{${ID}`],
  ['a signed cookie', `s:${ID}.c2lnbmF0dXJl`],
  ['__proto__', '__proto__'],
  ['constructor', 'constructor'],
  [
    'an object whose toString throws',
    {
      toString() {
        throw new Error('toString was called')
      }
    }
  ],
  [
    'a proxy that throws at every touch',
    new Proxy(
      {},
      {
        get() {
          throw new Error('a member was read')
        },
        getPrototypeOf() {
          throw new Error('the prototype was read')
        }
      }
    )
  ]
]

describe('a session id', () => {
  test('that is none is no session: validate gives null, extend and destroy give false', async t => {
    const { pgp, db } = await start(t)

    for (const [name, sid] of NO_IDS) {
      assert.equal(await pgSess.validateSession(pgp, db, sid), null, name)
      assert.equal(await pgSess.extendSession(pgp, db, sid), false, name)
      assert.equal(await pgSess.destroySession(pgp, db, sid), false, name)
    }
  })

  test('that is none disturbs no call that is made at the same time', async t => {
    const { pgp, db, sessions } = await start(t)
    const sids = await createMany(sessions, NO_IDS.length)
    // Alternately a good and a bad one, in one turn of the event loop.
    const mixed = NO_IDS.flatMap(([, bad], at) => [sids[at], bad])

    const rows = await Promise.all(mixed.map(sid => pgSess.validateSession(pgp, db, sid)))
    const extended = await Promise.all(mixed.map(sid => pgSess.extendSession(pgp, db, sid)))
    const destroyed = await Promise.all(mixed.map(sid => pgSess.destroySession(pgp, db, sid)))

    assert.deepEqual(
      rows.map(row => row?.sess_id ?? null),
      mixed.map((sid, at) => (at % 2 === 0 ? sid : null))
    )
    assert.deepEqual(
      extended,
      mixed.map((_, at) => at % 2 === 0)
    )
    assert.deepEqual(
      destroyed,
      mixed.map((_, at) => at % 2 === 0)
    )
  })

  for (const [name, bad] of NO_IDS) {
    test(`that is ${name} leaves the sessions asked for beside it alone`, async t => {
      const { sessions } = await start(t)
      const sids = await createMany(sessions, 4)

      const rows = await Promise.all(
        [bad, ...sids.slice(0, 2), bad, ...sids.slice(2), bad].map(sid => sessions.validate(sid))
      )

      assert.deepEqual(
        rows.map(row => row?.sess_id ?? null),
        [null, ...sids.slice(0, 2), null, ...sids.slice(2), null]
      )
    })
  }

  test('that is none does not spoil the transaction it is asked about in', async t => {
    const { pgp, db } = await start(t)

    await db.tx(async tx => {
      const { sess_id } = await pgSess.createSession(pgp, tx, { user_id: 1 })
      for (const [name, sid] of NO_IDS) {
        assert.equal(await pgSess.validateSession(pgp, tx, sid), null, name)
        assert.equal(await pgSess.extendSession(pgp, tx, sid), false, name)
        assert.equal(await pgSess.destroySession(pgp, tx, sid), false, name)
      }
      assert.equal((await pgSess.validateSession(pgp, tx, sess_id)).user_id, 1)
    })
  })

  test('in any spelling finds its session, and the row shows the usual one', async t => {
    const { sessions } = await start(t)
    const [sid] = await createMany(sessions, 1)
    const bare = sid.replaceAll('-', '')
    const spellings = [
      sid,
      sid.toUpperCase(),
      bare,
      bare.toUpperCase(),
      `{${sid}}`,
      `{${bare}}`,
      `{${sid.toUpperCase()}}`
    ]

    const rows = await Promise.all(spellings.map(spelling => sessions.validate(spelling)))

    assert.deepEqual(
      rows.map(row => row?.sess_id),
      spellings.map(() => sid)
    )
  })
})

describe('pgp', () => {
  for (const [name, pgp, came] of [
    ['undefined', undefined, 'undefined'],
    ['null', null, 'null'],
    ['an object', {}, 'an object'],
    ['the pg-promise module', require('pg-promise'), 'a function'],
    ['a string', 'pgp', '"pgp"']
  ]) {
    test(`is the root object of pg-promise if db is pg-promise's, not ${name}`, async t => {
      const { db } = await start(t)
      const expected = refusal(TypeError, 'pgp', 'the root object of pg-promise', came)

      for (const call of callsWith(pgp, db)) await assert.rejects(call(), expected)
    })
  }

  test('may be null or undefined for any other db, but nothing wrong', async t => {
    const { place } = await start(t)
    await place.closing(pgSess.init(undefined, place.url, FIELDS))

    assert.equal(await pgSess.validateSession(null, place.url, ID), null)
    await assert.rejects(pgSess.validateSession(5, place.url, ID), refusal(TypeError, 'pgp', 'or null', 'the number 5'))
  })
})

describe('db', () => {
  const EXPECTED = 'a pg-promise database, a pg.Pool, a connection string or a config object'

  for (const [name, db, came] of [
    ['undefined', undefined, 'undefined'],
    ['null', null, 'null'],
    ['a number', 5, 'the number 5'],
    ['a boolean', true, 'the boolean true'],
    ['an array', [], 'an array'],
    ['a function', () => {}, 'a function'],
    ['a symbol', Symbol('db'), 'a symbol'],
    ['an object of some class', new Map(), 'an object of class Map'],
    ['pgp, the two being swapped', require('pg-promise')(), 'a function']
  ]) {
    test(`is refused if it is ${name}`, async () => {
      const expected = refusal(TypeError, 'db', EXPECTED, came)

      for (const call of callsWith(null, db)) await assert.rejects(call(), expected)
      await assert.rejects(pgSess.connect(db, { fields: FIELDS }), refusal(TypeError, 'connection', EXPECTED, came))
    })
  }

  test('of init is the database itself, not a task, a transaction or a connection', async t => {
    const { pgp, db, place } = await start(t)
    const refused = { name: 'TypeError', message: /^db: init takes the database itself/ }

    await db.task(task => assert.rejects(pgSess.init(pgp, task, FIELDS), refused))
    await db.tx(tx => assert.rejects(pgSess.init(pgp, tx, FIELDS), refused))
    const connected = await db.connect()
    await assert.rejects(pgSess.init(pgp, connected, FIELDS), refused)
    await connected.done()
    await assert.rejects(pgSess.init(null, await place.client(), FIELDS), refused)
  })
})

describe('FIELDS of init', () => {
  for (const [name, FIELDS, place, expected, came] of [
    ['undefined', undefined, 'FIELDS', '[{ field, datatype }, …]', 'undefined'],
    ['null', null, 'FIELDS', '[{ field, datatype }, …]', 'null'],
    ['a string', 'user_id INT', 'FIELDS', '{ field: datatype, … }', '"user_id INT"'],
    ['a number', 5, 'FIELDS', '{ field: datatype, … }', 'the number 5'],
    ['a list of strings', ['user_id'], 'FIELDS[0]', '{ field, datatype }', '"user_id"'],
    ['a list with a hole', [{ field: 'a', datatype: 'INT' }, null], 'FIELDS[1]', '{ field, datatype }', 'null'],
    ['a field without a name', [{ datatype: 'INT' }], 'FIELDS[0].field', "the field's name", 'undefined'],
    ['a name that is a number', [{ field: 5, datatype: 'INT' }], 'FIELDS[0].field', "the field's name", 'the number 5'],
    ['a field without a datatype', [{ field: 'a' }], 'FIELDS[0].datatype', 'a PostgreSQL datatype', 'undefined'],
    ['a datatype that is no string', { a: Number }, 'FIELDS.a', 'a PostgreSQL datatype', 'a function'],
    ['values', [{ field: 'a', value: 1 }], 'FIELDS[0].datatype', 'a PostgreSQL datatype', 'undefined']
  ]) {
    test(`are refused if they are or hold ${name}`, async t => {
      const { pgp, db } = (await database.emptySchema(t)).pgPromise()

      await assert.rejects(pgSess.init(pgp, db, FIELDS), refusal(TypeError, place, expected, came))
    })
  }

  for (const [name, field, reason] of [
    ['is empty', '', /must not be empty/],
    ['holds a NUL', 'a\0b', /must not contain U\+0000/],
    ['is longer than PostgreSQL keeps', 'x'.repeat(64), /must not be longer than 63 bytes/],
    ['is longer in bytes than PostgreSQL keeps', 'é'.repeat(32), /must not be longer than 63 bytes/],
    ['is a column of PostgreSQL', 'ctid', /"ctid" is a system column/],
    ['is a column of every session', 'sess_id', /"sess_id" is a column that every session has/],
    ['becomes a column of every session', 'SESS_ID', /"sess_id" is a column that every session has/]
  ]) {
    test(`are refused if a name ${name}`, async t => {
      const { pgp, db, place } = await startEmpty(t)

      await assert.rejects(pgSess.init(pgp, db, [{ field, datatype: 'INT' }]), { name: 'TypeError', message: reason })
      assert.deepEqual(await tables(place), [])
    })
  }

  test('are refused if two names mean one column', async t => {
    const { pgp, db } = await startEmpty(t)
    const twice = ['userId', 'userid'].map(field => ({ field, datatype: 'INT' }))

    await assert.rejects(pgSess.init(pgp, db, twice), { name: 'TypeError', message: /"userid" is named twice/ })
  })

  for (const datatype of [
    '',
    ' ',
    'NOT A TYPE AT ALL',
    'INT)',
    'INT, evil INT',
    'INT); DROP TABLE neighbour; --',
    'INT); DROP TABLE neighbour; CREATE TABLE other (c INT',
    "INT DEFAULT 1); INSERT INTO neighbour VALUES ('evil'); --",
    'INT) INHERITS (neighbour',
    'INT) AS SELECT * FROM neighbour; --',
    'INT; DROP TABLE neighbour',
    'INT -- comment',
    'INT /* comment */',
    'INT DEFAULT 1 @-- 2',
    'INT DEFAULT 1 #/* 2',
    'INT DEFAULT (SELECT count(*) FROM neighbour)',
    'INT DEFAULT pg_sleep(60)',
    "TEXT DEFAULT pg_read_file('/etc/passwd')",
    "TEXT DEFAULT query_to_xml('DROP TABLE neighbour', true, true, '')",
    'INT CHECK (pg_sleep(60) IS NULL)',
    'TEXT DEFAULT $$x$$',
    "TEXT DEFAULT E'\\'",
    'INT PRIMARY KEY',
    'INT\0',
    'SETOF INT',
    `"INT); DROP TABLE neighbour; --"`,
    `VARCHAR(${'9'.repeat(5_000)})`
  ]) {
    test(`are refused, and no SQL of theirs runs, if a datatype is ${JSON.stringify(datatype).slice(0, 60)}`, async t => {
      const { pgp, db, place } = await startEmpty(t)
      await place.query("CREATE TABLE neighbour AS SELECT 'untouched' AS text")

      const error = await pgSess.init(pgp, db, [{ field: 'evil', datatype }]).catch(error => error)

      assert.ok(error instanceof Error)
      assert.match(error.message, /datatype|evil|does not exist|syntax|not allowed/)
      assert.deepEqual(await place.query('SELECT text FROM neighbour'), [{ text: 'untouched' }])
      assert.deepEqual(await tables(place), ['neighbour'])
    })
  }

  test('are refused if a datatype opens a comment within an operator, and another one ends it', async t => {
    const { pgp, db, place } = await startEmpty(t)
    const opened = { field: 'a', datatype: 'INT DEFAULT 1 #/* 2' }
    const ended = "TEXT DEFAULT '*/ 2, b TEXT, evil TEXT DEFAULT pg_read_file($x$PG_VERSION$x$)) -- '"

    const refused = pgSess.init(pgp, db, [opened, { field: 'b', datatype: ended }])

    await assert.rejects(refused, { name: 'TypeError', message: /^datatype of field "a": it contains a comment; / })
    assert.deepEqual(await tables(place), [])
  })

  for (const field of [
    'a INT); DROP TABLE neighbour; --',
    'a" INT); DROP TABLE neighbour; --',
    '"; DROP TABLE neighbour; --',
    "'; DROP TABLE neighbour; --",
    'a\\"; DROP TABLE neighbour; --',
    '$1',
    '%s',
    '{name}'
  ]) {
    test(`may have the name ${field}, and it is only a name`, async t => {
      const { pgp, db, place } = await startEmpty(t)
      await place.query("CREATE TABLE neighbour AS SELECT 'untouched' AS text")

      const sessions = await place.closing(pgSess.init(pgp, db, [{ field, datatype: 'INT' }]))
      const { sess_id } = await pgSess.createSession(pgp, db, [{ field, value: 5 }])
      const inTransaction = await db.tx(tx => pgSess.createSession(pgp, tx, [{ field, value: 6 }]))

      assert.equal((await sessions.validate(sess_id))[field], 5)
      assert.equal(inTransaction[field], 6)
      assert.deepEqual(await place.query('SELECT text FROM neighbour'), [{ text: 'untouched' }])
    })
  }
})

describe('SLENGTH', () => {
  for (const [length, ErrorClass, came] of [
    [null, TypeError, 'null'],
    ['60000', TypeError, '"60000"'],
    [60_000n, TypeError, 'the bigint 60000'],
    [[], TypeError, 'an array'],
    [true, TypeError, 'the boolean true'],
    [0, RangeError, 'the number 0'],
    [-1, RangeError, 'the number -1'],
    [1.5, RangeError, 'the number 1.5'],
    [Number.NaN, RangeError, 'the number NaN'],
    [Number.POSITIVE_INFINITY, RangeError, 'the number Infinity'],
    [2 ** 60, RangeError, `the number ${2 ** 60}`]
  ]) {
    test(`is a whole number of ms or an object of options, not ${came}`, async t => {
      const { pgp, db } = await startEmpty(t)

      await assert.rejects(pgSess.init(pgp, db, FIELDS, length), refusal(ErrorClass, 'SLENGTH', 'a whole number', came))
    })
  }
})

describe('an option', () => {
  const TIMES = ['sessionLength', 'absoluteLength', 'refreshGrace', 'connectTimeout', 'queryTimeout', 'maxConnections']
  const WRONG_TIMES = [
    [0, RangeError],
    [-1, RangeError],
    [1.5, RangeError],
    [Number.NaN, RangeError],
    [Number.POSITIVE_INFINITY, RangeError],
    [Number.NEGATIVE_INFINITY, RangeError],
    ['1000', TypeError],
    [1000n, TypeError],
    [null, TypeError],
    [true, TypeError],
    [new Date(), TypeError]
  ]

  test('that is unknown is named, and the known ones are listed', async t => {
    const place = await database.emptySchema(t)
    const { pgp, db } = place.pgPromise()
    const refused = { name: 'TypeError', message: /unknown option "sesionLength".*sessionLength, .*tableName/ }

    await assert.rejects(pgSess.connect(place.url, { fields: FIELDS, sesionLength: 1 }), refused)
    await assert.rejects(pgSess.init(pgp, db, FIELDS, { sesionLength: 1 }), refused)
  })

  test('is an own member, not one that every object has', async t => {
    const { url } = await database.emptySchema(t)

    for (const name of ['constructor', 'toString', '__proto__']) {
      const refused = { name: 'TypeError', message: new RegExp(`unknown option "${name}"`) }
      await assert.rejects(pgSess.connect(url, { fields: FIELDS, [name]: 1 }), refused)
    }
  })

  for (const name of TIMES) {
    test(`${name} is a whole number greater than 0`, async t => {
      const { url } = await database.emptySchema(t)

      for (const [value, ErrorClass] of WRONG_TIMES) {
        const refused = refusal(ErrorClass, name, 'a whole number', '')
        await assert.rejects(pgSess.connect(url, { fields: FIELDS, [name]: value }), refused, String(value))
      }
    })
  }

  for (const [name, value, expected, came] of [
    ['tableName', 5, 'the name of a table', 'the number 5'],
    ['tableName', null, 'the name of a table', 'null'],
    ['schemaName', {}, 'the name of a schema', 'an object'],
    ['createTable', 'yes', 'true or false', '"yes"'],
    ['hosts', 'db2', 'a list of servers', '"db2"'],
    ['targetSessionAttrs', true, "'any' or 'read-write'", 'the boolean true'],
    ['prepare', 0, 'true or false', 'the number 0'],
    ['batch', null, 'true or false', 'null'],
    ['onError', 'log', 'a function', '"log"']
  ]) {
    test(`${name} is ${expected}, not ${came}`, async t => {
      const { url } = await database.emptySchema(t)

      await assert.rejects(
        pgSess.connect(url, { fields: FIELDS, [name]: value }),
        refusal(TypeError, name, expected, came)
      )
    })
  }

  for (const [name, value, reason] of [
    ['tableName', '', /tableName must not be empty/],
    ['tableName', 'a\0b', /tableName must not contain U\+0000/],
    ['tableName', 'x'.repeat(64), /tableName must not be longer than 63 bytes/],
    ['schemaName', '', /schemaName must not be empty/]
  ]) {
    test(`${name} is refused if PostgreSQL has no such names: ${JSON.stringify(value).slice(0, 20)}`, async t => {
      const { url } = await database.emptySchema(t)

      const refused = { name: 'TypeError', message: reason }
      await assert.rejects(pgSess.connect(url, { fields: FIELDS, [name]: value }), refused)
    })
  }

  for (const [host, ErrorClass] of [
    [5, TypeError],
    ['', RangeError],
    ['a:b', RangeError],
    ['a:65536', RangeError],
    ['postgres://a:5432', RangeError],
    ['::1', RangeError]
  ]) {
    test(`hosts names servers, and ${JSON.stringify(host)} is none`, async t => {
      const { url } = await database.emptySchema(t)

      const refused = refusal(ErrorClass, 'hosts[1]', 'a server such as', '')
      await assert.rejects(pgSess.connect(url, { fields: FIELDS, hosts: ['db2:5432', host] }), refused)
    })
  }

  test('targetSessionAttrs is one of two words', async t => {
    const { url } = await database.emptySchema(t)

    const refused = refusal(RangeError, 'targetSessionAttrs', "'any' or 'read-write'", '"standby"')
    await assert.rejects(pgSess.connect(url, { fields: FIELDS, targetSessionAttrs: 'standby' }), refused)
  })

  test('that is undefined means its default', async t => {
    const place = await database.emptySchema(t)
    const names = [
      ...TIMES,
      'tableName',
      'schemaName',
      'createTable',
      'hosts',
      'targetSessionAttrs',
      'prepare',
      'batch',
      'onError'
    ]
    const undefineds = Object.fromEntries(names.map(name => [name, undefined]))

    const sessions = await place.sessions({ fields: FIELDS, ...undefineds })

    const row = await sessions.create({ user_id: 1 })
    assert.equal(row.sess_expiration - row.sess_creation_date, 1_209_600_000)
  })

  for (const options of [undefined, null, {}, 5, 'fields', []]) {
    test(`fields is required in connect, where options are ${JSON.stringify(options)}`, async t => {
      const { url } = await database.emptySchema(t)

      await assert.rejects(pgSess.connect(url, options), { name: 'TypeError', message: /^options(\.fields)?: / })
    })
  }
})

describe('FIELDS of createSession', () => {
  for (const [name, FIELDS, place, expected, came] of [
    ['undefined', undefined, 'FIELDS', '[{ field, value }, …]', 'undefined'],
    ['null', null, 'FIELDS', '{ field: value, … }', 'null'],
    ['a string', 'Alice', 'FIELDS', '{ field: value, … }', '"Alice"'],
    ['a list of strings', ['user_id'], 'FIELDS[0]', '{ field, value }', '"user_id"'],
    ['a value without a name', [{ value: 1 }], 'FIELDS[0].field', "the field's name", 'undefined'],
    ['a name that is a symbol', [{ field: Symbol('a') }], 'FIELDS[0].field', "the field's name", 'a symbol']
  ]) {
    test(`are refused if they are or hold ${name}`, async t => {
      const { pgp, db } = await start(t)

      await assert.rejects(pgSess.createSession(pgp, db, FIELDS), refusal(TypeError, place, expected, came))
    })
  }

  for (const field of ['user_nam', '', '__proto__', 'constructor', 'sess_id', 'sess_expiration', 'user_id"', "'; --"]) {
    test(`are refused if they name ${JSON.stringify(field)}, and the error lists the known names`, async t => {
      const { pgp, db, place } = await start(t)
      const expected = error => {
        assert.equal(error.message, `unknown field ${JSON.stringify(field)}; this table has user_id, user_name`)
        return error instanceof TypeError
      }

      await assert.rejects(pgSess.createSession(pgp, db, [{ field, value: 1 }]), expected)
      await assert.rejects(
        db.tx(tx => pgSess.createSession(pgp, tx, [{ field, value: 1 }])),
        expected
      )
      assert.deepEqual(await place.query('SELECT 1 FROM sess'), [])
    })
  }

  test('are refused if they give a field twice', async t => {
    const { pgp, db } = await start(t)
    const twice = [1, 2].map(value => ({ field: 'user_id', value }))

    await assert.rejects(pgSess.createSession(pgp, db, twice), {
      name: 'TypeError',
      message: /"user_id" is given twice/
    })
  })

  test('are refused in a message that shows no value', async t => {
    const { pgp, db } = await start(t)
    const secret = randomUUID()

    for (const values of [{ user_nam: secret }, [{ field: 'user_id', value: secret }], { user_id: [secret] }]) {
      const error = await pgSess.createSession(pgp, db, values).catch(error => error)

      assert.ok(error instanceof Error)
      // PostgreSQL's own words may hold a value; ours never do.
      if (error.code === undefined) assert.doesNotMatch(error.message, new RegExp(secret))
    }
  })
})

test('no function throws: every wrong argument is a rejection', async () => {
  const functions = Object.values(pgSess).filter(member => typeof member === 'function')

  assert.equal(functions.length, 6)
  for (const call of functions) {
    for (const value of [undefined, null, 5, 'x', {}, Symbol('x')]) {
      const promise = call(value, value, value, value)

      assert.ok(promise instanceof Promise)
      await assert.rejects(promise)
    }
  }
})

/** The error about an argument: which one, what was expected, what came. */
function refusal(ErrorClass, argument, expected, came) {
  return error => {
    assert.ok(error instanceof ErrorClass, `${error.name}: ${error.message}`)
    assert.ok(error.message.startsWith(`${argument}: expected `), error.message)
    assert.ok(error.message.includes(expected), error.message)
    assert.ok(error.message.endsWith(`got ${came}`) || came === '', error.message)
    return true
  }
}

function callsWith(pgp, db) {
  return [
    () => pgSess.init(pgp, db, FIELDS),
    () => pgSess.createSession(pgp, db, { user_id: 1 }),
    () => pgSess.validateSession(pgp, db, ID),
    () => pgSess.extendSession(pgp, db, ID),
    () => pgSess.destroySession(pgp, db, ID)
  ]
}

async function startEmpty(t) {
  const place = await database.emptySchema(t)
  return { place, ...place.pgPromise() }
}

async function start(t) {
  const { place, pgp, db } = await startEmpty(t)
  const sessions = await place.closing(pgSess.init(pgp, db, FIELDS))
  return { place, pgp, db, sessions }
}

async function createMany(sessions, count) {
  const rows = await Promise.all(Array.from({ length: count }, (_, user_id) => sessions.create({ user_id })))
  return rows.map(row => row.sess_id)
}

async function tables(place) {
  const rows = await place.query(
    'SELECT relname AS name FROM pg_class WHERE relnamespace = current_schema()::regnamespace'
  )
  return rows.map(row => row.name)
}
