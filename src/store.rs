//! `Store`: the table of a Store for `express-session`, and what can be asked of it.
//!
//! It stands beside [`crate::sessions`] and goes the same road: queues, attempts, connections. Its table is not ours:
//! `sid`, `sess`, `expire`, as connect-pg-simple has them, and that library may be at work on it at the same time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use ring::digest::{SHA256, digest};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::batcher::Batcher;
use crate::connect::Settings;
use crate::error::Error;
use crate::options::StoreOptions;
use crate::pool::{Access, Pool};
use crate::road::{Reply, Road, Sink, Taken};
use crate::stats::Stats;
use crate::text::hex;

mod ask;
mod change;
mod get;
mod keys;
mod put;
mod table;

use ask::Ask;
use change::{Changing, Work};
use get::Get;
use put::Put;
use table::Table;

pub use ask::{Match, Question};
pub use change::{Change, Content, Expiry, Part};

/// What is asked of the store.
#[derive(Clone, Debug)]
pub enum Call {
    /// The data of a live session.
    Get(String),
    /// Writes a session whole, whether there was one or not.
    Put(Change),
    /// Writes a session whole if it is there.
    Update(Change),
    /// Changes parts of a session if it is there.
    Merge(Change),
    /// Moves the end of a session if it is there.
    Touch(Change),
    /// Removes a session.
    Destroy(Change),
    /// Something about many sessions.
    Ask(Question),
}

/// The statements in the form that runs on a connection of the caller, for one session.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names are those of the calls")]
pub struct Statements {
    pub get: String,
    pub put: String,
    pub update: String,
    pub merge: String,
    pub touch: String,
    pub destroy: String,
    pub ask: [String; 9],
}

/// One table of an express-session Store.
///
/// Made without touching the network; [`Store::set_up`] comes first. Dropping it closes its connections.
pub struct Store {
    options: StoreOptions,
    road: Arc<Road>,
    queues: OnceLock<Queues>,
    closed: AtomicBool,
}

struct Queues {
    get: Arc<Batcher<Get>>,
    put: Arc<Batcher<Put>>,
    update: Arc<Batcher<Changing>>,
    merge: Arc<Batcher<Changing>>,
    touch: Arc<Batcher<Changing>>,
    destroy: Arc<Batcher<Changing>>,
    ask: Arc<Batcher<Ask>>,
}

impl Queues {
    fn new(table: &Table, road: &Arc<Road>) -> Self {
        let changing = |work| Batcher::new(Changing::new(table, work), road);
        Self {
            get: Batcher::new(Get::new(table), road),
            put: Batcher::new(Put::new(table), road),
            update: changing(Work::Update),
            merge: changing(Work::Merge),
            touch: changing(Work::Touch),
            destroy: changing(Work::Destroy),
            ask: Batcher::new(Ask::new(table), road),
        }
    }

    fn waiting(&self) -> usize {
        let changes = [&self.update, &self.merge, &self.touch, &self.destroy];
        self.get.waiting()
            + self.put.waiting()
            + self.ask.waiting()
            + changes.iter().map(|queue| queue.waiting()).sum::<usize>()
    }
}

/// The calls of one turn, by queue.
#[derive(Default)]
struct Sorted {
    get: Vec<(String, Reply)>,
    put: Vec<(Change, Reply)>,
    update: Vec<(Change, Reply)>,
    merge: Vec<(Change, Reply)>,
    touch: Vec<(Change, Reply)>,
    destroy: Vec<(Change, Reply)>,
    ask: Vec<(Question, Reply)>,
}

impl Sorted {
    fn add(&mut self, call: Call, reply: Reply) {
        match call {
            Call::Get(key) => self.get.push((key, reply)),
            Call::Put(change) => self.put.push((change, reply)),
            Call::Update(change) => self.update.push((change, reply)),
            Call::Merge(change) => self.merge.push((change, reply)),
            Call::Touch(change) => self.touch.push((change, reply)),
            Call::Destroy(change) => self.destroy.push((change, reply)),
            Call::Ask(question) => self.ask.push((question, reply)),
        }
    }
}

impl Store {
    /// Prepares everything that needs no connection. Outcomes go to `sink`.
    pub fn new(
        settings: Settings,
        options: StoreOptions,
        runtime: Handle,
        sink: Arc<dyn Sink>,
    ) -> Result<Self, Error> {
        let pool = Pool::new(settings, &options.common)?;
        let road = Arc::new(Road::new(pool, &options.common, runtime, Some(sink)));
        Ok(Self { options, road, queues: OnceLock::new(), closed: AtomicBool::new(false) })
    }

    /// Connects and finds the table, or makes it if the options say so. After a failure it may be called again.
    pub async fn set_up(&self) -> Result<(), Error> {
        let _work = self.road.begin();
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::closed());
        }
        let deadline = Instant::now() + self.options.common.call_timeout();
        let connection = self.road.pool.get(Access::Write, deadline).await?;
        let table = table::set_up(&connection, &self.options.common, deadline).await?;
        self.queues.get_or_init(|| Queues::new(&table, &self.road));
        Ok(())
    }

    fn queues(&self) -> Result<&Queues, Error> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::closed());
        }
        self.queues.get().ok_or_else(|| Error::internal("the table has not been set up yet"))
    }

    /// What can be chosen, with the defaults of what was not.
    pub fn options(&self) -> &StoreOptions {
        &self.options
    }

    /// The id as the table holds it.
    ///
    /// A bare SHA-256 is enough: an id is a random number, which nobody can guess by trying.
    pub fn key(&self, sid: &str) -> String {
        if self.options.hash_ids {
            hex(digest(&SHA256, sid.as_bytes()).as_ref())
        } else {
            sid.to_owned()
        }
    }

    /// Takes in calls; their outcomes go where their replies say.
    pub fn submit(&self, calls: impl IntoIterator<Item = (Call, Reply)>) {
        let queues = match self.queues() {
            Ok(queues) => queues,
            Err(error) => return self.refuse(calls, &error),
        };
        let mut sorted = Sorted::default();
        for (call, reply) in calls {
            sorted.add(self.keyed(call), reply);
        }
        push(&queues.get, sorted.get);
        push(&queues.put, sorted.put);
        push(&queues.update, sorted.update);
        push(&queues.merge, sorted.merge);
        push(&queues.touch, sorted.touch);
        push(&queues.destroy, sorted.destroy);
        push(&queues.ask, sorted.ask);
    }

    /// The same call with ids as the table holds them.
    fn keyed(&self, mut call: Call) -> Call {
        if !self.options.hash_ids {
            return call;
        }
        match &mut call {
            Call::Get(key) => *key = self.key(key),
            Call::Put(change)
            | Call::Update(change)
            | Call::Merge(change)
            | Call::Touch(change)
            | Call::Destroy(change) => change.key = self.key(&change.key),
            Call::Ask(Question::End(_, except)) => {
                for key in except {
                    *key = self.key(key);
                }
            }
            Call::Ask(_) => {}
        }
        call
    }

    fn refuse(&self, calls: impl IntoIterator<Item = (Call, Reply)>, error: &Error) {
        let refused: Vec<_> =
            calls.into_iter().map(|(_, reply)| (reply, Err(error.clone()))).collect();
        self.road.take_in(refused.len());
        self.road.deliver(&[], refused, Taken::default());
    }

    /// The statements for a connection of the caller.
    pub fn statements(&self) -> Result<Statements, Error> {
        let queues = self.queues()?;
        let alone = |queue: &Batcher<Changing>| queue.operation().alone_sql().to_owned();
        Ok(Statements {
            get: queues.get.operation().sql().to_owned(),
            put: queues.put.operation().alone_sql().to_owned(),
            update: alone(&queues.update),
            merge: alone(&queues.merge),
            touch: alone(&queues.touch),
            destroy: alone(&queues.destroy),
            ask: queues.ask.operation().all_sql(),
        })
    }

    /// What the pool and the queues look like, and what has happened so far.
    pub fn stats(&self) -> Stats {
        self.road.stats(self.queues.get().map_or(0, Queues::waiting))
    }

    /// Waits for what is under way, then closes the connections. Later calls fail; closing again is fine.
    pub async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.road.settled().await;
        self.road.pool.close();
    }
}

fn push<O: crate::operations::Operation>(queue: &Arc<Batcher<O>>, calls: Vec<(O::Call, Reply)>) {
    if !calls.is_empty() {
        queue.push(calls);
    }
}
