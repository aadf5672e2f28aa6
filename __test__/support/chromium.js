'use strict'

// A real browser: the system's Chromium, driven by playwright-core, which brings none of its own.

const fs = require('node:fs')
const path = require('node:path')
const { chromium } = require('playwright-core')

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

/**
 * @param {{ after(hook: () => Promise<void>): void }} t
 */
async function launch(t) {
  const browser = await chromium.launch({ executablePath: find(), args: ['--no-sandbox'] })
  t.after(() => browser.close())
  return browser
}

function find() {
  const folders = (process.env.PATH ?? '').split(path.delimiter)
  const places = folders.flatMap(folder => NAMES.map(name => path.join(folder, name)))
  const found = process.env.PGSESS_CHROMIUM || places.find(place => fs.existsSync(place))
  if (found) return found
  throw new Error('no Chromium: install one (apt-get install chromium), or say where it is with PGSESS_CHROMIUM')
}

exports.launch = launch
