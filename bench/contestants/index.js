'use strict'

// Who takes part: one file each, named by it. The order is that of the tables.

const path = require('node:path')

/**
 * What a contestant does, each call on a session of its own.
 *
 * @typedef {object} Calls
 * @property {(id: string) => Promise<object | null>} validate the session if it is live, else null
 * @property {(id: string) => Promise<boolean>} extend it to its full length from now; whether there was one
 * @property {() => Promise<string>} create one with VALUES; its id
 * @property {(id: string) => Promise<boolean>} destroy it; whether there was one
 * @property {() => Promise<unknown>} close
 */

/**
 * Where a contestant is at home: nobody else uses these.
 *
 * @typedef {{ postgresUrl: string, redisUrl: string }} Place `redisUrl` is empty where there is no Redis
 */

/**
 * A module in this folder, or one given with --also.
 *
 * @typedef {object} Module
 * @property {string} name for people
 * @property {'postgres' | 'redis'} server
 * @property {string[]} packages whose versions matter
 * @property {(place: Place) => import('../data.js').Data} data
 * @property {(place: Place) => Promise<Calls>} open with the settings that are best for it
 */

/** @typedef {Module & { key: string, file: string }} Contestant */

const KEYS = [
  'sessions',
  'drop-in',
  'pg-promise',
  'pg',
  'pg-pipelined',
  'postgres',
  'connect-pg-simple',
  'node-redis',
  'connect-redis'
]

/** What every contestant stores beside the session's own columns. */
const FIELDS = { username: 'VARCHAR(255)', user_id: 'INT' }
/** What `create` stores. The number tells such sessions from those that were there before, which have theirs from 1. */
const VALUES = { username: 'somebody', user_id: 0 }
/** 14 days. */
const LENGTH_MS = 1_209_600_000
/** What the peers with a pool are given; more does not make them faster. */
const POOL_SIZE = 10

/**
 * @param {string[]} [keys] of KEYS; all if absent
 * @param {string[]} [also] files of others
 * @returns {Contestant[]}
 */
function contestants(keys = KEYS, also = []) {
  const files = [...keys.map(key => path.join(__dirname, `${key}.js`)), ...also.map(file => path.resolve(file))]
  return files.map(file => ({ ...require(file), key: path.basename(file, path.extname(file)), file }))
}

module.exports = { contestants, FIELDS, KEYS, LENGTH_MS, POOL_SIZE, VALUES }
