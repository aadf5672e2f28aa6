'use strict'

const { once } = require('node:events')
const net = require('node:net')

/**
 * A port that nobody listens on. Somebody else may take it before you do: be ready to ask again.
 *
 * @param {string} host the address to listen on
 * @returns {Promise<number>}
 */
async function freePort(host) {
  const probe = net.createServer().listen(0, host)
  await once(probe, 'listening')
  const { port } = /** @type {net.AddressInfo} */ (probe.address())
  probe.close()
  await once(probe, 'close')
  return port
}

module.exports = { freePort }
