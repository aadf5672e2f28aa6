'use strict'

// An address that leads to the place's database once it is open. Before that, connections to it are refused.

const { once } = require('node:events')
const net = require('node:net')
const { Client } = require('pg')
const { freePort } = require('../../scripts/free-port.js')

const HOST = '127.0.0.1'

/**
 * @param {import('./place.js').Place} place
 * @returns {Promise<{ url: string, port: number, open(): Promise<void>, cut(): void }>} `cut` ends what is open there
 */
async function startGate(place) {
  const port = await freePort(HOST)
  const url = new URL(place.url)
  url.hostname = HOST
  url.port = String(port)
  /** @type {Set<net.Socket>} */
  const sockets = new Set()
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  return { url: url.href, port, open: () => open(place, port, sockets), cut }
}

/**
 * @param {import('./place.js').Place} place
 * @param {number} port
 * @param {Set<net.Socket>} sockets
 */
async function open(place, port, sockets) {
  const { host, port: realPort } = new Client({ connectionString: place.url })
  const target = host.startsWith('/') ? { path: `${host}/.s.PGSQL.${realPort}` } : { host, port: realPort }
  const server = net.createServer(near => {
    const far = net.connect(target)
    for (const [socket, other] of [
      [near, far],
      [far, near]
    ]) {
      sockets.add(socket.on('close', () => sockets.delete(socket)))
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
