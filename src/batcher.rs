//! The queue between callers and the database, one per operation.
//!
//! While batches are away, new calls wait here; when one comes home they leave together. A call that finds a free
//! place leaves at once, so batching never makes a lone call slower. What is sent is the operation's business; what
//! may be tried again, `retry`'s.
//!
//! Every call settles: a batch ends at the deadline of its oldest call, a call that grew too old in the queue fails
//! there, and a panic fails the calls of its batch only.

use std::collections::{HashSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::Row;

use crate::attempt::{Form, Runner, failed, settle};
use crate::eager;
use crate::error::{Error, Step};
use crate::operations::{Answer, Operation, Verdict};
use crate::road::{Reply, Road, Taken};

/// A batch that weighs more bytes than this, there and back, leaves without further calls: its answer would hold the
/// event loop.
const MAX_BATCH_BYTES: usize = 1 << 20;
/// How many calls are looked at and left for a later batch: the queue is locked meanwhile.
const MAX_PASSED_OVER: usize = 512;
/// Calls whose deadlines differ by more than this part of the whole do not travel together: the older ones' deadline
/// would cut the younger ones' time.
const AGE_PARTS: u32 = 8;

/// Batches whose outcomes the caller has not taken yet. While there are so many, no other leaves: it would only stand
/// in the way of calls of another kind.
const MAX_UNTAKEN: usize = 3;
/// What a row is thought to weigh before the first has come.
const FIRST_ANSWER_BYTES: usize = 1 << 16;
/// Over how many batches a larger answer is remembered, roughly.
const ANSWER_MEMORY: usize = 4;

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
    /// Batches that came home and whose outcomes have not been taken.
    untaken: usize,
}

/// The queue of one operation.
pub(crate) struct Batcher<O: Operation> {
    operation: O,
    road: Arc<Road>,
    state: Mutex<State<O::Call>>,
    /// What an answer weighs, from those that came.
    answer_bytes: AtomicUsize,
    others: Others<O::Call>,
}

/// Takes over calls that another queue answers, with the deadline that they have.
pub(crate) type Pass<C> = Box<dyn Fn(Vec<(C, Reply)>, Instant) + Send + Sync>;

/// Other queues that answer some of the calls.
pub(crate) struct Others<C> {
    /// Those with [`Verdict::Pass`].
    pub(crate) pass: Option<Pass<C>>,
    /// Those that may have found a table with other types.
    pub(crate) renew: Option<Renew<C>>,
}

/// The same for calls that failed so.
pub(crate) type Renew<C> = Box<dyn Fn(Vec<(C, Reply)>, Error, Instant) + Send + Sync>;

impl<O: Operation> Batcher<O> {
    pub(crate) fn new(operation: O, road: &Arc<Road>) -> Arc<Self> {
        Self::with_others(operation, road, Others { pass: None, renew: None })
    }

    /// A queue some of whose calls another one answers.
    pub(crate) fn with_others(
        operation: O,
        road: &Arc<Road>,
        others: Others<O::Call>,
    ) -> Arc<Self> {
        let state = State { queue: VecDeque::new(), away: 0, untaken: 0 };
        Arc::new(Self {
            operation,
            road: Arc::clone(road),
            state: Mutex::new(state),
            answer_bytes: AtomicUsize::new(FIRST_ANSWER_BYTES),
            others,
        })
    }

    pub(crate) fn operation(&self) -> &O {
        &self.operation
    }

    fn runner(&self) -> Runner<'_, O> {
        Runner { operation: &self.operation, pool: &self.road.pool }
    }

    /// How many calls wait for a batch.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().queue.len()
    }

    /// Takes in calls and sends off what can leave. Returns at once.
    pub(crate) fn push(self: &Arc<Self>, calls: impl IntoIterator<Item = (O::Call, Reply)>) {
        let limits = &self.road.limits;
        let deadline = Instant::now() + limits.call_timeout;
        let mut refused = Vec::new();
        let mut state = self.lock();
        let before = state.queue.len();
        // What leaves at once does not wait.
        let answer = self.answer_bytes.load(Ordering::Relaxed);
        let batch = limits.batch.min(MAX_BATCH_BYTES.div_ceil(answer));
        let room = limits.queue + limits.away.saturating_sub(state.away) * batch;
        for (call, reply) in calls {
            if self.road.waiting.load(Ordering::Relaxed) < room {
                self.road.waiting.fetch_add(1, Ordering::Relaxed);
                state.queue.push_back(Pending { call, reply, deadline });
            } else {
                refused.push((reply, Err(Error::queue_full(limits.queue))));
            }
        }
        let added = state.queue.len() - before;
        // Counted in before anything can settle.
        self.road.take_in(added + refused.len());
        self.send_off(state, added);
        if !refused.is_empty() {
            self.road.deliver(&[], refused, Taken::default());
        }
    }

    /// Settles those of these calls that still wait; nobody looks at how.
    pub(crate) fn withdraw(&self, numbers: &HashSet<u64>) {
        let mut withdrawn = Vec::new();
        self.lock().queue.retain(|pending| match pending.reply {
            Reply::Number(number) if numbers.contains(&number) => {
                withdrawn.push((Reply::Number(number), Ok(Answer::NoSession)));
                false
            }
            _ => true,
        });
        self.road.waiting.fetch_sub(withdrawn.len(), Ordering::Relaxed);
        if !withdrawn.is_empty() {
            self.road.deliver(&[], withdrawn, Taken::default());
        }
    }

    /// Takes over calls that another queue has taken in.
    pub(crate) fn take_over(
        self: &Arc<Self>,
        calls: impl IntoIterator<Item = (O::Call, Reply)>,
        deadline: Instant,
    ) {
        let mut state = self.lock();
        let before = state.queue.len();
        let pending = |(call, reply)| Pending { call, reply, deadline };
        state.queue.extend(calls.into_iter().map(pending));
        let added = state.queue.len() - before;
        self.road.waiting.fetch_add(added, Ordering::Relaxed);
        self.send_off(state, added);
    }

    /// Sends off what can leave now that calls were added.
    fn send_off(self: &Arc<Self>, mut state: MutexGuard<'_, State<O::Call>>, added: usize) {
        let limits = &self.road.limits;
        let free =
            if state.untaken < MAX_UNTAKEN { limits.away.saturating_sub(state.away) } else { 0 };
        let departures = added.div_ceil(limits.batch).min(free);
        let is_first = state.away == 0;
        state.away += departures;
        drop(state);
        for departure in 0..departures {
            self.depart(is_first && departure == 0);
        }
    }

    /// Begins to work off the queue: here, if no thread is at it that would see to the rest.
    fn depart(self: &Arc<Self>, here: bool) {
        let work = Arc::clone(self).work();
        if here {
            eager::start(&self.road.runtime, work);
        } else {
            self.road.runtime.spawn(work);
        }
    }

    /// The outcomes of a batch are on their way.
    fn deliver(self: &Arc<Self>, rows: &[Row], settled: Vec<(Reply, Result<Answer, Error>)>) {
        self.lock().untaken += 1;
        let batcher = Arc::clone(self);
        self.road.deliver(rows, settled, Taken::then(move || batcher.taken()));
    }

    /// The outcomes of a batch were taken: there may be room for another.
    fn taken(self: &Arc<Self>) {
        let mut state = self.lock();
        state.untaken -= 1;
        let departs = !state.queue.is_empty() && state.away < self.road.limits.away;
        let is_first = state.away == 0;
        if departs {
            state.away += 1;
        }
        drop(state);
        if departs {
            self.depart(is_first);
        }
    }

    /// No code that can panic runs under the lock, so a poisoned one holds a sound state.
    fn lock(&self) -> MutexGuard<'_, State<O::Call>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs batches until the queue is empty.
    async fn work(self: Arc<Self>) {
        while let Some(batch) = self.next() {
            // A sink that panics has lost this batch; the next ones must leave all the same.
            let _ = AssertUnwindSafe(self.run(batch)).catch_unwind().await;
        }
    }

    fn next(&self) -> Option<Batch<O::Call>> {
        let (batch, expired) = {
            let mut state = self.lock();
            let expired = take_expired(&mut state.queue, Instant::now());
            let may_leave = state.untaken < MAX_UNTAKEN;
            let batch = may_leave.then(|| self.take_batch(&mut state.queue)).flatten();
            if batch.is_none() {
                state.away -= 1;
            }
            let left = expired.len() + batch.as_ref().map_or(0, |batch| batch.calls.len());
            self.road.waiting.fetch_sub(left, Ordering::Relaxed);
            (batch, expired)
        };
        let fail = |pending: Pending<O::Call>| {
            (pending.reply, Err(Error::timeout(Step::WaitingForConnection)))
        };
        if !expired.is_empty() {
            self.road.deliver(&[], expired.into_iter().map(fail).collect(), Taken::default());
        }
        batch
    }

    fn take_batch(&self, queue: &mut VecDeque<Pending<O::Call>>) -> Option<Batch<O::Call>> {
        let limits = &self.road.limits;
        let first = queue.pop_front()?;
        let mut deadline = first.deadline;
        let youngest = deadline + limits.call_timeout / AGE_PARTS;
        let answer = self.answer_bytes.load(Ordering::Relaxed);
        let mut weight = answer + self.operation.weight(&first.call);
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
                weight += answer + self.operation.weight(&next.call);
                // Calls that were taken over are older than their place in the queue.
                deadline = deadline.min(next.deadline);
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
        let answers = self.runner().guarded(&calls, Form::Set, deadline).await;
        self.learn(&answers.rows);
        let mut settled = Vec::with_capacity(calls.len());
        let mut passed = Vec::new();
        let (mut changed, mut failure) = (Vec::new(), None);
        let mut alone = Vec::new();
        for (call, (reply, verdict)) in
            calls.into_iter().zip(replies.into_iter().zip(answers.verdicts))
        {
            match verdict {
                Ok(Verdict::Alone) => alone.push((call, reply)),
                Ok(Verdict::Pass) if self.others.pass.is_some() => passed.push((call, reply)),
                Err(error) if error.may_be_changed() && self.others.renew.is_some() => {
                    changed.push((call, reply));
                    failure = Some(error);
                }
                verdict => settled.push((reply, settle(verdict))),
            }
        }
        self.deliver(&answers.rows, settled);
        for (call, reply) in alone {
            self.road.runtime.spawn(Arc::clone(self).run_alone(call, reply, deadline));
        }
        if let (Some(pass), false) = (&self.others.pass, passed.is_empty()) {
            pass(passed, deadline);
        }
        if let (Some(renew), Some(failure)) = (&self.others.renew, failure) {
            renew(changed, failure, deadline);
        }
    }

    /// Rows that are larger than thought count at once, smaller ones by and by.
    fn learn(&self, rows: &[Row]) {
        let sizes = rows.iter().map(Row::raw_size_bytes).sum::<usize>().checked_div(rows.len());
        let Some(came) = sizes else { return };
        let thought = match self.answer_bytes.load(Ordering::Relaxed) {
            FIRST_ANSWER_BYTES => came,
            known => known,
        };
        let slowly = thought - thought.saturating_sub(came) / ANSWER_MEMORY;
        self.answer_bytes.store(came.max(slowly).max(1), Ordering::Relaxed);
    }

    async fn run_alone(self: Arc<Self>, call: O::Call, reply: Reply, deadline: Instant) {
        let calls = [call];
        let answers = match timeout_at(deadline, self.road.alone.acquire()).await {
            Ok(_permit) => self.runner().alone(&calls, deadline).await,
            Err(_) => failed(&calls, &Error::timeout(Step::WaitingForAnswer)),
        };
        if let ([Err(error)], Some(renew)) = (answers.verdicts.as_slice(), &self.others.renew)
            && error.may_be_changed()
        {
            return renew(calls.into_iter().zip([reply]).collect(), error.clone(), deadline);
        }
        let settled = answers.verdicts.into_iter().map(settle);
        let settled = std::iter::once(reply).zip(settled).collect();
        self.road.deliver(&answers.rows, settled, Taken::default());
    }
}

fn take_expired<C>(queue: &mut VecDeque<Pending<C>>, now: Instant) -> Vec<Pending<C>> {
    let mut expired = Vec::new();
    while queue.front().is_some_and(|first| first.deadline <= now) {
        expired.extend(queue.pop_front());
    }
    expired
}
