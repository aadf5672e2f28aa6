'use strict'

exports.USAGE = `usage: pg-sess-rs <command> [option…]

commands:
  sql      print the statements that make the table, without connecting: for those who run migrations themselves
  check    connect and compare the table with the fields; print what differs
  prune    remove the rows of expired sessions; print how many
  stats    print how many sessions are live and how many rows expired, and the table's size on disk

options:
  --url <url>        the database, such as postgres://user@host/name; without it, PGHOST, PGUSER, PGPASSWORD, …
  --table <name>     the table's name (default: sess)
  --schema <name>    its schema (default: the first of the connection's search_path)
  --fields <list>    the fields, such as 'user_id=INT NOT NULL, price=NUMERIC(6,2)'; prune and stats need none
  --config <file>    .json, or .js whose (default) export is an object: "fields" and the other options of connect(),
                     and "connection" in place of --url. What is given here counts more
  --fold-names       field names are folded to lower case, as init() of pg-sess does
  --json             print JSON (check, prune, stats)
  --help             print this

exit codes:
  0  done; the table fits
  1  the table differs, or the database could not be asked
  2  wrong use`
