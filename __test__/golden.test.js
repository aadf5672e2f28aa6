'use strict'

// Values of every type of PostgreSQL, in and out, equal what pg-promise stores and returns. See golden/README.md.

const assert = require('node:assert/strict')
const { execFile } = require('node:child_process')
const path = require('node:path')
const { test } = require('node:test')
const { promisify } = require('node:util')
const pg = require('pg')
const { createDatabase } = require('./support/server.js')
const { setup } = require('./golden/user.json')

const ZONES = ['UTC', 'America/New_York', 'Asia/Kathmandu']
const RUNNER = path.join(__dirname, 'golden', 'run.js')
/** The texts of the answers of a run, which hold whatever was different. */
const MOST_OUTPUT = 1 << 28

test('values of every type are stored and read as pg-promise stores and reads them', async t => {
  const { url, drop } = await createDatabase()
  t.after(drop)
  const version = await prepare(url)

  for (const zone of ZONES) {
    await t.test(`in ${zone}`, async t => {
      const report = await run(zone, url, version)

      for (const [group, { equal, deliberate, different }] of Object.entries(report)) {
        if (equal + deliberate + different.length === 0) continue
        const total = equal + different.length
        t.diagnostic(`${group}: ${equal} of ${total} equal, ${deliberate} different on purpose`)
        assert.deepEqual(different, [], group)
      }
    })
  }
})

async function prepare(url) {
  const client = new pg.Client(url)
  await client.connect()
  await client.query('CREATE SCHEMA golden')
  await client.query('SET search_path TO golden, public')
  for (const sql of setup) await client.query(sql)
  const { rows } = await client.query('SHOW server_version_num')
  await client.end()
  return Math.floor(Number(rows[0].server_version_num) / 10_000)
}

async function run(zone, url, version) {
  const env = { ...process.env, TZ: zone }
  const { stdout } = await promisify(execFile)(process.execPath, [RUNNER, url, String(version)], {
    env,
    maxBuffer: MOST_OUTPUT
  })
  return JSON.parse(stdout)
}
