//! How rows leave the table: the one place that says what else goes with them.

use super::columns::is_locked;
use crate::companion::forget_gone_sql;
use crate::table::Table;

/// What the statement begins with.
pub(crate) fn with(table: &Table) -> &'static str {
    if table.companion.is_some() { "WITH RECURSIVE" } else { "WITH" }
}

/// The CTEs that remove the sessions in the CTE `locked (sess_id)`; `gone (sess_id)` are those that were removed. What is
/// remembered of their ids goes with them.
pub(crate) fn removal(table: &Table) -> String {
    let gone = format!("gone AS ({})", delete(table));
    match &table.companion {
        None => gone,
        Some(companion) => format!("{gone}, {}", forget_gone_sql(companion)),
    }
}

/// Removes the rows alone.
pub(crate) fn delete(table: &Table) -> String {
    format!(
        "DELETE FROM {name} AS s USING locked WHERE {is_locked} RETURNING s.sess_id",
        name = table.sql_name,
        is_locked = is_locked(table),
    )
}
