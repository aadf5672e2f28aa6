'use strict'

// The demo as people meet it: in a real Chromium, each device a browser context of its own. Makes its pictures, too:
// `PGSESS_SCREENSHOTS=<folder>` says where they go.

const assert = require('node:assert/strict')
const path = require('node:path')
const { after, before, describe, test } = require('node:test')
const { createDevicesApp } = require('../../demo/devices/app.js')
const { serve } = require('../support/browser.js')
const { launch, program } = require('../support/chromium.js')
const { lacks } = require('../support/needs.js')
const { useDatabase } = require('../support/place.js')
const { startProxy } = require('../support/proxy.js')

/** @typedef {import('playwright-core').Page} Page */

const SCREENSHOTS = process.env.PGSESS_SCREENSHOTS
const IPHONE = 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1'
const ANDROID = 'Mozilla/5.0 (Android 15; Mobile) Gecko/130.0 Firefox/130.0'
const WINDOWS = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36 Edg/130.0'

/** For a busy machine. */
const MINUTE = 60_000

const database = useDatabase('demo_devices')

describe('the demo in Chromium', { skip: lacks(program, 'apt-get install chromium, for example') }, () => {
  /** @type {import('playwright-core').Browser} */
  let browser
  before(async () => {
    browser = await launch()
  })
  after(() => browser?.close())

  /**
   * @param {import('node:test').TestContext} t
   * @param {RegExp} [expected] what the browser's console may say
   */
  async function open(t, expected = /^$/) {
    const place = await database.emptySchema(t)
    const network = await startProxy(t, place.url)
    const { app, close } = await createDevicesApp(network.url)
    place.defer(close)
    const address = await serve(t, app)

    /** @param {import('playwright-core').BrowserContextOptions} [options] */
    const newPage = async options => {
      const context = await browser.newContext(options)
      place.defer(() => context.close())
      context.setDefaultTimeout(MINUTE)
      const page = await context.newPage()
      /** @type {string[]} */
      const problems = []
      page.on('console', message => {
        if (message.type() === 'error' && !expected.test(message.text())) problems.push(message.text())
      })
      page.on('pageerror', error => problems.push(error.message))
      t.after(() => assert.deepEqual(problems, []))
      await page.goto(address)
      return page
    }
    /**
     * @param {string} user
     * @param {import('playwright-core').BrowserContextOptions} [options]
     */
    const logIn = async (user, options) => {
      const page = await newPage(options)
      await page.getByRole('button', { name: `Log in as ${user}` }).click()
      await page.getByRole('heading', { name: `Hello, ${user}` }).waitFor()
      return page
    }
    return { place, network, newPage, logIn }
  }

  test('log-in, and log-out, which ends the session', async t => {
    const { place, logIn } = await open(t)
    const page = await logIn('Ada')
    assert.equal((await page.context().cookies()).length, 1)

    await page.getByRole('button', { name: 'Log out' }).click()

    await page.getByRole('heading', { name: 'Who are you?' }).waitFor()
    assert.deepEqual(await page.context().cookies(), [])
    assert.deepEqual(await place.query('SELECT FROM devices'), [])
  })

  test('log-in with the keyboard alone', async t => {
    const { newPage } = await open(t)
    const page = await newPage()

    await page.keyboard.press('Tab')
    await page.keyboard.press('Tab')
    assert.equal(await focused(page), 'Log in as Grace')
    assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), 'none')
    await page.keyboard.press('Enter')

    await page.getByRole('heading', { name: 'Hello, Grace' }).waitFor()
  })

  test('a new id on request: the browser has another cookie and stays logged in', async t => {
    const { logIn } = await open(t)
    const page = await logIn('Ada')
    const [before] = await page.context().cookies()

    await page.getByRole('button', { name: 'New id' }).click()
    await page.getByText('A new id. You are still logged in.').waitFor()

    const [now] = await page.context().cookies()
    assert.notEqual(now.value, before.value)
    assert.equal(await page.locator('#sid').textContent(), now.value.slice(0, 8))
    assert.equal((await page.locator('#trail').textContent())?.trim(), before.value.slice(0, 8))
    await page.reload()
    assert.equal(await page.locator('h1').textContent(), 'Hello, Ada')
  })

  test('a new id by itself, when the old one has been in use for a while', async t => {
    const { place, logIn } = await open(t)
    const page = await logIn('Ada')
    const [before] = await page.context().cookies()

    await place.query("UPDATE devices SET sess_creation_date = sess_creation_date - interval '1 minute'")
    await page.waitForFunction(sid => document.querySelector('#sid')?.textContent !== sid, before.value.slice(0, 8))

    const [now] = await page.context().cookies()
    assert.equal(await page.locator('#sid').textContent(), now.value.slice(0, 8))
    assert.equal(await page.locator('h1').textContent(), 'Hello, Ada')
  })

  test('extend gives the full length again', async t => {
    const { place, logIn } = await open(t)
    const page = await logIn('Ada')
    const clock = page.getByRole('timer')
    await place.query("UPDATE devices SET sess_expiration = sess_expiration - interval '5 minutes'")
    await page.waitForFunction(() => /^[0-4]:/.test(document.querySelector('[role=timer]')?.textContent ?? ''))

    await page.getByRole('button', { name: 'Extend' }).click()

    await page.getByText('Extended: it has its full time again.').waitFor()
    assert.match(String(await clock.textContent()), /^(10:00|9:\d\d)$/)
  })

  test('a log-in elsewhere appears by itself, and signing one device out ends only that one', async t => {
    const { logIn } = await open(t)
    const laptop = await logIn('Ada')
    const phone = await logIn('Ada', { userAgent: IPHONE })
    const tablet = await logIn('Ada', { userAgent: ANDROID })
    await laptop.getByRole('listitem').nth(2).waitFor()
    assert.equal(await laptop.getByText('this device', { exact: true }).count(), 1)

    await laptop.getByRole('button', { name: /^Sign out Safari on iOS, logged in since \d\d:\d\d UTC$/ }).click()

    await laptop.getByText('Signed out Safari on iOS.').waitFor()
    assert.equal(await laptop.getByRole('listitem').count(), 2)
    assert.equal(await focused(laptop), 'Your devices', 'the button is gone: the focus is near')
    await phone.getByText('This device was signed out').waitFor()
    await tablet.reload()
    assert.equal(await tablet.locator('h1').textContent(), 'Hello, Ada')
  })

  test('sign out everywhere else leaves this device and other people alone', async t => {
    const { logIn } = await open(t)
    const laptop = await logIn('Ada')
    const [phone, stranger] = [await logIn('Ada', { userAgent: IPHONE }), await logIn('Grace')]
    await laptop.getByRole('listitem').nth(1).waitFor()

    await laptop.getByRole('button', { name: 'Sign out everywhere else' }).click()

    await laptop.getByText('You are logged in nowhere else.').waitFor()
    await phone.getByRole('heading', { name: 'Who are you?' }).waitFor()
    await stranger.reload()
    assert.equal(await stranger.locator('h1').textContent(), 'Hello, Grace')
  })

  test('a database that is away is said and stays in sight, and so is that it is back', async t => {
    const { network, newPage, logIn } = await open(t, /503/)
    const page = await logIn('Ada')
    const news = page.getByRole('status')

    await network.close()
    await news.getByText('The database cannot be reached.').waitFor()
    const link = await page.context().newPage()
    await link.goto(page.url())
    assert.equal(await link.getByRole('alert').textContent(), 'The database cannot be reached.')
    const stranger = await newPage()
    await stranger.getByRole('button', { name: 'Log in as Grace' }).click()
    await stranger.getByText('The database cannot be reached.').waitFor()
    const changes = await page.evaluateHandle(() => {
      /** @type {MutationRecord[]} */
      const seen = []
      new MutationObserver(list => seen.push(...list)).observe(document.querySelector('[role=status]') ?? document, {
        childList: true
      })
      return seen
    })
    // As long as other news would last, and longer.
    for (let looks = 0; looks < 4; looks++) await page.waitForResponse(answer => answer.status() === 503)
    assert.equal(await news.textContent(), 'The database cannot be reached.')
    assert.equal(await changes.evaluate(seen => seen.length), 0, 'it is said once')
    await page.getByRole('button', { name: 'Extend' }).click()
    await page.waitForFunction(seen => seen.length > 0, changes)
    await network.open()

    await news.getByText('It works again.').waitFor()
    await link.getByRole('link', { name: 'Try again' }).click()
    assert.equal(await link.locator('h1').textContent(), 'Hello, Ada')
  })

  test('traffic moves the figures: calls travel together', async t => {
    const { logIn } = await open(t)
    const page = await logIn('Ada')
    await page.getByRole('button', { name: 'Send traffic' }).click()

    await page
      .getByText(/visitors look up their sessions/)
      .first()
      .waitFor()
    await page.waitForFunction(() => Number(document.querySelector('#batch .value')?.textContent) > 2)

    assert.match(String(await page.locator('#calls .value').textContent()), /^\d{1,3}(,\d{3})*$/)
    assert.match(String(await page.locator('#loop .value').textContent()), /^\d+ %$/)
    await page.waitForFunction(() => document.querySelector('#calls polyline')?.getAttribute('points')?.includes(' '))
    await page.waitForFunction(() =>
      /a second, .* in a statement, /.test(document.querySelector('[aria-live]')?.textContent)
    )
    await page.getByText('No traffic but yours.').waitFor()
  })

  test('everything is reached with the keyboard, by names that a screen reader says', async t => {
    const { logIn } = await open(t)
    await logIn('Ada', { userAgent: IPHONE })
    const page = await logIn('Ada')

    const names = []
    for (let at = 0; at < 6; at++) {
      await page.keyboard.press('Tab')
      names.push(await focused(page))
    }

    assert.match(names[3], /^Sign out Safari on iOS, logged in since/)
    names.splice(3, 1)
    assert.deepEqual(names, ['Log out', 'Extend', 'New id', 'Sign out everywhere else', 'Send traffic'])
    for (const landmark of /** @type {const} */ (['banner', 'main', 'contentinfo'])) {
      assert.equal(await page.getByRole(landmark).count(), 1, landmark)
    }
    for (const name of ['This session', 'Your devices', 'Right now']) {
      assert.equal(await page.getByRole('region', { name }).count(), 1, name)
    }
  })

  for (const [reducedMotion, count] of /** @type {const} */ ([
    ['reduce', 0],
    ['no-preference', 1]
  ])) {
    test(`what is new moves only for those who like it: ${reducedMotion}`, async t => {
      const { logIn } = await open(t)
      const page = await logIn('Ada', { reducedMotion })
      await page.evaluate(() => document.getElementById('sid')?.classList.add('fresh'))

      assert.equal(await page.evaluate(() => document.getElementById('sid')?.getAnimations().length), count)
    })
  }

  test('without JavaScript the forms work all the same', async t => {
    const { logIn } = await open(t)
    const page = await logIn('Ada', { javaScriptEnabled: false })
    const sid = await page.locator('#sid').textContent()

    await page.getByRole('button', { name: 'New id' }).click()

    await page
      .locator('#sid')
      .filter({ hasNotText: String(sid) })
      .waitFor()
    assert.equal(await page.locator('h1').textContent(), 'Hello, Ada')
  })

  for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
    test(`it fits a desk and a phone, in ${colorScheme}`, async t => {
      const { newPage, logIn } = await open(t)
      const visitor = await newPage({ colorScheme, viewport: { width: 1120, height: 640 } })
      await shoot(visitor, `login-${colorScheme}`)
      for (const userAgent of [IPHONE, WINDOWS]) await logIn('Ada', { userAgent })
      const page = await logIn('Ada', { colorScheme, viewport: { width: 1120, height: 800 } })
      if (SCREENSHOTS) await beBusy(page)

      await shoot(page, `devices-${colorScheme}`)
      const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor)
      const isLight = Number(/\d+/.exec(ground)?.[0]) > 127
      assert.equal(isLight, colorScheme === 'light')

      for (const width of [768, 360, 320]) {
        await page.setViewportSize({ width, height: 740 })
        const [needed, there] = await page.evaluate(() => {
          const { scrollWidth, clientWidth } = document.documentElement
          return [scrollWidth, clientWidth]
        })
        assert.ok(needed <= there, `${width} are enough, ${needed} needed`)
        await shoot(page, `devices-${colorScheme}-${width}`)
      }
    })
  }
})

/** @param {Page} page */
function focused(page) {
  return page.evaluate(() => {
    const element = document.activeElement
    return element?.getAttribute('aria-label') ?? element?.textContent?.replace(/^[A-Z](?=Log in)/, '').trim() ?? ''
  })
}

/**
 * What the pictures show: two ids before this one, and some seconds of traffic.
 *
 * @param {Page} page
 */
async function beBusy(page) {
  for (let ids = 1; ids <= 2; ids++) {
    await page.getByRole('button', { name: 'New id' }).click()
    await page.locator(`#trail code:nth-of-type(${ids})`).waitFor()
  }
  const points = (/** @type {number} */ count) =>
    page.waitForFunction(
      wanted => Number(document.querySelector('#calls polyline')?.getAttribute('points')?.split(' ').length) >= wanted,
      count
    )
  await points(8)
  await page.getByRole('button', { name: 'Send traffic' }).click()
  await points(15)
}

/**
 * @param {Page} page
 * @param {string} name
 */
async function shoot(page, name) {
  if (SCREENSHOTS) await page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`), fullPage: true })
}
