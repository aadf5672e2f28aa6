//! The pieces of SQL that several operations share: the columns of a row, the clock, the places of ids in an answer.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Duration;

use tokio_postgres::Row;
use uuid::Uuid;

use crate::fields::SESSION_COLUMNS;
use crate::ids::Lookup;
use crate::table::Table;
use crate::text::{Raw, has_simple_output, quote_name};

/// Who reads the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// This crate: fields whose text it cannot make itself come as text.
    Core,
    /// `pg`, in the caller's own transaction: fields come as they are, and its type parsers do the rest.
    Pg,
}

/// The columns of a row: the four of every session, then the fields in the caller's order.
pub(crate) fn row_columns(table: &Table, reader: Reader) -> String {
    row_columns_of("", table, reader)
}

/// The same where several tables are read; `alias` is that of the sessions' with a dot behind it.
pub(crate) fn row_columns_of(alias: &str, table: &Table, reader: Reader) -> String {
    row_columns_with(&format!("{alias}sess_id"), alias, table, reader)
}

/// The same with something else in the place of the id.
pub(crate) fn row_columns_with(id: &str, alias: &str, table: &Table, reader: Reader) -> String {
    format!("{id} AS sess_id, {}", columns_behind_id(alias, table, reader))
}

/// The same without the id.
pub(crate) fn columns_behind_id(alias: &str, table: &Table, reader: Reader) -> String {
    let own = SESSION_COLUMNS.iter().skip(1).map(|name| match reader {
        // Seconds since 1970, whatever the session's time zone and DateStyle are.
        Reader::Pg => format!("extract(epoch FROM {alias}{name})::text AS {name}"),
        Reader::Core => format!("{alias}{name}"),
    });
    let fields = table.columns.iter().map(|column| {
        let own_name = quote_name(&column.name);
        let name = format!("{alias}{own_name}");
        match reader {
            Reader::Core if !has_simple_output(column.oid) => {
                // A cast to text is not the output text (of a boolean, say), and IS NULL is true of a composite of
                // NULLs.
                format!("CASE num_nulls({name}) WHEN 0 THEN format('%s', {name}) END AS {own_name}")
            }
            _ => name,
        }
    });
    own.chain(fields).collect::<Vec<_>>().join(", ")
}

/// Whether the rows, all of one statement, have these types. Rows that are not sessions' have other columns.
pub(crate) fn have_types(rows: &[Row], types: &[u32]) -> bool {
    let Some(columns) = rows.first().map(|row| row.columns().get(1..).unwrap_or_default()) else {
        return true;
    };
    columns.len() != types.len()
        || columns.iter().zip(types).all(|(column, oid)| column.type_().oid() == *oid)
}

/// Now, in the terms of a column: `timestamp` columns hold UTC.
pub(crate) fn now(is_tz: bool) -> &'static str {
    if is_tz { "now()" } else { "(now() AT TIME ZONE 'UTC')" }
}

/// The condition of a live session. Its absolute end counts also where the row says more: the option may be younger
/// than the session.
pub(crate) fn is_live(table: &Table) -> String {
    let clocks = table.clocks;
    let mut condition = format!("sess_expiration > {}", now(clocks.expiration_is_tz));
    if let Some(length) = table.absolute_length {
        // Not now minus the length: that may lie before all times that PostgreSQL knows.
        let end = format!("sess_creation_date + {}", interval(length));
        condition.push_str(&format!(" AND {end} > {}", now(clocks.creation_is_tz)));
    }
    condition
}

/// The same at the moment of execution. `now()` is when the statement began, and it may have waited for the row ever
/// since.
pub(crate) fn is_still_live(table: &Table) -> String {
    is_live(table).replace("now()", "clock_timestamp()")
}

/// A length as SQL. No unit larger than a second, so no calendar is asked how long a day is; and not as a literal,
/// in which PostgreSQL 12 reads no number beyond 32 bits.
pub(crate) fn interval(length: Duration) -> String {
    format!("make_interval(secs => {}.{:03})", length.as_secs(), length.subsec_millis())
}

/// The ids of a batch, for `= ANY(…)`. Not the bare parameter: PostgreSQL would look at the ids that it is given, and
/// find a plan for those of a lone call so cheap that it made a new one for each batch from then on.
pub(crate) const IDS: &str = "(SELECT $1::uuid[])::uuid[]";

/// Whether the row `s` is in the CTE `locked (sess_id)`. For rows on other servers the ids are named once more: PostgreSQL
/// would fetch all rows from there in order to join them. Where all rows are here, that makes the plan worse.
pub(crate) fn is_locked(table: &Table) -> &'static str {
    if table.is_foreign {
        "s.sess_id = locked.sess_id AND s.sess_id = ANY(ARRAY(SELECT l.sess_id FROM locked AS l))"
    } else {
        "s.sess_id = locked.sess_id"
    }
}

/// Under which ids the rows of a batch may stand, as a parameter.
pub(crate) fn stored<'a>(calls: impl Iterator<Item = &'a Lookup>) -> Vec<Uuid> {
    calls.flat_map(Lookup::stored).collect()
}

/// What is known of the session that a call asks for.
pub(crate) fn find<'a, T>(known: &'a ById<T>, call: &Lookup) -> Option<&'a T> {
    call.stored().find_map(|id| known.get(&id))
}

/// What is known of each session of an answer.
pub(crate) type ById<T> = HashMap<Uuid, T, BuildHasherDefault<IdHasher>>;

/// Where each session's row is among the rows.
pub(crate) fn places(rows: &[Row]) -> ById<usize> {
    rows.iter().enumerate().filter_map(|(place, row)| id_of(row).map(|id| (id, place))).collect()
}

/// The id at the beginning of a row.
pub(crate) fn id_of(row: &Row) -> Option<Uuid> {
    let Raw(bytes) = row.try_get(0).ok()?;
    bytes.first_chunk().copied().map(Uuid::from_bytes)
}

/// For the first column: the id, and a byte behind it if the session is `marked`.
pub(crate) fn marked_id(marked: &str) -> String {
    format!("uuid_send(sess_id) || decode(CASE WHEN {marked} THEN '01' ELSE '' END, 'hex')")
}

/// Whether the row is marked so.
pub(crate) fn is_marked(row: &Row) -> bool {
    row.try_get(0).is_ok_and(|Raw(bytes)| bytes.len() > size_of::<Uuid>())
}

/// Half of an id is its hash: ids in the table are random, and those that a stranger invents are only looked up.
#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(half) = bytes.last_chunk() {
            self.0 = u64::from_ne_bytes(*half);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
