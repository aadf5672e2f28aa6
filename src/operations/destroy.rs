//! destroy: removes a session's row, expired or not.

use super::locking::{Locking, Parts};
use crate::table::Table;

pub(crate) fn destroy(table: &Table) -> Locking {
    let work = format!(
        "DELETE FROM {name} AS s USING locked WHERE s.sess_id = locked.sess_id RETURNING s.sess_id",
        name = table.sql_name,
    );
    Locking::new(table, Parts { work: &work, once: true, ..Parts::default() })
}
