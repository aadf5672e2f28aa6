'use strict'

// How far a long command is: a bar on a terminal, now and then a line elsewhere.

/** @typedef {{ show(done: number, total: number): void, end(): void }} Progress */

const WIDTH = 30
/** Between two lines, in ms. */
const PAUSE = 5000

/**
 * @param {{ isTTY?: boolean, write(text: string): unknown }} stream
 * @returns {Progress}
 */
function progressOn(stream) {
  return stream.isTTY ? bar(stream) : lines(stream)
}

/**
 * @param {{ write(text: string): unknown }} stream
 * @returns {Progress}
 */
function bar(stream) {
  let isDrawn = false
  return {
    show(done, total) {
      const share = shareOf(done, total)
      const full = Math.round(share * WIDTH)
      const drawn = '#'.repeat(full) + '-'.repeat(WIDTH - full)
      stream.write(`\r[${drawn}] ${Math.floor(share * 100)} % of ${total}`)
      isDrawn = true
    },
    end() {
      if (isDrawn) stream.write('\n')
    }
  }
}

/**
 * @param {{ write(text: string): unknown }} stream
 * @returns {Progress}
 */
function lines(stream) {
  let last = Date.now()
  return {
    show(done, total) {
      if (Date.now() - last < PAUSE) return
      last = Date.now()
      stream.write(`${Math.floor(shareOf(done, total) * 100)} % of ${total}\n`)
    },
    end() {}
  }
}

/**
 * Sessions may have come since they were counted.
 *
 * @param {number} done
 * @param {number} total
 */
function shareOf(done, total) {
  return total === 0 ? 1 : Math.min(1, done / total)
}

exports.progressOn = progressOn
