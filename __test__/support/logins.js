'use strict'

// A PostgreSQL where every role logs in in its own way, named after it, and tells on request what a connection reached.

const fs = require('node:fs')
const path = require('node:path')
const { after, before } = require('node:test')
const { Client, Pool } = require('pg')
const { startPostgres } = require('../../scripts/postgres.js')
const { eventually } = require('./eventually.js')

const PASSWORD = 'correct horse battery staple'
const ODD_PASSWORD = `p@s/s#w:ö%d ?&='"\\`
const DATABASES = ['sp ace', 'd%2Fb', 'Größe', 'trusted', 'scram']

/** First match wins; https://www.postgresql.org/docs/current/auth-pg-hba-conf.html */
const LOGINS = `
local   all  scram,odd           scram-sha-256
local   all  md5                 md5
local   all  all                 trust
host    all  scram,odd,without   all  scram-sha-256
host    all  md5                 all  md5
host    all  plain               all  password
hostssl all  cert                all  cert
hostssl all  encrypted           all  trust
host    all  refused,encrypted   all  reject
host    all  all                 all  trust
`

/** What a connection of ours shows from inside: the row of a new session holds it. */
const FACTS = `
CREATE FUNCTION public.facts() RETURNS jsonb LANGUAGE sql AS $$
  SELECT jsonb_build_object(
    'user', session_user, 'role', current_user, 'database', current_database(),
    'address', inet_server_addr(), 'port', inet_server_port(),
    'application_name', current_setting('application_name'), 'search_path', current_setting('search_path'),
    'statement_timeout', current_setting('statement_timeout'), 'lock_timeout', current_setting('lock_timeout'),
    'idle_in_transaction_session_timeout', current_setting('idle_in_transaction_session_timeout'),
    'work_mem', current_setting('work_mem'), 'client_encoding', current_setting('client_encoding'),
    'time_zone', current_setting('TimeZone'), 'date_style', current_setting('DateStyle'),
    'tls', version, 'certificate', client_dn)
  FROM pg_stat_ssl WHERE pid = pg_backend_pid()
$$;
CREATE TABLE public.reached (
  sess_id uuid PRIMARY KEY, sess_creation_date timestamp NOT NULL, sess_last_updated timestamp NOT NULL,
  sess_expiration timestamp NOT NULL, facts jsonb DEFAULT public.facts());
GRANT ALL ON public.reached TO PUBLIC;
`

/**
 * The server of a test file; removed after its last test.
 *
 * @param {import('../../scripts/postgres.js').Options} [options]
 * @param {() => Promise<void>} [prepareMore]
 */
function useLogins(options, prepareMore) {
  /** @type {any} */
  const server = { PASSWORD, ODD_PASSWORD }

  before(async () => {
    const started = await startPostgres(options)
    const address = { host: started.host, port: started.port, user: 'postgres', database: 'postgres' }
    const admin = new Pool({ ...address, max: 1, idleTimeoutMillis: 0 })
    // A test may stop the server.
    admin.on('error', () => {})
    Object.assign(server, {
      port: started.port,
      socketDir: started.socketDir,
      dataDir: started.dataDir,
      version: started.version,
      stop: () => started.stop(),
      start: () => started.start(),
      query: async (/** @type {string} */ text, /** @type {unknown[]} */ values) =>
        (await admin.query(text, values)).rows,
      config: (/** @type {object} */ more) => ({
        host: started.host,
        port: started.port,
        user: 'trusted',
        database: 'app',
        ...more
      }),
      endConnections: (/** @type {string} */ applicationName) => endConnections(server, applicationName),
      file: (/** @type {string} */ name) => path.join(started.dataDir, name),
      write: (/** @type {string} */ name, /** @type {string} */ text) => write(started, name, text),
      reload: () => reload(admin),
      remove: async () => {
        await admin.end()
        await started.remove()
      }
    })
    await prepare(server)
    await prepareMore?.()
  })
  after(() => server.remove())

  return server
}

/** @param {any} server */
async function prepare(server) {
  await server.query('CREATE ROLE trusted LOGIN SUPERUSER')
  for (const role of ['cert', 'encrypted', 'refused', 'without', 'sp ace']) {
    await server.query(`CREATE ROLE "${role}" LOGIN`)
  }
  for (const role of ['scram', 'plain', 'md5']) {
    await server.query(`SET password_encryption = '${role === 'md5' ? 'md5' : 'scram-sha-256'}'`)
    await server.query(`CREATE ROLE ${role} LOGIN PASSWORD '${PASSWORD}'`)
  }
  await server.query(`SET password_encryption = 'scram-sha-256'`)
  await server.query(`CREATE ROLE odd LOGIN PASSWORD '${ODD_PASSWORD.replaceAll("'", "''")}'`)
  await server.query('CREATE DATABASE app')
  await onDatabase(server, 'app', FACTS)
  for (const database of DATABASES) await server.query(`CREATE DATABASE "${database}" TEMPLATE app`)
  server.write('pg_hba.conf', LOGINS)
  await server.reload()
}

/**
 * @param {any} server
 * @param {string} database
 * @param {string} sql
 */
async function onDatabase({ port }, database, sql) {
  const client = new Client({ host: '127.0.0.1', port, user: 'postgres', database })
  await client.connect()
  await client.query(sql)
  await client.end()
}

/**
 * @param {any} server
 * @param {string} applicationName
 */
async function endConnections({ query }, applicationName) {
  const open = (/** @type {string} */ what) =>
    query(`SELECT ${what} FROM pg_stat_activity WHERE application_name = $1`, [applicationName])
  await open('pg_terminate_backend(pid)')
  await eventually(
    () => open('pid'),
    (/** @type {any[]} */ rows) => rows.length === 0
  )
}

/**
 * A file of the server, which it may read and nobody else.
 *
 * @param {{ dataDir: string }} started
 * @param {string} name
 * @param {string} text
 */
function write({ dataDir }, name, text) {
  const file = path.join(dataDir, name)
  const { uid, gid } = fs.statSync(dataDir)
  fs.writeFileSync(file, text, { mode: 0o600 })
  if (process.platform !== 'win32') fs.chownSync(file, uid, gid)
  return file
}

/**
 * Returns when new connections meet the files as they are now: the server's first process reads them before it starts
 * another, and a running one tells when it has heard of it.
 *
 * @param {Pool} admin
 */
async function reload(admin) {
  const loaded = async () => (await admin.query('SELECT pg_conf_load_time() AS at')).rows[0].at.getTime()
  const earlier = await loaded()
  await admin.query('SELECT pg_reload_conf()')
  await eventually(loaded, time => time !== earlier)
}

module.exports = { useLogins }
