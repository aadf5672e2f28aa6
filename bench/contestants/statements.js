'use strict'

// What one would write by hand for one session in the table of this package, for the peers that take SQL.

const NOW = "now() at time zone 'UTC'"
const LENGTH = "interval '14 days'"
const LIVE = `sess_id = $1 and sess_expiration > ${NOW}`

const STATEMENTS = {
  validate: `select * from sess where ${LIVE}`,
  extend: `update sess set sess_last_updated = ${NOW}, sess_expiration = ${NOW} + ${LENGTH} where ${LIVE}`,
  create: `insert into sess (sess_id, sess_creation_date, sess_last_updated, sess_expiration, username, user_id)
    values ($1, ${NOW}, ${NOW}, ${NOW} + ${LENGTH}, $2, $3) returning *`,
  destroy: 'delete from sess where sess_id = $1'
}

module.exports = { STATEMENTS }
