'use strict'

// How the command is used, and the error of those who use it otherwise.

/** The command line, or the config file, is not as it should be. */
class UsageError extends Error {}

exports.UsageError = UsageError
exports.USAGE = `usage: pg-sess-rs <command> [option…]

commands:
  sql      print the statements that make the table, without connecting: for those who run migrations themselves
  check    connect and compare the table with the fields; print what differs
  prune    remove the rows of expired sessions; print how many
  stats    print how many sessions are live and how many rows expired, and the table's size on disk
  import   copy the live sessions of an express-session table; with --dry-run only count them

options:
  --url <url>        the database, such as postgres://user@host/name; without it, PGHOST, PGUSER, PGPASSWORD, …
  --table <name>     the table's name (default: sess)
  --schema <name>    its schema (default: the first of the connection's search_path)
  --fields <list>    the fields, such as 'user_id=INT NOT NULL, price=NUMERIC(6,2)'; prune and stats need none
  --config <file>    .json, or .js whose (default) export is an object: "fields" and the other options of connect(),
                     and "connection" in place of --url. What is given here counts more
  --from connect-pg-simple   whose table import reads: that library's, or pg-sess-rs/express-session's
  --from-table <name>, --from-schema <name>   that table (default: session), in the same database
  --fields, for import: where the values of fields stand in its JSON, such as 'user_id=passport.user, role=role'; the
                     datatypes are those of the table, or of --config
  --map <list>       the same, where --fields says the datatypes: then import makes the table, if it is missing
  --dry-run          import changes nothing
  --fold-names       field names are folded to lower case, as init() of pg-sess does
  --json             print JSON (check, prune, stats, import)
  --help             print this

environment:
  PGSESS_IMPORT_SECRET   for import: the secret that signs express-session's cookies

exit codes:
  0  done; the table fits
  1  the table differs, or the database could not be asked
  2  wrong use`
