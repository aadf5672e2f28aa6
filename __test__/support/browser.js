'use strict'

// A client that keeps cookies as a browser does: one jar, sent with each request, whatever order answers come in.

const { once } = require('node:events')
const { createServer } = require('node:http')

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
   * @param {{ method?: string, headers?: object, body?: string }} request
   */
  async #ask(path, { headers, ...request }) {
    const cookie = Array.from(this.cookies, ([name, value]) => `${name}=${value}`).join('; ')
    const sent = { ...this.#headers, ...headers, ...(cookie ? { Cookie: cookie } : {}) }
    const response = await fetch(this.#origin + path, { ...request, headers: sent, redirect: 'manual' })
    const setCookies = response.headers.getSetCookie()
    for (const line of setCookies) this.#keep(line)
    const text = await response.text()
    return { status: response.status, headers: response.headers, text, setCookies, json: () => JSON.parse(text) }
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

exports.Browser = Browser
exports.serve = serve
