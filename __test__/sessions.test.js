'use strict'

// The same promises over every road that a call can take.

const { describe } = require('node:test')
const { useDatabase } = require('./support/place.js')
const { ROADS } = require('./support/roads.js')
const { sessionsSuite } = require('./suites/sessions.suite.js')

const database = useDatabase('sessions')

for (const { name, ownDatabase, open } of ROADS) {
  describe(`over ${name}`, () => {
    sessionsSuite(async (t, fields, sessionLength) => {
      const place = await (ownDatabase ? database.emptyDatabase(t) : database.emptySchema(t))
      return open(place, fields, sessionLength)
    })
  })
}
