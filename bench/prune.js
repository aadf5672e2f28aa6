'use strict'

// npm run bench:prune: what others notice while expired sessions are removed: the latency of validations before and
// meanwhile, and how long the longest transaction of prune was open. Takes three minutes.

const { connect } = require('pg-sess-rs')
const { startPostgres } = require('../scripts/postgres.js')
const { Child } = require('./child.js')
const { Cleanup } = require('./cleanup.js')
const { openPostgres } = require('./clients.js')
const { describeMachine } = require('./machine.js')
const { contestants, FIELDS } = require('./contestants/index.js')
const { median } = require('./stats.js')

const ROWS = 1_000_000
/** One of so many is alive. */
const SHARE_ALIVE = 10
const IN_FLIGHT = 16
const TURN_MS = 2000
const TURNS_BEFORE = 5
const SAMPLE_MS = 20
const NOW = "now() at time zone 'UTC'"
const PRUNER = 'pruner'

const [contestant] = contestants(['sessions'])

/**
 * @param {import('pg').Client} admin
 * @param {string} url
 * @returns {Promise<string[]>} ids of some live sessions
 */
async function fill(admin, url) {
  await (await connect(url, { fields: FIELDS, hashIds: false })).close()
  await admin.query(`
    insert into sess select gen_random_uuid(), ${NOW}, ${NOW}, ${NOW} + case when i % ${SHARE_ALIVE} = 0
      then interval '14 days' else interval '-1 second' end, 'user' || i, i
    from generate_series(1, ${ROWS}) i`)
  await admin.query('vacuum (analyze) sess')
  const { rows } = await admin.query(`select sess_id from sess where sess_expiration > ${NOW}`)
  return rows.map(row => row.sess_id)
}

/** How long transactions of the pruner are open, as seen now and then by another connection. */
class Watch {
  longestMs = 0
  #admin
  #isOver = false
  #work

  /** @param {import('pg').Client} admin */
  constructor(admin) {
    this.#admin = admin
    this.#work = this.#run()
  }

  async #run() {
    while (!this.#isOver) {
      const { rows } = await this.#admin.query(
        'select max(extract(epoch from clock_timestamp() - xact_start))::float8 * 1000 as ms ' +
          'from pg_stat_activity where application_name = $1',
        [PRUNER]
      )
      this.longestMs = Math.max(this.longestMs, rows[0].ms ?? 0)
      await new Promise(resolve => setTimeout(resolve, SAMPLE_MS))
    }
  }

  end() {
    this.#isOver = true
    return this.#work
  }
}

/** @param {Cleanup} cleanup */
async function measure(cleanup) {
  const server = await startPostgres({ durable: true, settings: { max_wal_size: '4GB' } })
  cleanup.add(() => server.remove())
  const admin = await openPostgres(server.url)
  cleanup.add(() => admin.end())
  console.log(`${describeMachine([], {}).computer}, PostgreSQL ${server.version}\n`)
  const ids = await fill(admin, server.url)
  const child = new Child('worker.js', contestant.name)
  cleanup.add(() => child.kill())
  await child.ask('open', { file: contestant.file, place: { postgresUrl: server.url, redisUrl: '' }, ids })
  const turn = () => child.ask('turn', { operation: 'validate', inFlight: IN_FLIGHT, ms: TURN_MS })

  const before = []
  for (let count = 0; count < TURNS_BEFORE; count++) before.push(await turn())

  const sessions = await connect(
    { connectionString: server.url, application_name: PRUNER },
    { fields: FIELDS, hashIds: false }
  )
  cleanup.add(() => sessions.close())
  const watch = new Watch(admin)
  const begin = performance.now()
  let isOver = false
  const work = sessions.prune().finally(() => {
    isOver = true
  })
  const meanwhile = []
  while (!isOver) meanwhile.push(await turn())
  const gone = await work
  const seconds = (performance.now() - begin) / 1000
  await watch.end()
  await child.end()

  print(before, meanwhile)
  console.log(
    `${gone} of ${ROWS} rows removed in ${seconds.toFixed(0)} s; longest transaction seen: ${watch.longestMs.toFixed(0)} ms`
  )
}

/**
 * @param {import('./measure.js').Turn[]} before
 * @param {import('./measure.js').Turn[]} meanwhile
 */
function print(before, meanwhile) {
  for (const figure of /** @type {const} */ (['p50', 'p99'])) {
    const [quiet, busy] = [before, meanwhile].map(turns => median(turns.map(turn => turn[figure])))
    const ratio = (busy / quiet).toFixed(1)
    console.log(
      `validate, ${IN_FLIGHT} in flight, ${figure}: ${quiet.toFixed(2)} ms; while pruning ${busy.toFixed(2)} ms, ${ratio} times`
    )
  }
}

async function main() {
  const cleanup = new Cleanup()
  try {
    await measure(cleanup)
  } catch (error) {
    if (cleanup.isInterrupted) return
    console.error(error)
    process.exitCode = 1
  } finally {
    await cleanup.run()
  }
}

main()
