//! extend: moves the end of a live session to now + `session_length`, not past its absolute end. An expired session is
//! not revived. A session that was created or extended a moment ago is neither written nor locked.

use std::time::Duration;

use super::columns::{interval, is_live, is_locked, is_still_live, now};
use super::locking::{Locking, Parts};
use crate::table::Table;

pub(crate) fn extend(
    table: &Table,
    session_length: Duration,
    extend_interval: Duration,
) -> Locking {
    let live = format!(" AND {}", is_still_live(table));
    let update = format!(
        "UPDATE {name} AS s SET sess_last_updated = {updated}, sess_expiration = {expiration} \
         FROM locked WHERE {is_locked}",
        name = table.sql_name,
        updated = now(table.clocks.updated_is_tz),
        expiration = expiration(table, session_length),
        is_locked = is_locked(table),
    );
    if extend_interval.is_zero() {
        let work = format!("{update} RETURNING s.sess_id");
        return Locking::new(
            table,
            Parts { locks: &live, counts: &live, work: &work, in_grace: true, ..Parts::default() },
        );
    }
    let recent = format!(
        "sess_last_updated + {} > {}",
        interval(extend_interval),
        now(table.clocks.updated_is_tz)
    );
    Locking::new(
        table,
        Parts {
            // Told apart before anything is locked; a row that turns out recent after a wait is left alone, too.
            before: &format!(
                "recent AS MATERIALIZED (SELECT sess_id FROM {} WHERE {{ids}} AND {} AND {recent}), ",
                table.sql_name,
                is_live(table)
            ),
            locks: &format!("{live} AND sess_id <> ALL (ARRAY(SELECT sess_id FROM recent))"),
            counts: &live,
            work: &format!(
                ", done AS ({update} AND NOT locked.{recent} RETURNING s.sess_id) \
                 SELECT sess_id FROM done UNION ALL SELECT sess_id FROM recent \
                 UNION ALL SELECT sess_id FROM locked WHERE {recent}"
            ),
            once: false,
            in_grace: true,
        },
    )
}

/// Until when the session is extended, in the terms of its column.
fn expiration(table: &Table, session_length: Duration) -> String {
    let clocks = table.clocks;
    let end = format!("{} + {}", now(clocks.expiration_is_tz), interval(session_length));
    let Some(length) = table.absolute_length else { return end };
    // From a timestamp to a timestamptz and back, the words are the same.
    let zone =
        if clocks.creation_is_tz == clocks.expiration_is_tz { "" } else { " AT TIME ZONE 'UTC'" };
    format!("least({end}, s.sess_creation_date{zone} + {})", interval(length))
}
