//! validate: the row of a live session.

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::columns::{
    IDS, Reader, find, id_of, interval, is_live, is_marked, marked_id, now, places, row_columns,
    row_columns_with, stored,
};
use super::convert::Convert;
use super::due::Due;
use super::{Answer, Operation, Sql, Verdict, trail};
use crate::ids::{Ids, Lookup};
use crate::pool::{Access, Request};
use crate::table::Table;

pub(crate) struct Validate {
    ids: Ids,
    sql: Sql,
    /// Finds what was not found: sessions whose ids were replaced.
    trail: Option<Sql>,
    types: Vec<u32>,
    convert: Convert,
    /// Which sessions are not due for a new id, if they ever are.
    due: Option<Arc<Due>>,
}

/// The statement as `reader` wants its rows.
pub(crate) fn sql(table: &Table, reader: Reader) -> String {
    select(table, &row_columns(table, reader))
}

fn select(table: &Table, columns: &str) -> String {
    format!(
        "SELECT {columns} FROM {name} WHERE sess_id = ANY({IDS}) AND {is_live}",
        name = table.sql_name,
        is_live = is_live(table),
    )
}

impl Validate {
    /// `refreshing`: sessions older than this may be due for a new id, unless `due` knows better.
    pub(crate) fn new(table: &Table, refreshing: Option<Duration>, due: Arc<Due>) -> Self {
        let marking = refreshing.map(|length| {
            let end = format!("sess_creation_date + {}", interval(length));
            let is_old = format!("{end} <= {}", now(table.clocks.creation_is_tz));
            select(table, &row_columns_with(&marked_id(&is_old), "", table, Reader::Core))
        });
        Self {
            ids: table.ids,
            sql: marking.unwrap_or_else(|| sql(table, Reader::Core)).into(),
            trail: trail::rows_sql(table, Reader::Core).map(Sql::from),
            types: table.row_types(),
            convert: Convert::new(table),
            due: refreshing.map(|_| due),
        }
    }
}

impl Operation for Validate {
    type Call = Lookup;

    /// Ids that are to be hashed are hashed only where the connection may write, too; a session that is due for a new id
    /// gets it from refresh, which writes on a connection of its own.
    fn access(&self, _: &[Lookup]) -> Access {
        Access::Read
    }

    fn row_types(&self) -> &[u32] {
        &self.types
    }

    fn set(&self, calls: &[Lookup]) -> Request {
        Request::new(&self.sql).with(stored(calls.iter()), Type::UUID_ARRAY)
    }

    fn read(&self, rows: &[Row], calls: &[Lookup]) -> Vec<Option<Answer>> {
        let places = places(rows);
        let answer = |call: &Lookup| match find(&places, call) {
            Some(&place) => Some(Answer::Row(place, call.id)),
            // It may have got another id.
            None => self.trail.is_none().then_some(Answer::NoSession),
        };
        calls.iter().map(answer).collect()
    }

    fn follow_up(&self, calls: &[&Lookup]) -> Option<Request> {
        let trail = self.trail.as_ref()?;
        Some(Request::new(trail).with(stored(calls.iter().copied()), Type::UUID_ARRAY))
    }

    fn verdicts(&self, rows: &[Row], first_row: usize, calls: &[&Lookup], _: bool) -> Vec<Verdict> {
        let found = trail::found(rows);
        let answer = |call: &&Lookup| match find(&found, call) {
            Some(found) => trail::answer(self.ids, call, found, first_row),
            None => Answer::NoSession,
        };
        calls.iter().map(|call| Verdict::Answer(answer(call))).collect()
    }

    fn passes_on(&self, row: &Row) -> bool {
        self.due.as_ref().is_some_and(|due| {
            is_marked(row) && id_of(row).is_some_and(|stored| due.may_be(stored))
        })
    }

    fn besides(&self, rows: &[Row]) -> Option<Request> {
        self.convert.request(rows)
    }
}
