//! Which failure may be followed by another attempt. The loop that asks is in `attempt`; nothing else tries twice.
//!
//! An attempt may follow if doing the work twice is the same as doing it once. That holds for every operation here:
//! create carries its own id and inserts with ON CONFLICT, refresh finds the note of what it did, the others name their
//! rows.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::error::Error;

/// A pool can hold this many dead connections in a row after its own size is used up.
const SPARE_ATTEMPTS: usize = 2;
/// A conflict passes when the others are done. More in a row, and it is none that passes.
const CONFLICTS: usize = 100;
/// A pause that lets a conflicting transaction, or one more connection slot, come free.
const PAUSE: Duration = Duration::from_millis(20);

/// The attempts of one piece of work.
pub(crate) struct Attempts {
    deadline: Instant,
    left: usize,
    conflicts_left: usize,
    /// An earlier attempt may have done the work without our seeing the answer.
    ambiguous: bool,
    /// What the server refused, when that was worth another try.
    refusal: Option<Error>,
}

impl Attempts {
    /// One sweep can hit every connection of the pool, hence `pool_size`.
    pub(crate) fn new(deadline: Instant, pool_size: usize) -> Self {
        Self {
            deadline,
            left: pool_size + SPARE_ATTEMPTS,
            conflicts_left: CONFLICTS,
            ambiguous: false,
            refusal: None,
        }
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether an earlier attempt may have done the work already.
    pub(crate) fn may_have_happened(&self) -> bool {
        self.ambiguous
    }

    /// After a failure to get a connection: returns if there may be another attempt.
    pub(crate) async fn after_connecting(&mut self, error: Error) -> Result<(), Error> {
        // 53300: all slots taken. One of ours may come back, or another's may be freed. The same goes for files.
        let may_pass =
            matches!(error.sqlstate(), Some("53300" | "57P03")) || error.is_short_of_files();
        if !may_pass && error.is_interrupted_start() && self.left > 0 {
            self.left -= 1;
        } else if !may_pass {
            // A deadline says less than what the server said before it.
            let refusal = self.refusal.take().filter(|_| error.is_timeout());
            return Err(refusal.unwrap_or(error));
        }
        if self.deadline.saturating_duration_since(Instant::now()) < PAUSE {
            return Err(error);
        }
        self.refusal = Some(error);
        sleep(PAUSE).await;
        Ok(())
    }

    /// After a failure of the statement: returns if there may be another attempt.
    pub(crate) async fn after_statement(&mut self, error: Error) -> Result<(), Error> {
        let lost = error.is_connection_lost();
        let may_follow = lost || error.is_stale_statement() || error.is_conflict();
        let left = if error.is_conflict() { &mut self.conflicts_left } else { &mut self.left };
        if !may_follow || *left == 0 || Instant::now() >= self.deadline {
            return Err(error);
        }
        *left -= 1;
        let is_conflict = error.is_conflict();
        if lost && may_have_happened(&error) {
            self.ambiguous = true;
        } else if lost {
            self.refusal = Some(error);
        }
        if is_conflict {
            sleep(PAUSE).await;
        }
        Ok(())
    }
}

/// Silence tells nothing, and a server that shuts down may say so in place of "done". Only a refusal is sure.
fn may_have_happened(error: &Error) -> bool {
    !matches!(error.sqlstate(), Some("25006" | "57P03"))
}
