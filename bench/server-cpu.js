'use strict'

// How long the processes of a server have run, where the system tells: Linux, in /proc.
// https://www.kernel.org/doc/html/latest/filesystems/proc.html

const fs = require('node:fs')

/** In /proc/<pid>/stat, counted behind the name, which is in parentheses and may hold anything. */
const PARENT = 1

/**
 * @param {number | undefined} pid of the server's first process
 * @returns {number | undefined} ms of it and its children together; undefined where there is no telling
 */
function serverCpu(pid) {
  if (pid === undefined || !fs.existsSync('/proc/self/schedstat')) return undefined
  const family = [pid, ...childrenOf(pid)]
  return family.reduce((total, member) => total + runningTime(member), 0)
}

/** @param {number} pid */
function childrenOf(pid) {
  const all = fs.readdirSync('/proc').filter(name => /^\d+$/.test(name))
  return all.map(Number).filter(child => statOf(child)[PARENT] === String(pid))
}

/** @param {number} pid */
function statOf(pid) {
  const text = read(`/proc/${pid}/stat`)
  return text.slice(text.lastIndexOf(')') + 2).split(' ')
}

/**
 * Of all its threads. schedstat counts nanoseconds, stat only hundredths of a second.
 *
 * @param {number} pid
 */
function runningTime(pid) {
  const tasks = `/proc/${pid}/task`
  const threads = fs.existsSync(tasks) ? fs.readdirSync(tasks) : []
  const times = threads.map(thread => Number(read(`${tasks}/${thread}/schedstat`).split(' ')[0]))
  return times.reduce((total, time) => total + time, 0) / 1e6
}

/**
 * @param {string} file
 * @returns {string} nothing if the process has just ended
 */
function read(file) {
  try {
    return fs.readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

module.exports = { serverCpu }
