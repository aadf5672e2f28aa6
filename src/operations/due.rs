//! Which ids are not due for a new one yet, as far as this process knows. A session older than the interval is asked
//! about only when its id may be due, not at each validate.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::columns::ById;

/// An entry takes 32 bytes. What is forgotten costs one more question.
const MOST: usize = 50_000;

#[derive(Default)]
pub(crate) struct Due(Mutex<ById<Instant>>);

impl Due {
    /// Whether the id, as stored, may be due by now.
    pub(super) fn may_be(&self, stored: Uuid) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&stored).is_none_or(|from| *from <= Instant::now())
    }

    /// The id is not due before this long from now.
    pub(super) fn not_before(&self, stored: Uuid, wait: Duration) {
        let Some(from) = Instant::now().checked_add(wait) else { return };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(stored, from);
    }
}
