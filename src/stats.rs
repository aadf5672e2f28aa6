//! Counters that cost one atomic addition each; read at once by `stats()`.

use std::sync::atomic::{AtomicU64, Ordering};

/// What the pool and the queues look like now, and what has happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Open connections.
    pub size: u64,
    /// Open connections that nobody uses.
    pub idle: u64,
    /// Calls that wait for a batch to leave with.
    pub waiting: u64,
    /// Calls taken in so far.
    pub calls: u64,
    /// Batches sent so far.
    pub batches: u64,
    /// Calls that failed so far.
    pub errors: u64,
    /// Rows of expired sessions removed so far.
    pub pruned: u64,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, more: usize) {
        self.0.fetch_add(more as u64, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What the batcher counts.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) calls: Counter,
    pub(crate) batches: Counter,
    pub(crate) errors: Counter,
    pub(crate) pruned: Counter,
}
