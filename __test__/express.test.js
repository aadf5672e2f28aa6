'use strict'

// The middleware: the cookie, the session that it leads to, and what goes wrong.

const assert = require('node:assert/strict')
const { randomUUID } = require('node:crypto')
const { request } = require('node:http')
const { describe, test } = require('node:test')
const { init } = require('pg-sess-rs')
const { requireSession, sessionMiddleware } = require('pg-sess-rs/express')
const { app, express, express4, FIELDS, start } = require('./support/apps.js')
const { Browser, serve } = require('./support/browser.js')
const { eventually } = require('./support/eventually.js')
const { useDatabase } = require('./support/place.js')
const { startProxy } = require('./support/proxy.js')

/** @typedef {import('node:test').TestContext} TestContext */

const database = useDatabase('express')
const HTTPS = { 'X-Forwarded-Proto': 'https' }

/**
 * @param {TestContext} t
 * @param {Parameters<typeof start>[2] & { headers?: Record<string, string> }} [choices]
 */
async function open(t, choices) {
  const place = await database.emptySchema(t)
  const { sessions, origin } = await start(t, place, choices)
  const newBrowser = () => new Browser(origin, choices?.headers)
  return { place, sessions, origin, newBrowser, browser: newBrowser() }
}

for (const [name, framework] of Object.entries({ 'Express 4': express4, 'Express 5': express })) {
  describe(name, () => {
    test('log-in, use, log-out', async t => {
      const { place, browser } = await open(t, { framework })

      assert.equal((await browser.get('/')).json(), null)
      const { setCookies } = await browser.get('/')
      assert.deepEqual(setCookies, [])
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

    test('a database error is status 503 with its cause, and leaves the cookie', async t => {
      const { place, browser } = await open(t, { framework })
      await browser.post('/login', { user_id: 7 })
      await place.query('ALTER TABLE sess RENAME TO away')

      const failed = await browser.get('/')

      const error = {
        message: 'the sessions cannot be reached',
        status: 503,
        code: 'PGSESS_UNAVAILABLE',
        cause: '42P01'
      }
      assert.equal(failed.status, 503)
      assert.deepEqual(failed.json(), error)
      assert.deepEqual(failed.setCookies, [])
      await place.query('ALTER TABLE away RENAME TO sess')
      assert.equal((await browser.get('/')).json().user_id, 7)
    })
  })
}

test('plain node:http, without any framework', async t => {
  const place = await database.emptySchema(t)
  const sessions = await place.sessions({ fields: FIELDS })
  const middleware = sessionMiddleware(sessions)
  const origin = await serve(t, (/** @type {any} */ req, /** @type {any} */ res) =>
    middleware(req, res, async error => {
      if (error) return res.writeHead(500).end()
      if (req.url === '/login') await req.sessions.create({ user_id: 7 })
      res.writeHead(200, { 'Content-Type': 'application/json', 'Set-Cookie': 'theme=dark' })
      res.end(JSON.stringify(req.session?.user_id ?? null))
    })
  )
  const browser = new Browser(origin)

  await browser.get('/login')

  assert.equal((await browser.get('/')).json(), 7)
  assert.deepEqual([...browser.cookies.keys()], ['theme', 'sid'])
})

describe('the cookie', () => {
  test('over http: sid, HttpOnly, SameSite=Lax, as long as the session; the answer is not stored', async t => {
    const { place, browser } = await open(t, { sessionOptions: { sessionLength: 3_600_000 } })

    const { setCookies, headers } = await browser.post('/login', { user_id: 7 })

    const [{ at }] = await place.query('SELECT sess_expiration::text AS at FROM sess')
    const id = browser.cookies.get('sid')
    assert.equal(setCookies.length, 1)
    const expires = new Date(`${at}Z`).toUTCString()
    const age = /Max-Age=(\d+)/.exec(setCookies[0])?.[1]
    assert.ok(Number(age) > 3500 && Number(age) <= 3601, age)
    assert.match(String(id), /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
    assert.equal(setCookies[0], `sid=${id}; Max-Age=${age}; Path=/; Expires=${expires}; HttpOnly; SameSite=Lax`)
    assert.equal(headers.get('Cache-Control'), 'no-store')
  })

  test('over https: __Host-sid and Secure', async t => {
    const { browser } = await open(t, { headers: HTTPS })

    const { setCookies } = await browser.post('/login', { user_id: 7 })

    assert.match(setCookies[0], /^__Host-sid=[^;]*; .*Path=\/; .*; HttpOnly; Secure; SameSite=Lax$/)
    assert.doesNotMatch(setCookies[0], /Domain/)
    assert.equal((await browser.get('/')).json().user_id, 7)
  })

  test('over https a cookie named sid, which a subdomain may have planted, does not count', async t => {
    const { browser, sessions } = await open(t, { headers: HTTPS })
    const { sess_id } = await sessions.create({ user_id: 666 })

    browser.cookies.set('sid', sess_id)

    assert.equal((await browser.get('/')).json(), null)
  })

  test('takes name, path, domain, sameSite, priority, partitioned', async t => {
    const options = {
      name: 'visit',
      path: '/shop',
      domain: 'example.com',
      sameSite: 'strict',
      priority: 'high',
      partitioned: true,
      httpOnly: false
    }
    const { browser } = await open(t, { options, headers: HTTPS })

    const { setCookies } = await browser.post('/login', { user_id: 7 })

    assert.match(
      setCookies[0],
      /^visit=[^;]*; Max-Age=\d+; Domain=example\.com; Path=\/shop; Expires=[^;]*; Secure; Partitioned; Priority=High; SameSite=Strict$/
    )
    const { setCookies: cleared } = await browser.post('/logout')
    assert.match(
      cleared[0],
      /^visit=; Max-Age=0; Domain=example\.com; Path=\/shop; Expires=Thu, 01 Jan 1970 .*SameSite=Strict$/
    )
  })

  test('with a path or a domain, the name is sid over https, too', async t => {
    for (const options of [{ path: '/shop' }, { domain: 'example.com' }]) {
      const { browser } = await open(t, { options, headers: HTTPS })
      assert.match((await browser.post('/login', { user_id: 7 })).setCookies[0], /^sid=/)
    }
  })

  test('secure: true on a plain request sets none, and warns once', async t => {
    const { browser } = await open(t, { options: { secure: true } })
    /** @type {string[]} */
    const warnings = []
    const keep = (/** @type {Error} */ warning) => warnings.push(warning.message)
    process.on('warning', keep)
    t.after(() => process.off('warning', keep))

    for (let at = 0; at < 3; at++) assert.deepEqual((await browser.post('/login', { user_id: 7 })).setCookies, [])

    assert.equal(warnings.filter(warning => warning.includes('trust proxy')).length, 1)
  })

  test('secure: false sets a plain one over https, too', async t => {
    const { browser } = await open(t, { options: { secure: false }, headers: HTTPS })

    const { setCookies } = await browser.post('/login', { user_id: 7 })

    assert.match(setCookies[0], /^sid=/)
    assert.doesNotMatch(setCookies[0], /Secure/)
  })

  test('is signed with the first secret, and read with any', async t => {
    const place = await database.emptySchema(t)
    const [before, after, other] = await Promise.all(
      [['old'], ['new', 'old'], 'other'].map(secret => start(t, place, { options: { secret } }))
    )
    const browser = new Browser(before.origin)
    await browser.post('/login', { user_id: 7 })
    const cookies = browser.cookies

    assert.match(decodeURIComponent(String(cookies.get('sid'))), /^[0-9a-f-]{36}\.[\w+/]{43}$/)
    for (const [origin, user] of /** @type {const} */ ([
      [before.origin, 7],
      [after.origin, 7],
      [other.origin, undefined]
    ])) {
      const one = new Browser(origin)
      one.cookies = cookies
      assert.equal((await one.get('/')).json()?.user_id, user)
    }
    const bare = new Browser(after.origin)
    bare.cookies.set('sid', String(cookies.get('sid')).split('.')[0])
    assert.equal((await bare.get('/')).json(), null)
  })

  test('does not touch the cookies and the Cache-Control of the app', async t => {
    const routes = {
      'POST /both': async (/** @type {any} */ req, /** @type {any} */ res) => {
        res.cookie('before', '1')
        await req.sessions.create({ user_id: 7 })
        res.setHeader('Set-Cookie', 'theme=dark')
        res.set('Cache-Control', 'private').json({})
      }
    }
    const { browser } = await open(t, { routes })

    const { headers } = await browser.post('/both')

    assert.deepEqual([...browser.cookies.keys()], ['theme', 'sid'])
    assert.equal(headers.get('Cache-Control'), 'private')
  })

  test('that a request sets and takes away again is taken away', async t => {
    const routes = {
      'POST /both': async (/** @type {any} */ req, /** @type {any} */ res) => {
        await req.sessions.create({ user_id: 7 })
        await req.sessions.create({ user_id: 8 })
        res.json([await req.sessions.destroy(), req.session])
      }
    }
    const { browser, place } = await open(t, { routes })

    const answer = await browser.post('/both')

    assert.deepEqual(answer.json(), [true, null])
    assert.match(answer.setCookies.join(), /^sid=; Max-Age=0[^,]*, [^,]*$/)
    assert.deepEqual(await place.query('SELECT FROM sess'), [])
  })
})

describe('hostile cookies are no session, and no error', () => {
  const id = randomUUID()
  for (const [what, header] of Object.entries({
    nothing: 'sid=',
    'no name': '=; =x; ;;;=',
    'no id': "sid=' OR 1=1 --",
    'an unknown id': `sid=${id}`,
    'a longer id': `sid=${id}0`,
    'bad percent signs': 'sid=%E0%A4%A; sid=%; sid=%zz',
    'a NUL': `sid=${id}%00; sid=%00`,
    'names of objects': '__proto__=x; constructor=y; toString=z; hasOwnProperty=q',
    quotes: `sid="${id}"; sid=""`,
    json: 'sid=j:{"a":1}; sid=s:abc.def',
    'many of them': Array.from({ length: 1500 }, () => 'sid=x').join('; '),
    'other characters': 'sid=\xff\xfe'
  })) {
    test(what, async t => {
      const { origin } = await open(t)
      assert.deepEqual(await ask(origin, header), [200, 'null'])
    })
  }

  test('100 KB', async t => {
    const place = await database.emptySchema(t)
    const middleware = sessionMiddleware(await place.sessions({ fields: FIELDS }))
    for (const cookie of [
      'sid=x;'.repeat(20_000),
      `sid=${'x'.repeat(100_000)}`,
      ';'.repeat(100_000),
      'sid='.repeat(30_000)
    ]) {
      /** @type {any} */
      const req = { headers: { cookie }, socket: {} }
      await new Promise((resolve, reject) =>
        middleware(req, /** @type {any} */ ({}), error => (error ? reject(error) : resolve(undefined)))
      )
      assert.equal(req.session, null)
    }
  })

  test('a name that is a member of every object is looked for in the cookies only', async t => {
    for (const name of ['__proto__', 'constructor', 'toString']) {
      const { browser, origin } = await open(t, { options: { name } })
      assert.deepEqual(await ask(origin, 'a=b'), [200, 'null'])
      await browser.post('/login', { user_id: 7 })
      if (name !== '__proto__') assert.equal((await browser.get('/')).json().user_id, 7)
    }
  })

  test('of several the first that is well formed and rightly signed counts', async t => {
    for (const secret of [undefined, 'hush']) {
      const { browser, origin } = await open(t, { options: { secret } })
      await browser.post('/login', { user_id: 7 })
      const own = browser.cookies.get('sid')
      await browser.post('/login', { user_id: 8 })
      const value = browser.cookies.get('sid')

      const [, text] = await ask(origin, `sid=x; sid=${id}x; other=sid; sid=${value}; sid=${own}`)

      assert.equal(JSON.parse(text).user_id, 8)
    }
  })

  test('none of them costs a query', async t => {
    const { sessions, origin } = await open(t)
    const before = sessions.stats().calls

    await ask(origin, 'sid=x; sid=%; sid=')
    await ask(origin, 'theme=dark')

    assert.equal(sessions.stats().calls, before)
  })
})

describe('create', () => {
  test('gives a new id and ends the session that the request came with', async t => {
    const { place, browser, newBrowser } = await open(t)
    await browser.post('/login', { user_id: 7 })
    const thief = newBrowser()
    thief.cookies = new Map(browser.cookies)

    await browser.post('/login', { user_id: 8 })

    assert.equal((await browser.get('/')).json().user_id, 8)
    assert.equal((await thief.get('/')).json(), null)
    assert.equal((await place.query('SELECT FROM sess')).length, 1)
  })

  test('at the limit costs no other session than the one that the request came with', async t => {
    const limit = { by: 'user_id', limit: 2 }
    const { newBrowser } = await open(t, { sessionOptions: { maxSessions: limit } })
    const [first, second, third] = [newBrowser(), newBrowser(), newBrowser()]
    await first.post('/login', { user_id: 7 })
    await second.post('/login', { user_id: 7 })

    await second.post('/login', { user_id: 7 })
    await second.post('/login', { user_id: 7 })

    assert.equal((await first.get('/')).json()?.user_id, 7)
    assert.equal((await second.get('/')).json()?.user_id, 7)
    await third.post('/login', { user_id: 7 })
    assert.equal((await first.get('/')).json(), null)
    assert.equal((await second.get('/')).json()?.user_id, 7)
  })

  test('at the limit costs no other session where the caller watches statements, either', async t => {
    const place = await database.emptySchema(t)
    const { pgp, db } = place.pgPromise({ options: { query() {} } })
    const sessions = await place.closing(init(pgp, db, FIELDS, { maxSessions: { by: 'user_id', limit: 2 } }))
    const origin = await serve(t, app(express, sessions))
    const [first, second] = [new Browser(origin), new Browser(origin)]
    await first.post('/login', { user_id: 7 })
    await second.post('/login', { user_id: 7 })

    await second.post('/login', { user_id: 7 })

    assert.equal((await first.get('/')).json()?.user_id, 7)
    assert.equal((await second.get('/')).json()?.user_id, 7)
  })

  test('that fails leaves the session as it is', async t => {
    const { browser } = await open(t)
    await browser.post('/login', { user_id: 7 })

    const failed = await browser.post('/login', { user_id: 'x' })

    assert.equal(failed.status, 500)
    assert.deepEqual(failed.setCookies, [])
    assert.equal((await browser.get('/')).json().user_id, 7)
  })

  test('that cannot end the old session leaves it as it is, and no other', async t => {
    const { place, browser } = await open(t)
    await browser.post('/login', { user_id: 7 })
    await place.query(`
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;
      CREATE TRIGGER refuse BEFORE DELETE ON sess FOR EACH ROW WHEN (OLD.user_id = 7) EXECUTE FUNCTION refuse()`)

    const failed = await browser.post('/login', { user_id: 8 })

    assert.equal(failed.status, 500)
    assert.deepEqual(failed.setCookies, [])
    assert.equal((await browser.get('/')).json().user_id, 7)
    assert.deepEqual(await place.query('SELECT user_id FROM sess'), [{ user_id: 7 }])
  })

  test('tells the browser, also if the headers go out while the old session is ended', async t => {
    const routes = {
      'POST /flush': async (/** @type {any} */ req, /** @type {any} */ res) => {
        const holder = await place.client()
        await holder.query('BEGIN; SELECT FROM sess FOR UPDATE')
        const creating = req.sessions.create({ user_id: 8 })
        await eventually(
          () => place.query('SELECT FROM sess'),
          rows => rows.length === 2
        )
        // The answer that the row is there has come by the time that the other call has gone out.
        await eventually(
          async () => req.session.user_id,
          user => user === 8
        )
        res.flushHeaders()
        await holder.query('COMMIT')
        res.end(String((await creating).user_id))
      }
    }
    const { place, browser } = await open(t, { routes })
    await browser.post('/login', { user_id: 7 })

    const answer = await browser.post('/flush')

    assert.equal(answer.text, '8')
    assert.equal(answer.setCookies.length, 1)
    assert.equal((await browser.get('/')).json().user_id, 8)
    assert.deepEqual(await place.query('SELECT user_id FROM sess'), [{ user_id: 8 }])
  })

  test('after the headers were sent is an error, and makes no session', async t => {
    /** @type {any} */
    let failure
    const routes = {
      'POST /late': async (/** @type {any} */ req, /** @type {any} */ res) => {
        res.write('x')
        failure = await req.sessions.create({ user_id: 8 }).catch((/** @type {unknown} */ error) => error)
        res.end(String(req.session?.user_id))
      },
      'POST /just': async (/** @type {any} */ req, /** @type {any} */ res) => {
        const creating = req.sessions.create({ user_id: 8 })
        res.write('x')
        failure = await creating.catch((/** @type {unknown} */ error) => error)
        res.end(String(req.session?.user_id))
      }
    }
    const { place, browser } = await open(t, { routes })
    await browser.post('/login', { user_id: 7 })

    for (const path of ['/late', '/just']) {
      assert.equal((await browser.post(path)).text, 'x7')
      assert.equal(failure.code, 'PGSESS_HEADERS_SENT')
      assert.deepEqual(await place.query('SELECT user_id FROM sess'), [{ user_id: 7 }])
    }
  })
})

describe('extend and rolling', () => {
  test('extend moves the end of session and cookie', async t => {
    const { place, browser } = await open(t)
    await browser.post('/login', { user_id: 7 })
    const sid = String(browser.cookies.get('sid'))
    await place.ageSession(sid, '7 days')

    const answer = await browser.post('/extend')

    assert.equal(answer.json(), true)
    assert.equal(Math.round(secondsOf(answer.setCookies[0]) / 86_400), 14)
    assert.equal(await daysLeft(place), 14)
  })

  test('extend without a session, or of one that has ended, is false', async t => {
    const routes = {
      'POST /ended': async (/** @type {any} */ req, /** @type {any} */ res) => {
        await place.query('DELETE FROM sess')
        res.json([await req.sessions.extend(), req.session])
      }
    }
    const { place, browser } = await open(t, { routes })
    assert.equal((await browser.post('/extend')).json(), false)
    await browser.post('/login', { user_id: 7 })

    const answer = await browser.post('/ended')

    assert.deepEqual(answer.json(), [false, null])
  })

  test('rolling extends with each use, the cookie included', async t => {
    const { place, browser } = await open(t, { options: { rolling: true } })
    await browser.post('/login', { user_id: 7 })
    await place.ageSession(String(browser.cookies.get('sid')), '7 days')

    const { setCookies } = await browser.get('/')

    assert.equal(Math.round(secondsOf(setCookies[0]) / 86_400), 14)
    assert.equal(await daysLeft(place), 14)
  })

  test('rolling asks twice: to extend, and for the row', async t => {
    const { sessions, browser } = await open(t, { options: { rolling: true } })
    await browser.post('/login', { user_id: 7 })
    const before = sessions.stats().calls

    assert.equal((await browser.get('/')).json().user_id, 7)

    assert.equal(sessions.stats().calls - before, 2)
  })

  test('with an extendInterval, rolling asks once until that is over', async t => {
    const sessionOptions = { extendInterval: 3_600_000 }
    const { place, sessions, browser } = await open(t, { options: { rolling: true }, sessionOptions })
    await browser.post('/login', { user_id: 7 })
    const before = sessions.stats().calls

    const { setCookies } = await browser.get('/')

    assert.deepEqual(setCookies, [])
    assert.equal(sessions.stats().calls - before, 1)
    await place.ageSession(String(browser.cookies.get('sid')), '7 days')
    await browser.get('/')
    assert.equal(await daysLeft(place), 14)
  })

  test('without rolling nothing is written', async t => {
    const { place, browser } = await open(t)
    await browser.post('/login', { user_id: 7 })
    await place.ageSession(String(browser.cookies.get('sid')), '7 days')

    assert.deepEqual((await browser.get('/')).setCookies, [])

    assert.equal(await daysLeft(place), 7)
  })

  test('after the headers were sent, extend and destroy still do their work, in silence', async t => {
    const routes = {
      'POST /late': async (/** @type {any} */ req, /** @type {any} */ res) => {
        res.write('x')
        const extended = await req.sessions.extend()
        res.end(JSON.stringify([extended, await req.sessions.destroy()]))
      }
    }
    const { place, browser } = await open(t, { routes })
    await browser.post('/login', { user_id: 7 })
    await place.ageSession(String(browser.cookies.get('sid')), '7 days')

    const answer = await browser.post('/late')

    assert.equal(answer.text, 'x[true,true]')
    assert.deepEqual(answer.setCookies, [])
    assert.deepEqual(await place.query('SELECT FROM sess'), [])
  })
})

test('rolling where the headers are sent already is silent', async t => {
  const place = await database.emptySchema(t)
  const sessions = await place.sessions({ fields: FIELDS })
  const { sess_id } = await sessions.create({ user_id: 7 })
  await place.ageSession(sess_id, '7 days')
  const app = express()
  app.use((/** @type {any} */ _req, /** @type {any} */ res, /** @type {any} */ next) => {
    res.write('x')
    next()
  })
  app.use(sessionMiddleware(sessions, { rolling: true }))
  app.use((/** @type {any} */ req, /** @type {any} */ res) => res.end(String(req.session.user_id)))

  assert.deepEqual(await ask(await serve(t, app), `sid=${sess_id}`), [200, 'x7'])

  assert.equal(await daysLeft(place), 14)
})

describe('failures', () => {
  test('what a request could not do while the database was away is status 503, with its own code', async t => {
    const place = await database.emptySchema(t)
    const proxy = await startProxy(t, place.url)
    const sessions = await place.sessions({ fields: FIELDS, pruneInterval: false }, proxy.url)
    const routes = {
      'GET /devices': async (/** @type {any} */ req, /** @type {any} */ res) =>
        res.json(await req.sessions.list({ user_id: 7 })),
      'POST /end': async (/** @type {any} */ req, /** @type {any} */ res) =>
        res.json(await req.sessions.destroyAll({ user_id: 7 })),
      'POST /away/:method': async (/** @type {any} */ req, /** @type {any} */ res) => {
        await proxy.close()
        res.json(await req.sessions[req.params.method]({}))
      }
    }
    const origin = await serve(t, app(express, sessions, {}, routes))
    const browser = new Browser(origin)
    const methods = ['update', 'extend', 'refresh', 'destroy']
    for (const method of methods) {
      await browser.post('/login', { user_id: 7 })
      const failed = await browser.post(`/away/${method}`)
      await proxy.open()
      assert.deepEqual([failed.status, failed.json().code], [503, 'ECONNREFUSED'], method)
      assert.deepEqual(failed.setCookies, [])
      assert.equal((await browser.get('/')).json().user_id, 7)
    }
    await proxy.close()

    const stranger = new Browser(origin)
    const answers = [
      await stranger.post('/login', { user_id: 8 }),
      await stranger.get('/devices'),
      await stranger.post('/end')
    ]

    for (const answer of answers) assert.deepEqual([answer.status, answer.json().code], [503, 'ECONNREFUSED'])
    await proxy.open()
    const wrong = await stranger.post('/login', { user_id: null })
    assert.deepEqual([wrong.status, wrong.json().code], [500, '23502'])
  })

  test("onError: 'anonymous' goes on without a session, reports it, and leaves the cookie", async t => {
    /** @type {any[]} */
    const reported = []
    const sessionOptions = { onError: (/** @type {unknown} */ error) => reported.push(error) }
    const routes = {
      'GET /private': [requireSession(), (/** @type {any} */ _req, /** @type {any} */ res) => res.json('secret')]
    }
    const { place, browser } = await open(t, { options: { onError: 'anonymous' }, sessionOptions, routes })
    await browser.post('/login', { user_id: 7 })
    await place.query('ALTER TABLE sess RENAME TO away')

    const answer = await browser.get('/')

    assert.equal(answer.json(), null)
    assert.deepEqual(answer.setCookies, [])
    assert.deepEqual(
      reported.map(error => error.code),
      ['42P01']
    )
    assert.equal((await browser.get('/private')).status, 503)
    assert.equal((await browser.post('/extend')).status, 503)
    assert.equal((await browser.post('/logout')).status, 503)
    assert.equal(browser.cookies.size, 1)
    await place.query('ALTER TABLE away RENAME TO sess')
    assert.equal((await browser.get('/private')).json(), 'secret')
  })

  test("onError: 'anonymous' goes on without a session, too, if it could be read but not extended", async t => {
    const sessionOptions = { extendInterval: 60_000, refreshInterval: 900_000, onError() {} }
    const options = { onError: 'anonymous', rolling: true }
    const { place, browser } = await open(t, { options, sessionOptions })
    await browser.post('/login', { user_id: 7 })
    await place.ageSession(String(browser.cookies.get('sid')), '1 hour')
    await place.query(`
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'read only'; END $$;
      CREATE TRIGGER refuse BEFORE UPDATE ON sess FOR EACH ROW
      WHEN (OLD.sess_expiration <> NEW.sess_expiration) EXECUTE FUNCTION refuse()`)
    const before = browser.cookies.get('sid')

    const answer = await browser.get('/')

    assert.equal(answer.json(), null)
    assert.notEqual(browser.cookies.get('sid'), before, 'it has got a new id, which the browser has to know')
    await place.query('DROP TRIGGER refuse ON sess')
    assert.equal((await browser.get('/')).json()?.user_id, 7)
  })

  test('a session that could not be read is known to be over once destroy has ended it', async t => {
    const routes = {
      'POST /recovered': async (/** @type {any} */ req, /** @type {any} */ res) => {
        await place.query('ALTER TABLE away RENAME TO sess')
        res.json([await req.sessions.destroy(), await req.sessions.extend()])
      }
    }
    const sessionOptions = { onError() {} }
    const { place, browser } = await open(t, { options: { onError: 'anonymous' }, sessionOptions, routes })
    await browser.post('/login', { user_id: 7 })
    await place.query('ALTER TABLE sess RENAME TO away')

    assert.deepEqual((await browser.post('/recovered')).json(), [true, false])

    assert.equal(browser.cookies.size, 0)
  })

  test('an error of a handler is not taken for one of ours', async t => {
    const routes = {
      'GET /broken': () => {
        throw Object.assign(new Error('from the handler'), { status: 418 })
      }
    }
    const { browser } = await open(t, { routes })
    await browser.post('/login', { user_id: 7 })

    const answer = await browser.get('/broken')

    assert.equal(answer.status, 418)
    assert.equal(answer.json().message, 'from the handler')
  })

  test('beside another session middleware it refuses to work', async t => {
    const place = await database.emptySchema(t)
    const middleware = sessionMiddleware(await place.sessions({ fields: FIELDS }))
    /** @type {any} */
    const req = { headers: {}, session: {} }

    const error = await new Promise(resolve => middleware(req, /** @type {any} */ ({}), resolve))

    assert.match(error.message, /^req.session is taken/)
  })

  test('mounted twice it works once', async t => {
    const place = await database.emptySchema(t)
    const sessions = await place.sessions({ fields: FIELDS })
    const app = express()
    app.use(sessionMiddleware(sessions), sessionMiddleware(sessions))
    app.get('/', (/** @type {any} */ req, /** @type {any} */ res) => res.json(req.session))

    assert.equal((await new Browser(await serve(t, app)).get('/')).json(), null)
  })

  test('mounted for other sessions, too, it refuses: nobody passes with a session of the first', async t => {
    const place = await database.emptySchema(t)
    const customers = await place.sessions({ fields: FIELDS })
    const staff = await place.sessions({ fields: FIELDS, tableName: 'staff' })
    const app = express()
    app.use(sessionMiddleware(customers))
    app.use('/staff', sessionMiddleware(staff, { name: 'staff' }), requireSession())
    app.use((/** @type {any} */ req, /** @type {any} */ res) => res.json(req.session.user_id))
    app.use((/** @type {any} */ error, /** @type {any} */ _req, /** @type {any} */ res, /** @type {any} */ _next) =>
      res.status(500).end(error.message)
    )
    const browser = new Browser(await serve(t, app))
    const { sess_id } = await customers.create({ user_id: 7 })
    browser.cookies.set('sid', sess_id)

    assert.equal((await browser.get('/')).json(), 7)
    const { status, text } = await browser.get('/staff')

    assert.equal(status, 500)
    assert.match(text, /^req\.session is taken/)
  })
})

describe('requireSession', () => {
  const page = (/** @type {any} */ _req, /** @type {any} */ res) => res.json('secret')

  test('lets those with a session pass; others get 401, or another status', async t => {
    const routes = { 'GET /a': [requireSession(), page], 'GET /b': [requireSession({ status: 404 }), page] }
    const { browser } = await open(t, { routes })

    const refused = await browser.get('/a')
    assert.equal(refused.status, 401)
    assert.equal(refused.text, 'Unauthorized')
    assert.equal(refused.headers.get('Cache-Control'), 'no-store')
    assert.equal((await browser.get('/b')).status, 404)
    await browser.post('/login', { user_id: 7 })
    assert.equal((await browser.get('/a')).json(), 'secret')
  })

  test('redirects, if it is told where to', async t => {
    const routes = {
      'GET /a': [requireSession({ redirect: '/login' }), page],
      'POST /a': [requireSession({ redirect: (/** @type {any} */ req) => `/login?to=${req.path}` }), page]
    }
    const { browser } = await open(t, { routes })

    const [got, posted] = [await browser.get('/a'), await browser.post('/a')]

    assert.deepEqual([got.status, got.headers.get('Location')], [302, '/login'])
    assert.deepEqual([posted.status, posted.headers.get('Location')], [303, '/login?to=/a'])
  })

  test('where: another session is 403', async t => {
    const routes = {
      'GET /admin': [requireSession({ where: { role: 'admin' } }), page],
      'GET /staff': [requireSession({ where: { role: ['admin', 'clerk'] } }), page],
      'GET /none': [requireSession({ where: { role: null } }), page],
      'GET /seven': [requireSession({ where: async (/** @type {any} */ row) => row.user_id === 7 }), page],
      'GET /typo': [requireSession({ where: { rôle: 'admin' } }), page]
    }
    const { browser } = await open(t, { routes })
    const statuses = async (/** @type {object} */ user) => {
      await browser.post('/login', user)
      const answers = await Promise.all(Object.keys(routes).map(route => browser.get(encodeURI(route.split(' ')[1]))))
      return answers.map(answer => answer.status)
    }

    assert.deepEqual(await statuses({ user_id: 7, role: 'admin' }), [200, 200, 403, 200, 500])
    assert.deepEqual(await statuses({ user_id: 8, role: 'clerk' }), [403, 200, 403, 403, 500])
    assert.deepEqual(await statuses({ user_id: 7 }), [403, 403, 200, 200, 500])
  })

  for (const [what, reason] of Object.entries({
    nothing: undefined,
    null: null,
    '"route"': 'route',
    '"router"': 'router'
  })) {
    for (const [name, framework] of Object.entries({ 'Express 4': express4, 'Express 5': express })) {
      test(`where that rejects with ${what} lets nobody pass: ${name}`, async t => {
        const place = await database.emptySchema(t)
        const sessions = await place.sessions({ fields: FIELDS })
        const app = framework()
        app.use(sessionMiddleware(sessions), requireSession({ where: () => Promise.reject(reason) }), page)
        app.use(
          (/** @type {any} */ _error, /** @type {any} */ _req, /** @type {any} */ res, /** @type {any} */ _next) => {
            res.status(500).end('an error')
          }
        )
        const { sess_id } = await sessions.create({ user_id: 7 })

        assert.deepEqual(await ask(await serve(t, app), `sid=${sess_id}`), [500, 'an error'])
      })
    }
  }

  test('without a session nobody passes, whatever the app put in its place', async t => {
    for (const nothing of [undefined, false, '']) {
      const forget = (/** @type {any} */ req, /** @type {any} */ _res, /** @type {any} */ next) => {
        req.session = nothing
        next()
      }
      const { browser } = await open(t, { routes: { 'GET /a': [forget, requireSession(), page] } })
      assert.equal((await browser.get('/a')).status, 401)
    }
  })

  test('without the middleware is an error', async t => {
    const origin = await serve(t, (req, res) =>
      requireSession()(req, res, error => res.end(String(/** @type {any} */ (error)?.message)))
    )

    assert.match((await new Browser(origin).get('/')).text, /^requireSession: sessionMiddleware has to come before/)
  })

  for (const [options, message] of /** @type {[any, RegExp][]} */ ([
    [{ redirct: '/' }, /unknown option "redirct"; known are redirect, status, where/],
    [{ redirect: 7 }, /^options.redirect: expected/],
    [{ status: '401' }, /^options.status: expected/],
    [{ status: 200 }, /^options.status: expected a status from 400 to 599, got the number 200/],
    [{ where: 'admin' }, /^options.where: expected/],
    [{ where: { role: undefined } }, /^options.where.role: expected a value, got undefined/],
    [{ where: {} }, /^options.where: names no field; leave it out if any session will do/],
    [{ where: Promise.resolve({ role: 'admin' }) }, /^options.where: names no field/],
    [{ where: new Map([['role', 'admin']]) }, /^options.where: names no field/]
  ])) {
    test(`${JSON.stringify(options)} is refused at once: ${message}`, () => {
      assert.throws(() => requireSession(options), { message })
    })
  }
})

describe('wrong options are refused at once', () => {
  for (const [options, message] of /** @type {[any, RegExp][]} */ ([
    [{ nmae: 'sid' }, /^options: unknown option "nmae"; known are rolling, onError, name, path/],
    [{ name: 'a b' }, /^options.name: expected the name of a cookie, got "a b"/],
    [{ name: '' }, /^options.name/],
    [{ name: 7 }, /^options.name/],
    [{ path: 'x' }, /^options.path: expected a path such as \/, got "x"/],
    [{ path: '/;' }, /^options.path/],
    [{ domain: 'a b' }, /^options.domain/],
    [{ secure: 'yes' }, /^options.secure: expected one of true, false, "auto", got "yes"/],
    [{ httpOnly: 1 }, /^options.httpOnly/],
    [{ sameSite: 'Lax' }, /^options.sameSite: expected one of "lax", "strict", "none", got "Lax"/],
    [{ sameSite: 'none', secure: false }, /^options.secure: expected true or "auto", since sameSite "none" needs it/],
    [{ partitioned: true, secure: false }, /^options.secure/],
    [{ name: '__Secure-x', secure: false }, /^options.secure/],
    [{ name: '__Host-x', path: '/x' }, /^options.name: __Host-x needs the path/],
    [{ name: '__host-x', domain: 'example.com' }, /^options.name/],
    [{ priority: 'top' }, /^options.priority/],
    [{ secret: '' }, /^options.secret: expected a text, or several, that are not empty$/],
    [{ secret: [] }, /^options.secret/],
    [{ secret: ['hush', 7] }, /^options.secret/],
    [{ rolling: 1 }, /^options.rolling/],
    [{ onError: 'ignore' }, /^options.onError: expected "next" or "anonymous", got "ignore"/],
    ['x', /^options: expected an object/]
  ])) {
    test(JSON.stringify(options), async t => {
      const sessions = await (await database.emptySchema(t)).sessions({ fields: {} })
      assert.throws(() => sessionMiddleware(sessions, options), { name: /TypeError|RangeError/, message })
    })
  }

  test('and so is what are no sessions', () => {
    for (const value of [undefined, null, {}, 'postgres://localhost/app', Promise.resolve()]) {
      assert.throws(() => sessionMiddleware(/** @type {any} */ (value)), { name: 'TypeError', message: /^sessions: / })
    }
  })
})

/**
 * Sends a Cookie header just as it is.
 *
 * @param {string} origin
 * @param {string} cookie
 * @returns {Promise<[number, string]>}
 */
function ask(origin, cookie) {
  return new Promise((resolve, reject) => {
    const sent = request(origin, { headers: { Cookie: cookie } }, async res => {
      let text = ''
      for await (const chunk of res) text += chunk
      resolve([Number(res.statusCode), text])
    })
    sent.on('error', reject).end()
  })
}

/** @param {string} line of a Set-Cookie header */
function secondsOf(line) {
  return Number(/Max-Age=(\d+)/.exec(line)?.[1])
}

/** @param {import('./support/place.js').Place} place */
async function daysLeft(place) {
  const [{ days }] = await place.query(
    "SELECT round(extract(epoch FROM sess_expiration - now() AT TIME ZONE 'UTC') / 86400)::int AS days FROM sess"
  )
  return days
}
