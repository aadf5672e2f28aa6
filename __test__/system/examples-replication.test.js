'use strict'

// examples/replication.js and examples/patroni.js: a crash of the primary, with real standbys.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const {
  folderForExamples,
  lacksPrograms,
  lacksReplication,
  programsIn,
  remains,
  startExample
} = require('../support/examples.js')

/** What the contract allows after the promotion, in ms. */
const BACK_WITHIN = 2000

test('after a crash and a promotion nothing that was acknowledged is lost, and calls work again within 2 s', {
  skip: lacksReplication()
}, async t => {
  const folder = folderForExamples(t)

  const { code, stdout, stderr } = await startExample('replication', folder).ended

  assert.equal(code, 0, stdout + stderr)
  assert.match(stdout, /meanwhile: PGSESS_READ_ONLY: no server that takes writes: /)
  const [, back] = /calls work again after (\d+) ms/.exec(stdout)
  assert.ok(Number(back) < BACK_WITHIN, stdout)
  assert.match(stdout, / [1-9]\d* sessions acknowledged, 0 lost\n/)
  assert.match(stdout, / [1-9]\d* ends acknowledged, 0 undone\n/)
  assert.deepEqual(await remains(folder), [])
})

test('a program that is not installed is named, and nothing else is said or left', async t => {
  const folder = folderForExamples(t)

  const { code, stderr } = await startExample('replication', folder, { PGSESS_PG: 'embedded', PGSESS_PG_BIN: '' }).ended

  assert.equal(code, 1)
  assert.match(stderr, /^.* has no pg_basebackup: install PostgreSQL \(Debian, Ubuntu: apt install postgresql\)\n$/)
  assert.deepEqual(await remains(folder), [])
})

test('the same under Patroni, through HAProxy and with hosts', {
  skip: lacksReplication() || lacksPrograms('patroni', 'etcd', 'haproxy')
}, async t => {
  const folder = folderForExamples(t)

  const { code, stdout, stderr } = await startExample('patroni', folder).ended

  assert.equal(code, 0, stdout + stderr)
  for (const way of ['through HAProxy', 'with `hosts`']) {
    const [, back] = new RegExp(`${way}: calls work again (\\d+) ms after the promotion`).exec(stdout)
    assert.ok(Number(back) < BACK_WITHIN, stdout)
  }
  assert.equal(stdout.match(/ [1-9]\d* sessions acknowledged, 0 lost; [1-9]\d* ends, 0 undone\n/g)?.length, 2, stdout)
  assert.deepEqual(await remains(folder), [])
})

describe('an end in the middle leaves no program and no file behind', {
  skip: lacksReplication(),
  concurrency: true
}, () => {
  for (const [signal, expected] of /** @type {const} */ ([
    ['SIGINT', 130],
    ['SIGKILL', null]
  ])) {
    test(signal, async t => {
      const folder = folderForExamples(t)
      const { child, said, ended } = startExample('replication', folder)
      while (!said.stdout.includes('2. ')) {
        const isOver = await Promise.race([ended, new Promise(resolve => child.stdout.once('data', resolve))])
        assert.ok(!isOver?.stdout, `it ended early: ${said.stderr}`)
      }
      assert.ok(programsIn(folder).length > 0)

      child.kill(signal)

      assert.equal((await ended).code, expected)
      assert.deepEqual(await remains(folder), [])
    })
  }
})
