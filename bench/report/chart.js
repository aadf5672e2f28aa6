'use strict'

// Calls a second against calls in flight, for validate: an SVG by hand, readable on light and dark pages alike.

const { median } = require('../stats.js')

/** @typedef {import('../results.js').Results} Results */
/** @typedef {{ key: string, name: string, points: { inFlight: number, rate: number }[] }} Line */
/** @typedef {{ x(inFlight: number): number, y(rate: number): number, top: number }} Scale */

const WIDTH = 860
const HEIGHT = 460
/** Room around the plot: for the title, the names at the lines' ends, the two axes. */
const MARGIN = { top: 64, right: 224, bottom: 56, left: 64 }
const PLOT = { right: WIDTH - MARGIN.right, bottom: HEIGHT - MARGIN.bottom }
/** Names of lines that end close together are moved this far apart. */
const LABEL_HEIGHT = 17
const GRID_LINES = 5

/** Ours stand out; PostgreSQL's other clients are blue to violet, Redis's red to orange. */
const LOOKS = /** @type {Record<string, { hue: string, width?: number, dash?: string }>} */ ({
  sessions: { hue: 'ours', width: 3.5 },
  'drop-in': { hue: 'ours', width: 2.5, dash: '6 5' },
  'pg-promise': { hue: 'blue' },
  pg: { hue: 'violet' },
  'pg-pipelined': { hue: 'violet', dash: '6 5' },
  postgres: { hue: 'cyan' },
  'connect-pg-simple': { hue: 'grey' },
  'node-redis': { hue: 'red' },
  'connect-redis': { hue: 'orange' }
})

/** Each colour on white, and on the dark grey of a dark page. */
const COLOURS = {
  text: ['#1f2328', '#e6edf3'],
  quiet: ['#59636e', '#9198a1'],
  grid: ['#d1d9e0', '#3d444d'],
  ours: ['#1a7f37', '#3fb950'],
  blue: ['#0969da', '#58a6ff'],
  violet: ['#8250df', '#bc8cff'],
  cyan: ['#1b7c83', '#56d4dd'],
  grey: ['#59636e', '#9198a1'],
  red: ['#cf222e', '#ff7b72'],
  orange: ['#bc4c00', '#f0883e']
}

/**
 * @param {Results} results
 * @returns {string}
 */
function drawChart(results) {
  const lines = toLines(results)
  if (lines.length === 0) throw new Error('the chart shows validate, which was not measured')
  const scale = toScale(lines)
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" role="img">`,
    `<title>${asXml(description(lines))}</title>`,
    style(),
    ...titles(results),
    ...grid(scale),
    ...inFlightAxis(lines, scale),
    ...lines.map(line => drawLine(line, scale)),
    ...drawLabels(lines, scale),
    '</svg>'
  ].join('\n')}\n`
}

/**
 * @param {Results} results
 * @returns {Line[]} the later ones are drawn over the earlier
 */
function toLines(results) {
  const measured = results.calls.filter(({ operation }) => operation === 'validate')
  const all = results.contestants.map(({ key, name }) => {
    const series = measured.filter(({ contestant }) => contestant === key)
    const points = series.map(({ inFlight, turns }) => ({
      inFlight,
      rate: median(turns.map(({ calls, ms }) => (calls / ms) * 1000))
    }))
    return { key, name, points: points.sort((a, b) => a.inFlight - b.inFlight) }
  })
  return all.filter(({ points }) => points.length > 0).reverse()
}

/**
 * @param {Line[]} lines
 * @returns {Scale}
 */
function toScale(lines) {
  const points = lines.flatMap(line => line.points)
  const inFlight = points.map(point => Math.log2(point.inFlight))
  const [least, most] = [Math.min(...inFlight), Math.max(...inFlight)]
  const top = roundUp(Math.max(...points.map(({ rate }) => rate)))
  return {
    top,
    x: number => MARGIN.left + ((Math.log2(number) - least) / (most - least || 1)) * (PLOT.right - MARGIN.left),
    y: rate => PLOT.bottom - (rate / top) * (PLOT.bottom - MARGIN.top)
  }
}

/** @param {number} rate */
function roundUp(rate) {
  const unit = 10 ** Math.floor(Math.log10(rate))
  const steps = [1, 1.5, 2, 2.5, 3, 4, 5, 7.5, 10]
  return unit * Number(steps.find(step => step * unit >= rate))
}

function style() {
  return `<style>
text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; }
.title { font-size: 16px; font-weight: 600; }
.bold { font-weight: 600; }
.line { fill: none; stroke-linejoin: round; stroke-linecap: round; }
${colours(0)}
@media (prefers-color-scheme: dark) {
${colours(1)}
}
</style>`
}

/**
 * One class for each colour. No CSS variables, which not every program that shows an SVG knows.
 *
 * @param {0 | 1} page light or dark
 */
function colours(page) {
  const rules = Object.entries(COLOURS).map(([name, pair]) => {
    const colour = pair[page]
    return `text.${name}, circle.${name} { fill: ${colour}; } .line.${name} { stroke: ${colour}; }`
  })
  return rules.join('\n')
}

/** @param {Results} results */
function titles({ machine }) {
  const server = machine.versions.PostgreSQL?.replace(/ .*/, '') ?? ''
  const under = `validate, calls a second; PostgreSQL ${server}, ${machine.computer}, ${machine.date}`
  return [
    `<text class="title text" x="16" y="26">Sessions looked up in a second</text>`,
    `<text class="quiet" x="16" y="46">${asXml(under)}</text>`
  ]
}

/** @param {Scale} scale */
function grid({ top, y }) {
  const rates = Array.from({ length: GRID_LINES + 1 }, (_, at) => (top / GRID_LINES) * at)
  return rates.flatMap(rate => [
    `<line class="line grid" x1="${MARGIN.left}" x2="${PLOT.right}" y1="${at(y(rate))}" y2="${at(y(rate))}"/>`,
    `<text class="quiet" x="${MARGIN.left - 10}" y="${at(y(rate) + 4)}" text-anchor="end">${short(rate)}</text>`
  ])
}

/**
 * @param {Line[]} lines
 * @param {Scale} scale
 */
function inFlightAxis(lines, { x }) {
  const numbers = [...new Set(lines.flatMap(({ points }) => points.map(({ inFlight }) => inFlight)))]
  const middle = (MARGIN.left + PLOT.right) / 2
  return [
    ...numbers.map(
      number => `<text class="quiet" x="${at(x(number))}" y="${PLOT.bottom + 20}" text-anchor="middle">${number}</text>`
    ),
    `<text class="quiet" x="${middle}" y="${PLOT.bottom + 42}" text-anchor="middle">calls in flight</text>`
  ]
}

/**
 * @param {Line} line
 * @param {Scale} scale
 */
function drawLine({ key, points }, { x, y }) {
  const { hue, width = 2, dash } = look(key)
  const places = points.map(({ inFlight, rate }) => `${at(x(inFlight))},${at(y(rate))}`)
  const dashes = dash === undefined ? '' : ` stroke-dasharray="${dash}"`
  const dots = points.map(
    ({ inFlight, rate }) => `<circle cx="${at(x(inFlight))}" cy="${at(y(rate))}" r="${width + 0.5}" class="${hue}"/>`
  )
  const line = `<polyline class="line ${hue}" points="${places.join(' ')}" stroke-width="${width}"${dashes}/>`
  return line + dots.join('')
}

/**
 * @param {Line[]} lines
 * @param {Scale} scale
 */
function drawLabels(lines, { y }) {
  const ends = lines.map(line => ({ line, y: y(line.points[line.points.length - 1].rate) }))
  return spread(ends).map(({ line, y: height }) => {
    const { hue } = look(line.key)
    const weight = hue === 'ours' ? ' bold' : ''
    const text = `${line.name} ${short(line.points[line.points.length - 1].rate)}`
    return `<text class="${hue}${weight}" x="${PLOT.right + 12}" y="${at(height + 4)}">${asXml(text)}</text>`
  })
}

/**
 * Moves labels up until none lies on another, from the lowest to the highest.
 *
 * @template {{ y: number }} L
 * @param {L[]} labels
 * @returns {L[]}
 */
function spread(labels) {
  const lowestFirst = [...labels].sort((a, b) => b.y - a.y)
  let limit = PLOT.bottom
  return lowestFirst.map(label => {
    const y = Math.min(label.y, limit)
    limit = y - LABEL_HEIGHT
    return { ...label, y }
  })
}

/** @param {Line[]} lines */
function description(lines) {
  const ends = [...lines].reverse().map(({ name, points }) => `${name} ${short(points[points.length - 1].rate)}`)
  const most = Math.max(...lines.flatMap(({ points }) => points.map(({ inFlight }) => inFlight)))
  return `Sessions looked up in a second with ${most} calls in flight: ${ends.join(', ')}`
}

/** @param {string} key */
function look(key) {
  return LOOKS[key] ?? { hue: 'grey', dash: '2 4' }
}

/** @param {number} rate */
function short(rate) {
  if (rate < 1000) return String(Math.round(rate))
  return `${Number((rate / 1000).toPrecision(rate < 10_000 ? 2 : 3))}k`
}

/** @param {number} place */
function at(place) {
  return Number(place.toFixed(1))
}

/** @param {string} text */
function asXml(text) {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;')
}

module.exports = { drawChart }
