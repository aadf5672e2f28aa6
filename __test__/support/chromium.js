'use strict'

// A real browser: the system's Chromium, driven by playwright-core, which brings none of its own.

const { spawnSync } = require('node:child_process')
const { chromium } = require('playwright-core')

/** It runs as root in a container, too, and talks to nobody but the app. */
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync'
]

/** Where it is, or the name that it is missed by. */
const program = ['chromium', 'chromium-browser', 'google-chrome'].map(find).find(Boolean) ?? 'chromium'

/** @param {string} name */
function find(name) {
  return spawnSync('which', [name], { encoding: 'utf8' }).stdout.trim()
}

function launch() {
  return chromium.launch({ executablePath: program, args: FLAGS })
}

exports.launch = launch
exports.program = program
