//! How rows leave the table when many go at once: the one place that says what else goes with them.

use crate::table::Table;

/// The CTEs that remove the sessions in the CTE `locked (sess_id)`; `gone (sess_id)` are those that were removed.
pub(crate) fn removal(table: &Table) -> String {
    format!(
        "gone AS (DELETE FROM {name} AS s USING locked WHERE s.sess_id = locked.sess_id RETURNING s.sess_id)",
        name = table.sql_name,
    )
}
