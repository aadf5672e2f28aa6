// From plain JavaScript, as programs written for pg-sess do.

const pgSess = require('pg-sess-rs').default
const { init } = require('pg-sess-rs')

/** @type {typeof pgSess.init} */
const same = init

pgSess.validateSession(null, 'postgres://localhost/app', 'some id').then(session => session?.user_id === 1)
// @ts-expect-error no such function
pgSess.refreshSession

module.exports = { same }
