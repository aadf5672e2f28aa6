//! Plain ids that are still in a table of hashed ones are hashed when their sessions are used. Nobody waits to hear of
//! it, and two that do it at once do no harm: a row that somebody else holds is left for the next time, and so are all
//! where the connections that may write are taken.

use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::Sql;
use super::columns::{IDS, places};
use crate::ids::{Ids, hash_sql, is_plain_sql};
use crate::pool::Request;
use crate::table::Table;

pub(crate) struct Convert {
    ids: Ids,
    sql: Sql,
}

impl Convert {
    pub(crate) fn new(table: &Table) -> Self {
        Self {
            ids: table.ids,
            sql: sql(table, &format!("sess_id = ANY({IDS})"), " SKIP LOCKED").into(),
        }
    }

    /// Hashes the ids of these rows, if any are plain.
    pub(crate) fn request(&self, rows: &[Row]) -> Option<Request> {
        if self.ids == Ids::Plain {
            return None;
        }
        let plain: Vec<Uuid> =
            places(rows).into_keys().filter(|id| self.ids.is_to_be_hashed(*id)).collect();
        (!plain.is_empty()).then(|| Request::new(&self.sql).with(plain, Type::UUID_ARRAY))
    }
}

/// Hashes up to `$1` plain ids of the table, and gives a row for each.
pub(crate) fn some_sql(table: &Table) -> String {
    sql(table, &is_plain_sql("sess_id"), "").replace(" FOR UPDATE", " LIMIT $1::bigint FOR UPDATE")
}

fn sql(table: &Table, condition: &str, wait: &str) -> String {
    format!(
        "WITH locked AS MATERIALIZED (SELECT sess_id FROM {name} WHERE {condition} ORDER BY sess_id \
         FOR UPDATE{wait}) UPDATE {name} AS s SET sess_id = {hash} FROM locked WHERE s.sess_id = locked.sess_id \
         RETURNING s.sess_id",
        name = table.sql_name,
        hash = hash_sql("locked.sess_id"),
    )
}
