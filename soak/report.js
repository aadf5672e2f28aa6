'use strict'

// The figures of a run, and whether all is well.

/**
 * @typedef {object} Run
 * @property {any[]} reports one a thread
 * @property {Map<string, number>} faults
 * @property {{ violations: { kind: string, message: string }[], looked: number }} last
 * @property {{ start: number, end: number }[]} memory one a process, in bytes
 * @property {number} connections that are left
 * @property {number} growth the most that a process may grow, in MB
 */

/** So many of a sort are shown in words. */
const SHOWN = 10
const KINDS = ['lost', 'resurrected', 'wrong']

/**
 * @param {Run} run
 * @returns {{ lines: string[], isGood: boolean }}
 */
function report({ reports, faults, last, memory, connections, growth }) {
  const calls = sum(reports.map(({ calls }) => calls))
  const errors = sum(reports.map(({ errors }) => errors))
  const violations = [...reports.flatMap(({ violations }) => violations), ...last.violations]
  const unexpected = reports.flatMap(({ unexpected }) => unexpected)
  const hung = reports.reduce((total, { hung }) => total + hung, 0)
  const grown = memory.map(({ start, end }) => (end - start) / 2 ** 20)
  const longest = reports.map(({ longest }) => longest).reduce((one, other) => (one.ms > other.ms ? one : other))
  const isGood = [violations.length, unexpected.length, hung, connections].every(count => count === 0)
  return {
    isGood: isGood && Math.max(...grown) < growth && total(calls) > 0,
    lines: [
      `calls        ${total(calls)} (${listed(calls)}); the longest, ${longest.operation}, took ${longest.ms} ms`,
      `faults       ${total(Object.fromEntries(faults))} (${listed(Object.fromEntries(faults))})`,
      `rejected     ${total(errors)} (${listed(errors) || 'none'})`,
      `unexpected   ${unexpected.length}`,
      ...KINDS.map(kind => `${kind.padEnd(12)} ${violations.filter(one => one.kind === kind).length}`),
      `hung         ${hung}`,
      `memory       ${memory.map(({ start, end }) => `${megabytes(start)} → ${megabytes(end)}`).join(', ')} MB`,
      `connections  ${connections} left`,
      `verified     ${last.looked} sessions in the tables`,
      ...unexpected.slice(0, SHOWN),
      ...KINDS.flatMap(kind => violations.filter(one => one.kind === kind).slice(0, SHOWN)).map(
        ({ kind, message }) => `${kind}: ${message}`
      )
    ]
  }
}

/** @param {Record<string, number>[]} counts */
function sum(counts) {
  /** @type {Record<string, number>} */
  const all = {}
  for (const one of counts) for (const [name, count] of Object.entries(one)) all[name] = (all[name] ?? 0) + count
  return all
}

/** @param {Record<string, number>} counts */
function total(counts) {
  return Object.values(counts).reduce((all, count) => all + count, 0)
}

/** @param {Record<string, number>} counts */
function listed(counts) {
  const sorted = Object.entries(counts).sort(([, one], [, other]) => other - one)
  return sorted.map(([name, count]) => `${name} ${count}`).join(', ')
}

/** @param {number} bytes */
function megabytes(bytes) {
  return (bytes / 2 ** 20).toFixed(0)
}

exports.report = report
