//! extend: moves the end of a live session to now + `session_length`. An expired session is not revived.

use std::time::Duration;

use super::columns::{is_live, now};
use super::locking::Locking;
use crate::table::Table;

pub(crate) fn extend(table: &Table, session_length: Duration) -> Locking {
    let work = format!(
        "UPDATE {name} AS s SET sess_last_updated = {updated}, sess_expiration = {expiration} + {length} \
         FROM locked WHERE s.sess_id = locked.sess_id RETURNING s.sess_id",
        name = table.sql_name,
        updated = now(table.clocks.updated_is_tz),
        expiration = now(table.clocks.expiration_is_tz),
        length = interval(session_length),
    );
    // Not now(): that is when the statement began, and it may have waited for the row ever since.
    let is_live = is_live(table).replace("now()", "clock_timestamp()");
    Locking::new(table, &format!(" AND {is_live}"), &work, false)
}

/// A length as SQL. No unit larger than a second, so no calendar is asked how long a day is; and not as a literal,
/// in which PostgreSQL 12 reads no number beyond 32 bits.
pub(crate) fn interval(length: Duration) -> String {
    format!("make_interval(secs => {}.{:03})", length.as_secs(), length.subsec_millis())
}
