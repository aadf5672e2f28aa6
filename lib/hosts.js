'use strict'

// The option `hosts`: more servers than the connection names.

const { describe } = require('./errors.js')

/** @typedef {{ name: string, port: number }} Host */

/** A name, an IPv4 address, or an IPv6 address in brackets; with a port or without. */
const HOST = /^(?:\[(?<address>[\da-f:.%\w]+)\]|(?<name>[^\s:/@[\]]+))(?::(?<port>\d{1,5}))?$/i
const PORTS = 65536

/**
 * Throws unless it is a list of hosts.
 *
 * @param {string} name of the option
 * @param {unknown} value
 */
function checkHosts(name, value) {
  const expected = "a list of servers such as 'db2.example.com:5432'"
  if (!Array.isArray(value)) throw new TypeError(`${name}: expected ${expected}, got ${describe(value)}`)
  for (const [at, host] of value.entries()) {
    const place = `${name}[${at}]`
    const message = () => `${place}: expected a server such as 'db2.example.com:5432', got ${describe(host)}`
    if (typeof host !== 'string') throw new TypeError(message())
    if (parse(host) === undefined) throw new RangeError(message())
  }
}

/**
 * @param {string[]} hosts
 * @param {number} defaultPort
 * @returns {Host[]}
 */
function readHosts(hosts, defaultPort) {
  return hosts.flatMap(host => parse(host, defaultPort) ?? [])
}

/**
 * @param {string} host
 * @param {number} [defaultPort]
 * @returns {Host | undefined}
 */
function parse(host, defaultPort = 0) {
  const { address, name, port } = HOST.exec(host)?.groups ?? {}
  const number = port === undefined ? defaultPort : Number(port)
  return (address || name) && number < PORTS ? { name: address ?? name, port: number } : undefined
}

exports.checkHosts = checkHosts
exports.readHosts = readHosts
