'use strict'

// `npx pg-sess-rs`: which command, and how it ends. What it prints never holds a password, since no setting of the
// connection is printed.

const { commands } = require('./commands.js')
const { readArguments } = require('./arguments.js')
const { USAGE, UsageError } = require('./usage.js')

const DONE = 0
const FAILED = 1
const WRONG_USE = 2

/**
 * @param {string[]} args
 * @returns {Promise<number>} the code to exit with
 */
async function main(args) {
  try {
    const asked = await readArguments(args)
    if (asked.help) {
      console.log(USAGE)
      return DONE
    }
    const fits = await commands[asked.command](asked)
    return fits ? DONE : FAILED
  } catch (error) {
    return failed(error)
  }
}

/** @param {any} error */
function failed(error) {
  const isUse = error instanceof UsageError || error instanceof TypeError || error instanceof RangeError
  // Where several addresses refused, the error has no words of its own.
  const message = error?.message || error?.code || String(error)
  console.error(`pg-sess-rs: ${message}${isUse ? '\nTry pg-sess-rs --help.' : ''}`)
  return isUse ? WRONG_USE : FAILED
}

exports.main = main
