'use strict'

// A small cluster under Patroni: etcd knows who leads, each Patroni minds one PostgreSQL, HAProxy leads to the primary.

const fs = require('node:fs')
const path = require('node:path')
const { ask, binaries } = require('./postgres.js')

/**
 * @typedef {InstanceType<typeof import('./stage.js').Stage>} Stage
 * @typedef {import('./stage.js').Program} Program
 * @typedef {{ name: string, host: string, port: number, rest: number, url: string, data: string, patroni: Program }} Node
 */

const SCOPE = 'sessions'

/**
 * One etcd. In production: three or five, on machines of their own.
 *
 * @param {Stage} stage
 * @returns {Promise<string>} its address
 */
async function newEtcd(stage) {
  const [client, peer] = [`${stage.host}:${await stage.port()}`, `http://${stage.host}:${await stage.port()}`]
  const urls = `http://${client}`
  const program = stage.start('etcd', 'etcd', [
    ...['--data-dir', stage.path('etcd'), '--listen-client-urls', urls, '--advertise-client-urls', urls],
    ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', `default=${peer}`]
  ])
  await stage.until('etcd is healthy', async () => (await fetch(`${urls}/health`)).ok, [program])
  return client
}

/**
 * A PostgreSQL, and the Patroni that makes it: the first one from nothing, others from the leader's.
 *
 * @param {Stage} stage
 * @param {string} name
 * @param {string} etcd
 * @returns {Promise<Node>}
 */
async function newNode(stage, name, etcd) {
  const [port, rest, data] = [await stage.port(), await stage.port(), stage.path(name)]
  // YAML takes JSON.
  const config = stage.write(
    `${name}.yml`,
    JSON.stringify(patroniConfig(stage, name, { etcd, port, rest, data }), null, 2)
  )
  const patroni = stage.start(`patroni-${name}`, 'patroni', [config])
  const url = `postgres://postgres@${stage.host}:${port}/postgres`
  await stage.until(`${name} runs`, async () => Boolean(await ask(url, 'SELECT 1')), [patroni])
  return { name, host: stage.host, port, rest, url, data, patroni }
}

/**
 * @param {Stage} stage
 * @param {string} name
 * @param {{ etcd: string, port: number, rest: number, data: string }} places
 */
function patroniConfig({ host, folder }, name, { etcd, port, rest, data }) {
  return {
    scope: SCOPE,
    name,
    restapi: { listen: `${host}:${rest}`, connect_address: `${host}:${rest}` },
    etcd3: { host: etcd },
    bootstrap: {
      dcs: {
        // How soon a dead leader is replaced: its key in etcd must run out first. The defaults are 30, 10, 10.
        ttl: 10,
        loop_wait: 2,
        retry_timeout: 3,
        // A standby that lags behind may not be promoted, and a commit waits for the standby.
        synchronous_mode: true,
        postgresql: { parameters: { max_connections: 50 } }
      },
      initdb: [{ encoding: 'UTF8' }, 'no-sync'],
      // For an example on loopback. In production: scram-sha-256, and passwords below.
      pg_hba: [`host all all ${host}/32 trust`, `host replication replicator ${host}/32 trust`]
    },
    postgresql: {
      listen: `${host}:${port}`,
      connect_address: `${host}:${port}`,
      data_dir: data,
      bin_dir: binaries('pg_basebackup', 'pg_rewind'),
      pgpass: path.join(folder, `${name}.pgpass`),
      authentication: { superuser: { username: 'postgres' }, replication: { username: 'replicator' } },
      parameters: { unix_socket_directories: folder }
    }
  }
}

/**
 * One address for the primary, whichever it is: HAProxy asks each Patroni.
 *
 * @param {Stage} stage
 * @param {Node[]} nodes
 * @returns {Promise<string>} the URL of the database
 */
async function newHaproxy(stage, nodes) {
  const port = await stage.port()
  const servers = nodes.map(({ name, host, port, rest }) => `  server ${name} ${host}:${port} check port ${rest}`)
  const config = stage.write(
    'haproxy.cfg',
    `defaults
  mode tcp
  timeout connect 2s
  timeout check 1s
  timeout client 1h
  timeout server 1h

listen primary
  bind ${stage.host}:${port}
  option httpchk GET /primary
  http-check expect status 200
  default-server inter 500ms fall 2 rise 1 on-marked-down shutdown-sessions
${servers.join('\n')}
`
  )
  const program = stage.start('haproxy', 'haproxy', ['-db', '-f', config])
  const url = `postgres://postgres@${stage.host}:${port}/postgres`
  await stage.until('HAProxy leads to the primary', async () => Boolean(await ask(url, 'SELECT 1')), [program])
  return url
}

/**
 * As if its machine had lost power.
 *
 * @param {Node} node
 */
async function crash({ data, patroni }) {
  const postmaster = Number.parseInt(fs.readFileSync(path.join(data, 'postmaster.pid'), 'utf8'), 10)
  await patroni.kill('SIGKILL')
  process.kill(postmaster, 'SIGQUIT')
}

module.exports = { crash, newEtcd, newHaproxy, newNode }
