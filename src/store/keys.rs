//! What the store's operations share: which rows came, and the condition that names rows by their keys.

use std::collections::HashMap;

use tokio_postgres::Row;

use super::table::Table;

/// Rows with these keys. The cast is for a column that is not text: its type reads the keys. The SELECT keeps PostgreSQL
/// from planning for the keys of each batch, see `IDS` of the other operations.
pub(super) fn are_named(table: &Table) -> String {
    format!("sid = ANY((SELECT $1::text[])::text[]{})", table.key_array_cast())
}

/// Where the row of each key is among the rows.
pub(super) fn places(rows: &[Row]) -> HashMap<&str, usize> {
    rows.iter()
        .enumerate()
        .filter_map(|(place, row)| row.try_get::<_, &str>(0).ok().map(|key| (key, place)))
        .collect()
}
