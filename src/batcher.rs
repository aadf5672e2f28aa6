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
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use tokio::time::{Instant, timeout_at};

use crate::attempt::{Form, Runner, failed, settle};
use crate::error::{Error, Step};
use crate::operations::{Operation, Verdict};
use crate::road::{Reply, Road};

/// A batch that weighs more bytes than this leaves without further calls: its answer would hold the event loop.
const MAX_BATCH_BYTES: usize = 1 << 20;
/// How many calls are looked at and left for a later batch: the queue is locked meanwhile.
const MAX_PASSED_OVER: usize = 512;
/// Calls whose deadlines differ by more than this part of the whole do not travel together: the older ones' deadline
/// would cut the younger ones' time.
const AGE_PARTS: u32 = 8;

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

/// The queue of one operation.
pub(crate) struct Batcher<O: Operation> {
    operation: O,
    road: Arc<Road>,
    state: Mutex<State<O::Call>>,
    pass: Option<Pass<O::Call>>,
}

/// Takes over calls that another queue answers, with the deadline that they have.
pub(crate) type Pass<C> = Box<dyn Fn(Vec<(C, Reply)>, Instant) + Send + Sync>;

impl<O: Operation> Batcher<O> {
    pub(crate) fn new(operation: O, road: &Arc<Road>) -> Arc<Self> {
        Self::passing(operation, road, None)
    }

    /// A queue some of whose calls another one answers.
    pub(crate) fn passing(
        operation: O,
        road: &Arc<Road>,
        pass: Option<Pass<O::Call>>,
    ) -> Arc<Self> {
        let state = State { queue: VecDeque::new(), away: 0 };
        Arc::new(Self { operation, road: Arc::clone(road), state: Mutex::new(state), pass })
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
        let deadline = Instant::now() + self.road.limits.call_timeout;
        self.enqueue(calls, deadline, |added| self.road.take_in(added));
    }

    /// Takes over calls that another queue has taken in.
    pub(crate) fn take_over(
        self: &Arc<Self>,
        calls: impl IntoIterator<Item = (O::Call, Reply)>,
        deadline: Instant,
    ) {
        self.enqueue(calls, deadline, |_| ());
    }

    fn enqueue(
        self: &Arc<Self>,
        calls: impl IntoIterator<Item = (O::Call, Reply)>,
        deadline: Instant,
        count_in: impl FnOnce(usize),
    ) {
        let limits = &self.road.limits;
        let mut state = self.lock();
        let before = state.queue.len();
        state.queue.extend(calls.into_iter().map(|(call, reply)| Pending {
            call,
            reply,
            deadline,
        }));
        let added = state.queue.len() - before;
        // Counted in before anything can settle.
        count_in(added);
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
            // A sink that panics has lost this batch; the next ones must leave all the same.
            let _ = AssertUnwindSafe(self.run(batch)).catch_unwind().await;
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
        let mut deadline = first.deadline;
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
        let mut settled = Vec::with_capacity(calls.len());
        let mut passed = Vec::new();
        let mut alone = Vec::new();
        for (call, (reply, verdict)) in
            calls.into_iter().zip(replies.into_iter().zip(answers.verdicts))
        {
            match (verdict, &self.pass) {
                (Ok(Verdict::Alone), _) => alone.push((call, reply)),
                (Ok(Verdict::Pass), Some(_)) => passed.push((call, reply)),
                (verdict, _) => settled.push((reply, settle(verdict))),
            }
        }
        self.road.deliver(&answers.rows, settled);
        for (call, reply) in alone {
            self.road.runtime.spawn(Arc::clone(self).run_alone(call, reply, deadline));
        }
        if let (Some(pass), false) = (&self.pass, passed.is_empty()) {
            pass(passed, deadline);
        }
    }

    async fn run_alone(self: Arc<Self>, call: O::Call, reply: Reply, deadline: Instant) {
        let calls = [call];
        let answers = match timeout_at(deadline, self.road.alone.acquire()).await {
            Ok(_permit) => self.runner().alone(&calls, deadline).await,
            Err(_) => failed(&calls, &Error::timeout(Step::WaitingForAnswer)),
        };
        let settled = answers.verdicts.into_iter().map(settle);
        self.road.deliver(&answers.rows, std::iter::once(reply).zip(settled).collect());
    }
}

fn take_expired<C>(queue: &mut VecDeque<Pending<C>>, now: Instant) -> Vec<Pending<C>> {
    let mut expired = Vec::new();
    while queue.front().is_some_and(|first| first.deadline <= now) {
        expired.extend(queue.pop_front());
    }
    expired
}
