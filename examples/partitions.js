'use strict'

// One table over two servers: hash-partitioned by session id, half of the partitions behind postgres_fdw.
// `npm run example -- partitions`

const { connect } = require('pg-sess-rs')
const { ask, newServer } = require('./support/postgres.js')
const { onStage } = require('./support/stage.js')

const SESSIONS = 1000
const COLUMNS = `
  sess_id uuid NOT NULL, sess_creation_date timestamp NOT NULL, sess_last_updated timestamp NOT NULL,
  sess_expiration timestamp NOT NULL, user_id int, note text`

onStage(async stage => {
  const here = await newServer(stage, 'here')
  const there = await newServer(stage, 'there')
  await makeTable(here, there)

  const sessions = await connect(here.url, { fields: { user_id: 'INT', note: 'TEXT' }, pruneInterval: false })
  const users = Array.from({ length: SESSIONS }, (_, at) => at % 100)
  const rows = await Promise.all(users.map(user_id => sessions.create({ user_id })))
  const ids = rows.map(row => row.sess_id)
  const [{ count }] = await ask(
    there.url,
    'SELECT (SELECT count(*) FROM sess_2) + (SELECT count(*) FROM sess_3) AS count'
  )
  console.log(`create: ${rows.length} sessions, ${count} of them on the second server`)

  await each('validate', ids, async sid => (await sessions.validate(sid)) !== null)
  await each('extend', ids, sid => sessions.extend(sid))
  await each('update', ids, async sid => (await sessions.update(sid, { note: 'seen' }))?.note === 'seen')
  expect('list', (await sessions.list({ user_id: 7 })).length, 10)
  expect('destroyAll', await sessions.destroyAll({ user_id: 7 }), 10)
  const ended = rows.filter(row => row.user_id === 8).map(row => row.sess_id)
  await each('destroy', ended, sid => sessions.destroy(sid))

  await each('refresh', ids.slice(-100), async sid => (await sessions.refresh(sid)) !== null, 'partly')
  await sessions.destroyAll({}, { all: true })
  await removeExpired(here, there)
  await sessions.close()
  console.log('Everything went as it should.')
})

/**
 * @param {import('./support/postgres.js').Server} here
 * @param {import('./support/postgres.js').Server} there
 */
async function makeTable(here, there) {
  // Each partition has a key of its own, which is enough: an id belongs to one partition. A key of the whole table is
  // what PostgreSQL refuses as soon as one of its partitions is on another server.
  await ask(there.url, `CREATE TABLE sess_2 (${COLUMNS}, PRIMARY KEY (sess_id))`)
  await ask(there.url, `CREATE TABLE sess_3 (${COLUMNS}, PRIMARY KEY (sess_id))`)
  const address = new URL(there.url)
  await ask(
    here.url,
    `CREATE EXTENSION postgres_fdw;
     CREATE SERVER there FOREIGN DATA WRAPPER postgres_fdw
       OPTIONS (host '${address.hostname}', port '${address.port}', dbname 'postgres', async_capable 'true', batch_size '100');
     CREATE USER MAPPING FOR CURRENT_USER SERVER there OPTIONS (user 'postgres');
     CREATE TABLE sess (${COLUMNS}) PARTITION BY HASH (sess_id);
     CREATE TABLE sess_0 PARTITION OF sess (PRIMARY KEY (sess_id)) FOR VALUES WITH (MODULUS 4, REMAINDER 0);
     CREATE TABLE sess_1 PARTITION OF sess (PRIMARY KEY (sess_id)) FOR VALUES WITH (MODULUS 4, REMAINDER 1);
     CREATE FOREIGN TABLE sess_2 PARTITION OF sess FOR VALUES WITH (MODULUS 4, REMAINDER 2) SERVER there;
     CREATE FOREIGN TABLE sess_3 PARTITION OF sess FOR VALUES WITH (MODULUS 4, REMAINDER 3) SERVER there`
  )
}

/**
 * Expired rows are removed on the server where they are, by a job of its own: see `npx pg-sess-rs prune`.
 *
 * @param {import('./support/postgres.js').Server} here
 * @param {import('./support/postgres.js').Server} there
 */
async function removeExpired(here, there) {
  const sessions = await connect(here.url, { fields: { user_id: 'INT' }, sessionLength: 1, pruneInterval: false })
  await Promise.all(Array.from({ length: 200 }, () => sessions.create({ user_id: 1 })))
  await sessions.close()
  for (const [url, tableName] of [
    [here.url, 'sess_0'],
    [here.url, 'sess_1'],
    [there.url, 'sess_2'],
    [there.url, 'sess_3']
  ]) {
    const part = await connect(url, { fields: { user_id: 'INT' }, tableName, createTable: false, pruneInterval: false })
    await part.prune()
    await part.close()
  }
  expect('prune, of each partition where it is: rows left', (await ask(here.url, 'SELECT FROM sess')).length, 0)
}

/**
 * @param {string} operation
 * @param {string[]} ids
 * @param {(sid: string) => Promise<boolean>} call
 * @param {'always' | 'partly'} [works]
 */
async function each(operation, ids, call, works = 'always') {
  const outcomes = await Promise.allSettled(ids.map(call))
  const done = outcomes.filter(outcome => outcome.status === 'fulfilled' && outcome.value).length
  const why = outcomes.map(outcome => outcome.status === 'rejected' && outcome.reason.message).find(Boolean)
  console.log(`${operation}: ${done} of ${ids.length}${why ? ` (${why})` : ''}`)
  if (works === 'always' && done < ids.length) throw new Error(`${operation} failed`)
}

/**
 * @param {string} what
 * @param {number} came
 * @param {number} expected
 */
function expect(what, came, expected) {
  console.log(`${what}: ${came}`)
  if (came !== expected) throw new Error(`${what}: expected ${expected}, got ${came}`)
}
