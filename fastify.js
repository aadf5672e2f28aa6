'use strict'

// The plugin for Fastify. Described in fastify.d.ts.

const { Door, checkObject } = require('./lib/http/door.js')
const { Guard } = require('./lib/http/guard.js')
const { NodeExchange } = require('./lib/http/node-exchange.js')

const HTTPS_HINT = 'behind a proxy, Fastify has to know: fastify({ trustProxy: … })'

/**
 * @param {any} fastify
 * @param {any} given
 */
async function sessionPlugin(fastify, given) {
  // The last three are Fastify's own.
  const { sessions, prefix, logLevel, logSerializers, ...options } = checkObject(given)
  const door = new Door(sessions, options, HTTPS_HINT)
  if (fastify.hasRequestDecorator('session')) {
    throw new Error('request.session is taken: pg-sess-rs/fastify does not go together with another session plugin')
  }
  fastify.decorateRequest('session', null)
  fastify.decorateRequest('sessions', null)
  fastify.addHook('onRequest', async (/** @type {any} */ request, /** @type {any} */ reply) => {
    const own = door.open(new NodeExchange(request.raw, reply.raw, request, isHttps))
    request.sessions = own
    await door.load(own)
  })
}

/** @param {unknown} [options] */
function requireSession(options = {}) {
  const rule = new Guard(options, 'the plugin')

  /**
   * @param {any} request
   * @param {any} reply
   */
  return async function guard(request, reply) {
    const { method, sessions, session } = request
    const refusal = await rule.judge({ method, sessions, session, request })
    if (refusal !== undefined) return reply.code(refusal.status).headers(refusal.headers).send(refusal.body)
  }
}

/**
 * As Fastify has it, `trustProxy` included.
 *
 * @param {any} request
 */
function isHttps(request) {
  return request.protocol === 'https'
}

// What Fastify looks for in a plugin: that it is for the whole app, its name, and the versions that it is for.
Object.assign(sessionPlugin, {
  [Symbol.for('skip-override')]: true,
  [Symbol.for('fastify.display-name')]: 'pg-sess-rs',
  [Symbol.for('plugin-meta')]: { name: 'pg-sess-rs', fastify: '5.x' }
})

exports.requireSession = requireSession
exports.sessionPlugin = sessionPlugin
