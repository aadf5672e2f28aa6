//! What a session can undergo. An operation says what to send for a batch and how to read the answer; it holds no
//! connection. Its SQL is written once, in its set form, so that one call is a batch of one; only create has a second
//! form, for the reason told there.

use std::sync::Arc;

use tokio_postgres::Row;

use crate::pool::Request;

pub(crate) mod columns;
pub(crate) mod create;
pub(crate) mod destroy;
pub(crate) mod destroy_all;
pub(crate) mod extend;
pub(crate) mod figures;
pub(crate) mod limit;
pub(crate) mod list;
pub(crate) mod locking;
pub(crate) mod prune;
pub(crate) mod removal;
pub(crate) mod search;
pub(crate) mod validate;

/// What came of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The row of the session that was asked about, by its place among the rows that came.
    Row(usize),
    /// The row of a session whose id the caller does not know yet.
    NewRow(usize),
    /// There is no such live session.
    NoSession,
    /// Done, or there was nothing to do.
    Done(bool),
    /// All the rows that came.
    Rows,
}

/// What to make of a call that the set form left open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// This is its answer.
    Answer(Answer),
    /// Somebody else holds its row: it runs alone and waits.
    Alone,
}

/// One kind of work.
pub(crate) trait Operation: Send + Sync + 'static {
    /// What a caller asks.
    type Call: Send + Sync + 'static;

    /// The statement for all of `calls`; never empty. It waits for nobody's lock.
    fn set(&self, calls: &[Self::Call]) -> Request;

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
