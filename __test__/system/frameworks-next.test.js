'use strict'

// The door for Next.js in an app that the real Next.js has built: route handlers, pages, server actions.

const assert = require('node:assert/strict')
const { before, describe, test } = require('node:test')
const { nextSessions } = require('pg-sess-rs/next')
const { FIELDS } = require('../support/apps.js')
const { Browser } = require('../support/browser.js')
const { lacksFrameworks } = require('../support/needs.js')
const { build, start } = require('../support/next-app.js')
const { useDatabase } = require('../support/place.js')

const database = useDatabase('next')

/** @param {any} t */
async function open(t) {
  const place = await database.emptySchema(t)
  const sessions = await place.sessions({ fields: { user_id: 'INT NOT NULL', role: 'TEXT' }, refreshInterval: 600_000 })
  const origin = await start(place)
  return { place, sessions, origin, browser: new Browser(origin) }
}

describe('Next.js', { skip: lacksFrameworks() }, () => {
  before(build)

  test('route handlers: log-in, use, a new id, log-out', async t => {
    const { place, sessions, browser } = await open(t)

    const first = await browser.get('/')
    assert.deepEqual([first.json(), first.setCookies], [null, []])
    const { json, setCookies } = await browser.post('/login', { user_id: 7, role: 'admin' })
    assert.deepEqual(json(), { isOwn: true })
    assert.equal(setCookies.length, 1)
    assert.match(setCookies[0], /^sid=[0-9a-f-]{36}; Path=\/; Expires=[^;]*; Max-Age=\d+; HttpOnly; SameSite=lax$/)
    const used = await browser.get('/')
    assert.deepEqual([used.json(), used.setCookies], [{ user_id: 7, role: 'admin' }, []])

    const old = browser.cookies.get('sid')
    await browser.post('/login', { user_id: 8 })
    assert.equal(await sessions.validate(old), null)
    const second = String(browser.cookies.get('sid'))
    assert.equal((await browser.post('/refresh')).json(), true)
    assert.notEqual(browser.cookies.get('sid'), second)

    assert.equal((await browser.post('/logout')).json(), true)
    assert.equal(browser.cookies.size, 0)
    assert.deepEqual(await place.query('SELECT FROM sess'), [])
    browser.cookies.set('sid', '%E0%A4%A')
    assert.equal((await browser.get('/')).json(), null)
  })

  test('pages read and change no id, handlers do; a database error logs nobody out', async t => {
    const { place, browser } = await open(t)
    assert.match((await browser.get('/page')).text, /user none\./)
    await browser.post('/login', { user_id: 7 })
    const sid = String(browser.cookies.get('sid'))
    await place.ageSession(sid, '1 hour')

    const page = await browser.get('/page')
    assert.match(page.text, /user 7\./)
    assert.deepEqual(page.setCookies, [])
    assert.match((await browser.get('/wrong')).text, /PGSESS_HEADERS_SENT/)
    assert.deepEqual(await place.query('SELECT FROM sess_ids'), [], 'no id was replaced')
    assert.equal((await browser.get('/')).json().user_id, 7)
    assert.notEqual(browser.cookies.get('sid'), sid)

    await place.query('ALTER TABLE sess RENAME TO away')
    const failed = await browser.get('/')
    assert.deepEqual([failed.status, failed.json(), failed.setCookies], [503, { code: 'PGSESS_UNAVAILABLE' }, []])
    await place.query('ALTER TABLE away RENAME TO sess')
    assert.equal((await browser.get('/')).json().user_id, 7)
  })

  test('a server action logs in', async t => {
    const { origin, browser } = await open(t)
    const [, action] = /name="(\$ACTION_ID_[^"]+)"/.exec((await browser.get('/act')).text) ?? []
    const form = new FormData()
    form.set(action, '')
    form.set('user_id', '7')

    const response = await fetch(`${origin}/act`, { method: 'POST', body: form, headers: { Origin: origin } })

    const [line] = response.headers.getSetCookie()
    assert.match(String(response.headers.get('Cache-Control')), /no-store/)
    const answer = await fetch(origin, { headers: { Cookie: line.split(';')[0] } })
    assert.deepEqual(await answer.json(), { user_id: 7, role: null })
  })
})

/** A store as `next/headers` documents it. */
class Store {
  jar = new Map()

  getAll() {
    return Array.from(this.jar, ([name, value]) => ({ name, value }))
  }

  /** @type {(name: string, value: string, attributes?: object) => void} */
  set(name, value, attributes) {
    this.jar.set(name, value)
    this.last = attributes
  }

  /** @param {string} name */
  delete(name) {
    this.jar.delete(name)
  }
}

describe('over a cookie store', () => {
  test('the cookie is __Host-sid and secure unless the app says otherwise', async t => {
    const place = await database.emptySchema(t)
    const sessions = await place.sessions({ fields: FIELDS })
    const store = /** @type {any} */ (new Store())
    const own = await nextSessions(sessions, { cookies: () => store }).open()

    await own.create({ user_id: 7 })

    assert.deepEqual([...store.jar.keys()], ['__Host-sid'])
    assert.equal(store.last.secure, true)
  })

  test('a store that refuses: create rejects and leaves no session', async t => {
    const place = await database.emptySchema(t)
    const sessions = await place.sessions({ fields: FIELDS })
    const store = /** @type {any} */ (new Store())
    const own = await nextSessions(sessions, { cookies: async () => store }).open()
    store.set = () => {
      throw new Error('too late')
    }

    await assert.rejects(own.create({ user_id: 7 }), /too late/)

    assert.equal(own.session, null)
    assert.deepEqual(await place.query('SELECT FROM sess'), [])
  })

  test('wrong options are refused, named', async t => {
    const place = await database.emptySchema(t)
    const sessions = await place.sessions({ fields: FIELDS })
    const cookies = () => /** @type {any} */ (new Store())

    assert.throws(() => nextSessions(sessions, /** @type {any} */ ({})), /options\.cookies: expected cookies of next/)
    assert.throws(() => nextSessions(sessions, /** @type {any} */ ({ cookies, secure: 'auto' })), /options\.secure/)
    assert.throws(() => nextSessions(sessions, /** @type {any} */ ({ cookies, nmae: 'x' })), /unknown option "nmae"/)
  })
})
