//! `Sessions`: one table of sessions, and what can be asked of it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::background::Stop;
use crate::companion;
use crate::connect::Settings;
use crate::error::Error;
use crate::fields::{Field, FieldSpec, check_fields};
use crate::handle;
use crate::ids::{Ids, Lookup};
use crate::import::{self, Import, Imported};
use crate::operations::columns::Reader;
use crate::operations::figures::{Count, LookUpFields};
use crate::operations::refresh::Renewal;
use crate::operations::update::Change;
use crate::operations::validate;
use crate::operations::{Sql, convert, trail, values};
use crate::options::Options;
use crate::pieces;
use crate::pool::{Access, Pool, Request};
use crate::queues::{Made, Queues};
use crate::road::Road;
use crate::session_id::SessionId;
use crate::stats::Stats;
use crate::table::{self, Table};
use crate::text::from_hex;

pub use crate::operations::Answer;
pub use crate::operations::create::NewSession;
pub use crate::operations::figures::{Figures, FoundField};
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
    Refresh,
}

/// Fields of a session that are to change.
#[derive(Clone, Debug)]
pub struct FieldChange {
    /// The session's id.
    pub id: SessionId,
    /// Which fields, by their place in the table's fields, ascending.
    pub given: Vec<u16>,
    /// Their values.
    pub values: Vec<FieldValue>,
}

/// How many plain ids are hashed in one statement.
const HASHED_AT_ONCE: i64 = 500;

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
    made: Arc<Made>,
    closed: AtomicBool,
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
        let made = Made::new(options.clone(), &road);
        Ok(Self { options, fields, road, made, closed: AtomicBool::new(false) })
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
        let connection = self.road.pool.get(Access::Write, deadline).await?;
        let table = table::set_up(&connection, &fields, &self.options, deadline).await?;
        Ok(self.made.first(table).table.notes.clone())
    }

    /// The statements that [`Self::set_up`] sends where there is no table. Asks no server.
    pub fn table_statements(&self) -> Result<Vec<String>, Error> {
        table::statements(&self.checked_fields()?, &self.options)
    }

    fn checked_fields(&self) -> Result<Vec<Field>, Error> {
        check_fields(&self.fields, self.options.fold_names, &self.options.allowed_functions)
    }

    fn queues(&self) -> Result<Arc<Queues>, Error> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::closed());
        }
        self.described()
    }

    /// The same to the end, also for calls that are still under way while these sessions are closed.
    fn described(&self) -> Result<Arc<Queues>, Error> {
        self.made.queues().ok_or_else(|| Error::internal("the table has not been set up yet"))
    }

    /// Differences between the table and the fields that do no harm.
    pub fn notes(&self) -> Result<Vec<String>, Error> {
        Ok(self.described()?.table.notes.clone())
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
        Ok(self.described()?.table.columns.iter().map(info).collect())
    }

    /// The OIDs of the types of the three times, in the table's order.
    pub fn time_types(&self) -> Result<[u32; 3], Error> {
        Ok(self.described()?.table.clocks.types())
    }

    /// A new session. A field that is not given gets its DEFAULT.
    pub async fn create(
        &self,
        given: Vec<u16>,
        values: Vec<FieldValue>,
    ) -> Result<SessionRow, Error> {
        let new = NewSession { id: self.new_id()?, given, values, replaced: None };
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

    /// Changes fields of a live session, by their place in the table's fields, ascending; nothing else of it. The row
    /// as it is then; `None`: unknown or expired.
    pub async fn update(
        &self,
        id: SessionId,
        given: Vec<u16>,
        values: Vec<FieldValue>,
    ) -> Result<Option<SessionRow>, Error> {
        let change = FieldChange { id, given, values };
        match self.wait(|reply| self.submit_updates([(change, reply)])).await? {
            Outcome::Session(row) => Ok(row),
            _ => Err(Error::internal("update was answered by another operation")),
        }
    }

    /// Gives a live session a new id; its fields and its creation date stay. The row under its new id; `None`: unknown
    /// or expired.
    ///
    /// The old id works for `refresh_grace` more. Whoever refreshes it meanwhile, from whatever process, gets the same
    /// new id, so it is retried when the connection is lost.
    pub async fn refresh(&self, id: SessionId) -> Result<Option<SessionRow>, Error> {
        match self.ask(IdOperation::Refresh, id).await? {
            Outcome::Session(row) => Ok(row),
            _ => Err(Error::internal("refresh was answered by another operation")),
        }
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
    /// In pieces: after a failure some may have ended. It may be called again. Set `stop` to end it early.
    pub async fn destroy_all(&self, search: Search, stop: &Stop) -> Result<u64, Error> {
        let work = async {
            let queues = self.queues()?;
            check_search(&search, &queues)?;
            pieces::destroy_all(&self.road, &queues.destroy_all, Arc::new(search), stop).await
        };
        self.counted(work).await
    }

    /// Removes the rows of expired sessions; how many. Set `stop` to end it early.
    ///
    /// While another process prunes the table, it waits for its turn.
    pub async fn prune(&self, stop: &Stop) -> Result<u64, Error> {
        self.counted(async { self.queues()?.pruner.prune(&self.road, stop).await }).await
    }

    /// How many sessions the table holds, and how much room it takes.
    pub async fn figures(&self) -> Result<Figures, Error> {
        let deadline = Instant::now() + self.road.limits.call_timeout;
        let work = async {
            let rows = pieces::run_piece(&self.road, &self.queues()?.count, (), deadline).await?;
            Count::figures(&rows)
        };
        self.counted(work).await
    }

    /// The fields that the table has, whether they were asked for or not.
    pub async fn found_fields(&self) -> Result<Vec<FoundField>, Error> {
        let deadline = Instant::now() + self.road.limits.call_timeout;
        let work = async {
            let operation = LookUpFields::new(&self.queues()?.table);
            let rows = pieces::run_piece(&self.road, &operation, (), deadline).await?;
            LookUpFields::fields(&rows)
        };
        self.counted(work).await
    }

    /// How many sessions the table of an import has.
    pub async fn import_total(&self, import: &Import) -> Result<u64, Error> {
        self.on_piece(import, async |piece| piece.total().await).await
    }

    /// Copies the sessions of express-session that come next behind `after`. It may be called again: what was copied
    /// is not copied twice.
    pub async fn import(&self, import: &Import, after: Option<String>) -> Result<Imported, Error> {
        self.on_piece(import, async |piece| piece.copy(after).await).await
    }

    async fn on_piece<T>(
        &self,
        import: &Import,
        work: impl AsyncFnOnce(import::Piece<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let _work = self.road.begin();
        let table = &self.queues()?.table;
        let deadline = Instant::now() + self.options.call_timeout();
        let connection = self.road.pool.get(Access::Write, deadline).await?;
        work(import::Piece { connection: &connection, table, import, deadline }).await
    }

    /// What the session with this id is known by in lists. Asks no server.
    pub fn handle(&self, id: SessionId) -> String {
        handle::of_stored(Ids::new(self.options.hash_ids).stored(id))
    }

    /// Hashes the ids that are still plain, from before `hash_ids`; how many. Sessions that are used meanwhile go on
    /// working, and each is hashed by its own use anyway.
    pub async fn hash_plain_ids(&self) -> Result<u64, Error> {
        let _work = self.road.begin();
        let queues = self.queues()?;
        let table = &queues.table;
        if table.ids == Ids::Plain {
            return Err(Error::argument("hashPlainIds needs the option hashIds"));
        }
        while self.hash_plain_notes(table).await? > 0 {}
        let some: Sql = convert::some_sql(table).into();
        let mut count = 0;
        loop {
            let hashed =
                self.run_once(Request::new(&some).with(HASHED_AT_ONCE, Type::INT8)).await?;
            if hashed.is_empty() {
                return Ok(count);
            }
            count += hashed.len() as u64;
        }
    }

    /// Hashes some of the plain ids among those that were replaced; how many rows. Where both ids are plain, whoever
    /// holds the old one must find the new one, which can then only be sealed.
    async fn hash_plain_notes(&self, table: &Table) -> Result<usize, Error> {
        let Some(companion) = &table.companion else { return Ok(0) };
        let plain: Sql = companion::plain_sql(companion).into();
        let rows = self.run_once(Request::new(&plain).with(HASHED_AT_ONCE, Type::INT8)).await?;
        let (mut old, mut new, mut sealed) = (vec![], vec![], vec![]);
        for row in &rows {
            let ids: [Uuid; 2] = [row.try_get(0)?, row.try_get(1)?];
            let [id, successor] = ids.map(SessionId::from_uuid);
            let is_readable = ids.iter().all(|id| table.ids.is_to_be_hashed(*id));
            old.push(id.as_uuid());
            new.push(successor.as_uuid());
            sealed.push(is_readable.then(|| companion::seal(table.ids, id, successor)).flatten());
        }
        let hash: Sql = companion::hash_plain_sql(companion).into();
        let request = Request::new(&hash)
            .with(old, Type::UUID_ARRAY)
            .with(new, Type::UUID_ARRAY)
            .with(sealed, Type::BYTEA_ARRAY);
        if rows.is_empty() { Ok(0) } else { Ok(self.run_once(request).await?.len()) }
    }

    /// Runs a statement that belongs to no call.
    async fn run_once(&self, request: Request) -> Result<Vec<Row>, Error> {
        let deadline = Instant::now() + self.options.call_timeout();
        let connection = self.road.pool.get(Access::Write, deadline).await?;
        connection.run(&request, deadline).await
    }

    /// Counts a call that is not batched.
    async fn counted<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let outcome = match self.road.take_in_apart() {
            Ok(_apart) => work.await,
            Err(error) => Err(error),
        };
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
            Ok(queues) => {
                let ids = queues.table.ids;
                let calls = calls.into_iter().map(|(id, reply)| (ids.lookup(id), reply));
                match operation {
                    IdOperation::Validate => queues.validate.push(calls),
                    IdOperation::Extend => queues.extend.push(calls),
                    IdOperation::Destroy => queues.destroy.push(calls),
                    IdOperation::Refresh => self.submit_refreshes(&queues, calls),
                }
            }
            Err(error) => self.refuse(calls.into_iter().map(|(_, reply)| reply), &error),
        }
    }

    fn submit_refreshes(&self, queues: &Queues, calls: impl Iterator<Item = (Lookup, Reply)>) {
        let ids = queues.table.ids;
        match &queues.refresh {
            Some(refresh) => refresh.push(calls.map(|(session, reply)| {
                (Renewal { session, new: ids.random(), if_due: false }, reply)
            })),
            None => {
                let error = Error::no_companion(&self.options.table_name);
                self.refuse(calls.map(|(_, reply)| reply), &error);
            }
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
                self.refuse_unfit(wrong.into_iter().map(|(_, reply)| reply));
            }
            Err(error) => self.refuse(calls.into_iter().map(|(_, reply)| reply), &error),
        }
    }

    /// Of these calls nobody waits for the outcome: those that still wait for a batch are settled without one.
    pub fn withdraw(&self, numbers: &HashSet<u64>) {
        if let Some(queues) = self.made.queues() {
            queues.withdraw(numbers);
        }
    }

    /// Takes in a list.
    pub fn submit_list(&self, listing: Listing, reply: Reply) {
        let checked = self.queues().and_then(|queues| {
            check_search(&listing.search, &queues)?;
            Ok(queues)
        });
        match checked {
            Ok(queues) => queues.list.push([(listing, reply)]),
            Err(error) => self.refuse(std::iter::once(reply), &error),
        }
    }

    /// Takes in changes of fields.
    pub fn submit_updates(&self, calls: impl IntoIterator<Item = (FieldChange, Reply)>) {
        match self.queues() {
            Ok(queues) => {
                let fields = queues.table.columns.len();
                let (sound, wrong): (Vec<_>, Vec<_>) = calls
                    .into_iter()
                    .partition(|(call, _)| values::fit(&call.given, &call.values, fields));
                let change = |FieldChange { id, given, values }| Change {
                    session: queues.table.ids.lookup(id),
                    given,
                    values,
                };
                queues.update.push(sound.into_iter().map(|(call, reply)| (change(call), reply)));
                self.refuse_unfit(wrong.into_iter().map(|(_, reply)| reply));
            }
            Err(error) => self.refuse(calls.into_iter().map(|(_, reply)| reply), &error),
        }
    }

    fn refuse_unfit(&self, mut replies: impl ExactSizeIterator<Item = Reply>) {
        if replies.len() > 0 {
            let error = Error::argument("the given fields and their values do not match");
            self.refuse(&mut replies, &error);
        }
    }

    /// An id for a new session.
    pub fn new_id(&self) -> Result<SessionId, Error> {
        Ok(self.queues()?.table.ids.random())
    }

    /// Under which ids the row of a session may stand in the table: what the statements for `pg` take.
    pub fn stored_ids(&self, id: SessionId) -> Result<Vec<Uuid>, Error> {
        Ok(self.queues()?.table.ids.lookup(id).stored().collect())
    }

    /// Under which id the row of a new session stands.
    pub fn stored_id(&self, id: SessionId) -> Result<Uuid, Error> {
        Ok(self.queues()?.table.ids.stored(id).as_uuid())
    }

    fn refuse(&self, replies: impl Iterator<Item = Reply>, error: &Error) {
        let refused: Vec<_> = replies.map(|reply| (reply, Err(error.clone()))).collect();
        self.road.take_in(refused.len());
        self.road.deliver(&[], refused, Taken::default());
    }

    /// The statement of an operation for one session, in the form that runs in a transaction of the caller. `$1` is
    /// an array of ids.
    pub fn statement_for_pg(&self, operation: IdOperation) -> Result<String, Error> {
        let queues = self.described()?;
        Ok(match operation {
            IdOperation::Validate => validate::sql(&queues.table, Reader::Pg),
            IdOperation::Extend => queues.extend.operation().alone_sql().to_owned(),
            IdOperation::Destroy => queues.destroy.operation().alone_sql().to_owned(),
            IdOperation::Refresh => match &queues.refresh {
                Some(refresh) => refresh.operation().alone_for_pg().to_owned(),
                None => return Err(Error::no_companion(&self.options.table_name)),
            },
        })
    }

    /// The statement that finds sessions under replaced ids, in the same form. `None`: no id was ever replaced.
    pub fn trail_statement_for_pg(&self) -> Result<Option<String>, Error> {
        Ok(trail::rows_sql(&self.described()?.table, Reader::Pg))
    }

    /// The id that opens a session, for the caller who asked for it under `id` and was given this path, in digits.
    pub fn follow(&self, id: SessionId, path: &str) -> Result<Option<SessionId>, Error> {
        let path: Vec<Vec<u8>> = path.split(',').map(from_hex).collect();
        Ok(companion::follow(self.queues()?.table.ids, id, &path))
    }

    /// The successor of `id`, sealed for whoever holds `id`, as refresh's statement takes it.
    pub fn seal(&self, id: SessionId, successor: SessionId) -> Result<Option<Vec<u8>>, Error> {
        Ok(companion::seal(self.queues()?.table.ids, id, successor))
    }

    /// The statement that creates a session, in the form that runs in a transaction of the caller: `$1` is the id,
    /// then come the given fields.
    pub fn create_statement_for_pg(&self, given: &[u16]) -> Result<String, Error> {
        Ok(self.queues()?.create.operation().alone_sql(given, Reader::Pg))
    }

    /// The statement that changes a session's fields, in the form that runs in a transaction of the caller: `$1` is an
    /// array of ids, then come the given fields.
    pub fn update_statement_for_pg(&self, given: &[u16]) -> Result<String, Error> {
        Ok(self.queues()?.update.operation().alone_sql(given, Reader::Pg))
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
        let queues = self.described()?;
        let limit = queues.create.operation().limit();
        Ok(limit.map(|limit| (limit.place(), limit.statements_for_pg().map(str::to_owned))))
    }

    /// What the pool and the queues look like, and what has happened so far.
    pub fn stats(&self) -> Stats {
        self.road.stats(self.made.queues().map_or(0, |queues| queues.waiting()))
    }

    /// Waits for what is under way, then closes the connections. Later calls fail; closing again is fine.
    pub async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        if let Some(queues) = self.made.queues() {
            queues.pruner.closing.set();
        }
        self.road.settled().await;
        self.road.pool.close();
    }
}

impl Drop for Sessions {
    fn drop(&mut self) {
        if let Some(queues) = self.made.queues() {
            queues.pruner.closing.set();
        }
    }
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
