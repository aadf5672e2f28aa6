'use strict'

// A program of its own that makes calls when it is told to: `{ url, options }` opens its sessions, `{ operation, sids,
// values }` makes one call a session, all at once, and sends back what came of them.

const { connect } = require('../../index.js')

let sessions

process.on('message', async (/** @type {any} */ { url, options, operation, sids, values }) => {
  if (url !== undefined) {
    sessions = await connect(url, options)
    process.send?.('ready')
    return
  }
  process.send?.(await makeCalls(sessions, operation, sids, values))
})

/**
 * @param {any} sessions
 * @param {string} operation
 * @param {string[]} sids
 * @param {object} values for `update`
 */
function makeCalls(sessions, operation, sids, values) {
  const call = async (/** @type {string} */ sid) => {
    try {
      const value = await (operation === 'update' ? sessions.update(sid, values) : sessions[operation](sid))
      return { value: value?.sess_id ?? value }
    } catch (error) {
      return { code: error.code ?? error.message }
    }
  }
  return Promise.all(sids.map(call))
}

module.exports = { makeCalls }
