//! put: writes a session whole, whether it is there or not.

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::change::{Change, Columns, EXPIRE};
use super::keys::places;
use super::table::Table;
use crate::operations::values::{BRIEF_PATIENCE, PATIENCE, patience};
use crate::operations::{Answer, Operation, Sql, Verdict};
use crate::pool::Request;

pub(crate) struct Put {
    set: Sql,
    alone: Sql,
}

impl Put {
    pub(super) fn new(table: &Table) -> Self {
        Self {
            set: format!("{} {}", patience(5), insert(table, "patience, ")).into(),
            alone: insert(table, "").into(),
        }
    }

    /// The form that waits for whoever writes the same session.
    pub(super) fn alone_sql(&self) -> &str {
        &self.alone
    }

    fn together(&self, calls: &[Change], patience: i32) -> Request {
        Columns::new(calls.iter()).wholes(Request::new(&self.set)).with(patience, Type::INT4)
    }
}

/// Sorted as [`super::change`] locks.
fn insert(table: &Table, from: &str) -> String {
    format!(
        "INSERT INTO {name} AS s (sid, sess, expire) SELECT a.sid{key}, a.sess::{data}, {EXPIRE} \
         FROM {from}unnest($1::text[], $2::float8[], $3::float8[], $4::text[]) \
           AS a (sid, at_second, after_seconds, sess) \
         ORDER BY a.sid COLLATE \"C\" \
         ON CONFLICT (sid) DO UPDATE SET sess = excluded.sess, expire = excluded.expire RETURNING s.sid::text",
        name = table.sql_name,
        key = table.key_cast(),
        data = table.data.cast(),
    )
}

impl Operation for Put {
    type Call = Change;

    fn set(&self, calls: &[Change]) -> Request {
        if let [call] = calls {
            return Columns::new(std::iter::once(call)).wholes(Request::new(&self.alone));
        }
        self.together(calls, PATIENCE)
    }

    fn brief(&self, call: &Change) -> Request {
        self.together(std::slice::from_ref(call), BRIEF_PATIENCE)
    }

    fn read(&self, rows: &[Row], calls: &[Change]) -> Vec<Option<Answer>> {
        let places = places(rows);
        let done = |call: &Change| Some(Answer::Done(places.contains_key(call.key.as_str())));
        calls.iter().map(done).collect()
    }

    fn verdicts(&self, _: &[Row], _: usize, calls: &[&Change], _: bool) -> Vec<Verdict> {
        calls.iter().map(|_| Verdict::Answer(Answer::Done(true))).collect()
    }

    /// Somebody else may be writing the same session.
    fn may_wait(&self) -> bool {
        true
    }

    fn weight(&self, call: &Change) -> usize {
        call.weight()
    }
}
