'use strict'

// What a visitor does, over HTTP: each step is printed with the rows that the table then holds, and checked.

const assert = require('node:assert/strict')
const { Client } = require('pg')

/** @typedef {{ [column: string]: string | null }} Row as PostgreSQL writes it */

/** A browser with one cookie. */
class Browser {
  /** @param {string} address */
  constructor(address) {
    this.address = address
    this.cookie = ''
  }

  /**
   * @param {'GET' | 'POST'} method
   * @param {string} path
   * @param {{ [field: string]: string }} [form]
   */
  async ask(method, path, form) {
    const response = await fetch(this.address + path, {
      method,
      headers: { cookie: this.cookie },
      body: form && new URLSearchParams(form),
      redirect: 'manual'
    })
    const place = response.headers.get('location')
    const setCookie = response.headers.get('set-cookie')
    if (setCookie) this.cookie = setCookie.split(';')[0]
    say(`${method} ${path}${form ? ` with ${new URLSearchParams(form)}` : ''}`)
    say(`  ${response.status} ${response.statusText}${place ? `, on to ${place}` : ''}`)
    if (setCookie) say(`  Set-Cookie: ${setCookie}`)
    return { status: response.status, place, setCookie: setCookie ?? '', body: await response.text() }
  }
}

/** The table, as another program sees it. */
class Table {
  /** @param {Client} client */
  constructor(client) {
    this.client = client
  }

  /** @param {string} sid */
  async print(sid) {
    const { rows } = await this.client.query({
      text: 'SELECT * FROM sess WHERE sess_id = $1',
      values: [sid],
      types: { getTypeParser: () => (/** @type {string} */ text) => text }
    })
    say(rows.length === 0 ? 'The table has no row of this session.' : 'Its row in the table sess:')
    for (const [column, value] of Object.entries(rows[0] ?? {})) say(`  ${column.padEnd(20)}${value}`)
    return /** @type {Row | undefined} */ (rows[0])
  }
}

/** @param {string} text */
function say(text) {
  console.log(`   ${text}`)
}

/**
 * @param {string} address of the app
 * @param {string} url of the database
 */
async function walk(address, url) {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    await takeSteps(new Browser(address), new Table(client))
  } finally {
    await client.end()
  }
  console.log('\nEvery step went as it should.')
}

/**
 * @param {Browser} browser
 * @param {Table} table
 */
async function takeSteps(browser, table) {
  await step(1, 'Ask for the page without a session', () => stranger(browser))
  const sid = await step(2, 'Log in', () => logIn(browser))
  const row = await step(3, 'See the session', () => look(browser, table, sid))
  await step(4, 'Extend it', () => extend(browser, table, sid, row))
  await step(5, 'Log out', () => logOut(browser, table, sid))
  await step(6, 'Try the old cookie', () => comeBack(browser, sid))
}

/**
 * @template T
 * @param {number} number
 * @param {string} what
 * @param {() => Promise<T>} act
 * @returns {Promise<T>}
 */
async function step(number, what, act) {
  console.log(`\n${number}. ${what}`)
  try {
    return await act()
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new Error(`Step ${number} failed (${what}): ${why}`, { cause: error })
  }
}

/** @param {Browser} browser */
async function stranger(browser) {
  const { status, place } = await browser.ask('GET', '/')
  assert.deepEqual({ status, place }, { status: 303, place: '/login' })
  const form = await browser.ask('GET', '/login')
  assert.match(form.body, /<form method="post" action="\/login">/)
}

/** @param {Browser} browser */
async function logIn(browser) {
  const { status, place, setCookie } = await browser.ask('POST', '/login', { name: 'Ada Lovelace' })
  assert.deepEqual({ status, place }, { status: 303, place: '/' })
  assert.match(setCookie, /HttpOnly/)
  return browser.cookie.replace('sess_id=', '')
}

/**
 * @param {Browser} browser
 * @param {Table} table
 * @param {string} sid
 */
async function look(browser, table, sid) {
  const { status, body } = await browser.ask('GET', '/')
  assert.equal(status, 200)
  say(`  The page says: ${textOf(body, 'h1')}. Time left: ${textOf(body, 'p class="clock"')}`)
  assert.equal(textOf(body, 'h1'), 'Hello, Ada Lovelace')
  const row = await table.print(sid)
  assert.equal(row?.user_name, 'Ada Lovelace')
  return row
}

/**
 * @param {Browser} browser
 * @param {Table} table
 * @param {string} sid
 * @param {Row} before
 */
async function extend(browser, table, sid, before) {
  const { status } = await browser.ask('POST', '/extend')
  assert.equal(status, 303)
  const after = await table.print(sid)
  // As text they sort as they do as times.
  const isLater = (/** @type {string} */ column) => String(after?.[column]) > String(before[column])
  assert.ok(isLater('sess_last_updated'), 'sess_last_updated did not move')
  assert.ok(isLater('sess_expiration'), 'sess_expiration did not move')
}

/**
 * @param {Browser} browser
 * @param {Table} table
 * @param {string} sid
 */
async function logOut(browser, table, sid) {
  const { status, setCookie } = await browser.ask('POST', '/logout')
  assert.equal(status, 303)
  assert.match(setCookie, /^sess_id=;/)
  assert.equal(await table.print(sid), undefined)
}

/**
 * @param {Browser} browser
 * @param {string} sid
 */
async function comeBack(browser, sid) {
  browser.cookie = `sess_id=${sid}`
  const { status, place } = await browser.ask('GET', '/')
  assert.deepEqual({ status, place }, { status: 303, place: '/login' })
}

/**
 * @param {string} body
 * @param {string} tag the first words of an element
 */
function textOf(body, tag) {
  return new RegExp(`<${tag}[^>]*>([^<]*)`).exec(body)?.[1]
}

module.exports = { walk }
