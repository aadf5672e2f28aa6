//! `Sessions`: one table of sessions, and what can be asked of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_postgres::types::Type;

use crate::background::{self, Pruner, Stop};
use crate::batcher::Batcher;
use crate::connect::Settings;
use crate::error::Error;
use crate::fields::{Field, FieldSpec, check_fields};
use crate::handle;
use crate::operations::columns::Reader;
use crate::operations::create::Create;
use crate::operations::destroy::destroy;
use crate::operations::destroy_all::DestroyAll;
use crate::operations::extend::extend;
use crate::operations::figures::Count;
use crate::operations::list::List;
use crate::operations::locking::Locking;
use crate::operations::validate::{self, Validate};
use crate::options::Options;
use crate::pieces;
use crate::pool::Pool;
use crate::road::Road;
use crate::session_id::SessionId;
use crate::stats::Stats;
use crate::table::{self, Table};

pub use crate::operations::Answer;
pub use crate::operations::create::NewSession;
pub use crate::operations::figures::Figures;
pub use crate::operations::list::Listing;
pub use crate::operations::search::{Condition, Search, Wanted};
pub use crate::road::{Outcome, Reply, Sink, Taken};
pub use crate::row::{ListedRow, SessionRow};
pub use crate::text::FieldValue;

/// Calls that name a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the functions")]
pub enum IdOperation {
    Validate,
    Extend,
    Destroy,
}

/// A field as it turned out in the table.
#[derive(Clone, Debug)]
pub struct FieldInfo {
    /// The name as the caller wrote it.
    pub asked: String,
    /// The column's name.
    pub column: String,
    /// The OID of the column's type, as it goes over the wire.
    pub oid: u32,
    /// Whether its values are arrays.
    pub is_array: bool,
}

/// One table of sessions.
///
/// Made without touching the network; [`Sessions::set_up`] comes first. Dropping it closes its connections.
pub struct Sessions {
    options: Options,
    fields: Vec<FieldSpec>,
    road: Arc<Road>,
    queues: OnceLock<Queues>,
    closed: AtomicBool,
}

struct Queues {
    table: Table,
    create: Arc<Batcher<Create>>,
    validate: Arc<Batcher<Validate>>,
    extend: Arc<Batcher<Locking>>,
    destroy: Arc<Batcher<Locking>>,
    list: Arc<Batcher<List>>,
    destroy_all: DestroyAll,
    pruner: Arc<Pruner>,
    count: Count,
}

impl Queues {
    fn new(table: Table, options: &Options, road: &Arc<Road>) -> Self {
        Self {
            create: Batcher::new(Create::new(&table, options.session_length), road),
            validate: Batcher::new(Validate::new(&table), road),
            extend: Batcher::new(extend(&table, options.session_length), road),
            destroy: Batcher::new(destroy(&table), road),
            list: Batcher::new(List::new(&table), road),
            destroy_all: DestroyAll::new(&table),
            pruner: prune_in_background(&table, options, road),
            count: Count::new(&table),
            table,
        }
    }

    fn waiting(&self) -> usize {
        self.create.waiting()
            + self.validate.waiting()
            + self.extend.waiting()
            + self.destroy.waiting()
            + self.list.waiting()
    }
}

impl Sessions {
    /// Prepares everything that needs no connection. Work is done on the tokio runtime that this is called in.
    pub fn new(
        settings: Settings,
        fields: Vec<FieldSpec>,
        options: Options,
    ) -> Result<Self, Error> {
        Self::with_sink(settings, fields, options, Handle::current(), None)
    }

    /// Like [`Sessions::new`], for a caller whose calls are answered in batches, through `sink`.
    pub fn with_sink(
        settings: Settings,
        fields: Vec<FieldSpec>,
        options: Options,
        runtime: Handle,
        sink: Option<Arc<dyn Sink>>,
    ) -> Result<Self, Error> {
        let pool = Pool::new(settings, &options)?;
        let road = Arc::new(Road::new(pool, &options, runtime, sink));
        Ok(Self { options, fields, road, queues: OnceLock::new(), closed: AtomicBool::new(false) })
    }

    /// Connects, and makes sure that there is a table that fits. Returns the differences that do no harm.
    ///
    /// After a failure it may be called again.
    pub async fn set_up(&self) -> Result<Vec<String>, Error> {
        let _work = self.road.begin();
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::closed());
        }
        let fields = self.checked_fields()?;
        let deadline = Instant::now() + self.options.call_timeout();
        let connection = self.road.pool.get(deadline).await?;
        let table = table::set_up(&connection, &fields, &self.options, deadline).await?;
        let queues = self.queues.get_or_init(|| Queues::new(table, &self.options, &self.road));
        Ok(queues.table.notes.clone())
    }

    /// The statements that [`Self::set_up`] sends where there is no table. Asks no server.
    pub fn table_statements(&self) -> Result<Vec<String>, Error> {
        table::statements(&self.checked_fields()?, &self.options)
    }

    fn checked_fields(&self) -> Result<Vec<Field>, Error> {
        check_fields(&self.fields, self.options.fold_names, &self.options.allowed_functions)
    }

    fn queues(&self) -> Result<&Queues, Error> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::closed());
        }
        self.queues.get().ok_or_else(|| Error::internal("the table has not been set up yet"))
    }

    /// The table's name as the options say.
    pub fn table_name(&self) -> &str {
        &self.options.table_name
    }

    /// The fields, in the order in which rows hold them.
    pub fn fields(&self) -> Result<Vec<FieldInfo>, Error> {
        let info = |column: &table::FieldColumn| FieldInfo {
            asked: column.asked.clone(),
            column: column.name.clone(),
            oid: column.oid,
            is_array: column.is_array,
        };
        Ok(self.queues()?.table.columns.iter().map(info).collect())
    }

    /// The OIDs of the types of the three times, in the table's order.
    pub fn time_types(&self) -> Result<[u32; 3], Error> {
        let clocks = self.queues()?.table.clocks;
        let oid = |is_tz: bool| if is_tz { Type::TIMESTAMPTZ.oid() } else { Type::TIMESTAMP.oid() };
        Ok([clocks.creation_is_tz, clocks.updated_is_tz, clocks.expiration_is_tz].map(oid))
    }

    /// A new session. A field that is not given gets its DEFAULT.
    pub async fn create(
        &self,
        given: Vec<u16>,
        values: Vec<FieldValue>,
    ) -> Result<SessionRow, Error> {
        let new = NewSession { id: SessionId::random(), given, values };
        let outcome = self.wait(|reply| self.submit_creates([(new, reply)])).await?;
        match outcome {
            Outcome::Session(Some(row)) => Ok(row),
            _ => Err(Error::internal("the server took the new session and gave no row")),
        }
    }

    /// The row of a live session. `None`: unknown or expired.
    pub async fn validate(&self, id: SessionId) -> Result<Option<SessionRow>, Error> {
        match self.ask(IdOperation::Validate, id).await? {
            Outcome::Session(row) => Ok(row),
            _ => Err(Error::internal("validate was answered by another operation")),
        }
    }

    /// Moves the end of a live session to now + `session_length`.
    ///
    /// `false`: unknown or expired; an expired session is not revived. Running twice does no harm, hence it is retried
    /// when the connection is lost.
    pub async fn extend(&self, id: SessionId) -> Result<bool, Error> {
        self.ask(IdOperation::Extend, id).await.map(is_done)
    }

    /// Removes a session's row. `false`: there was none.
    pub async fn destroy(&self, id: SessionId) -> Result<bool, Error> {
        self.ask(IdOperation::Destroy, id).await.map(is_done)
    }

    /// The live sessions that a search means, newest first.
    pub async fn list(&self, listing: Listing) -> Result<Vec<ListedRow>, Error> {
        match self.wait(|reply| self.submit_list(listing, reply)).await? {
            Outcome::Listed(rows) => Ok(rows),
            _ => Err(Error::internal("list was answered by another operation")),
        }
    }

    /// Ends the live sessions that a search means; how many.
    ///
    /// In pieces: after a failure some may have ended. It may be called again.
    pub async fn destroy_all(&self, search: Search) -> Result<u64, Error> {
        let _work = self.road.begin();
        let work = async {
            let queues = self.queues()?;
            check_search(&search, queues)?;
            pieces::destroy_all(&self.road, &queues.destroy_all, Arc::new(search)).await
        };
        self.counted(work).await
    }

    /// Removes the rows of expired sessions; how many. Set `stop` to end it early.
    ///
    /// While another process prunes the table, it waits for its turn.
    pub async fn prune(&self, stop: &Stop) -> Result<u64, Error> {
        let _work = self.road.begin();
        self.counted(async { self.queues()?.pruner.prune(&self.road, stop).await }).await
    }

    /// How many sessions the table holds, and how much room it takes.
    pub async fn figures(&self) -> Result<Figures, Error> {
        let _work = self.road.begin();
        let deadline = Instant::now() + self.road.limits.call_timeout;
        let work = async {
            let rows = pieces::run_piece(&self.road, &self.queues()?.count, (), deadline).await?;
            Count::figures(&rows)
        };
        self.counted(work).await
    }

    /// What the session with this id is known by in lists. Asks no server.
    pub fn handle(&self, id: SessionId) -> String {
        handle::of_stored(id.as_uuid())
    }

    /// Counts a call that is not batched.
    async fn counted<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        self.road.counters.calls.add(1);
        let outcome = work.await;
        if outcome.is_err() {
            self.road.counters.errors.add(1);
        }
        outcome
    }

    async fn ask(&self, operation: IdOperation, id: SessionId) -> Result<Outcome, Error> {
        self.wait(|reply| self.submit_ids(operation, [(id, reply)])).await
    }

    async fn wait(&self, submit: impl FnOnce(Reply)) -> Result<Outcome, Error> {
        let (sender, receiver) = oneshot::channel();
        submit(Reply::Waiter(sender));
        receiver.await.unwrap_or_else(|_| Err(Error::closed()))
    }

    /// Takes in calls; their outcomes go where their replies say.
    pub fn submit_ids(
        &self,
        operation: IdOperation,
        calls: impl IntoIterator<Item = (SessionId, Reply)>,
    ) {
        match self.queues() {
            Ok(queues) => match operation {
                IdOperation::Validate => queues.validate.push(calls),
                IdOperation::Extend => queues.extend.push(calls),
                IdOperation::Destroy => queues.destroy.push(calls),
            },
            Err(error) => self.refuse(calls.into_iter().map(|(_, reply)| reply), &error),
        }
    }

    /// Takes in new sessions.
    pub fn submit_creates(&self, calls: impl IntoIterator<Item = (NewSession, Reply)>) {
        match self.queues() {
            Ok(queues) => {
                let fields = queues.table.columns.len();
                let (sound, wrong): (Vec<_>, Vec<_>) =
                    calls.into_iter().partition(|(call, _)| call.fits(fields));
                queues.create.push(sound);
                if !wrong.is_empty() {
                    let error = Error::argument("the given fields and their values do not match");
                    self.refuse(wrong.into_iter().map(|(_, reply)| reply), &error);
                }
            }
            Err(error) => self.refuse(calls.into_iter().map(|(_, reply)| reply), &error),
        }
    }

    /// Takes in a list.
    pub fn submit_list(&self, listing: Listing, reply: Reply) {
        let checked = self.queues().and_then(|queues| {
            check_search(&listing.search, queues)?;
            Ok(queues)
        });
        match checked {
            Ok(queues) => queues.list.push([(listing, reply)]),
            Err(error) => self.refuse(std::iter::once(reply), &error),
        }
    }

    fn refuse(&self, replies: impl Iterator<Item = Reply>, error: &Error) {
        let refused: Vec<_> = replies.map(|reply| (reply, Err(error.clone()))).collect();
        self.road.take_in(refused.len());
        self.road.deliver(&[], refused, Taken::default());
    }

    /// The statement of an operation for one session, in the form that runs in a transaction of the caller. `$1` is
    /// an array of ids.
    pub fn statement_for_pg(&self, operation: IdOperation) -> Result<String, Error> {
        let queues = self.queues()?;
        Ok(match operation {
            IdOperation::Validate => validate::sql(&queues.table, Reader::Pg),
            IdOperation::Extend => queues.extend.operation().alone_sql().to_owned(),
            IdOperation::Destroy => queues.destroy.operation().alone_sql().to_owned(),
        })
    }

    /// The statement that creates a session, in the form that runs in a transaction of the caller: `$1` is the id,
    /// then come the given fields.
    pub fn create_statement_for_pg(&self, given: &[u16]) -> Result<String, Error> {
        Ok(self.queues()?.create.operation().alone_sql(given, Reader::Pg))
    }

    /// The statement that lists what `search` means, for a connection of the caller. `$1` is the most rows there may
    /// be, then come those of the search: a value for each condition (an array of texts where any of them will do,
    /// none for NULL), the excepted ids, the handle.
    pub fn list_statement_for_pg(&self, search: &Search) -> Result<String, Error> {
        Ok(self.queues()?.list.operation().sql(search, Reader::Pg))
    }

    /// The statement that ends what `search` means, for a connection of the caller; it answers how many it `found` and
    /// how many are `gone`. Its parameters are those of the search.
    pub fn destroy_all_statement_for_pg(&self, search: &Search) -> Result<String, Error> {
        Ok(self.queues()?.destroy_all.alone_sql(search))
    }

    /// What keeps to `max_sessions` in a transaction of the caller: the place of the field; the statement that locks its
    /// value `$1`; the one that locks the values of the sessions `$1`; the one that ends the oldest, but not the sessions
    /// `$1`.
    pub fn limit_for_pg(&self) -> Result<Option<(u16, [String; 3])>, Error> {
        let limit = self.queues()?.create.operation().limit();
        Ok(limit.map(|limit| (limit.place(), limit.statements_for_pg().map(str::to_owned))))
    }

    /// What the pool and the queues look like, and what has happened so far.
    pub fn stats(&self) -> Stats {
        self.road.stats(self.queues.get().map_or(0, Queues::waiting))
    }

    /// Waits for what is under way, then closes the connections. Later calls fail; closing again is fine.
    pub async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        if let Some(queues) = self.queues.get() {
            queues.pruner.closing.set();
        }
        self.road.settled().await;
        self.road.pool.close();
    }
}

impl Drop for Sessions {
    fn drop(&mut self) {
        if let Some(queues) = self.queues.get() {
            queues.pruner.closing.set();
        }
    }
}

fn prune_in_background(table: &Table, options: &Options, road: &Arc<Road>) -> Arc<Pruner> {
    let pruner = Arc::new(Pruner::new(table));
    if let Some(interval) = options.prune_interval {
        let (runtime, road) = (&road.runtime, Arc::downgrade(road));
        let (worker, name) = (Arc::clone(&pruner), &table.sql_name);
        runtime.spawn(background::prune_now_and_then(worker, road, interval, name.clone()));
    }
    pruner
}

fn check_search(search: &Search, queues: &Queues) -> Result<(), Error> {
    if search.fits(queues.table.columns.len()) {
        return Ok(());
    }
    Err(Error::argument("the search names a field that is not there"))
}

fn is_done(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Done(true))
}
