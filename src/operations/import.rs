//! import: sessions of express-session, in the table of connect-pg-simple, become sessions of this table.
//!
//! The JSON's values become those of the fields by casts, as if somebody had written them down: what PostgreSQL does not
//! take fails the statement, and whoever sent it looks for the guilty one.
//!
//! A second companion, `<table>_imported`, remembers which were copied: one that has ended since does not come back.

use std::time::Duration;

use super::columns::interval;
use crate::table::{Clocks, FieldColumn, Table};
use crate::text::quote_name;
use tokio_postgres::types::Type;

/// What is known of the tables before a piece is copied.
#[derive(Debug)]
pub(crate) struct Place {
    /// The sessions of express-session, as SQL.
    pub(crate) from: String,
    /// The table that remembers what was copied, as SQL.
    pub(crate) imported: String,
    /// Whether it is there.
    pub(crate) has_imported: bool,
    /// The columns that take no NULL.
    pub(crate) required: Vec<String>,
}

/// The schema and the name of the table `$1`, and which of its columns take no NULL.
pub(crate) const LOOK: &str = "SELECT n.nspname::text AS schema, c.relname::text AS name, \
     ARRAY(SELECT a.attname::text FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnotnull AND a.attnum > 0) AS required \
     FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)";

/// Whether the table `$1` is there.
pub(crate) const IS_THERE: &str = "SELECT to_regclass($1) IS NOT NULL AS is_there";

/// The statement that makes the table which remembers what was copied.
pub(crate) fn ddl(imported: &str) -> String {
    format!("CREATE TABLE {imported} (id uuid PRIMARY KEY)")
}

pub(crate) fn total_sql(from: &str) -> String {
    format!("SELECT count(*) AS total FROM {from}")
}

/// Up to `$2` sessions behind `$1`, and whether they are live. A `timestamp` there is local to the connection's zone.
pub(crate) fn page_sql(from: &str) -> String {
    format!(
        "SELECT sid::text AS sid, expire::timestamptz > now() AS is_live FROM {from} \
         WHERE $1::text IS NULL OR sid > $1::text ORDER BY sid LIMIT $2::bigint"
    )
}

/// Copies the sessions `$1` under the ids `$2`; or only says what would come of it. From `$3` on: the path of each
/// mapped field. The answer: how many were `copied`, were `known` from before, have `expired`, and for each mapped field
/// how many have no value for it that need one, in `lacking`.
pub(crate) fn copy_sql(table: &Table, place: &Place, mapped: &[&FieldColumn], dry: bool) -> String {
    let names: String =
        mapped.iter().map(|column| format!(", {}", quote_name(&column.name))).collect();
    let values: String = (0..mapped.len()).map(|at| format!(", v{at}")).collect();
    let casts: String = mapped
        .iter()
        .enumerate()
        .map(|(at, column)| format!(", {} AS v{at}", cast(column, at + 3)))
        .collect();
    let known = if place.has_imported {
        format!("EXISTS (SELECT FROM {} AS i WHERE i.id = l.id)", place.imported)
    } else {
        "false".to_owned()
    };
    let lacks = lacks(place, mapped);
    let lacking: Vec<String> = (0..mapped.len())
        .map(|at| format!("(SELECT count(*) FROM typed WHERE lacks = {at})"))
        .collect();
    let copied = if dry {
        "copied AS (SELECT id FROM sound)".to_owned()
    } else {
        format!(
            "noted AS (INSERT INTO {imported} (id) SELECT id FROM sound ORDER BY id ON CONFLICT DO NOTHING RETURNING id), \
             copied AS (INSERT INTO {name} (sess_id, sess_creation_date, sess_last_updated, sess_expiration{names}) \
             SELECT id, {times}{values} FROM sound WHERE id IN (SELECT id FROM noted) \
             ON CONFLICT (sess_id) DO NOTHING RETURNING sess_id)",
            imported = place.imported,
            name = table.sql_name,
            times = times(table.clocks),
        )
    };
    format!(
        "WITH asked AS MATERIALIZED (SELECT a.sid, a.id FROM unnest($1::text[], $2::uuid[]) AS a (sid, id)), \
         found AS MATERIALIZED (SELECT a.id, s.expire::timestamptz AS ends, s.sess::text::json AS data \
         FROM asked AS a JOIN {from} AS s ON s.sid = a.sid), \
         begun AS MATERIALIZED (SELECT f.*, {begun} AS begun FROM found AS f), \
         live AS MATERIALIZED (SELECT id, data, begun, {ends} AS ends FROM begun WHERE {ends} > now()), \
         new AS MATERIALIZED (SELECT l.* FROM live AS l WHERE NOT {known}), \
         cast_values AS MATERIALIZED (SELECT id, begun, ends{casts} FROM new), \
         typed AS MATERIALIZED (SELECT *, {lacks} AS lacks FROM cast_values), \
         sound AS MATERIALIZED (SELECT * FROM typed WHERE lacks IS NULL), {copied} \
         SELECT (SELECT count(*) FROM copied) AS copied, \
         (SELECT count(*) FROM live) - (SELECT count(*) FROM new) AS known, \
         (SELECT count(*) FROM asked) - (SELECT count(*) FROM live) AS expired, \
         ARRAY[{lacking}]::bigint[] AS lacking",
        from = place.from,
        begun = begun(),
        ends = ends(table.absolute_length),
        lacking = lacking.join(", "),
    )
}

/// When the session was last used, as far as its cookie tells; its true beginning nobody wrote down.
fn begun() -> &'static str {
    "least(now(), coalesce(CASE WHEN json_typeof(f.data #> '{cookie,originalMaxAge}') = 'number' \
     THEN f.ends - make_interval(secs => (f.data #>> '{cookie,originalMaxAge}')::float8 / 1000) END, now()))"
}

fn ends(absolute_length: Option<Duration>) -> String {
    match absolute_length {
        Some(length) => format!("least(ends, begun + {})", interval(length)),
        None => "ends".to_owned(),
    }
}

fn times(clocks: Clocks) -> String {
    let time = |name: &str, is_tz: bool| {
        if is_tz { name.to_owned() } else { format!("({name} AT TIME ZONE 'UTC')") }
    };
    [
        time("begun", clocks.creation_is_tz),
        time("begun", clocks.updated_is_tz),
        time("ends", clocks.expiration_is_tz),
    ]
    .join(", ")
}

/// The value at a path, of the column's type. JSON's null and no value at all are NULL.
fn cast(column: &FieldColumn, place: usize) -> String {
    let (part, text) =
        (format!("(data #> ${place}::text[])"), format!("(data #>> ${place}::text[])"));
    let cast = &column.cast;
    if [Type::JSON.oid(), Type::JSONB.oid()].contains(&column.oid) {
        return format!("CASE WHEN {text} IS NOT NULL THEN {part}::text::{cast} END");
    }
    if column.is_array {
        return format!(
            "CASE WHEN json_typeof({part}) = 'array' THEN ARRAY(SELECT json_array_elements_text({part}))::{cast} \
             ELSE {text}::{cast} END"
        );
    }
    format!("{text}::{cast}")
}

/// The first of the fields that need a value and have none.
fn lacks(place: &Place, mapped: &[&FieldColumn]) -> String {
    let cases: String = mapped
        .iter()
        .enumerate()
        .filter(|(_, column)| place.required.contains(&column.name))
        .map(|(at, _)| format!(" WHEN num_nulls(v{at}) = 1 THEN {at}"))
        .collect();
    if cases.is_empty() { "NULL::int".to_owned() } else { format!("CASE{cases} END") }
}
