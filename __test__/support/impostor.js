'use strict'

// A server that is none: it accepts connections, keeps what it hears, and says what it was told to say.

const { once } = require('node:events')
const net = require('node:net')

const HOST = '127.0.0.1'
/** Said in place of an answer, it ends the connection. */
const GOODBYE = Symbol('goodbye')
/** What follows is said for ever. */
const FOREVER = Symbol('forever')

/** @typedef {string | Buffer | symbol | ((heard: Buffer) => Buffer)} Answer */

/**
 * @param {{ after(hook: () => unknown): void }} t
 * @param {(Answer | Answer[])[]} answers to what is heard, in turn; after the last comes silence
 */
async function startImpostor(t, ...answers) {
  /** @type {Buffer[][]} what was heard, by connection */
  const heard = []
  const sockets = new Set()
  const server = net.createServer(socket => {
    /** @type {Buffer[]} */
    const own = []
    heard.push(own)
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('data', data => {
      const said = [answers[own.length] ?? []].flat()
      own.push(data)
      for (const answer of said) {
        if (answer === GOODBYE) socket.end()
        else if (answer === FOREVER) repeat(socket, said[said.length - 1])
        else if (typeof answer === 'function') socket.write(answer(data))
        else if (typeof answer !== 'symbol') socket.write(answer)
      }
    })
  })
  server.listen(0, HOST)
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = /** @type {net.AddressInfo} */ (server.address())
  return { port, heard, url: `postgres://user:password@${HOST}:${port}/app` }
}

/**
 * As fast as it is taken.
 *
 * @param {net.Socket} socket
 * @param {any} word
 */
function repeat(socket, word) {
  const more = () => {
    while (!socket.destroyed && socket.write(word));
  }
  socket.on('drain', more)
  more()
}

/**
 * A message of PostgreSQL's: https://www.postgresql.org/docs/current/protocol-message-formats.html
 *
 * @param {string} tag
 * @param {Buffer | string} body
 */
function message(tag, body) {
  const length = Buffer.alloc(4)
  length.writeInt32BE(Buffer.byteLength(body) + 4)
  return Buffer.concat([Buffer.from(tag), length, Buffer.from(body)])
}

/** @param {{ [field: string]: string }} fields by their letters */
function errorResponse(fields) {
  return message(
    'E',
    `${Object.entries(fields)
      .map(([letter, value]) => `${letter}${value}\0`)
      .join('')}\0`
  )
}

/**
 * A demand to log in.
 *
 * @param {number} kind
 * @param {string} [more]
 */
function authentication(kind, more = '') {
  return message('R', Buffer.concat([Buffer.from([0, 0, 0, kind]), Buffer.from(more)]))
}

/**
 * The parameters of a start-up message.
 *
 * @param {Buffer} packet
 */
function startUpParameters(packet) {
  const texts = packet.toString('utf8', 8, packet.length - 2).split('\0')
  return texts.flatMap((name, at) => (at % 2 === 0 ? [[name, texts[at + 1]]] : []))
}

module.exports = { FOREVER, GOODBYE, authentication, errorResponse, message, startImpostor, startUpParameters }
