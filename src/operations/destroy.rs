//! destroy: removes a session's row, expired or not, under whichever of its ids it is asked for.

use super::locking::{Locking, Parts};
use crate::table::Table;

pub(crate) fn destroy(table: &Table) -> Locking {
    let delete = format!(
        "DELETE FROM {name} AS s USING locked WHERE s.sess_id = locked.sess_id RETURNING s.sess_id",
        name = table.sql_name,
    );
    let work = match &table.companion {
        None => delete,
        // What is remembered of its ids goes with it.
        Some(companion) => format!(
            ", gone AS ({delete}), \
             former (old_id) AS (SELECT i.old_id FROM gone JOIN {companion} AS i ON i.new_id = gone.sess_id \
               UNION SELECT i.old_id FROM former JOIN {companion} AS i ON i.new_id = former.old_id), \
             forgotten AS (DELETE FROM {companion} AS i USING former WHERE i.old_id = former.old_id) \
             SELECT sess_id FROM gone"
        ),
    };
    Locking::new(table, Parts { work: &work, once: true, ..Parts::default() })
}
