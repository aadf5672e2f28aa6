'use strict'

// The larger demo as people meet it: in a real Chromium, each device a browser context of its own.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { createDevicesApp } = require('../../demo/devices/app.js')
const { serve } = require('../support/browser.js')
const { launch } = require('../support/chromium.js')
const { useDatabase } = require('../support/place.js')

/** Where screenshots go, if anybody wants them. */
const SCREENSHOTS = process.env.PGSESS_SCREENSHOTS

const database = useDatabase('demo_devices')

/** @param {import('node:test').TestContext} t */
async function open(t) {
  const place = await database.emptySchema(t)
  const { app, close } = await createDevicesApp(place.url)
  place.defer(close)
  const address = await serve(t, app)
  const browser = await launch(t)
  /**
   * A device of its own.
   *
   * @param {string} user
   * @param {object} [options]
   */
  const device = async (user, options) => {
    const context = await browser.newContext(options)
    const page = await context.newPage()
    /** @type {string[]} */
    const problems = []
    page.on('console', message => message.type() === 'error' && problems.push(message.text()))
    page.on('pageerror', error => problems.push(error.message))
    await page.goto(address)
    await page.getByRole('button', { name: `Log in as ${user}` }).click()
    await page.getByRole('heading', { name: `Hello, ${user}` }).waitFor()
    return { context, page, problems }
  }
  return { place, address, device, browser }
}

/** @param {import('playwright-core').Page} page */
const heading = page => page.getByRole('heading', { level: 1 }).textContent()

test('log-in, a new id, log-out', async t => {
  const { device, place } = await open(t)
  const { page, problems } = await device('Ada')
  const before = await page.locator('#sid').textContent()

  await page.getByRole('button', { name: 'New id' }).click()
  await page.waitForFunction(text => document.querySelector('#sid')?.textContent !== text, before)
  assert.equal(await heading(page), 'Hello, Ada')
  await page.reload()
  assert.equal(await heading(page), 'Hello, Ada')

  await page.getByRole('button', { name: 'Log out' }).click()
  await page.getByRole('heading', { name: 'Who are you?' }).waitFor()
  assert.deepEqual(await place.query('SELECT FROM devices'), [])
  assert.deepEqual(problems, [])
})

test('two devices see each other; one signs the other out, and everywhere else', async t => {
  const { device } = await open(t)
  const [laptop, phone, tablet, stranger] = [
    await device('Ada'),
    await device('Ada', { userAgent: 'Mozilla/5.0 (iPhone) Safari/605' }),
    await device('Ada', { userAgent: 'Mozilla/5.0 (Android) Firefox/130.0' }),
    await device('Grace')
  ]

  await laptop.page.reload()
  const items = laptop.page.getByRole('listitem')
  assert.equal(await items.count(), 3)
  assert.equal(await laptop.page.getByText('this device').count(), 1)
  await laptop.page.getByRole('button', { name: /Sign out Safari on iOS/ }).click()
  await laptop.page.waitForFunction(() => document.querySelectorAll('.devices li').length === 2)
  await phone.page.reload()
  assert.equal(await heading(phone.page), 'Who are you?')

  await laptop.page.getByRole('button', { name: 'Sign out everywhere else' }).click()
  await laptop.page.getByText('You are logged in nowhere else.').waitFor()
  await tablet.page.reload()
  assert.equal(await heading(tablet.page), 'Who are you?')
  await stranger.page.reload()
  assert.equal(await heading(stranger.page), 'Hello, Grace')
})

test('extend gives the full length again', async t => {
  const { device, place } = await open(t)
  const { page } = await device('Ada')
  await place.query("UPDATE devices SET sess_expiration = sess_expiration - interval '5 minutes'")
  await page.reload()
  assert.match(String(await page.locator('.left').textContent()), /^(5:00|4:\d\d)$/)

  await page.getByRole('button', { name: 'Extend' }).click()

  await page.waitForFunction(() => /^(10:00|9:\d\d)$/.test(document.querySelector('.left')?.textContent ?? ''))
})

test('traffic shows in the charts', async t => {
  const { device } = await open(t)
  const { page, problems } = await device('Ada')
  await page.getByRole('button', { name: 'Send some traffic' }).click()

  await page.getByText('Traffic for some seconds.').waitFor()
  await page.waitForFunction(() => Number(document.querySelector('#batch')?.textContent) > 2)
  await page.waitForFunction(() => document.querySelector('#calls-line')?.getAttribute('points')?.includes(' '))

  assert.match(String(await page.locator('#calls').textContent()), /^[\d,]+$/)
  assert.match(String(await page.locator('#loop').textContent()), /^\d+ %$/)
  assert.deepEqual(problems, [])
})

test('all of it works with the keyboard, by names that a screen reader says', async t => {
  const { device } = await open(t)
  const { page } = await device('Ada')
  const names = []
  for (let at = 0; at < 6; at++) {
    await page.keyboard.press('Tab')
    names.push(
      await page.evaluate(
        () => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent
      )
    )
  }

  assert.deepEqual(names.slice(0, 3), ['Extend', 'New id', 'Log out'])
  assert.match(String(names[3]), /^Sign out Chrome on Linux, logged in since \d\d:\d\d UTC$/)
  assert.equal(names[4], 'Send some traffic')
})

for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
  test(`it fits a phone and a desk, in ${colorScheme}`, async t => {
    const { device } = await open(t)
    await device('Ada', { userAgent: 'Mozilla/5.0 (iPhone) Safari/605' })
    const { page } = await device('Ada', { colorScheme, viewport: { width: 900, height: 900 } })
    await page.getByRole('button', { name: 'Send some traffic' }).click()
    await page.waitForFunction(
      () => document.querySelector('#calls-line')?.getAttribute('points')?.split(' ').length === 5
    )
    await shoot(page, `devices-${colorScheme}`)
    const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor)

    assert.equal(ground, colorScheme === 'light' ? 'rgb(243, 244, 247)' : 'rgb(18, 20, 26)')
    await page.setViewportSize({ width: 360, height: 700 })
    const isWide = await page.evaluate(
      () => document.documentElement.scrollWidth > document.documentElement.clientWidth
    )
    assert.equal(isWide, false)
    await shoot(page, `devices-${colorScheme}-phone`)
  })
}

/**
 * @param {import('playwright-core').Page} page
 * @param {string} name
 */
async function shoot(page, name) {
  if (!SCREENSHOTS) return
  fs.mkdirSync(SCREENSHOTS, { recursive: true })
  await page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`), fullPage: true })
}
