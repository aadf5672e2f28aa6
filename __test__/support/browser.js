'use strict'

// A client that keeps cookies as a browser does: one jar, sent with each request, whatever order answers come in.

const { once } = require('node:events')
const { Agent, createServer, request } = require('node:http')

/** Any number of requests may be made at once; a server's queue of new connections has room for 511. */
const agent = new Agent({ maxSockets: 500 })

/**
 * Serves an app until the test is over.
 *
 * @param {{ after(hook: () => unknown): void }} t
 * @param {import('node:http').RequestListener} app
 * @returns {Promise<string>} its address
 */
async function serve(t, app) {
  const server = createServer(app).listen(0, '127.0.0.1')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  await once(server, 'listening')
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  return `http://127.0.0.1:${port}`
}

class Browser {
  /** @type {Map<string, string>} */
  cookies = new Map()
  #origin
  #headers

  /**
   * @param {string} origin
   * @param {Record<string, string>} [headers] sent with each request
   */
  constructor(origin, headers = {}) {
    this.#origin = origin
    this.#headers = headers
  }

  /** @param {string} path */
  get(path) {
    return this.#ask(path, {})
  }

  /**
   * @param {string} path
   * @param {object} [body]
   */
  post(path, body = {}) {
    const headers = { 'Content-Type': 'application/json' }
    return this.#ask(path, { method: 'POST', headers, body: JSON.stringify(body) })
  }

  /**
   * @param {string} path
   * @param {{ method?: string, headers?: object, body?: string }} asked
   */
  async #ask(path, { headers, body, ...asked }) {
    const cookie = Array.from(this.cookies, ([name, value]) => `${name}=${value}`).join('; ')
    const sent = { ...this.#headers, ...headers, ...(cookie ? { Cookie: cookie } : {}) }
    const response = await send(this.#origin + path, { ...asked, headers: sent }, body)
    const setCookies = response.headers.getSetCookie()
    for (const line of setCookies) this.#keep(line)
    return { ...response, setCookies, json: () => JSON.parse(response.text) }
  }

  /** @param {string} line of a Set-Cookie header */
  #keep(line) {
    const [pair, ...attributes] = line.split('; ')
    const at = pair.indexOf('=')
    const expires = attributes.find(attribute => attribute.startsWith('Expires='))
    const isOver = attributes.includes('Max-Age=0') || (expires && Date.parse(expires.slice(8)) <= Date.now())
    if (isOver) this.cookies.delete(pair.slice(0, at))
    else this.cookies.set(pair.slice(0, at), pair.slice(at + 1))
  }
}

/**
 * One request, which waits for its answer however long that takes, and follows no redirect.
 *
 * @param {string} url
 * @param {import('node:http').RequestOptions} options
 * @param {string} [body]
 */
async function send(url, options, body) {
  const sent = request(url, { agent, ...options }).end(body)
  const [response] = await once(sent, 'response')
  const headers = new Headers()
  for (let at = 0; at < response.rawHeaders.length; at += 2) {
    headers.append(response.rawHeaders[at], response.rawHeaders[at + 1])
  }
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) text += chunk
  return { status: Number(response.statusCode), headers, text }
}

exports.Browser = Browser
exports.serve = serve
