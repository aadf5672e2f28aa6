//! The queue between callers and the database, one per operation.
//!
//! While batches are away, new calls wait here; when one comes home they leave together. A call that finds a free
//! place leaves at once, so batching never makes a lone call slower. What is sent is the operation's business; what
//! may be tried again, `retry`'s.
//!
//! Every call settles: a batch ends at the deadline of its oldest call, a call that grew too old in the queue fails
//! there, and a panic fails the calls of its batch only.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_postgres::Row;

use crate::error::{Error, Step};
use crate::operations::{Answer, Operation, Verdict};
use crate::options::Options;
use crate::pool::{Connection, Pool, Request};
use crate::retry::Attempts;
use crate::row::SessionRow;
use crate::stats::Counters;

/// Larger batches gain nothing, and their answers would hold the event loop.
const MAX_BATCH: usize = 128;
/// A batch that weighs more than this leaves without further calls, for the same reason.
const MAX_BATCH_BYTES: usize = 1 << 20;
/// How many calls are looked at and left for a later batch: the queue is locked meanwhile.
const MAX_PASSED_OVER: usize = 4 * MAX_BATCH;
/// Between two looks at a row that somebody else holds.
const PAUSE: Duration = Duration::from_millis(50);
/// Batches of one operation that are away at once: while one's answer is read, the next is at the server.
const BATCHES_AWAY: usize = 2;
/// Calls whose deadlines differ by more than this part of the whole do not travel together: the older ones' deadline
/// would cut the younger ones' time.
const AGE_PARTS: u32 = 8;

/// Takes the outcomes of a batch: one call of this for all of them.
pub trait Sink: Send + Sync {
    /// `rows` holds what [`Answer::Row`] points at.
    fn deliver(&self, rows: &[Row], outcomes: &[(u64, Result<Answer, Error>)]);
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
}

/// What all queues of a `Sessions` share.
pub(crate) struct Road {
    pub(crate) pool: Pool,
    pub(crate) counters: Counters,
    sink: Option<Arc<dyn Sink>>,
    runtime: Handle,
    limits: Limits,
    /// Calls that have not settled.
    outstanding: AtomicUsize,
    all_settled: Notify,
    /// Calls that wait for a row held by somebody else. They may take only part of the pool, so that a transaction
    /// that holds many rows does not bring validate to a stop.
    alone: Semaphore,
}

struct Limits {
    batch: usize,
    away: usize,
    call_timeout: Duration,
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
        Self {
            pool,
            counters: Counters::default(),
            sink,
            runtime,
            limits: Limits { batch, away, call_timeout: options.call_timeout() },
            outstanding: AtomicUsize::new(0),
            all_settled: Notify::new(),
            alone: Semaphore::new((options.max_connections / 2).max(1)),
        }
    }

    /// Counts calls in; each has to be settled through [`Self::deliver`].
    pub(crate) fn take_in(&self, calls: usize) {
        self.outstanding.fetch_add(calls, Ordering::AcqRel);
        self.counters.calls.add(calls);
    }

    /// Settles calls.
    pub(crate) fn deliver(&self, rows: &[Row], settled: Vec<(Reply, Result<Answer, Error>)>) {
        let count = settled.len();
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
            sink.deliver(rows, &numbered);
        }
        self.end(count);
    }

    /// Something that is no call but that [`Self::settled`] waits for, until the answer is dropped.
    pub(crate) fn begin(&self) -> Work<'_> {
        self.outstanding.fetch_add(1, Ordering::AcqRel);
        Work(self)
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
pub(crate) struct Work<'a>(&'a Road);

impl Drop for Work<'_> {
    fn drop(&mut self) {
        self.0.end(1);
    }
}

fn owned(rows: &[Row], outcome: Result<Answer, Error>) -> Result<Outcome, Error> {
    match outcome? {
        Answer::Row(place) | Answer::NewRow(place) => match rows.get(place) {
            Some(row) => SessionRow::read(row).map(|row| Outcome::Session(Some(row))),
            None => Err(Error::internal("an answer points at no row")),
        },
        Answer::NoSession => Ok(Outcome::Session(None)),
        Answer::Done(done) => Ok(Outcome::Done(done)),
    }
}

struct Pending<C> {
    call: C,
    reply: Reply,
    deadline: Instant,
}

struct Batch<C> {
    calls: Vec<C>,
    replies: Vec<Reply>,
    deadline: Instant,
}

struct State<C> {
    queue: VecDeque<Pending<C>>,
    /// Batches that are away.
    away: usize,
}

/// Rows that came, and what they mean for each call.
struct Answers {
    rows: Vec<Row>,
    verdicts: Vec<Result<Verdict, Error>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// For any number of calls; skips what somebody else holds.
    Set,
    /// For one call; waits.
    Alone,
}

/// The queue of one operation.
pub(crate) struct Batcher<O: Operation> {
    operation: O,
    road: Arc<Road>,
    state: Mutex<State<O::Call>>,
}

impl<O: Operation> Batcher<O> {
    pub(crate) fn new(operation: O, road: &Arc<Road>) -> Arc<Self> {
        let state = State { queue: VecDeque::new(), away: 0 };
        Arc::new(Self { operation, road: Arc::clone(road), state: Mutex::new(state) })
    }

    pub(crate) fn operation(&self) -> &O {
        &self.operation
    }

    /// How many calls wait for a batch.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().queue.len()
    }

    /// Takes in calls and sends off what can leave. Returns at once.
    pub(crate) fn push(self: &Arc<Self>, calls: impl IntoIterator<Item = (O::Call, Reply)>) {
        let limits = &self.road.limits;
        let deadline = Instant::now() + limits.call_timeout;
        let mut state = self.lock();
        let before = state.queue.len();
        state.queue.extend(calls.into_iter().map(|(call, reply)| Pending {
            call,
            reply,
            deadline,
        }));
        let added = state.queue.len() - before;
        // Counted in before anything can settle.
        self.road.take_in(added);
        let departures = added.div_ceil(limits.batch).min(limits.away.saturating_sub(state.away));
        state.away += departures;
        drop(state);
        for _ in 0..departures {
            self.road.runtime.spawn(Arc::clone(self).work());
        }
    }

    /// No code that can panic runs under the lock, so a poisoned one holds a sound state.
    fn lock(&self) -> MutexGuard<'_, State<O::Call>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs batches until the queue is empty.
    async fn work(self: Arc<Self>) {
        while let Some(batch) = self.next() {
            self.run(batch).await;
        }
    }

    fn next(&self) -> Option<Batch<O::Call>> {
        let (batch, expired) = {
            let mut state = self.lock();
            let expired = take_expired(&mut state.queue, Instant::now());
            let batch = self.take_batch(&mut state.queue);
            if batch.is_none() {
                state.away -= 1;
            }
            (batch, expired)
        };
        let fail = |pending: Pending<O::Call>| {
            (pending.reply, Err(Error::timeout(Step::WaitingForConnection)))
        };
        if !expired.is_empty() {
            self.road.deliver(&[], expired.into_iter().map(fail).collect());
        }
        batch
    }

    fn take_batch(&self, queue: &mut VecDeque<Pending<O::Call>>) -> Option<Batch<O::Call>> {
        let limits = &self.road.limits;
        let first = queue.pop_front()?;
        let deadline = first.deadline;
        let youngest = deadline + limits.call_timeout / AGE_PARTS;
        let mut weight = self.operation.weight(&first.call);
        let mut calls = vec![first.call];
        let mut replies = vec![first.reply];
        let mut passed_over = VecDeque::new();
        while calls.len() < limits.batch
            && weight < MAX_BATCH_BYTES
            && passed_over.len() < MAX_PASSED_OVER
        {
            let Some(next) = queue.pop_front() else { break };
            if next.deadline > youngest {
                queue.push_front(next);
                break;
            }
            let joins =
                calls.first().is_some_and(|first| self.operation.may_join(first, &next.call));
            if joins {
                weight += self.operation.weight(&next.call);
                calls.push(next.call);
                replies.push(next.reply);
            } else {
                passed_over.push_back(next);
            }
        }
        while let Some(pending) = passed_over.pop_back() {
            queue.push_front(pending);
        }
        Some(Batch { calls, replies, deadline })
    }

    async fn run(self: &Arc<Self>, batch: Batch<O::Call>) {
        let Batch { calls, replies, deadline } = batch;
        self.road.counters.batches.add(1);
        let answers = self.guarded(&calls, Form::Set, deadline).await;
        let (settled, alone): (Vec<_>, Vec<_>) = calls
            .into_iter()
            .zip(replies.into_iter().zip(answers.verdicts))
            .partition(|(_, (_, verdict))| !matches!(verdict, Ok(Verdict::Alone)));
        let settled = settled.into_iter().map(|(_, (reply, verdict))| (reply, settle(verdict)));
        self.road.deliver(&answers.rows, settled.collect());
        for (call, (reply, _)) in alone {
            self.road.runtime.spawn(Arc::clone(self).run_alone(call, reply, deadline));
        }
    }

    async fn run_alone(self: Arc<Self>, call: O::Call, reply: Reply, deadline: Instant) {
        let calls = [call];
        let answers = match timeout_at(deadline, self.road.alone.acquire()).await {
            Ok(_permit) if self.road.pool.max_size() == 1 => self.again(&calls, deadline).await,
            Ok(_permit) => self.guarded(&calls, Form::Alone, deadline).await,
            Err(_) => failed(&calls, &Error::timeout(Step::WaitingForAnswer)),
        };
        let settled = answers.verdicts.into_iter().map(settle);
        self.road.deliver(&answers.rows, std::iter::once(reply).zip(settled).collect());
    }

    /// Waits for a row without holding the only connection meanwhile.
    async fn again(&self, calls: &[O::Call], deadline: Instant) -> Answers {
        while Instant::now() < deadline {
            let answers = self.guarded(calls, Form::Set, deadline).await;
            if !matches!(answers.verdicts.as_slice(), [Ok(Verdict::Alone)]) {
                return answers;
            }
            sleep(PAUSE).await;
        }
        failed(calls, &Error::timeout(Step::WaitingForAnswer))
    }

    /// The answers, whatever happens.
    async fn guarded(&self, calls: &[O::Call], form: Form, deadline: Instant) -> Answers {
        let answers = AssertUnwindSafe(self.answers(calls, form, deadline)).catch_unwind().await;
        match answers {
            Ok(Ok(answers)) => answers,
            Ok(Err(error)) => failed(calls, &error),
            Err(_) => failed(calls, &Error::internal("a panic in the core ended this call")),
        }
    }

    /// The only loop over attempts.
    async fn answers(
        &self,
        calls: &[O::Call],
        form: Form,
        deadline: Instant,
    ) -> Result<Answers, Error> {
        let mut attempts = Attempts::new(deadline, self.road.pool.max_size());
        loop {
            let connection = match self.road.pool.get(attempts.deadline()).await {
                Ok(connection) => connection,
                Err(error) => {
                    attempts.after_connecting(error).await?;
                    continue;
                }
            };
            match self.attempt(&connection, calls, form, &attempts).await {
                Ok(answers) => return Ok(answers),
                Err(error) => {
                    drop(connection);
                    attempts.after_statement(error).await?;
                }
            }
        }
    }

    async fn attempt(
        &self,
        connection: &Connection,
        calls: &[O::Call],
        form: Form,
        attempts: &Attempts,
    ) -> Result<Answers, Error> {
        match self.statement(connection, calls, form, attempts).await {
            Ok((rows, verdicts)) => {
                Ok(Answers { rows, verdicts: verdicts.into_iter().map(Ok).collect() })
            }
            Err(error)
                if form == Form::Set
                    && calls.len() > 1
                    && error.is_lock_timeout()
                    && self.operation.may_wait() =>
            {
                let verdicts = calls.iter().map(|_| Ok(Verdict::Alone)).collect();
                Ok(Answers { rows: Vec::new(), verdicts })
            }
            Err(error) if error.may_belong_to_one_call() => {
                if calls.len() > 1 {
                    self.one_by_one(connection, calls, attempts).await
                } else {
                    Ok(failed(calls, &error))
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Finds the guilty call of a failed batch: each call is a statement and a transaction of its own now.
    async fn one_by_one(
        &self,
        connection: &Connection,
        calls: &[O::Call],
        attempts: &Attempts,
    ) -> Result<Answers, Error> {
        let run =
            |call| self.statement(connection, std::slice::from_ref(call), Form::Set, attempts);
        let mut outcomes = Vec::with_capacity(calls.len());
        if let [first, others @ ..] = calls {
            // The first one prepares the statement, the others use it.
            let outcome = run(first).await;
            if let Err(error) = &outcome
                && error.is_timeout()
            {
                // The connection is given up: what were sent on it now, nobody would cancel.
                return Err(error.clone());
            }
            outcomes.push(outcome);
            outcomes.extend(join_all(others.iter().map(run)).await);
        }
        let mut answers = Answers { rows: Vec::new(), verdicts: Vec::with_capacity(calls.len()) };
        for outcome in outcomes {
            match outcome {
                Ok((rows, verdicts)) => {
                    let first_row = answers.rows.len();
                    answers.rows.extend(rows);
                    answers
                        .verdicts
                        .extend(verdicts.into_iter().map(|verdict| Ok(moved(verdict, first_row))));
                }
                // All of them run again: what was done already is found done.
                Err(error) if error.is_connection_lost() => return Err(error),
                Err(error) => answers.verdicts.push(Err(error)),
            }
        }
        Ok(answers)
    }

    /// Sends the calls as one statement, and a second one if the first leaves calls open.
    async fn statement(
        &self,
        connection: &Connection,
        calls: &[O::Call],
        form: Form,
        attempts: &Attempts,
    ) -> Result<(Vec<Row>, Vec<Verdict>), Error> {
        let request = match (form, calls) {
            (Form::Alone, [call]) => self.operation.alone(call),
            _ => self.operation.set(calls),
        };
        let repeated = attempts.may_have_happened();
        let deadline = attempts.deadline();
        let mut rows = run_fresh(connection, &request, deadline).await?;
        let read = self.operation.read(&rows, calls, repeated);
        let open: Vec<&O::Call> = calls
            .iter()
            .zip(&read)
            .filter_map(|(call, answer)| answer.is_none().then_some(call))
            .collect();
        let mut verdicts = Vec::new();
        if !open.is_empty() {
            // The form that waits leaves nothing to ask: what it did not find is not there.
            let waited = form == Form::Alone && !self.operation.may_wait();
            let asked = if waited { None } else { self.operation.follow_up(&open) };
            let more = match asked {
                Some(request) => run_fresh(connection, &request, deadline).await?,
                None => Vec::new(),
            };
            verdicts = self.operation.verdicts(&more, rows.len(), &open, repeated);
            rows.extend(more);
        }
        let mut verdicts = verdicts.into_iter();
        let settled = read.into_iter().map(|answer| match answer {
            Some(answer) => Verdict::Answer(answer),
            None => verdicts.next().unwrap_or(Verdict::Answer(Answer::NoSession)),
        });
        let settled = settled.collect();
        Ok((rows, settled))
    }
}

/// Runs a statement; where the schema changed under a prepared one, it is prepared anew.
async fn run_fresh(
    connection: &Connection,
    request: &Request,
    deadline: Instant,
) -> Result<Vec<Row>, Error> {
    match connection.run(request, deadline).await {
        Err(error) if error.is_stale_statement() => {
            connection.forget(request);
            connection.run(request, deadline).await
        }
        outcome => outcome,
    }
}

fn take_expired<C>(queue: &mut VecDeque<Pending<C>>, now: Instant) -> Vec<Pending<C>> {
    let mut expired = Vec::new();
    while queue.front().is_some_and(|first| first.deadline <= now) {
        expired.extend(queue.pop_front());
    }
    expired
}

fn failed<C>(calls: &[C], error: &Error) -> Answers {
    Answers { rows: Vec::new(), verdicts: calls.iter().map(|_| Err(error.clone())).collect() }
}

fn settle(verdict: Result<Verdict, Error>) -> Result<Answer, Error> {
    match verdict? {
        Verdict::Answer(answer) => Ok(answer),
        Verdict::Alone => Err(Error::internal("a call that waited for its row was put off again")),
    }
}

/// The same verdict when its rows stand behind others.
fn moved(verdict: Verdict, first_row: usize) -> Verdict {
    match verdict {
        Verdict::Answer(Answer::Row(place)) => Verdict::Answer(Answer::Row(place + first_row)),
        Verdict::Answer(Answer::NewRow(place)) => {
            Verdict::Answer(Answer::NewRow(place + first_row))
        }
        other => other,
    }
}
