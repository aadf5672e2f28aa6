'use strict'

// How much is measured: everything, or enough in a minute to see that it works.

const { availableParallelism } = require('node:os')

/** @typedef {{ processes: number, connections: number }} Crowd who asks an app, and how many processes answer */

/**
 * @typedef {object} Plan
 * @property {boolean} isFull nothing is left out, so that its figures may be published
 * @property {number} sessions in each contestant's table
 * @property {string[]} measurements of MEASUREMENTS
 * @property {number[]} inFlight
 * @property {number} rounds
 * @property {number} warmUpMs before the rounds, for each contestant
 * @property {number} turnMs one contestant's share of a round
 * @property {{ warmUpCalls: number, calls: number, inFlight: number }} memory
 * @property {{ crowds: Crowd[], rounds: number, warmUpSeconds: number, seconds: number }} apps
 */

const OPERATIONS = ['validate', 'extend', 'create', 'destroy', 'mix']
const MEASUREMENTS = [...OPERATIONS, 'memory', 'apps']

/** One process, and as many as a cluster has in production, with as many connections as keep them busy. */
const CROWDS = [
  { processes: 1, connections: 64 },
  { processes: Math.max(2, availableParallelism()), connections: 256 }
]

/** @type {Plan} */
const FULL = {
  isFull: true,
  sessions: 100_000,
  measurements: MEASUREMENTS,
  inFlight: [1, 4, 16, 64, 256, 1024],
  rounds: 5,
  warmUpMs: 300,
  turnMs: 500,
  memory: { warmUpCalls: 50_000, calls: 200_000, inFlight: 64 },
  apps: { crowds: CROWDS, rounds: 7, warmUpSeconds: 2, seconds: 2 }
}

/** @type {Plan} */
const QUICK = {
  ...FULL,
  isFull: false,
  inFlight: [1, 64],
  rounds: 1,
  warmUpMs: 30,
  turnMs: 100,
  memory: { warmUpCalls: 500, calls: 2000, inFlight: 64 },
  apps: { crowds: CROWDS, rounds: 1, warmUpSeconds: 0, seconds: 1 }
}

module.exports = { FULL, MEASUREMENTS, OPERATIONS, QUICK }
