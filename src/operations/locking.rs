//! What extend and destroy share: they lock the rows of their batch, and one row that somebody else holds must not
//! hold the others. So the set form skips locked rows; a row that was left out and is still there runs alone and
//! waits.
//!
//! Rows are locked in the order of their ids, inside the CTE: UPDATE and DELETE lock rows in the order their plan
//! meets them, so two servers working on the same sessions would deadlock. Sorting the array would not help.

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::columns::{ById, places, uuids};
use super::{Answer, Operation, Sql, Verdict};
use crate::pool::Request;
use crate::session_id::SessionId;
use crate::table::Table;

pub(crate) struct Locking {
    set: Sql,
    alone: Sql,
    probe: Sql,
    /// Whether the work can be done only once: of two calls for one session, the second finds nothing.
    once: bool,
}

impl Locking {
    /// `condition`: which rows count at all. `work`: the statement that uses the CTE `locked (sess_id)` and returns
    /// the ids of its rows.
    pub(crate) fn new(table: &Table, condition: &str, work: &str, once: bool) -> Self {
        Self {
            set: format!("{} {work}", locked(table, condition, " SKIP LOCKED")).into(),
            alone: format!("{} {work}", locked(table, condition, "")).into(),
            probe: format!(
                "SELECT sess_id FROM {} WHERE sess_id = ANY($1::uuid[]){condition}",
                table.sql_name
            )
            .into(),
            once,
        }
    }

    /// The form that waits for locked rows: for one call, or in a transaction of the caller.
    pub(crate) fn alone_sql(&self) -> &str {
        &self.alone
    }

    fn request<'a>(sql: &Sql, ids: impl Iterator<Item = &'a SessionId>) -> Request {
        Request::new(sql).with(uuids(ids), Type::UUID_ARRAY)
    }
}

fn locked(table: &Table, condition: &str, wait: &str) -> String {
    format!(
        "WITH locked AS MATERIALIZED (SELECT sess_id FROM {} WHERE sess_id = ANY($1::uuid[]){condition} \
         ORDER BY sess_id FOR UPDATE{wait})",
        table.sql_name
    )
}

impl Operation for Locking {
    type Call = SessionId;

    fn set(&self, calls: &[SessionId]) -> Request {
        Self::request(&self.set, calls.iter())
    }

    fn read(&self, rows: &[Row], calls: &[SessionId]) -> Vec<Option<Answer>> {
        let mut uses: ById<usize> = places(rows).into_keys().map(|id| (id, 0)).collect();
        let mut answer = |id: &SessionId| {
            let earlier = uses.get_mut(&id.as_uuid())?;
            *earlier += 1;
            Some(Answer::Done(*earlier == 1 || !self.once))
        };
        calls.iter().map(&mut answer).collect()
    }

    fn follow_up(&self, calls: &[&SessionId]) -> Option<Request> {
        Some(Self::request(&self.probe, calls.iter().copied()))
    }

    fn verdicts(
        &self,
        rows: &[Row],
        _: usize,
        calls: &[&SessionId],
        repeated: bool,
    ) -> Vec<Verdict> {
        let held = places(rows);
        let verdict = |id: &&SessionId| {
            if held.contains_key(&id.as_uuid()) {
                return Verdict::Alone;
            }
            // Work that is done only once leaves nothing to find for the attempt that follows it.
            Verdict::Answer(Answer::Done(repeated && self.once))
        };
        calls.iter().map(verdict).collect()
    }

    fn alone(&self, call: &SessionId) -> Request {
        Self::request(&self.alone, std::iter::once(call))
    }
}
