//! The pieces of SQL that several operations share: the columns of a row, the clock, the places of ids in an answer.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use tokio_postgres::Row;
use uuid::Uuid;

use crate::fields::SESSION_COLUMNS;
use crate::session_id::SessionId;
use crate::table::Table;
use crate::text::{has_simple_output, quote_name};

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
    format!("sess_id, {}", columns_behind_id(table, reader))
}

/// The same without the id.
pub(crate) fn columns_behind_id(table: &Table, reader: Reader) -> String {
    let own = SESSION_COLUMNS.iter().skip(1).map(|name| match reader {
        // Seconds since 1970, whatever the session's time zone and DateStyle are.
        Reader::Pg => format!("extract(epoch FROM {name})::text AS {name}"),
        Reader::Core => (*name).to_owned(),
    });
    let fields = table.columns.iter().map(|column| {
        let name = quote_name(&column.name);
        match reader {
            Reader::Core if !has_simple_output(column.oid) => {
                // A cast to text is not the output text (of a boolean, say), and IS NULL is true of a composite of
                // NULLs.
                format!("CASE num_nulls({name}) WHEN 0 THEN format('%s', {name}) END AS {name}")
            }
            _ => name,
        }
    });
    own.chain(fields).collect::<Vec<_>>().join(", ")
}

/// Now, in the terms of a column: `timestamp` columns hold UTC.
pub(crate) fn now(is_tz: bool) -> &'static str {
    if is_tz { "now()" } else { "(now() AT TIME ZONE 'UTC')" }
}

/// The condition of a live session.
pub(crate) fn is_live(table: &Table) -> String {
    format!("sess_expiration > {}", now(table.clocks.expiration_is_tz))
}

/// The ids of a batch, as a parameter.
pub(crate) fn uuids<'a>(ids: impl Iterator<Item = &'a SessionId>) -> Vec<Uuid> {
    ids.map(|id| id.as_uuid()).collect()
}

/// What is known of each session of an answer.
pub(crate) type ById<T> = HashMap<Uuid, T, BuildHasherDefault<IdHasher>>;

/// Where each session's row is among the rows.
pub(crate) fn places(rows: &[Row]) -> ById<usize> {
    rows.iter()
        .enumerate()
        .filter_map(|(place, row)| row.try_get::<_, Uuid>(0).ok().map(|id| (id, place)))
        .collect()
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
