'use strict'

// Sessions of WebSockets: Socket.IO's handshake, and the upgrade of plain `ws`.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { createServer } = require('node:http')
const { describe, test } = require('node:test')
const { sessionMiddleware, sessionReader } = require('pg-sess-rs/express')
const { FIELDS } = require('../support/apps.js')
const { framework, lacksFrameworks } = require('../support/needs.js')
const { useDatabase } = require('../support/place.js')

const database = useDatabase('sockets')
const skip = lacksFrameworks()

/**
 * @param {any} t
 * @param {object} [sessionOptions]
 */
async function open(t, sessionOptions) {
  const place = await database.emptySchema(t)
  const sessions = await place.sessions({ fields: FIELDS, ...sessionOptions })
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  place.defer(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = /** @type {any} */ (server.address())
  return { place, sessions, server, address: `127.0.0.1:${port}` }
}

/**
 * A client of Socket.IO with this cookie; what the server says first, and the cookies of the handshake.
 *
 * @param {any} place
 * @param {string} address
 * @param {string | undefined} sid
 */
async function talk(place, address, sid) {
  const extraHeaders = sid === undefined ? {} : { Cookie: `sid=${sid}` }
  const options = { transports: ['websocket'], reconnection: false, extraHeaders }
  const client = framework('socket.io-client').io(`http://${address}`, options)
  place.defer(() => client.close())
  return new Promise(resolve => {
    client.on('you are', resolve)
    client.on('connect_error', (/** @type {Error} */ error) => resolve(error.message))
  })
}

describe('Socket.IO', { skip }, () => {
  test('the middleware in io.engine.use: a socket has the session of its handshake', async t => {
    const { place, sessions, server, address } = await open(t)
    const io = new (framework('socket.io').Server)(server)
    place.defer(() => io.close())
    io.engine.use(sessionMiddleware(sessions))
    io.on('connection', (/** @type {any} */ socket) => socket.emit('you are', socket.request.session?.user_id ?? null))
    const { sess_id } = await sessions.create({ user_id: 7 })

    assert.equal(await talk(place, address, sess_id), 7)
    assert.equal(await talk(place, address, undefined), null)
    assert.equal(await talk(place, address, '%'), null)
  })

  test('a new id reaches the browser with the answer to the handshake', async t => {
    const { place, sessions, server, address } = await open(t, { refreshInterval: 600_000 })
    const io = new (framework('socket.io').Server)(server)
    place.defer(() => io.close())
    io.engine.use(sessionMiddleware(sessions))
    const { sess_id } = await sessions.create({ user_id: 7 })
    await place.ageSession(sess_id, '1 hour')
    const headers = { Cookie: `sid=${sess_id}` }

    const socket = new (framework('ws').WebSocket)(`ws://${address}/socket.io/?EIO=4&transport=websocket`, { headers })
    place.defer(() => socket.terminate())
    const [answer] = await once(socket, 'upgrade')

    const given = /^sid=([^;]*)/.exec(String(answer.headers['set-cookie']))?.[1]
    assert.notEqual(given, sess_id)
    assert.equal((await sessions.validate(given)).user_id, 7)
  })

  test('a reader in io.use refuses those without a session, and changes no id', async t => {
    const { place, sessions, server, address } = await open(t, { refreshInterval: 600_000 })
    const io = new (framework('socket.io').Server)(server)
    place.defer(() => io.close())
    const readSession = sessionReader(sessions)
    io.use(async (/** @type {any} */ socket, /** @type {any} */ next) => {
      socket.data.session = await readSession(socket.request)
      next(socket.data.session === null ? new Error('log in first') : undefined)
    })
    io.on('connection', (/** @type {any} */ socket) => socket.emit('you are', socket.data.session.user_id))
    const { sess_id } = await sessions.create({ user_id: 7 })
    await place.ageSession(sess_id, '1 hour')

    assert.equal(await talk(place, address, sess_id), 7)
    assert.equal(await talk(place, address, undefined), 'log in first')
    assert.equal(sessions.stats().refreshed, 0)
  })
})

test('a reader for the upgrade of plain ws; a database error is one, not "no session"', { skip }, async t => {
  const { place, sessions, server, address } = await open(t)
  const readSession = sessionReader(sessions)
  const sockets = new (framework('ws').WebSocketServer)({ noServer: true })
  server.on('upgrade', (req, socket, head) => {
    readSession(req).then(
      session => {
        if (session === null) return socket.end('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n')
        sockets.handleUpgrade(req, socket, head, (/** @type {any} */ ws) => ws.send(String(session.user_id)))
      },
      error => socket.end(`HTTP/1.1 ${error.status} Unavailable\r\nConnection: close\r\n\r\n`)
    )
  })
  const { sess_id } = await sessions.create({ user_id: 7 })
  const connect = (/** @type {string} */ cookie) => {
    const socket = new (framework('ws').WebSocket)(`ws://${address}`, { headers: { Cookie: cookie } })
    place.defer(() => socket.terminate())
    return new Promise(resolve => {
      socket.on('message', (/** @type {Buffer} */ data) => resolve(String(data)))
      socket.on('error', (/** @type {Error} */ error) => resolve(error.message))
    })
  }

  assert.equal(await connect(`sid=${sess_id}`), '7')
  assert.match(String(await connect('sid=x')), /401/)
  await place.query('ALTER TABLE sess RENAME TO away')
  assert.match(String(await connect(`sid=${sess_id}`)), /503/)
})

test('a reader refuses wrong options, named', async t => {
  const { sessions } = await open(t)

  assert.throws(() => sessionReader(sessions, { rolling: true }), /unknown option "rolling"/)
  assert.throws(() => sessionReader({}), /sessions: expected what connect/)
})
