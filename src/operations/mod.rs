//! What a session can undergo. An operation says what to send for a batch and how to read the answer; it holds no
//! connection. Its SQL is written once, in its set form, so that one call is a batch of one; only create has a second
//! form, for the reason told there.

use std::sync::Arc;

use tokio_postgres::Row;

use crate::pool::{Access, Request};
use crate::session_id::SessionId;

pub(crate) mod columns;
pub(crate) mod convert;
pub(crate) mod create;
pub(crate) mod destroy;
pub(crate) mod destroy_all;
pub(crate) mod due;
pub(crate) mod extend;
pub(crate) mod figures;
pub(crate) mod import;
pub(crate) mod limit;
pub(crate) mod list;
pub(crate) mod locking;
pub(crate) mod prune;
pub(crate) mod refresh;
pub(crate) mod removal;
pub(crate) mod search;
pub(crate) mod trail;
pub(crate) mod update;
pub(crate) mod validate;
pub(crate) mod values;

/// What came of one call.
///
/// A row is told by its place among the rows that came, and with the id that opens it: the row itself may hold a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The row of the session that was asked about, by this very id.
    Row(usize, SessionId),
    /// The row of a session whose id the caller does not know yet.
    NewRow(usize, SessionId),
    /// There is no such live session.
    NoSession,
    /// Done, or there was nothing to do.
    Done(bool),
    /// All the rows that came.
    Rows,
    /// The text in the second column of a row, which is all that was asked for.
    Text(usize),
}

/// What to make of a call that the set form left open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// This is its answer.
    Answer(Answer),
    /// Somebody else holds its row, or it stands under another id: it runs alone and waits.
    Alone,
    /// Another queue answers it: [`crate::batcher::Others`].
    Pass,
}

/// One kind of work.
pub(crate) trait Operation: Send + Sync + 'static {
    /// What a caller asks.
    type Call: Send + Sync + 'static;

    /// The statement for all of `calls`; never empty. It waits for nobody's lock.
    fn set(&self, calls: &[Self::Call]) -> Request;

    /// What the statements for `calls` do. What comes [besides](Self::besides) does not count.
    fn access(&self, _calls: &[Self::Call]) -> Access {
        Access::Write
    }

    /// The answers in the rows of [`Self::set`], in the order of the calls. `None`: the rows do not tell, ask
    /// [`Self::follow_up`].
    fn read(&self, rows: &[Row], calls: &[Self::Call]) -> Vec<Option<Answer>>;

    /// Asks about the calls that the set form left open. `None`: they are no sessions.
    fn follow_up(&self, _calls: &[&Self::Call]) -> Option<Request> {
        None
    }

    /// What the rows of [`Self::follow_up`] say, in the order of the calls. Rows are counted from `first_row`.
    /// `repeated`: an earlier attempt may have done the work already.
    fn verdicts(
        &self,
        _rows: &[Row],
        _first_row: usize,
        _calls: &[&Self::Call],
        _repeated: bool,
    ) -> Vec<Verdict> {
        Vec::new()
    }

    /// The statement for one call that got [`Verdict::Alone`]: it waits for its row.
    fn alone(&self, call: &Self::Call) -> Request {
        self.set(std::slice::from_ref(call))
    }

    /// Whether the set form may meet another transaction that it has to wait for, however briefly: its calls run alone
    /// then, and ask [`Self::follow_up`] like a batch.
    fn may_wait(&self) -> bool {
        false
    }

    /// Whether its statements come with others in a transaction.
    fn has_transactions(&self) -> bool {
        false
    }

    /// The statement for one call of a batch that had to wait: whoever waits again gives up soon, and runs alone.
    fn brief(&self, call: &Self::Call) -> Request {
        self.set(std::slice::from_ref(call))
    }

    /// Whether a row may get another id while a call waits for it: a call that found nothing asks again then.
    fn may_move(&self) -> bool {
        false
    }

    /// The statement for one call whose row may stand under another id. It waits for nobody's lock.
    fn elsewhere(&self, call: &Self::Call) -> Request {
        self.set(std::slice::from_ref(call))
    }

    /// Whether another queue answers the call whose row this is.
    fn passes_on(&self, _row: &Row) -> bool {
        false
    }

    /// The types of the columns behind the id, for rows that are sessions'. None: there are no such rows.
    fn row_types(&self) -> &[u32] {
        &[]
    }

    /// Work that the rows of [`Self::set`] give occasion for, but that no call waits to hear of. It is left out where
    /// the connection may not write.
    fn besides(&self, _rows: &[Row]) -> Option<Request> {
        None
    }

    /// How many of the calls, from the first on, may stand in one statement.
    fn fitting(&self, calls: &[Self::Call]) -> usize {
        calls.len()
    }

    /// Whether `call` may travel together with `first`.
    fn may_join(&self, _first: &Self::Call, _call: &Self::Call) -> bool {
        true
    }

    /// How many bytes the call adds to its batch, roughly.
    fn weight(&self, _call: &Self::Call) -> usize {
        16
    }
}

/// A statement's text, shared by all batches.
pub(crate) type Sql = Arc<str>;
