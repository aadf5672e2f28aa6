'use strict'

// An address that leads to the place's database once it is open. Before that, connections to it are refused.

const { once } = require('node:events')
const net = require('node:net')
const { Client } = require('pg')
const { freePort } = require('../../scripts/free-port.js')

const HOST = '127.0.0.1'

/**
 * @param {import('./place.js').Place} place
 * @returns {Promise<{ url: string, port: number, open(): Promise<void> }>}
 */
async function startGate(place) {
  const port = await freePort(HOST)
  const url = new URL(place.url)
  url.hostname = HOST
  url.port = String(port)
  return { url: url.href, port, open: () => open(place, port) }
}

/**
 * @param {import('./place.js').Place} place
 * @param {number} port
 */
async function open(place, port) {
  const { host, port: realPort } = new Client({ connectionString: place.url })
  const target = host.startsWith('/') ? { path: `${host}/.s.PGSQL.${realPort}` } : { host, port: realPort }
  const sockets = new Set()
  const server = net.createServer(near => {
    const far = net.connect(target)
    for (const [socket, other] of [
      [near, far],
      [far, near]
    ]) {
      sockets.add(socket)
      socket.pipe(other)
      socket.on('error', () => other.destroy())
    }
  })
  server.listen(port, HOST)
  await once(server, 'listening')
  place.defer(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
}

module.exports = { startGate }
