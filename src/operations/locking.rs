//! What extend and destroy share: they lock the rows of their batch, and one row that somebody else holds must not
//! hold the others. So the set form skips locked rows; a row that was left out and is still there runs alone and
//! waits.
//!
//! Rows are locked in the order of their ids, inside the CTE: UPDATE and DELETE lock rows in the order their plan
//! meets them, so two servers working on the same sessions would deadlock. Sorting the array would not help.

use std::collections::HashSet;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::columns::{IDS, find, places, stored};
use super::trail::{self, Following};
use super::{Answer, Operation, Sql, Verdict};
use crate::ids::Lookup;
use crate::pool::Request;
use crate::session_id::SessionId;
use crate::table::Table;

pub(crate) struct Locking {
    set: Sql,
    elsewhere: Sql,
    alone: Sql,
    probe: Sql,
    /// Whether the work can be done only once: of two calls for one session, the second finds nothing.
    once: bool,
    may_move: bool,
}

/// For statements that wait for nobody.
const SKIP: &str = " SKIP LOCKED";

/// What an operation adds to the statement that locks rows.
#[derive(Default)]
pub(crate) struct Parts<'a> {
    /// CTEs that come first, each with a comma behind it; `{ids}` is the condition that names the rows of the batch.
    pub(crate) before: &'a str,
    /// Which of these rows are locked.
    pub(crate) locks: &'a str,
    /// Which of them are sessions at all.
    pub(crate) counts: &'a str,
    /// Whether an id that was replaced counts only as long as it still works.
    pub(crate) in_grace: bool,
    /// Uses the CTE `locked (sess_id, sess_last_updated)` and gives the ids of the rows for which it was done.
    pub(crate) work: &'a str,
    /// Whether the work can be done only once: of two calls for one session, the second finds nothing.
    pub(crate) once: bool,
}

impl Locking {
    pub(crate) fn new(table: &Table, parts: Parts<'_>) -> Self {
        let Parts { before, locks, counts, work, once, in_grace } = parts;
        let statement = |with: &str, ids: &str, wait: &str| {
            let ids = format!("sess_id = ANY({ids})");
            format!(
                "WITH {with}{before}locked AS MATERIALIZED (SELECT sess_id, sess_last_updated FROM {} WHERE {ids}{locks} \
                 ORDER BY sess_id FOR UPDATE{wait}) {work}",
                table.sql_name,
                before = before.replace("{ids}", &ids),
            )
        };
        let recursive = if table.companion.is_some() { "RECURSIVE " } else { "" };
        let following = |wait| match Following::new(table, in_grace) {
            Some(Following { cte, ids }) => statement(&format!("{recursive}{cte}"), &ids, wait),
            None => statement(recursive, IDS, wait),
        };
        Self {
            set: statement(recursive, IDS, SKIP).into(),
            elsewhere: following(SKIP).into(),
            alone: following("").into(),
            probe: trail::probe_sql(table, counts, in_grace).into(),
            once,
            may_move: table.may_move(),
        }
    }

    /// The form that waits for locked rows: for one call, or in a transaction of the caller.
    pub(crate) fn alone_sql(&self) -> &str {
        &self.alone
    }

    fn request<'a>(sql: &Sql, ids: impl Iterator<Item = &'a Lookup>) -> Request {
        Request::new(sql).with(stored(ids), Type::UUID_ARRAY)
    }
}

impl Operation for Locking {
    type Call = Lookup;

    fn set(&self, calls: &[Lookup]) -> Request {
        Self::request(&self.set, calls.iter())
    }

    fn read(&self, rows: &[Row], calls: &[Lookup]) -> Vec<Option<Answer>> {
        if let ([_], false) = (calls, rows.is_empty()) {
            // Alone, it may have been found under another id.
            return vec![Some(Answer::Done(true))];
        }
        let places = places(rows);
        let mut used: HashSet<SessionId> = HashSet::new();
        let mut answer = |call: &Lookup| {
            find(&places, call)?;
            Some(Answer::Done(used.insert(call.id) || !self.once))
        };
        calls.iter().map(&mut answer).collect()
    }

    fn follow_up(&self, calls: &[&Lookup]) -> Option<Request> {
        Some(Self::request(&self.probe, calls.iter().copied()))
    }

    fn verdicts(&self, rows: &[Row], _: usize, calls: &[&Lookup], repeated: bool) -> Vec<Verdict> {
        let held = places(rows);
        let verdict = |call: &&Lookup| {
            if find(&held, call).is_some() {
                return Verdict::Alone;
            }
            // Work that is done only once leaves nothing to find for the attempt that follows it.
            Verdict::Answer(Answer::Done(repeated && self.once))
        };
        calls.iter().map(verdict).collect()
    }

    fn may_move(&self) -> bool {
        self.may_move
    }

    fn elsewhere(&self, call: &Lookup) -> Request {
        Self::request(&self.elsewhere, std::iter::once(call))
    }

    fn alone(&self, call: &Lookup) -> Request {
        Self::request(&self.alone, std::iter::once(call))
    }
}
