'use strict'

const { ask } = require('./postgres.js')

/**
 * @typedef {InstanceType<typeof import('./stage.js').Stage>} Stage
 * @typedef {import('./postgres.js').Server} Server
 */

/**
 * A PgBouncer before a server.
 *
 * @param {Stage} stage
 * @param {Server} server
 * @param {'transaction' | 'session'} mode when a server's connection is passed on to the next client
 * @param {{ [setting: string]: string | number }} [settings]
 * @returns {Promise<{ url: string, admin: string, program: import('./stage.js').Program }>} the database through it, and
 *   its own console
 */
async function newPgBouncer(stage, server, mode, settings = {}) {
  const port = await stage.port()
  const all = {
    listen_addr: stage.host,
    listen_port: port,
    unix_socket_dir: '',
    // For an example on loopback. In production: auth_type = scram-sha-256, and an auth_file.
    auth_type: 'trust',
    auth_file: stage.write(`${mode}-users.txt`, '"postgres" ""\n'),
    admin_users: 'postgres',
    pool_mode: mode,
    default_pool_size: 5,
    server_reset_query: 'DISCARD ALL',
    ...settings
  }
  const lines = Object.entries(all).map(([setting, value]) => `${setting} = ${value}`)
  const config = stage.write(
    `pgbouncer-${mode}.ini`,
    `[databases]\napp = host=${stage.host} port=${server.port} dbname=postgres\n\n[pgbouncer]\n${lines.join('\n')}\n`
  )
  const program = stage.start(`pgbouncer-${mode}`, 'pgbouncer', [config])
  const url = `postgres://postgres@${stage.host}:${port}/app`
  await stage.until(`PgBouncer accepts connections`, async () => Boolean(await ask(url, 'SELECT 1')), [program])
  return { url, admin: `postgres://postgres@${stage.host}:${port}/pgbouncer`, program }
}

module.exports = { newPgBouncer }
