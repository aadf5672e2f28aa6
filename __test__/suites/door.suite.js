'use strict'

// What every door for requests promises, over real HTTP: the same app on each framework, see `support/door-apps.js`.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const { FIELDS } = require('../support/apps.js')
const { Browser } = require('../support/browser.js')
const { useDatabase } = require('../support/place.js')

const HTTPS = { 'X-Forwarded-Proto': 'https' }
const HOSTILE = [
  '',
  'x',
  '%',
  '%E0%A4%A',
  "' OR 1=1 --",
  '0'.repeat(4000),
  'c0ffee00-0000-4000-8000-00000000000',
  's:x.y'
]

/**
 * @typedef {import('node:test').TestContext} TestContext
 * @typedef {(t: TestContext, sessions: any, options?: object) => Promise<string>} Start gives the app's address
 */

/**
 * @param {string} name
 * @param {Start} start
 * @param {{ skip: string | false, late?: boolean }} choices `late`: whether the app has a way to write after the headers
 */
function doorSuite(name, start, { skip, late = true }) {
  const database = useDatabase('door')

  /**
   * @param {TestContext} t
   * @param {{ options?: object, sessionOptions?: object, headers?: Record<string, string> }} [choices]
   */
  async function open(t, { options, sessionOptions, headers } = {}) {
    const place = await database.emptySchema(t)
    const sessions = await place.sessions({ fields: FIELDS, ...sessionOptions })
    const origin = await start(t, sessions, options)
    return { place, sessions, origin, browser: new Browser(origin, headers) }
  }

  describe(name, { skip }, () => {
    test('log-in, use, log-out; without a cookie there is no query', async t => {
      const { place, sessions, browser } = await open(t)

      const before = sessions.stats().calls
      const first = await browser.get('/')
      assert.equal(first.json(), null)
      assert.deepEqual(first.setCookies, [])
      assert.equal(sessions.stats().calls, before)
      assert.deepEqual((await browser.post('/login', { user_id: 7, role: 'admin' })).json(), { isOwn: true })
      const used = await browser.get('/')
      assert.deepEqual(used.json(), { user_id: 7, role: 'admin' })
      assert.deepEqual(used.setCookies, [])
      assert.equal((await browser.post('/logout')).json(), true)
      assert.equal(browser.cookies.size, 0)
      assert.equal((await browser.get('/')).json(), null)
      assert.deepEqual(await place.query('SELECT FROM sess'), [])
      assert.equal((await browser.post('/logout')).json(), false)
    })

    test('the cookie is for this host and not for scripts; the answer that sets it is not stored', async t => {
      const { browser } = await open(t)

      const { setCookies, headers } = await browser.post('/login', { user_id: 7 })

      assert.equal(setCookies.length, 1)
      assert.match(setCookies[0], /^sid=[0-9a-f-]{36}; .*Path=\/; Expires=[^;]*; HttpOnly; SameSite=lax$/i)
      assert.match(String(headers.get('Cache-Control')), /no-store/)
    })

    test('over https, as the proxy says: __Host-sid and Secure', async t => {
      const { browser } = await open(t, { headers: HTTPS })

      const { setCookies } = await browser.post('/login', { user_id: 7 })

      assert.match(setCookies[0], /^__Host-sid=[^;]*; .*Secure/)
      assert.equal((await browser.get('/')).json().user_id, 7)
    })

    test('hostile cookies are no session, and no error', async t => {
      const { browser } = await open(t)
      for (const value of HOSTILE) {
        browser.cookies.set('sid', value)
        const { status, json } = await browser.get('/')
        assert.deepEqual([status, json()], [200, null], JSON.stringify(value))
      }
    })

    test('create gives a new id and ends the session that was there', async t => {
      const { sessions, browser } = await open(t)
      await browser.post('/login', { user_id: 1 })
      const old = browser.cookies.get('sid')

      await browser.post('/login', { user_id: 2 })

      assert.notEqual(browser.cookies.get('sid'), old)
      assert.equal(await sessions.validate(old), null)
      assert.equal((await browser.get('/')).json().user_id, 2)
    })

    test('a new id reaches the browser: when it is time, and when it is asked for', async t => {
      const { place, browser } = await open(t, { sessionOptions: { refreshInterval: 600_000 } })
      await browser.post('/login', { user_id: 7 })
      const first = String(browser.cookies.get('sid'))
      await place.ageSession(first, '1 hour')

      assert.equal((await browser.get('/')).json().user_id, 7)

      const second = browser.cookies.get('sid')
      assert.notEqual(second, first)
      assert.equal((await browser.post('/refresh')).json(), true)
      assert.notEqual(browser.cookies.get('sid'), second)
      assert.equal((await browser.get('/')).json().user_id, 7)
    })

    test('a database error is status 503, and nobody is logged out by it', async t => {
      const { place, browser } = await open(t)
      await browser.post('/login', { user_id: 7 })
      await place.query('ALTER TABLE sess RENAME TO away')

      const failed = await browser.get('/')

      assert.equal(failed.status, 503)
      assert.deepEqual(failed.setCookies, [])
      await place.query('ALTER TABLE away RENAME TO sess')
      assert.equal((await browser.get('/')).json().user_id, 7)
    })

    test('with onError "anonymous" the request goes on, and guards still say 503', async t => {
      const errors = /** @type {Error[]} */ ([])
      const sessionOptions = { onError: (/** @type {Error} */ error) => errors.push(error) }
      const { place, browser } = await open(t, { options: { onError: 'anonymous' }, sessionOptions })
      await browser.post('/login', { user_id: 7 })
      await place.query('ALTER TABLE sess RENAME TO away')

      assert.equal((await browser.get('/')).json(), null)
      assert.equal((await browser.get('/members')).status, 503)
      assert.ok(errors.length >= 1)
      await place.query('ALTER TABLE away RENAME TO sess')
      assert.equal((await browser.get('/')).json().user_id, 7)
    })

    test('guards refuse, and send elsewhere', async t => {
      const { browser } = await open(t)

      const refused = await browser.get('/members')
      assert.deepEqual([refused.status, refused.text], [401, 'Unauthorized'])
      assert.match(String(refused.headers.get('Cache-Control')), /no-store/)
      const sent = await browser.get('/redirected')
      assert.deepEqual([sent.status, sent.headers.get('Location')], [302, '/login'])
      assert.equal((await browser.post('/redirected')).status, 303)
      await browser.post('/login', { user_id: 7, role: 'user' })
      assert.equal((await browser.get('/members')).status, 200)
      assert.equal((await browser.get('/admin')).status, 403)
      await browser.post('/login', { user_id: 7, role: 'admin' })
      assert.equal((await browser.get('/admin')).status, 200)
    })

    test('rolling extends the session and its cookie', async t => {
      const { place, browser } = await open(t, { options: { rolling: true } })
      await browser.post('/login', { user_id: 7 })
      await place.ageSession(String(browser.cookies.get('sid')), '1 hour')

      const { setCookies } = await browser.get('/')

      assert.equal(setCookies.length, 1)
      const [{ left }] = await place.query(
        "SELECT sess_expiration - now() AT TIME ZONE 'UTC' > '13 days 23:30' AS left FROM sess"
      )
      assert.equal(left, true)
    })

    test('after the headers were sent, create is refused and leaves no session', { skip: !late }, async t => {
      const { place, browser } = await open(t)

      const { text } = await browser.get('/late')

      assert.match(text, /PGSESS_HEADERS_SENT/)
      assert.deepEqual(await place.query('SELECT FROM sess'), [])
    })

    test('wrong options are refused, named', async t => {
      const place = await database.emptySchema(t)
      const sessions = await place.sessions({ fields: FIELDS })
      await assert.rejects(async () => start(t, sessions, { rolling: 1 }), /options\.rolling: expected true or false/)
      await assert.rejects(async () => start(t, sessions, { nmae: 'x' }), /unknown option "nmae"/)
      await assert.rejects(async () => start(t, {}, {}), /sessions: expected what connect/)
    })
  })
}

module.exports = { doorSuite }
