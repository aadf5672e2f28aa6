'use strict'

// The other end of child.js, in the process that is told.

/**
 * Carries out orders, and ends with the process that gives them, however that one ends.
 *
 * @param {Record<string, (details: any) => unknown>} orders
 * @param {() => void} [cleanUp] before the end
 */
function obey(orders, cleanUp = () => {}) {
  process.on('message', async (/** @type {{ order: string, details: object }} */ { order, details }) => {
    try {
      tell({ answer: await orders[order](details) })
    } catch (error) {
      tell({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
    }
  })
  process.once('disconnect', () => {
    cleanUp()
    process.exit()
  })
  // Ctrl-C in a terminal reaches all of us; who comes when is the business of the one that started us.
  for (const signal of ['SIGINT', 'SIGHUP']) process.on(signal, () => {})
}

/** @param {object} message */
function tell(message) {
  if (process.connected) process.send?.(message, () => {})
}

module.exports = { obey }
