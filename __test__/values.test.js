'use strict'

// Values of fields: what goes in is stored as pg-promise would store it, what comes out is what pg-promise would read.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const pg = require('pg')
const pgSess = require('pg-sess-rs')
const { useDatabase } = require('./support/place.js')

const database = useDatabase('values')

const { createSession, init, validateSession } = pgSess

const TEXTS = [
  '',
  ' ',
  'Alice',
  "it's",
  'a "b" \\ c',
  'line\nbreak\ttab',
  'NULL',
  '{}',
  '$1',
  'Grüße 🍪 \u0301',
  '\u{10ffff}',
  '\ud800'
]
const MOMENTS = [
  new Date('2024-02-29T12:34:56.789Z'),
  new Date(0),
  '2024-06-01 00:00:00',
  '1969-12-31 23:59:59.999999',
  'infinity'
]

/** Types, and what is given for them in JavaScript. @type {[string, unknown[]][]} */
const CASES = [
  ['SMALLINT', [0, 1, -32768, '7', 7n]],
  ['INT', [0, 1, -1, 2147483647, '7', -0]],
  ['BIGINT', [0, 5, '9223372036854775807', 2n ** 63n - 1n, Number.MAX_SAFE_INTEGER]],
  ['OID', [1, 4294967295]],
  ['NUMERIC', [0, 1.1, '1.10', '12345678901234567890.123456789', 1e21, Number.NaN]],
  ['NUMERIC(10,2)', [1, 1.005, '1.10', -99999999.99]],
  ['REAL', [0.1, 1e10, Number.NaN, Number.POSITIVE_INFINITY]],
  ['DOUBLE PRECISION', [0.1, 1e300, '-0', Number.NaN, Number.NEGATIVE_INFINITY]],
  ['MONEY', ['1.50', '-2']],
  ['BOOLEAN', [true, false, 't', 'no', 1, 0]],
  ['TEXT', [...TEXTS, 5, true, new Date(1e12), ['a'], { a: 1 }]],
  ['VARCHAR(255)', TEXTS],
  ['VARCHAR', TEXTS],
  ['CHAR(5)', ['', 'ab', 'abcde', 'é']],
  ['"char"', ['a', '']],
  ['NAME', ['Alice']],
  ['UUID', ['0F8FAD5B-D9CB-469F-A165-70867728950E', '{0f8fad5bd9cb469fa16570867728950e}']],
  ['DATE', ['2024-02-29', '0044-03-15 BC', 'infinity', '-infinity']],
  ['TIME', ['12:34:56.789', '24:00:00']],
  ['TIMETZ', ['12:34:56.789+02']],
  ['TIMESTAMP', MOMENTS],
  ['TIMESTAMP(0)', ['2024-06-01 00:00:00.6']],
  ['TIMESTAMPTZ', MOMENTS],
  ['INTERVAL', ['1 day 02:03:04.5', '-1 year', '0', 90]],
  ['BYTEA', [Buffer.from([0, 1, 254, 255]), Buffer.alloc(0), new Uint8Array([1, 2]), '\\x00ff', 'text']],
  [
    'JSON',
    [
      { a: [1, { b: null }] },
      {},
      '"text"',
      '[1, 2]',
      'null',
      5,
      true,
      { big: 1e21, text: 'Grüße \u2028', lone: '\ud800' }
    ]
  ],
  ['JSONB', [{ a: [1, { b: null }] }, {}, '"text"', '[1, 2]', 'null', 5, true, { a: undefined, when: new Date(0) }]],
  [
    'INT[]',
    [
      [],
      [1, null, -3],
      [
        [1, 2],
        [3, 4]
      ],
      '{1,2}'
    ]
  ],
  ['BIGINT[]', [[1, '2', 3n]]],
  ['NUMERIC[]', [[1.1, '1.10']]],
  ['BOOLEAN[]', [[true, false, null]]],
  ['TEXT[]', [[], ['a', '', 'b,c', '"d"', '\\', 'NULL', null, ' e '], ['Grüße 🍪']]],
  ['VARCHAR(5)[]', [['abcde', 'é']]],
  ['UUID[]', [['0f8fad5b-d9cb-469f-a165-70867728950e']]],
  ['DATE[]', [['2024-02-29']]],
  ['TIMESTAMPTZ[]', [[new Date(0), null]]],
  ['BYTEA[]', [[Buffer.from([0, 255]), Buffer.alloc(0)]]],
  ['JSONB[]', [[{ a: 1 }, { b: [2] }]]],
  ['INET', ['10.0.0.1', '10.0.0.0/8', '::1']],
  ['CIDR', ['10.0.0.0/8']],
  ['MACADDR', ['08:00:2b:01:02:03']],
  ['POINT', ['(1,2)']],
  ['CIRCLE', ['<(1,2),3>']],
  ['BOX', ['(1,2),(3,4)']],
  ['INT4RANGE', ['[1,5)', 'empty']],
  ['TSTZRANGE', ['[2024-01-01,2024-02-01)']],
  ['BIT(3)', ['101']],
  ['BIT VARYING(5)', ['10', '']],
  ['TSVECTOR', ["'fat' 'cat'"]],
  ['mood', ['happy', 'sad, but "well"']],
  ['percent', [5, '100']],
  ['address', ['(Street,5)', '(,)']],
  ['mood[]', [['happy', 'sad, but "well"']]]
]

/** Types, and what PostgreSQL refuses for them. @type {[string, unknown[]][]} */
const REFUSED = [
  ['SMALLINT', [40_000]],
  ['INT', ['one', 1.5, '', true, 2 ** 31, [1], { a: 1 }, new Date(0)]],
  ['BIGINT', [2n ** 63n]],
  ['NUMERIC(3,1)', [1000, 'much']],
  ['BOOLEAN', ['maybe', 2]],
  ['TEXT', ['\0', 'a\0b']],
  ['VARCHAR(3)', ['abcd', 'ééé🍪']],
  ['CHAR(3)', ['abcd']],
  ['BIT(3)', ['1011', '2']],
  ['UUID', ['me', Symbol('id')]],
  ['DATE', ['tomorrowish', new Date(Number.NaN)]],
  ['TIME', [new Date(0)]],
  ['TIMESTAMPTZ', ['2024-02-30']],
  ['INTERVAL', ['soon']],
  ['BYTEA', ['\\xzz']],
  ['JSON', ['plain', new Date(0)]],
  ['JSONB', ['plain', '']],
  ['INT[]', [['one'], [[1], [2, 3]], 'none', 5]],
  ['INET', ['10.0.0.256']],
  ['mood', ['angry']],
  ['percent', [101]],
  ['address', ['Street']]
]

const OWN_TYPES = `
  CREATE TYPE mood AS ENUM ('happy', 'sad, but "well"');
  CREATE DOMAIN percent AS INT CHECK (VALUE BETWEEN 0 AND 100);
  CREATE TYPE address AS (street TEXT, number INT)`

describe('what goes in and comes out', () => {
  for (const [type, values] of CASES) {
    test(`of ${type} is what pg-promise stores and reads`, async t => {
      const { pgp, db, place } = await startWith(t, type)

      for (const value of values) {
        const created = await createSession(pgp, db, { field: value })
        const inTransaction = await db.tx(tx => createSession(pgp, tx, { field: value }))
        const [together] = await Promise.all([value, value].map(field => createSession(pgp, db, { field })))
        const own = await db.one({ text: 'INSERT INTO own (field) VALUES ($1) RETURNING field', values: [value] })

        const { sess_id } = created
        const stored = await place.query(
          "SELECT format('%s', field) AS text FROM sess UNION SELECT format('%s', field) FROM own"
        )
        assert.equal(stored.length, 1, `${show(value)} is stored as ${stored.map(row => row.text).join(' and ')}`)
        const read = await db.one('SELECT field FROM sess WHERE sess_id = $1', sess_id)
        const validated = await validateSession(pgp, db, sess_id)
        for (const row of [created, inTransaction, together, read, validated]) {
          assert.deepEqual(row.field, own.field, show(value))
        }
        await place.query('TRUNCATE sess, own')
      }
    })
  }

  for (const [type, values] of REFUSED) {
    test(`of ${type} is refused where pg refuses it, with the same error`, async t => {
      const { pgp, db } = await startWith(t, type)

      for (const value of values) {
        const own = await db
          .none({ text: 'INSERT INTO own (field) VALUES ($1)', values: [value] })
          .catch(error => error)
        const error = await createSession(pgp, db, { field: value }).catch(error => error)

        assert.ok(error instanceof pgp.pg.DatabaseError, `${show(value)}: ${error}`)
        const facts = ({ code, message, severity, detail, dataType }) => ({ code, message, severity, detail, dataType })
        const [ours, theirs] = [error, own].map(facts)
        // The row that failed a check is shown, and it is another table's.
        if (ours.detail?.startsWith('Failing row')) ours.detail = theirs.detail
        assert.deepEqual(ours, theirs, show(value))
      }
    })
  }

  test('of 100 fields at once is each in its place', async t => {
    const place = await database.emptySchema(t)
    const names = Array.from({ length: 100 }, (_, at) => `field_${at}`)
    const fields = names.map((field, at) => ({ field, datatype: at % 2 === 0 ? 'INT' : 'TEXT' }))
    const values = Object.fromEntries(names.map((name, at) => [name, at % 2 === 0 ? at : `text ${at}`]))
    const sessions = await place.sessions({ fields })

    const { sess_id } = await sessions.create(values)
    const some = await sessions.create({ field_99: 'last', field_0: 0 })

    const {
      sess_id: _,
      sess_creation_date,
      sess_last_updated,
      sess_expiration,
      ...read
    } = await sessions.validate(sess_id)
    assert.deepEqual(read, values)
    assert.deepEqual([some.field_0, some.field_1, some.field_98, some.field_99], [0, null, null, 'last'])
  })

  test('may be large: 1 MB of text, 64 KB of bytes, a deep and wide JSON', async t => {
    const place = await database.emptySchema(t)
    const sessions = await place.sessions({ fields: { note: 'TEXT', bytes: 'BYTEA', cart: 'JSONB' } })
    const note = 'é🍪"\\'.repeat(2 ** 20 / 5)
    const bytes = Buffer.from(Array.from({ length: 2 ** 16 }, (_, at) => at % 256))
    const cart = {
      items: Array.from({ length: 5_000 }, (_, id) => ({ id, name: `item ${id}`, nested: { deep: [[[id]]] } }))
    }

    const row = await sessions.create({ note, bytes, cart })

    assert.equal(row.note, note)
    assert.ok(Buffer.isBuffer(row.bytes))
    assert.ok(row.bytes.equals(bytes))
    assert.deepEqual(row.cart, cart)
    assert.deepEqual(await sessions.validate(row.sess_id), row)
  })

  test('of many large sessions at once does not get mixed up', async t => {
    const place = await database.emptySchema(t)
    const sessions = await place.sessions({ fields: { note: 'TEXT' } })
    const notes = Array.from({ length: 40 }, (_, at) => `${at} `.repeat(30_000 + at))

    const rows = await Promise.all(notes.map(note => sessions.create({ note })))
    const found = await Promise.all(rows.map(row => sessions.validate(row.sess_id)))

    assert.deepEqual(
      found.map(row => row.note),
      notes
    )
  })
})

describe('NULL', () => {
  test('is null in and out, for every type', async t => {
    const place = await database.emptySchema(t)
    await place.query(OWN_TYPES)
    const { pgp, db } = place.pgPromise()
    const fields = CASES.map(([datatype], at) => ({ field: `field_${at}`, datatype }))
    await place.closing(init(pgp, db, fields))

    const rows = [
      await createSession(pgp, db, {}),
      await createSession(
        pgp,
        db,
        fields.map(({ field }) => ({ field, value: null }))
      ),
      await db.tx(tx =>
        createSession(
          pgp,
          tx,
          fields.map(({ field }) => ({ field, value: null }))
        )
      )
    ]

    for (const row of rows)
      assert.deepEqual(
        Object.values(row).slice(4),
        fields.map(() => null)
      )
    assert.deepEqual(await validateSession(pgp, db, rows[1].sess_id), rows[1])
  })

  test('is not DEFAULT: null is stored, undefined and what is not given take the DEFAULT', async t => {
    const place = await database.emptySchema(t)
    const { pgp, db } = place.pgPromise()
    await place.closing(
      init(pgp, db, { theme: "TEXT DEFAULT 'light'", number: 'SERIAL', at: 'TIMESTAMPTZ DEFAULT now()' })
    )

    const outside = values => createSession(pgp, db, values)
    const inTransaction = values => db.tx(tx => createSession(pgp, tx, values))
    for (const create of [outside, inTransaction]) {
      const [left, undef, isNull] = [
        await create({}),
        await create({ theme: undefined }),
        await create({ theme: null })
      ]

      assert.deepEqual([left.theme, undef.theme, isNull.theme], ['light', 'light', null])
      assert.equal(undef.number, left.number + 1)
      assert.ok(left.at instanceof Date)
    }
  })

  test('in an object or array for JSON is JSON’s own', async t => {
    const { pgp, db, place } = await startWith(t, 'JSONB')

    await createSession(pgp, db, { field: { a: null } })

    assert.deepEqual(await place.query('SELECT field::text FROM sess'), [{ field: '{"a": null}' }])
  })
})

describe('an array or object for JSON', () => {
  for (const type of ['JSON', 'JSONB']) {
    test(`is stored as JSON in a ${type} field, where pg makes an array literal of an array`, async t => {
      const { pgp, db, place } = await startWith(t, type)

      for (const value of [[], [1, 2, 3], [{ a: 1 }], [[1], [2]], [null, 'x'], { a: [] }, Object.create(null)]) {
        const row = await createSession(pgp, db, { field: value })
        const inTransaction = await db.tx(tx => createSession(pgp, tx, { field: value }))

        assert.deepEqual([row.field, inTransaction.field], [copy(value), copy(value)])
        const texts = await place.query('SELECT DISTINCT field::jsonb AS value FROM sess')
        assert.deepEqual(texts, [{ value: copy(value) }])
        await place.query('TRUNCATE sess')
      }
    })

    test(`that cannot be written as JSON rejects its own call only, in a ${type} field`, async t => {
      const { pgp, db } = await startWith(t, type)
      const circular = {}
      circular.self = circular

      const [bad, worse, good] = await Promise.allSettled(
        [circular, { big: 1n }, { a: 1 }].map(field => createSession(pgp, db, { field }))
      )

      assert.ok(bad.reason instanceof TypeError)
      assert.ok(worse.reason instanceof TypeError)
      assert.deepEqual(good.value.field, { a: 1 })
    })
  }
})

describe('type parsers', () => {
  test('that the user sets count from that moment on, and so does their end', async t => {
    const { pgp, db } = await startWith(t, 'BIGINT')
    const { sess_id } = await createSession(pgp, db, { field: 5 })
    const { types } = pgp.pg
    const original = types.getTypeParser(types.builtins.INT8)
    t.after(() => types.setTypeParser(types.builtins.INT8, original))

    const before = await validateSession(pgp, db, sess_id)
    types.setTypeParser(types.builtins.INT8, BigInt)
    const during = await validateSession(pgp, db, sess_id)
    const created = await createSession(pgp, db, { field: 6 })
    const inTransaction = await db.tx(tx => validateSession(pgp, tx, sess_id))
    types.setTypeParser(types.builtins.INT8, original)
    const after = await validateSession(pgp, db, sess_id)

    assert.deepEqual(
      [before, during, created, inTransaction, after].map(row => row.field),
      ['5', 5n, 6n, 5n, '5']
    )
  })

  test('of the connection go first', async t => {
    const place = await database.emptySchema(t)
    const getTypeParser = (oid, format) => (oid === 23 ? text => `number ${text}` : pg.types.getTypeParser(oid, format))
    const { pgp, db } = place.pgPromise({ connection: { ...place.config(), types: { getTypeParser } } })
    await place.closing(init(pgp, db, { field: 'INT' }))

    const row = await createSession(pgp, db, { field: 5 })

    assert.equal(row.field, 'number 5')
    assert.deepEqual(await db.one('SELECT field FROM sess'), { field: 'number 5' })
  })

  test('see the text of each type as pg shows it to them', async t => {
    const place = await database.emptySchema(t)
    await place.query(OWN_TYPES)
    const types = { getTypeParser: () => text => text }
    const { pgp, db } = place.pgPromise({ connection: { ...place.config(), types } })
    const fields = CASES.map(([datatype], at) => ({ field: `field_${at}`, datatype }))
    await place.closing(init(pgp, db, fields))
    const values = CASES.map(([, [value]], at) => ({ field: `field_${at}`, value }))

    const {
      sess_id,
      sess_creation_date: _,
      sess_last_updated,
      sess_expiration,
      ...row
    } = await createSession(pgp, db, values)

    const names = fields.map(({ field }) => field).join()
    assert.deepEqual(row, await db.one(`SELECT ${names} FROM sess WHERE sess_id = $1`, sess_id))
  })

  test('that throw reject their own call only', async t => {
    const place = await database.emptySchema(t)
    const types = {
      getTypeParser(oid, format) {
        const parse = pg.types.getTypeParser(oid, format)
        return text => {
          if (oid === 25 && text === 'bad') throw new RangeError('cannot read this')
          return parse(text)
        }
      }
    }
    const sessions = await place.sessions({ fields: { field: 'TEXT' } }, { ...place.config(), types })

    const outcomes = await Promise.allSettled(['good', 'bad', 'fine'].map(field => sessions.create({ field })))

    assert.deepEqual(
      outcomes.map(({ value, reason }) => value?.field ?? reason.message),
      ['good', 'cannot read this', 'fine']
    )
  })
})

describe('a field’s name', () => {
  for (const field of [
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    'select',
    'user',
    'order',
    'userId',
    'Größe',
    'user name',
    ' ',
    '2FA',
    '0',
    'a"b',
    "it's",
    'a\\b',
    'tab\there',
    '🍪',
    'é'.repeat(31),
    'x'.repeat(63)
  ]) {
    test(`may be ${JSON.stringify(field)}`, async t => {
      const place = await database.emptySchema(t)
      const sessions = await place.sessions({ fields: [{ field, datatype: 'INT' }] })

      const created = await sessions.create([{ field, value: 5 }])
      const validated = await sessions.validate(created.sess_id)

      for (const row of [created, validated]) {
        assert.deepEqual(Object.getOwnPropertyDescriptor(row, field)?.value, 5)
        assert.equal(Object.getPrototypeOf(row), Object.prototype)
        assert.equal(Object.keys(row).length, 5)
      }
    })
  }

  test('may be in any case in init if it is plain, and keeps its case otherwise', async t => {
    const place = await database.emptySchema(t)
    const { pgp, db } = place.pgPromise()
    await place.closing(init(pgp, db, { userId: 'INT', Größe: 'INT', 'Two Words': 'INT', '2FA': 'INT' }))

    const row = await createSession(pgp, db, { userId: 1, Größe: 2, 'Two Words': 3, '2FA': 4 })

    assert.deepEqual(Object.keys(row).slice(4), ['userid', 'Größe', 'Two Words', '2FA'])
    assert.deepEqual(Object.values(row).slice(4), [1, 2, 3, 4])
  })

  test('keeps its case in connect', async t => {
    const place = await database.emptySchema(t)
    const sessions = await place.sessions({ fields: { userId: 'INT', userid: 'INT' } })

    const row = await sessions.create({ userId: 1, userid: 2 })

    assert.deepEqual([row.userId, row.userid], [1, 2])
    await assert.rejects(sessions.create({ USERID: 3 }), { message: /unknown field "USERID"/ })
  })
})

/** A place with a field of the type, in the table of sessions and in one of pg-promise's own. */
async function startWith(t, type) {
  const place = await database.emptySchema(t)
  await place.query(OWN_TYPES)
  const { pgp, db } = place.pgPromise()
  await place.closing(init(pgp, db, [{ field: 'field', datatype: type }]))
  await place.query(`CREATE TABLE own (field ${type})`)
  return { place, pgp, db }
}

function copy(value) {
  return JSON.parse(JSON.stringify(value))
}

function show(value) {
  return require('node:util').inspect(value).slice(0, 80)
}
