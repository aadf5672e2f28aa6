//! A timer that always stands while calls come.
//!
//! Each statement has a deadline, and tokio wakes the thread that waits for the network whenever a timer is set that
//! is earlier than all others: for a lone call, a system call and a turn of the loop for a deadline that will not be
//! reached. With this one ahead of them that never happens.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::sleep;

/// Shorter than any deadline worth having, long enough to cost nothing.
const BEAT: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(crate) struct Metronome {
    ticking: AtomicBool,
    calls: AtomicUsize,
}

impl Metronome {
    /// There are calls. Ticks until a beat has passed without any.
    pub(crate) fn keep(self: &Arc<Self>, runtime: &Handle) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if !self.ticking.load(Ordering::Relaxed) && !self.ticking.swap(true, Ordering::Relaxed) {
            runtime.spawn(tick(Arc::downgrade(self)));
        }
    }
}

async fn tick(metronome: Weak<Metronome>) {
    loop {
        sleep(BEAT).await;
        let Some(metronome) = metronome.upgrade() else { return };
        if metronome.calls.swap(0, Ordering::Relaxed) == 0 {
            metronome.ticking.store(false, Ordering::Relaxed);
            return;
        }
    }
}
