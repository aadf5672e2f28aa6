//! What all queues of a `Sessions` share: connections, counters, and the way on which outcomes go back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio_postgres::Row;

use crate::error::Error;
use crate::metronome::Metronome;
use crate::operations::Answer;
use crate::options::Options;
use crate::pool::Pool;
use crate::row::{ListedRow, SessionRow};
use crate::stats::{Counters, Stats};

/// Larger batches gain nothing, and their answers would hold the event loop.
const MAX_BATCH: usize = 128;
/// Batches of one operation that are away at once: while one's answer is read, the next is at the server.
const BATCHES_AWAY: usize = 2;

/// Takes the outcomes of a batch: one call of this for all of them.
pub trait Sink: Send + Sync {
    /// `rows` holds what [`Answer::Row`] points at. `taken` is to be dropped when whoever asked has the outcomes:
    /// a caller that is slower than the server is not buried under them.
    fn deliver(&self, rows: &[Row], outcomes: &[(u64, Result<Answer, Error>)], taken: Taken);
    /// Takes an error to which no call belongs; `table`: whose work failed.
    fn report(&self, error: &Error, table: &str);
    /// From now on rows have other types: the table is to be described again. It comes before the first such row.
    fn changed(&self);
}

/// Outcomes that are on their way to whoever asked, until it is dropped.
#[derive(Default)]
pub struct Taken(Option<Box<dyn FnOnce() + Send>>);

impl Taken {
    /// `then` is called when the outcomes have been taken.
    pub(crate) fn then(then: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(then)))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(then) = self.0.take() {
            then();
        }
    }
}

/// Where a call's outcome goes.
pub enum Reply {
    /// To the sink, under this number.
    Number(u64),
    /// To a future.
    Waiter(oneshot::Sender<Result<Outcome, Error>>),
}

/// What came of a call, for one that waits for it alone.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The session's row, if there is such a live session.
    Session(Option<SessionRow>),
    /// Done, or there was nothing to do.
    Done(bool),
    /// The rows of a list.
    Listed(Vec<ListedRow>),
}

/// What all queues of a `Sessions` share.
pub(crate) struct Road {
    pub(crate) pool: Pool,
    pub(crate) counters: Counters,
    pub(crate) runtime: Handle,
    pub(crate) limits: Limits,
    sink: Option<Arc<dyn Sink>>,
    metronome: Arc<Metronome>,
    /// Calls that wait for a batch, in all queues.
    pub(crate) waiting: AtomicUsize,
    /// Calls that are in no batch: under way, or waiting for their turn.
    apart: AtomicUsize,
    /// Calls that have not settled.
    outstanding: AtomicUsize,
    all_settled: Notify,
    /// Calls that wait for a row held by somebody else. They may take only part of the pool, so that a transaction
    /// that holds many rows does not bring validate to a stop.
    pub(crate) alone: Semaphore,
}

/// What a queue keeps to.
pub(crate) struct Limits {
    /// Calls in a batch.
    pub(crate) batch: usize,
    /// Calls that may wait.
    pub(crate) queue: usize,
    /// Batches away at once.
    pub(crate) away: usize,
    /// Calls that wait for rows, and pieces of work on many sessions, under way at once.
    pub(crate) alone: usize,
    /// The longest that a call takes.
    pub(crate) call_timeout: Duration,
}

impl Road {
    pub(crate) fn new(
        pool: Pool,
        options: &Options,
        runtime: Handle,
        sink: Option<Arc<dyn Sink>>,
    ) -> Self {
        let (batch, away) =
            if options.batch { (MAX_BATCH, BATCHES_AWAY) } else { (1, options.max_connections) };
        let limits = Limits {
            batch,
            away,
            queue: options.max_queue,
            alone: (options.max_connections / 2).max(1),
            call_timeout: options.call_timeout(),
        };
        Self {
            pool,
            counters: Counters::default(),
            sink,
            metronome: Arc::default(),
            runtime,
            waiting: AtomicUsize::new(0),
            apart: AtomicUsize::new(0),
            outstanding: AtomicUsize::new(0),
            all_settled: Notify::new(),
            alone: Semaphore::new(limits.alone),
            limits,
        }
    }

    /// Counts calls in; each has to be settled through [`Self::deliver`].
    pub(crate) fn take_in(&self, calls: usize) {
        self.outstanding.fetch_add(calls, Ordering::AcqRel);
        self.counters.calls.add(calls);
        self.metronome.keep(&self.runtime);
    }

    /// Settles calls.
    pub(crate) fn deliver(
        &self,
        rows: &[Row],
        settled: Vec<(Reply, Result<Answer, Error>)>,
        taken: Taken,
    ) {
        let count = settled.len();
        // Counted out in any case: were a sink to panic, `settled` would wait for ever.
        let _out = Work { road: self, count };
        let mut numbered = Vec::with_capacity(count);
        for (reply, outcome) in settled {
            if outcome.is_err() {
                self.counters.errors.add(1);
            }
            match reply {
                Reply::Number(number) => numbered.push((number, outcome)),
                // A receiver that is gone has lost interest.
                Reply::Waiter(waiter) => drop(waiter.send(owned(rows, outcome))),
            }
        }
        if let (Some(sink), false) = (&self.sink, numbered.is_empty()) {
            sink.deliver(rows, &numbered, taken);
        }
    }

    /// Tells of an error to which no call belongs.
    pub(crate) fn report(&self, error: &Error, table: &str) {
        if let Some(sink) = &self.sink {
            sink.report(error, table);
        }
    }

    /// Tells that the table is described otherwise from now on.
    pub(crate) fn changed(&self) {
        if let Some(sink) = &self.sink {
            sink.changed();
        }
    }

    /// What the pool and the queues look like, and what has happened so far.
    pub(crate) fn stats(&self, waiting: usize) -> Stats {
        let (size, idle) = self.pool.size_and_idle();
        Stats {
            size: size as u64,
            idle: idle as u64,
            waiting: waiting as u64,
            calls: self.counters.calls.get(),
            batches: self.counters.batches.get(),
            errors: self.counters.errors.get(),
            pruned: self.counters.pruned.get(),
            refreshed: self.counters.refreshed.get(),
        }
    }

    /// Something that is no call but that [`Self::settled`] waits for, until the answer is dropped.
    pub(crate) fn begin(&self) -> Work<'_> {
        self.outstanding.fetch_add(1, Ordering::AcqRel);
        Work { road: self, count: 1 }
    }

    /// Takes in a call that is in no batch, until the answer is dropped. Too many wait already: it is refused.
    pub(crate) fn take_in_apart(&self) -> Result<Apart<'_>, Error> {
        self.counters.calls.add(1);
        let apart = Apart { road: self, _work: self.begin() };
        if self.apart.fetch_add(1, Ordering::Relaxed) < self.limits.queue + self.limits.alone {
            return Ok(apart);
        }
        Err(Error::queue_full(self.limits.queue))
    }

    fn end(&self, count: usize) {
        if self.outstanding.fetch_sub(count, Ordering::AcqRel) == count {
            self.all_settled.notify_waiters();
        }
    }

    /// Waits until no call is under way.
    pub(crate) async fn settled(&self) {
        loop {
            let settled = self.all_settled.notified();
            tokio::pin!(settled);
            // Registered before the check, so that no notification falls between the two.
            settled.as_mut().enable();
            if self.outstanding.load(Ordering::Acquire) == 0 {
                return;
            }
            settled.await;
        }
    }
}

/// Work under way.
pub(crate) struct Work<'a> {
    road: &'a Road,
    count: usize,
}

/// A call that is in no batch, under way.
pub(crate) struct Apart<'a> {
    road: &'a Road,
    _work: Work<'a>,
}

impl Drop for Apart<'_> {
    fn drop(&mut self) {
        self.road.apart.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        self.road.end(self.count);
    }
}

fn owned(rows: &[Row], outcome: Result<Answer, Error>) -> Result<Outcome, Error> {
    match outcome? {
        Answer::Row(place, id) | Answer::NewRow(place, id) => match rows.get(place) {
            Some(row) => SessionRow::read(row, id).map(|row| Outcome::Session(Some(row))),
            None => Err(Error::internal("an answer points at no row")),
        },
        Answer::Text(_) => Err(Error::internal("a Store is asked through its sink")),
        Answer::NoSession => Ok(Outcome::Session(None)),
        Answer::Done(done) => Ok(Outcome::Done(done)),
        Answer::Rows => {
            rows.iter().map(ListedRow::read).collect::<Result<_, Error>>().map(Outcome::Listed)
        }
    }
}
