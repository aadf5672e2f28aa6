//! validate: the row of a live session.

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::columns::{Reader, is_live, places, row_columns, uuids};
use super::{Answer, Operation, Sql};
use crate::pool::Request;
use crate::session_id::SessionId;
use crate::table::Table;

pub(crate) struct Validate {
    sql: Sql,
}

/// The statement as `reader` wants its rows.
pub(crate) fn sql(table: &Table, reader: Reader) -> String {
    format!(
        "SELECT {columns} FROM {name} WHERE sess_id = ANY($1::uuid[]) AND {is_live}",
        columns = row_columns(table, reader),
        name = table.sql_name,
        is_live = is_live(table),
    )
}

impl Validate {
    pub(crate) fn new(table: &Table) -> Self {
        Self { sql: sql(table, Reader::Core).into() }
    }
}

impl Operation for Validate {
    type Call = SessionId;

    fn set(&self, calls: &[SessionId]) -> Request {
        Request::new(&self.sql).with(uuids(calls.iter()), Type::UUID_ARRAY)
    }

    fn read(&self, rows: &[Row], calls: &[SessionId]) -> Vec<Option<Answer>> {
        let places = places(rows);
        let answer = |id: &SessionId| match places.get(&id.as_uuid()) {
            Some(&place) => Some(Answer::Row(place)),
            None => Some(Answer::NoSession),
        };
        calls.iter().map(answer).collect()
    }
}
