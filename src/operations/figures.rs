//! How many sessions the table holds, how much room it takes, and which fields it has.

use tokio_postgres::Row;

use super::columns::is_live;
use super::prune::all_parts;
use super::{Answer, Operation, Sql};
use crate::error::Error;
use crate::pool::{Access, Request};
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

/// A field as the table has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundField {
    /// The column's name.
    pub field: String,
    /// Its type, as it would be given.
    pub datatype: String,
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

    fn access(&self, _: &[()]) -> Access {
        Access::Read
    }

    fn set(&self, _: &[()]) -> Request {
        Request::new(&self.sql)
    }

    fn read(&self, _: &[Row], calls: &[()]) -> Vec<Option<Answer>> {
        calls.iter().map(|()| Some(Answer::Rows)).collect()
    }
}

pub(crate) struct LookUpFields {
    sql: Sql,
}

impl LookUpFields {
    pub(crate) fn new(table: &Table) -> Self {
        let name = table.sql_name.replace('\'', "''").replace('\\', "\\\\");
        Self {
            sql: format!(
                "SELECT attname::text AS field, format_type(atttypid, atttypmod) || \
                 CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END AS datatype FROM pg_attribute \
                 WHERE attrelid = to_regclass(E'{name}') AND attnum > 0 AND NOT attisdropped \
                 AND attname <> ALL(ARRAY['sess_id', 'sess_creation_date', 'sess_last_updated', 'sess_expiration']) \
                 ORDER BY attnum"
            )
            .into(),
        }
    }

    pub(crate) fn fields(rows: &[Row]) -> Result<Vec<FoundField>, Error> {
        let field = |row: &Row| -> Result<FoundField, Error> {
            Ok(FoundField { field: row.try_get("field")?, datatype: row.try_get("datatype")? })
        };
        rows.iter().map(field).collect()
    }
}

impl Operation for LookUpFields {
    type Call = ();

    fn access(&self, _: &[()]) -> Access {
        Access::Read
    }

    fn set(&self, _: &[()]) -> Request {
        Request::new(&self.sql)
    }

    fn read(&self, _: &[Row], calls: &[()]) -> Vec<Option<Answer>> {
        calls.iter().map(|()| Some(Answer::Rows)).collect()
    }
}
