'use strict'

// A name for the device behind a User-Agent, as a list of devices shows it.

/** What a User-Agent says, the first that fits. @type {[RegExp, string][]} */
const BROWSERS = [
  [/Edg\//, 'Edge'],
  [/Firefox\//, 'Firefox'],
  [/Chrome\//, 'Chrome'],
  [/Safari\//, 'Safari']
]
/** @type {[RegExp, string][]} */
const SYSTEMS = [
  [/iPhone|iPad/, 'iOS'],
  [/Android/, 'Android'],
  [/Windows/, 'Windows'],
  [/Mac OS/, 'macOS'],
  [/Linux/, 'Linux']
]

/** @param {string} [agent] */
function deviceOf(agent = '') {
  const [browser, system] = [BROWSERS, SYSTEMS].map(list => list.find(([pattern]) => pattern.test(agent))?.[1])
  return [browser ?? 'A browser', system].filter(Boolean).join(' on ')
}

/** @param {string} device a name that {@link deviceOf} gave */
function isHandheld(device) {
  return /iOS|Android/.test(device)
}

module.exports = { deviceOf, isHandheld }
