//! How many sessions the table holds, and how much room it takes.

use tokio_postgres::Row;

use super::columns::is_live;
use super::prune::all_parts;
use super::{Answer, Operation, Sql};
use crate::error::Error;
use crate::pool::Request;
use crate::table::Table;

/// What a table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Sessions that are live.
    pub live: u64,
    /// Rows of sessions that have expired.
    pub expired: u64,
    /// Bytes on disk, indexes included.
    pub bytes: u64,
}

pub(crate) struct Count {
    sql: Sql,
}

impl Count {
    pub(crate) fn new(table: &Table) -> Self {
        Self {
            sql: format!(
                "WITH RECURSIVE {parts}, counted AS MATERIALIZED (SELECT count(*) AS total, \
                 count(*) FILTER (WHERE {is_live}) AS live FROM {name}) \
                 SELECT live, total - live AS expired, \
                 (SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM part) AS bytes FROM counted",
                parts = all_parts(table),
                is_live = is_live(table),
                name = table.sql_name,
            )
            .into(),
        }
    }

    pub(crate) fn figures(rows: &[Row]) -> Result<Figures, Error> {
        let row =
            rows.first().ok_or_else(|| Error::internal("the table's figures were not told"))?;
        let number = |name| row.try_get::<_, i64>(name).map(i64::unsigned_abs);
        Ok(Figures { live: number("live")?, expired: number("expired")?, bytes: number("bytes")? })
    }
}

impl Operation for Count {
    type Call = ();

    fn set(&self, _: &[()]) -> Request {
        Request::new(&self.sql)
    }

    fn read(&self, _: &[Row], calls: &[()]) -> Vec<Option<Answer>> {
        calls.iter().map(|()| Some(Answer::Rows)).collect()
    }
}
