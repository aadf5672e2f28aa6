'use strict'

// Puts every golden case of one time zone through this package and prints, as JSON, how many were equal in each group
// and which were not. Run as a child process, because a process has one time zone: `TZ=… node run.js <database URL> <major version>`.
//
// Each case is stored twice: alone, and in one burst with all others of its type, since the two take different forms
// of the statement.

const { randomUUID } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const pg = require('pg')
const pgPromise = require('pg-promise')
const { connect } = require('../../index.js')
const { storedIds } = require('../support/ids.js')
const { decode, encode, same } = require('./tag.js')

/** Groups that are not about one value of one type; each has its own way below. */
const QUERY_GROUPS = new Set(['row', 'override'])
/** Overrides that were given as code which the files do not hold; `__test__/transactions.test.js` has their like. */
const NOT_RECORDED = new Set(['client-setTypeParser-on-connect', 'receive-event-mutates'])
const RECORD = 2249
const SEARCH_PATH = '-c search_path=golden,public'

/** How the files call a version of PostgreSQL that gave other results than the one they were made with. */
const OTHER_VERSIONS = { 12: 'PostgreSQL 12.22', 18: 'PostgreSQL 18.4' }

const [, , url, serverVersion] = process.argv
const report = {}
let tables = 0

main().then(() => console.log(JSON.stringify(report)))

async function main() {
  const files = fs.readdirSync(__dirname).filter(name => name.endsWith('.json'))
  for (const { group, cases } of files.map(read)) {
    report[group] = { equal: 0, deliberate: 0, different: [] }
    const ofThisZone = cases.filter(({ TZ, also }) => TZ === process.env.TZ && also?.[version()] !== 'not run')
    if (QUERY_GROUPS.has(group)) await runQueries(group, ofThisZone)
    else await runValues(group, ofThisZone)
  }
}

function version() {
  return OTHER_VERSIONS[serverVersion]
}

function read(name) {
  return JSON.parse(fs.readFileSync(path.join(__dirname, name), 'utf8'))
}

function count(group, id, expected, actual) {
  if (same(expected, actual)) report[group].equal++
  else report[group].different.push({ id, expected, actual })
}

async function runValues(group, cases) {
  for (const ofKind of groupBy(cases, kindOf).values()) await runKind(group, ofKind)
}

function kindOf({ pg_type_sql, server_timezone }) {
  return `${server_timezone} ${pg_type_sql}`
}

function groupBy(items, key) {
  const groups = new Map()
  for (const item of items) groups.set(key(item), [...(groups.get(key(item)) ?? []), item])
  return groups
}

async function runKind(group, cases) {
  const usable = cases.filter(({ input_js, parameterized }) => parameterized && input_js?.$t !== 'not-encodable')
  if (usable.length === 0) return
  const [{ pg_type_sql, server_timezone }] = usable
  const tableName = `golden_${process.env.TZ}_${tables++}`
  const connection = { connectionString: url, options: `-c TimeZone=${server_timezone} ${SEARCH_PATH}` }
  const reader = new pg.Client(connection)
  await reader.connect()
  const sessions = await connect(connection, { fields: { c: pg_type_sql }, tableName, maxConnections: 2 })
  const storedOf = inTurn(async sess_id => {
    const { rows } = await reader.query(storedText(tableName), [storedIds(sess_id)])
    return rows[0].text
  })
  const outcome = async golden => {
    try {
      const row = await sessions.create({ c: decode(golden.input_js) ?? null })
      return { stored_text: encode(await storedOf(row.sess_id)), output_js: encode(row.c) }
    } catch (error) {
      return { error: error.code ?? error.name }
    }
  }
  const burst = await Promise.all(usable.map(outcome))
  for (const [at, golden] of usable.entries()) {
    const alone = await outcome(golden)
    const expected = expectedOf(golden)
    if (isDeliberate(golden) && !same(expected, alone)) {
      report[group].deliberate++
      continue
    }
    count(group, golden.id, expected, alone)
    count(group, `${golden.id} (burst)`, expected, burst[at])
  }
  await sessions.close()
  await reader.end()
}

/** The function, one call after the other. */
function inTurn(call) {
  let last = Promise.resolve()
  return argument => {
    last = last.then(() => call(argument))
    return last
  }
}

function storedText(tableName) {
  const name = pg.escapeIdentifier(tableName)
  return `SELECT CASE num_nulls(c) WHEN 0 THEN format('%s', c) END AS text FROM ${name} WHERE sess_id = ANY($1::uuid[])`
}

/** What pg stored and read, with what another version of PostgreSQL did where that differs. */
function expectedOf(golden) {
  const other = golden.also?.[version()]
  const { stored_text, output_js, insert_error, read_error } = other?.parameterized ?? golden.parameterized
  const error = insert_error ?? read_error
  if (error) return { error: error.code ?? error.name }
  return { stored_text, output_js }
}

/** A JavaScript array or object for a json or jsonb field is stored as JSON here. */
function isDeliberate({ base_typname, typname, input_js }) {
  return ['json', 'jsonb'].includes(base_typname ?? typname) && (Array.isArray(input_js) || input_js?.$t === 'object')
}

async function runQueries(group, cases) {
  const admin = new pg.Client({ connectionString: url, options: SEARCH_PATH })
  await admin.connect()
  for (const golden of cases) {
    if (NOT_RECORDED.has(golden.override)) continue
    await runQuery(group, golden, admin)
  }
  await admin.end()
}

/** Makes a table of sessions whose fields are the query's columns, holding the query's row, and validates it. */
async function runQuery(group, golden, admin) {
  const names = group === 'row' ? golden.fields.map(({ name }) => name) : ['c']
  // A table cannot have two columns of one name, nor one of type record.
  if (new Set(names).size < names.length || golden.fields?.some(({ oid }) => oid === RECORD)) return
  const tableName = `golden_${process.env.TZ}_${tables++}`
  const id = randomUUID()
  const quoted = pg.escapeIdentifier(tableName)
  await admin.query(`CREATE TABLE ${quoted} AS SELECT '${id}'::uuid AS sess_id, now()::timestamp AS sess_creation_date,
    now()::timestamp AS sess_last_updated, now()::timestamp + interval '1 day' AS sess_expiration, q.* FROM (${golden.sql}) q`)
  await admin.query(`ALTER TABLE ${quoted} ADD PRIMARY KEY (sess_id)`)
  const fields = await fieldsOf(admin, tableName)
  const actual = await validateWith(golden, tableName, fields, id)
  const expected = golden.read_error ? { error: golden.read_error.name } : golden.output_js
  count(group, golden.id, expected, actual)
}

async function fieldsOf(admin, tableName) {
  const { rows } = await admin.query(
    `SELECT attname AS field, format_type(atttypid, atttypmod) AS datatype FROM pg_attribute
     WHERE attrelid = to_regclass($1) AND attnum > 4 ORDER BY attnum`,
    [pg.escapeIdentifier(tableName)]
  )
  return rows
}

/** The row's fields under the override, tagged. */
async function validateWith(golden, tableName, fields, id) {
  const pgp = pgPromise({ noWarnings: true })
  const change = golden.override_code ? new Function(`return (${golden.override_code})`)() : () => {}
  const undo = keepParsers(pgp)
  const more = change(pgp) ?? {}
  const db = pgp({ connectionString: url, options: SEARCH_PATH, ...more })
  const sessions = await connect(db, { fields, tableName, createTable: false, maxConnections: 1 })
  try {
    const { sess_id, sess_creation_date, sess_last_updated, sess_expiration, ...own } =
      (await sessions.validate(id)) ?? {}
    if (sess_id === undefined) return null
    return encode(golden.group === 'override' ? own.c : own)
  } catch (error) {
    return { error: error.name }
  } finally {
    undo()
    await sessions.close()
    await db.$pool.end()
  }
}

function keepParsers(pgp) {
  const { types, defaults } = pgp.pg
  const known = [...Object.values(types.builtins), 1016].map(oid => [oid, types.getTypeParser(oid)])
  return () => {
    for (const [oid, parser] of known) types.setTypeParser(oid, parser)
    defaults.parseInt8 = false
  }
}
