'use strict'

// HTML by hand: text is escaped unless it is HTML already.

/** Text that is HTML already. */
class Html {
  /** @param {string} text */
  constructor(text) {
    this.text = text
  }
}

/** @type {{ [letter: string]: string }} */
const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/**
 * Writes HTML; what is filled in is escaped unless it is HTML itself.
 *
 * @param {TemplateStringsArray} parts
 * @param {...(string | number | Html | Html[])} values
 */
function html(parts, ...values) {
  return new Html(parts.map((part, at) => (at === 0 ? part : toHtml(values[at - 1]) + part)).join(''))
}

/**
 * @param {string | number | Html | Html[]} value
 * @returns {string}
 */
function toHtml(value) {
  if (Array.isArray(value)) return value.map(toHtml).join('')
  return value instanceof Html ? value.text : String(value).replace(/[&<>"']/g, letter => ENTITIES[letter])
}

module.exports = { Html, html }
