'use strict'

// Many requests at once: whatever rotates and rolls meanwhile, everybody gets what is theirs.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { start } = require('./support/apps.js')
const { Browser } = require('./support/browser.js')
const { useDatabase } = require('./support/place.js')

const USERS = 50
const REQUESTS = 2000
const MINUTE = 60_000

const database = useDatabase('express_crowd')

test('2 000 parallel requests of 50 users, with rotation and rolling: nobody sees another, nobody is logged out', async t => {
  const place = await database.emptySchema(t)
  const { origin } = await start(t, place, {
    options: { rolling: true, secret: 'hush' },
    routes: { 'POST /refresh': async (req, res) => res.json({ user_id: (await req.sessions.refresh())?.user_id }) },
    // However long a busy machine takes for all of it, no id that is replaced meanwhile stops working.
    sessionOptions: { refreshInterval: 5 * MINUTE, refreshGrace: 30 * MINUTE }
  })
  const users = await Promise.all(Array.from({ length: USERS }, (_, user) => logIn(origin, user)))
  const before = users.map(idOf)
  // Half of them get a new id with their next request, the others ask for one in the middle.
  await place.query(
    "UPDATE sess SET sess_creation_date = sess_creation_date - interval '6 minutes' WHERE user_id % 2 = 0"
  )

  const answers = await Promise.all(
    Array.from({ length: REQUESTS }, async (_, at) => {
      const user = at % USERS
      const isRotation = user % 2 === 1 && Math.floor(at / USERS) === 20
      const answer = await (isRotation ? users[user].post('/refresh') : users[user].get('/'))
      return { user, status: answer.status, seen: answer.json()?.user_id }
    })
  )

  assert.deepEqual(
    answers.filter(({ status, seen, user }) => status !== 200 || seen !== user),
    []
  )
  const rows = await place.query('SELECT user_id FROM sess ORDER BY user_id')
  assert.deepEqual(
    rows.map(row => row.user_id),
    Array.from({ length: USERS }, (_, user) => user)
  )
  for (const [user, browser] of users.entries()) {
    assert.notEqual(idOf(browser), before[user], 'the browser has the new id')
    assert.equal((await browser.get('/')).json().user_id, user)
  }
  assert.equal(new Set(users.map(idOf)).size, USERS)
})

/**
 * @param {string} origin
 * @param {number} user_id
 */
async function logIn(origin, user_id) {
  const browser = new Browser(origin)
  await browser.post('/login', { user_id })
  return browser
}

/** @param {Browser} browser */
function idOf(browser) {
  return decodeURIComponent(String(browser.cookies.get('sid'))).split('.')[0]
}
