'use strict'

// What a request does with sessions beyond its own, and with its own id: change, rotate, list, end elsewhere.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const { start } = require('./support/apps.js')
const { Browser } = require('./support/browser.js')
const { useDatabase } = require('./support/place.js')

const database = useDatabase('express_devices')
const MINUTE = 60_000

/** @type {import('./support/apps.js').Routes} */
const ROUTES = {
  'POST /update': async (req, res) => res.json([await req.sessions.update(req.body), req.session]),
  'POST /refresh': async (req, res) => {
    const row = await req.sessions.refresh()
    res.json(row === req.session)
  },
  'GET /devices': async (req, res) => {
    const devices = await req.sessions.list({ user_id: req.session.user_id })
    const own = req.sessions.handle()
    res.json(devices.map(({ handle, ...row }) => ({ handle, isOwn: handle === own, keys: Object.keys(row) })))
  },
  'POST /end': async (req, res) => {
    const { user_id = req.session.user_id, only, others } = req.body
    const options = others ? { except: req.session.sess_id } : only === undefined ? undefined : { only }
    res.json([await req.sessions.destroyAll({ user_id }, options), req.session?.user_id ?? null])
  },
  'POST /late': async (req, res) => {
    res.write(' ')
    const failure = await req.sessions.refresh().catch((/** @type {unknown} */ error) => error)
    res.end(JSON.stringify(failure.code))
  }
}

/**
 * @param {import('node:test').TestContext} t
 * @param {object} [sessionOptions]
 */
async function open(t, sessionOptions) {
  const place = await database.emptySchema(t)
  const { sessions, origin } = await start(t, place, { routes: ROUTES, sessionOptions })
  const logIn = async (/** @type {number} */ user_id) => {
    const browser = new Browser(origin)
    await browser.post('/login', { user_id })
    return browser
  }
  return { place, sessions, origin, logIn }
}

/**
 * Lets the ids of a table grow older than they are.
 *
 * @param {import('./support/place.js').Place} place
 */
async function ageAll(place) {
  await place.query("UPDATE sess SET sess_creation_date = sess_creation_date - interval '1 hour'")
  const [{ has }] = await place.query("SELECT to_regclass('sess_ids') IS NOT NULL AS has")
  if (!has) return
  const columns = await place.query(
    `SELECT attname AS name FROM pg_attribute WHERE attrelid = to_regclass('sess_ids') AND attnum > 0
     AND NOT attisdropped AND atttypid IN ('timestamp'::regtype, 'timestamptz'::regtype)`
  )
  for (const { name } of columns) await place.query(`UPDATE sess_ids SET ${name} = ${name} - interval '1 hour'`)
}

describe('update', () => {
  test('changes the fields of the session, and leaves the cookie', async t => {
    const { place, logIn } = await open(t)
    const browser = await logIn(7)

    const answer = await browser.post('/update', { role: 'admin' })

    const [row, session] = answer.json()
    assert.deepEqual([row.user_id, row.role], [7, 'admin'])
    assert.deepEqual(session, row)
    assert.deepEqual(answer.setCookies, [])
    assert.deepEqual((await browser.get('/')).json(), { user_id: 7, role: 'admin' })
    assert.equal((await place.query('SELECT FROM sess')).length, 1)
  })

  test('without a session is null', async t => {
    const { origin } = await open(t)

    assert.deepEqual((await new Browser(origin).post('/update', { role: 'admin' })).json(), [null, null])
  })
})

describe('refresh', () => {
  test('gives the browser a new id for the same session', async t => {
    const { logIn, origin } = await open(t, { refreshInterval: 60 * MINUTE })
    const browser = await logIn(7)
    const before = browser.cookies.get('sid')

    const answer = await browser.post('/refresh')

    assert.equal(answer.json(), true)
    assert.equal(answer.setCookies.length, 1)
    assert.notEqual(browser.cookies.get('sid'), before)
    assert.equal((await browser.get('/')).json().user_id, 7)
    const late = new Browser(origin)
    late.cookies.set('sid', String(before))
    assert.equal((await late.get('/')).json().user_id, 7)
    assert.equal(late.cookies.get('sid'), browser.cookies.get('sid'))
  })

  test('after the headers were sent is an error', async t => {
    const { logIn } = await open(t, { refreshInterval: 60 * MINUTE })
    const browser = await logIn(7)

    assert.equal((await browser.post('/late')).json(), 'PGSESS_HEADERS_SENT')
    assert.equal((await browser.get('/')).json().user_id, 7)
  })

  for (const how of ['by the app', 'by refreshInterval']) {
    test(`20 requests around a rotation ${how} all stay logged in, and the browser ends with the current id`, async t => {
      const { place, logIn } = await open(t, { refreshInterval: 10 * MINUTE })
      const browser = await logIn(7)
      const before = browser.cookies.get('sid')
      if (how === 'by refreshInterval') await ageAll(place)

      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, at) =>
          at === 7 && how === 'by the app' ? browser.post('/refresh') : browser.get('/')
        )
      )

      assert.ok(answers.every(answer => answer.status === 200 && answer.json() !== null))
      const given = new Set(answers.flatMap(answer => answer.setCookies).map(line => line.split(';')[0]))
      assert.equal(given.size, 1)
      assert.notEqual(browser.cookies.get('sid'), before)
      const after = await browser.get('/')
      assert.equal(after.json().user_id, 7)
      assert.deepEqual(after.setCookies, [])
    })
  }
})

describe('list and destroyAll', () => {
  test('a page of devices shows no id, and marks its own', async t => {
    const { logIn } = await open(t)
    const [phone, laptop] = [await logIn(7), await logIn(7)]
    await logIn(8)

    const devices = (await laptop.get('/devices')).json()

    assert.equal(devices.length, 2)
    assert.deepEqual(devices.map((/** @type {any} */ device) => device.isOwn).sort(), [false, true])
    const text = JSON.stringify(devices)
    for (const browser of [phone, laptop]) assert.ok(!text.includes(String(browser.cookies.get('sid'))))
    assert.ok(!devices[0].keys.includes('sess_id'))
  })

  test('sign out everywhere else', async t => {
    const { logIn } = await open(t)
    const [phone, laptop, other] = [await logIn(7), await logIn(7), await logIn(8)]

    assert.deepEqual((await laptop.post('/end', { others: true })).json(), [1, 7])

    assert.equal((await phone.get('/')).json(), null)
    assert.equal((await laptop.get('/')).json().user_id, 7)
    assert.equal((await other.get('/')).json().user_id, 8)
  })

  test('sign out one device, but not one of somebody else', async t => {
    const { logIn } = await open(t)
    const [phone, laptop, other] = [await logIn(7), await logIn(7), await logIn(8)]
    const [{ handle }] = (await phone.get('/devices')).json().filter((/** @type {any} */ device) => device.isOwn)

    assert.deepEqual((await other.post('/end', { only: handle })).json(), [0, 8])
    assert.equal((await phone.get('/')).json().user_id, 7)
    assert.deepEqual((await laptop.post('/end', { only: handle })).json(), [1, 7])
    assert.equal((await phone.get('/')).json(), null)
    assert.equal((await laptop.get('/')).json().user_id, 7)
  })

  test('sign out everywhere takes the own cookie away, too', async t => {
    const { logIn } = await open(t)
    const [phone, laptop] = [await logIn(7), await logIn(7)]

    assert.deepEqual((await laptop.post('/end')).json(), [2, null])

    assert.equal(laptop.cookies.size, 0)
    assert.equal((await phone.get('/')).json(), null)
  })
})
