//! destroy: removes a session's row, expired or not, under whichever of its ids it is asked for.

use super::locking::{Locking, Parts};
use super::removal::{delete, removal};
use crate::table::Table;

pub(crate) fn destroy(table: &Table) -> Locking {
    let work = match &table.companion {
        None => delete(table),
        Some(_) => format!(", {} SELECT sess_id FROM gone", removal(table)),
    };
    Locking::new(table, Parts { work: &work, once: true, ..Parts::default() })
}
