//! validate: the row of a live session.

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::columns::{Reader, find, is_live, places, row_columns, stored};
use super::convert::Convert;
use super::{Answer, Operation, Sql};
use crate::ids::Lookup;
use crate::pool::Request;
use crate::table::Table;

pub(crate) struct Validate {
    sql: Sql,
    convert: Convert,
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
        Self { sql: sql(table, Reader::Core).into(), convert: Convert::new(table) }
    }
}

impl Operation for Validate {
    type Call = Lookup;

    fn set(&self, calls: &[Lookup]) -> Request {
        Request::new(&self.sql).with(stored(calls.iter()), Type::UUID_ARRAY)
    }

    fn read(&self, rows: &[Row], calls: &[Lookup]) -> Vec<Option<Answer>> {
        let places = places(rows);
        let answer = |call: &Lookup| match find(&places, call) {
            Some(&place) => Some(Answer::Row(place, call.id)),
            None => Some(Answer::NoSession),
        };
        calls.iter().map(answer).collect()
    }

    fn besides(&self, rows: &[Row]) -> Option<Request> {
        self.convert.request(rows)
    }
}
