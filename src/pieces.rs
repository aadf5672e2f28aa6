//! Work that is done in pieces: each piece is a statement and a transaction of its own, with attempts of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_postgres::Row;

use crate::attempt::{Form, Runner};
use crate::background::Stop;
use crate::error::{Error, Step};
use crate::operations::Operation;
use crate::operations::destroy_all::{DestroyAll, Piece};
use crate::operations::search::Search;
use crate::road::Road;

/// Before sessions that somebody else is at work on are looked at again.
const PAUSE: Duration = Duration::from_millis(50);

/// The answer to one piece. Pieces may take only part of the pool, so that they do not bring validate to a stop.
pub(crate) async fn run_piece<O: Operation>(
    road: &Road,
    operation: &O,
    piece: O::Call,
    deadline: Instant,
) -> Result<Vec<Row>, Error> {
    let Ok(_permit) = timeout_at(deadline, road.alone.acquire()).await else {
        return Err(Error::timeout(Step::WaitingForConnection));
    };
    road.counters.batches.add(1);
    let answers =
        Runner { operation, pool: &road.pool }.guarded(&[piece], Form::Set, deadline).await;
    match answers.verdicts.into_iter().next() {
        Some(Err(error)) => Err(error),
        _ => Ok(answers.rows),
    }
}

/// Removes all sessions that `search` means; how many. It ends with a single piece that removed all it saw, and gives
/// up when for as long as a call may take nothing could be removed. After `stop` there is no further piece.
pub(crate) async fn destroy_all(
    road: &Road,
    operation: &DestroyAll,
    search: Arc<Search>,
    stop: &Stop,
) -> Result<u64, Error> {
    let patience = road.limits.call_timeout;
    let mut deadline = Instant::now() + patience;
    let mut ended = 0;
    loop {
        let mut has_left_some = false;
        let mut after = None;
        loop {
            let piece = Piece { search: Arc::clone(&search), after };
            let rows = run_piece(road, operation, piece, deadline).await?;
            let removed = DestroyAll::removed(&rows)?;
            ended += removed.gone;
            has_left_some |= removed.has_left_some;
            if removed.gone > 0 {
                deadline = Instant::now() + patience;
            }
            after = removed.next;
            // Between two pieces a session may have got another id, and so have been in neither.
            has_left_some |= after.is_some();
            if after.is_none() || stop.is_set() {
                break;
            }
        }
        if !has_left_some || stop.is_set() {
            return Ok(ended);
        }
        if Instant::now() + PAUSE >= deadline {
            return Err(Error::timeout(Step::WaitingForAnswer));
        }
        stop.pause(PAUSE).await;
    }
}
