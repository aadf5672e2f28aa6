//! Work that nobody asked for at the moment: when rows of expired sessions are removed, and how fast. What is sent is
//! `operations::prune`'s business.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::error::Error;
use crate::operations::prune::{CountBlocks, Forget, Piece, Prune, Pruned};
use crate::pieces::run_piece;
use crate::road::Road;
use crate::table::Table;

/// How long a piece should take the server: a processor that it keeps busy is what validations wait for, so it must be about as
/// long as they take themselves (`npm run bench:prune`).
const TARGET: Duration = Duration::from_millis(1);
/// Between two pieces, at least.
const SHORTEST_PAUSE: Duration = Duration::from_millis(3);
/// Else so many times as long as the piece took: pruning keeps less than a fifth of one processor busy.
const PAUSE_SHARE: f64 = 4.5;
/// Before somebody else, whose turn it is, is asked again.
const TURN_PAUSE: Duration = Duration::from_millis(50);
/// Whoever prunes pauses between its pieces. So the lock is tried several times before it is taken to be free.
const TURNS_TRIED: u32 = 4;

const FIRST_BLOCKS: i64 = 32;
/// So many are read in a tenth of [`TARGET`]: a piece of them that takes longer was waiting, and a smaller one would, too.
const FEWEST_BLOCKS: i64 = 8;
const MOST_BLOCKS: i64 = 8_192;
const FIRST_ROWS: i64 = 500;
const MOST_ROWS: i64 = 5_000;
const FEWEST_ROWS: i64 = 50;

/// Ends work at its next pause.
#[derive(Debug, Default)]
pub struct Stop {
    is_set: AtomicBool,
    changed: Notify,
}

impl Stop {
    /// From now on the work ends as soon as it can.
    pub fn set(&self) {
        self.is_set.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }

    pub(crate) fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Acquire)
    }

    /// Waits; `false`: it was stopped meanwhile.
    pub(crate) async fn pause(&self, length: Duration) -> bool {
        let changed = self.changed.notified();
        tokio::pin!(changed);
        // Registered before the check, so that no notification falls between the two.
        changed.as_mut().enable();
        !self.is_set() && timeout(length, changed).await.is_err() && !self.is_set()
    }
}

/// What removes expired rows of one table.
pub(crate) struct Pruner {
    prune: Prune,
    forget: Option<Forget>,
    count: CountBlocks,
    /// Set when the sessions close.
    pub(crate) closing: Stop,
}

impl Pruner {
    pub(crate) fn new(table: &Table) -> Self {
        Self {
            prune: Prune::new(table),
            forget: Forget::new(table),
            count: CountBlocks::new(table),
            closing: Stop::default(),
        }
    }

    /// Removes what has expired; how many rows. While it is another process' turn, it waits for its own.
    pub(crate) async fn prune(&self, road: &Road, stop: &Stop) -> Result<u64, Error> {
        let deadline = Instant::now() + road.limits.call_timeout;
        let rows = run_piece(road, &self.count, (), deadline).await?;
        let end = CountBlocks::blocks(&rows)?;
        let mut pace = Pace::default();
        let (mut block, mut gone) = (0, 0);
        while block < end && !self.closing.is_set() && !stop.is_set() {
            let piece = Piece { block, blocks: pace.blocks, rows: pace.rows };
            let pruned = self.piece(road, piece).await?;
            let pause = if pruned.was_our_turn {
                gone += pruned.gone.unsigned_abs();
                block += pace.next(piece, &pruned);
                pause_after(pruned.took)
            } else {
                TURN_PAUSE
            };
            if block < end && !stop.pause(pause).await {
                break;
            }
        }
        self.forget(road, stop).await?;
        Ok(gone)
    }

    /// Forgets replaced ids that no longer work. Two that are at it do not get in each other's way.
    async fn forget(&self, road: &Road, stop: &Stop) -> Result<(), Error> {
        let Some(forget) = &self.forget else { return Ok(()) };
        let mut next = Some(Uuid::nil());
        while let (Some(after), false) = (next, self.closing.is_set() || stop.is_set()) {
            let begin = Instant::now();
            let deadline = begin + road.limits.call_timeout;
            next = Forget::next(&run_piece(road, forget, after, deadline).await?)?;
            if next.is_some() && !stop.pause(pause_after(begin.elapsed())).await {
                break;
            }
        }
        Ok(())
    }

    async fn piece(&self, road: &Road, piece: Piece) -> Result<Pruned, Error> {
        let deadline = Instant::now() + road.limits.call_timeout;
        let rows = run_piece(road, &self.prune, piece, deadline).await?;
        let pruned = Prune::pruned(&rows)?;
        road.counters.pruned.add(usize::try_from(pruned.gone).unwrap_or(0));
        Ok(pruned)
    }

    /// Whether another process is at it.
    async fn is_somebodys_turn(&self, road: &Road) -> Result<bool, Error> {
        for _ in 0..TURNS_TRIED {
            let pruned = self.piece(road, Piece { block: 0, blocks: 0, rows: 0 }).await?;
            if !pruned.was_our_turn {
                return Ok(true);
            }
            sleep(jittered(SHORTEST_PAUSE)).await;
        }
        Ok(false)
    }

    async fn prune_in_turn(&self, road: &Road) -> Result<(), Error> {
        if self.is_somebodys_turn(road).await? {
            return Ok(());
        }
        self.prune(road, &self.closing).await.map(|_| ())
    }
}

/// Prunes every `interval` until the sessions close or are gone.
pub(crate) async fn prune_now_and_then(
    pruner: Arc<Pruner>,
    road: Weak<Road>,
    interval: Duration,
    table: String,
) {
    while pruner.closing.pause(jittered(interval)).await {
        let Some(road) = road.upgrade() else { return };
        let _work = road.begin();
        if let Err(error) = pruner.prune_in_turn(&road).await
            && !pruner.closing.is_set()
        {
            road.report(&error, &table);
        }
    }
}

/// How long the next piece waits for others.
fn pause_after(took: Duration) -> Duration {
    took.mul_f64(PAUSE_SHARE).max(SHORTEST_PAUSE)
}

/// A length between three quarters and five quarters of this one: what started together must not work together.
fn jittered(length: Duration) -> Duration {
    let [random, ..] = Uuid::new_v4().into_bytes();
    length.mul_f64(0.75 + f64::from(random) / 510.0)
}

/// How large the next piece is, by the time that the last one took.
struct Pace {
    blocks: i64,
    rows: i64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { blocks: FIRST_BLOCKS, rows: FIRST_ROWS }
    }
}

impl Pace {
    /// Adapts, and says how many blocks further the next piece begins.
    fn next(&mut self, piece: Piece, pruned: &Pruned) -> i64 {
        let is_full = pruned.found >= piece.rows;
        if pruned.took > TARGET {
            (self.blocks, self.rows) = (self.blocks / 2, self.rows / 2);
        } else if pruned.took < TARGET / 2 {
            (self.blocks, self.rows) = (self.blocks * 2, self.rows * 2);
        }
        if is_full {
            // What was not reached is looked at again: the fewer blocks, the less.
            self.blocks = piece.blocks / 2;
        }
        self.blocks = self.blocks.clamp(FEWEST_BLOCKS, MOST_BLOCKS);
        self.rows = self.rows.clamp(FEWEST_ROWS, MOST_ROWS);
        // Somebody holds all that was found: it is left for another time.
        let is_stuck = pruned.gone == 0;
        if is_full && !is_stuck { 0 } else { piece.blocks }
    }
}
