//! Which connections may write: all but one. Writers can all wait at once, for a standby that is gone, a full disk or a
//! table's lock, and what only reads must not wait behind them. A pool of one connection has none to keep.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::error::{Error, Step};

/// What a connection is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Statements that leave the database as it is.
    Read,
    /// Any.
    Write,
}

/// The permits to write of a pool; `None`: everybody may.
#[derive(Clone)]
pub(super) struct Writers(Option<Arc<Semaphore>>);

/// Lets one connection write, until it is dropped.
pub(super) struct Permit {
    _held: Option<OwnedSemaphorePermit>,
}

impl Writers {
    pub(super) fn new(connections: usize) -> Self {
        Self((connections > 1).then(|| Arc::new(Semaphore::new(connections - 1))))
    }

    /// Waits for one, at the latest until `deadline`. Whoever waits for this must hold no connection.
    pub(super) async fn permit(&self, deadline: Instant) -> Result<Permit, Error> {
        let Some(permits) = &self.0 else { return Ok(Permit { _held: None }) };
        match timeout_at(deadline, Arc::clone(permits).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Permit { _held: Some(permit) }),
            Ok(Err(_)) => Err(Error::closed()),
            Err(_) => Err(Error::timeout(Step::WaitingForConnection)),
        }
    }

    /// One that is free now.
    pub(super) fn free_permit(&self) -> Option<Permit> {
        let held = match &self.0 {
            Some(permits) => Some(Arc::clone(permits).try_acquire_owned().ok()?),
            None => None,
        };
        Some(Permit { _held: held })
    }

    /// Nobody waits any longer.
    pub(super) fn close(&self) {
        if let Some(permits) = &self.0 {
            permits.close();
        }
    }
}
