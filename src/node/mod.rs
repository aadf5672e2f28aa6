//! The binding to Node: JavaScript's types in, packed answers out. Decides nothing.
//!
//! Every call has a number, given by JavaScript; its outcome comes back through the one function handed to the
//! constructor, once for a whole batch (see [`packed`]). That function is held weakly: an idle `Core` never keeps
//! the program alive. No state lives outside a `Core`, so worker threads and repeated loading cannot share a dead
//! runtime.

use std::collections::HashMap;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use napi::bindgen_prelude::{Buffer, Function, within_runtime_if_available};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Either, Error, Result, Status};
use napi_derive::napi;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio_postgres::Row;

use crate::background::Stop;
use crate::connect::{Caller, OtherHost, Password, Settings, Target};
use crate::fields::FieldSpec;
use crate::import::Secret;
use crate::operations::Answer;
use crate::options::{LIST_LIMIT, MaxSessions, Options, REFRESH_INTERVAL};
use crate::session_id::SessionId;
use crate::sessions::{
    FieldChange, FieldValue, IdOperation, Listing, NewSession, Reply, Search, Sessions, Sink, Taken,
};
use crate::text::{from_hex, hex};
use crate::tls::TlsOptions;

mod imports;
mod packed;
mod questions;
mod searches;
mod store;

use questions::Questions;

/// Length of an id in a packed list of ids.
const ID_LENGTH: usize = 36;

type Receiver = ThreadsafeFunction<String, (), String, Status, false, true>;

/// One thread serves the network faster than several: nobody has to be woken to share the work. A core of a large
/// machine's has its work cut out by about four event loops.
const CORES_PER_THREAD: usize = 4;

/// Starts the threads on which everything here runs.
#[napi_derive::module_init]
fn start_runtime() {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.div_ceil(CORES_PER_THREAD))
        .thread_name("pg-sess-rs")
        .enable_all()
        .build();
    // Without it napi starts a runtime of its own.
    if let Ok(runtime) = runtime {
        napi::bindgen_prelude::create_custom_tokio_runtime(runtime);
    }
}

/// Where to connect and as whom.
#[napi(object)]
pub struct ConnectionSettings {
    /// Host name or address, or the folder of a Unix socket.
    pub host: String,
    /// Port.
    pub port: u16,
    /// More servers, tried in turn.
    pub hosts: Option<Vec<OtherHostSettings>>,
    /// Whether the server must take writes, if that was said.
    pub read_write: Option<bool>,
    /// Role.
    pub user: String,
    /// Password, if there is one that does not change.
    pub password: Option<String>,
    /// Whether the password is asked for, for each connection.
    pub asks_password: bool,
    /// Database.
    pub database: String,
    /// Start-up parameter `application_name`.
    pub application_name: Option<String>,
    /// Start-up parameter `options`.
    pub options: Option<String>,
    /// Further start-up parameters, by name.
    pub parameters: HashMap<String, String>,
    /// A statement that every new connection begins with.
    pub after_connecting: Option<String>,
    /// TCP keep-alive: ms of silence before a connection is probed; 0 leaves that to the system.
    pub keep_alive: Option<f64>,
    /// TLS, if it is wanted.
    pub tls: Option<TlsSettings>,
}

/// One more server.
#[napi(object)]
pub struct OtherHostSettings {
    /// Host name or address.
    pub name: String,
    /// Port.
    pub port: u16,
    /// The name sent to it over TLS.
    pub server_name: Option<String>,
}

/// How to speak TLS.
#[napi(object)]
pub struct TlsSettings {
    /// Certificates to trust, in DER.
    pub trusted: Vec<Buffer>,
    /// The client's certificate and those that lead to its issuer, in DER.
    pub certificates: Vec<Buffer>,
    /// The client's key, in PKCS#8 DER.
    pub key: Option<Buffer>,
    /// The name sent to the server.
    pub server_name: Option<String>,
    /// Whether the server's certificate must be good; its name is then asked about.
    pub verify: bool,
    /// Whether TLS begins without asking the server first.
    pub direct: bool,
}

/// A field: its name and PostgreSQL datatype.
#[napi(object)]
pub struct Field {
    /// Name.
    pub field: String,
    /// Datatype.
    pub datatype: String,
}

/// Options that were given; the core knows the defaults of the others. Times are in milliseconds.
#[napi(object)]
#[derive(Default)]
#[allow(missing_docs, reason = "described in options.rs")]
pub struct SessionsOptions {
    pub session_length: Option<f64>,
    pub absolute_length: Option<f64>,
    pub extend_interval: Option<f64>,
    pub refresh_interval: Option<Either<bool, f64>>,
    pub refresh_grace: Option<f64>,
    pub hash_ids: Option<bool>,
    pub table_name: Option<String>,
    pub schema_name: Option<String>,
    pub create_table: Option<bool>,
    pub max_connections: Option<u32>,
    pub max_queue: Option<f64>,
    pub connect_timeout: Option<f64>,
    pub query_timeout: Option<f64>,
    pub prepare: Option<bool>,
    pub batch: Option<bool>,
    pub allowed_functions: Option<Vec<String>>,
    /// 0: never.
    pub prune_interval: Option<f64>,
    pub max_sessions: Option<MaxSessionsOption>,
    pub only_maintains: Option<bool>,
    /// Whether the functions of `pg-sess` are asked: they have defaults of their own.
    pub for_functions: Option<bool>,
}

/// How many live sessions there may be with the same value of a field.
#[napi(object)]
#[allow(missing_docs, reason = "described in options.rs")]
pub struct MaxSessionsOption {
    pub by: String,
    pub limit: u32,
    pub index: Option<bool>,
}

/// What `stats()` gives.
#[napi(object)]
#[allow(missing_docs, reason = "described in stats.rs")]
pub struct CoreStats {
    pub size: f64,
    pub idle: f64,
    pub waiting: f64,
    pub calls: f64,
    pub batches: f64,
    pub errors: f64,
    pub pruned: f64,
    pub refreshed: f64,
}

/// Which operation a packed list of ids is for.
#[napi]
#[allow(missing_docs, reason = "the names are those of the functions")]
pub enum IdCall {
    Validate,
    Extend,
    Destroy,
    Refresh,
}

impl From<IdCall> for IdOperation {
    fn from(call: IdCall) -> Self {
        match call {
            IdCall::Validate => IdOperation::Validate,
            IdCall::Extend => IdOperation::Extend,
            IdCall::Destroy => IdOperation::Destroy,
            IdCall::Refresh => IdOperation::Refresh,
        }
    }
}

/// Delivers outcomes to JavaScript.
struct Deliveries {
    receiver: Receiver,
    /// Those that JavaScript has not taken. Apart from the messages: what is queued when a thread ends, napi forgets
    /// without dropping it, and with it would be forgotten whoever waits for its being taken, and their connections.
    untaken: Arc<Untaken>,
}

/// `None` once nobody is left to take anything.
struct Untaken(Mutex<Option<HashMap<u64, Taken>>>, AtomicU64);

impl Untaken {
    fn lock(&self) -> MutexGuard<'_, Option<HashMap<u64, Taken>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, taken: Taken) -> u64 {
        let key = self.1.fetch_add(1, Ordering::Relaxed);
        let left = match self.lock().as_mut() {
            Some(kept) => kept.insert(key, taken),
            None => Some(taken),
        };
        // Not under the lock: it may send off the next batch.
        drop(left);
        key
    }

    fn take(&self, key: u64) {
        let taken = self.lock().as_mut().and_then(|kept| kept.remove(&key));
        drop(taken);
    }

    /// From now on everything counts as taken.
    fn release(&self) {
        let kept = self.lock().take();
        drop(kept);
    }
}

impl Deliveries {
    fn to(receive: Function<'_, String, ()>) -> Result<Arc<Self>> {
        let receiver: Receiver = receive
            .build_threadsafe_function::<String>()
            .weak::<true>()
            .callee_handled::<false>()
            .build()?;
        let untaken = Untaken(Mutex::new(Some(HashMap::new())), AtomicU64::new(0));
        Ok(Arc::new(Self { receiver, untaken: Arc::new(untaken) }))
    }

    /// Does work that is not batched; its outcome is that of call `number`.
    fn outcome_of<F>(self: &Arc<Self>, runtime: &Handle, number: i64, work: F)
    where
        F: Future<Output = std::result::Result<Value, crate::error::Error>> + Send + 'static,
    {
        let deliveries = Arc::clone(self);
        runtime.spawn(async move {
            // A task of its own, so that a panic in it is an outcome, too.
            let outcome = tokio::spawn(work).await.unwrap_or_else(|_| Err(panicked()));
            deliveries.send(packed::single(number, outcome), Taken::default());
        });
    }

    fn send(&self, message: String, taken: Taken) {
        let key = self.untaken.keep(taken);
        let untaken = Arc::clone(&self.untaken);
        let taken = move |_, _| {
            untaken.take(key);
            Ok(())
        };
        // A receiver that is gone belongs to a thread that has ended: nobody waits for the outcome.
        let mode = ThreadsafeFunctionCallMode::NonBlocking;
        let status = self.receiver.call_with_return_value(message, mode, taken);
        if status != Status::Ok {
            self.untaken.take(key);
        }
    }
}

fn panicked() -> crate::error::Error {
    crate::error::Error::internal("a panic in the core ended this call")
}

impl Sink for Deliveries {
    fn deliver(
        &self,
        rows: &[Row],
        outcomes: &[(u64, std::result::Result<Answer, crate::error::Error>)],
        taken: Taken,
    ) {
        // A panic here would leave promises that never settle.
        let packed = catch_unwind(AssertUnwindSafe(|| packed::outcomes(rows, outcomes)));
        match (packed, outcomes) {
            (Ok(Some(message)), _) => self.send(message, taken),
            (Ok(None), [] | [_]) => {
                self.send(packed::all_failed(outcomes, &crate::error::Error::too_large()), taken);
            }
            (Ok(None), _) => {
                let (some, others) = outcomes.split_at(outcomes.len() / 2);
                self.deliver(rows, some, Taken::default());
                self.deliver(rows, others, taken);
            }
            (Err(_), _) => self.send(packed::all_failed(outcomes, &panicked()), taken),
        }
    }

    fn report(&self, error: &crate::error::Error, table: &str) {
        self.send(packed::report(error, table), Taken::default());
    }

    fn changed(&self) {
        self.send(packed::changed(), Taken::default());
    }
}

/// One table of sessions, for JavaScript.
#[napi]
pub struct Core {
    sessions: Arc<Sessions>,
    deliveries: Arc<Deliveries>,
    questions: Arc<Questions>,
    stops: Stops,
    runtime: Handle,
}

/// What ends work that is under way in pieces, by the numbers of its calls.
type Stops = Arc<Mutex<HashMap<i64, Arc<Stop>>>>;

/// No code that can panic runs under the lock.
fn lock(stops: &Stops) -> MutexGuard<'_, HashMap<i64, Arc<Stop>>> {
    stops.lock().unwrap_or_else(PoisonError::into_inner)
}

#[napi]
impl Core {
    /// Prepares everything that needs no connection.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        settings: ConnectionSettings,
        fields: Vec<Field>,
        options: SessionsOptions,
        receive: Function<'_, String, ()>,
    ) -> Result<Self> {
        let deliveries = Deliveries::to(receive)?;
        let questions = Arc::new(Questions::new(Arc::clone(&deliveries)));
        let runtime = within_runtime_if_available(Handle::current);
        let sessions = Sessions::with_sink(
            core_settings(settings, Arc::clone(&questions) as Arc<dyn Caller>),
            fields.into_iter().map(FieldSpec::from).collect(),
            options.into(),
            runtime.clone(),
            Some(Arc::clone(&deliveries) as Arc<dyn Sink>),
        )
        .map_err(|error| Error::from_reason(error.to_string()))?;
        Ok(Self {
            sessions: Arc::new(sessions),
            deliveries,
            questions,
            stops: Stops::default(),
            runtime,
        })
    }

    /// Sets up the table; the outcome of call `number` describes it.
    #[napi(catch_unwind)]
    pub fn set_up(&self, number: i64) {
        self.single(number, |sessions| async move {
            let notes = sessions.set_up().await?;
            packed::table(&sessions, &notes)
        });
    }

    /// Describes the table as it was found last.
    #[napi(catch_unwind)]
    pub fn describe(&self) -> Result<String> {
        let described =
            self.sessions.notes().and_then(|notes| packed::table(&self.sessions, &notes));
        described
            .map(|table| table.to_string())
            .map_err(|error| Error::from_reason(error.to_string()))
    }

    /// Takes in calls that name a session. `ids`: all ids, one after the other, 36 characters each; the first has
    /// number `first`, the others follow.
    #[napi(catch_unwind)]
    pub fn submit_ids(&self, call: IdCall, first: i64, count: u32, ids: String) {
        #[cfg(feature = "panics")]
        crate::panics::at("submit");
        let operation = IdOperation::from(call);
        let mut known = Vec::with_capacity(count as usize);
        let mut unknown = Vec::new();
        let numbers = first.unsigned_abs()..;
        for (number, id) in numbers.zip(split_ids(&ids, count as usize)) {
            match id {
                Some(id) => known.push((id, Reply::Number(number))),
                None => unknown.push((number, Ok(no_session(operation)))),
            }
        }
        if !unknown.is_empty() {
            self.deliveries.deliver(&[], &unknown, Taken::default());
        }
        if !known.is_empty() {
            self.sessions.submit_ids(operation, known);
        }
    }

    /// Hashes ids that are still plain; the outcome of call `number` is how many.
    #[napi(catch_unwind)]
    pub fn hash_plain_ids(&self, number: i64) {
        self.single(
            number,
            |sessions| async move { sessions.hash_plain_ids().await.map(Value::from) },
        );
    }

    /// Takes in changes of fields. `calls`: a JSON array, for each call the id, the places of the given fields and their
    /// values.
    #[napi(catch_unwind)]
    pub fn submit_updates(&self, first: i64, calls: String) -> Result<()> {
        let calls: Vec<(String, Vec<u16>, Vec<Value>)> = serde_json::from_str(&calls)
            .map_err(|error| Error::from_reason(format!("update: {error}")))?;
        let mut known = Vec::with_capacity(calls.len());
        let mut unknown = Vec::new();
        for (number, (id, given, values)) in (first.unsigned_abs()..).zip(calls) {
            match SessionId::parse(&id) {
                Some(id) => {
                    let values = values.into_iter().map(field_value).collect();
                    known.push((FieldChange { id, given, values }, Reply::Number(number)));
                }
                None => unknown.push((number, Ok(Answer::NoSession))),
            }
        }
        if !unknown.is_empty() {
            self.deliveries.deliver(&[], &unknown, Taken::default());
        }
        self.sessions.submit_updates(known);
        Ok(())
    }

    /// Takes in new sessions. `calls`: a JSON array, for each call the places of the given fields, their values (text,
    /// null, or `{"hex": …}` for bytes), and the id of the session in whose place it comes, or null.
    #[napi(catch_unwind)]
    pub fn submit_creates(&self, first: i64, calls: String) -> Result<()> {
        let calls: Vec<(Vec<u16>, Vec<Value>, Option<String>)> = serde_json::from_str(&calls)
            .map_err(|error| Error::from_reason(format!("create: {error}")))?;
        let numbers = first.unsigned_abs()..;
        let id = || self.sessions.new_id().map_err(reason);
        let calls = numbers.zip(calls).map(|(number, (given, values, replaced))| {
            let values = values.into_iter().map(field_value).collect();
            let replaced = replaced.as_deref().and_then(SessionId::parse);
            Ok((NewSession { id: id()?, given, values, replaced }, Reply::Number(number)))
        });
        self.sessions.submit_creates(calls.collect::<Result<Vec<_>>>()?);
        Ok(())
    }

    /// Lists the sessions that a search means, at most `limit` of them.
    #[napi(catch_unwind)]
    pub fn list(&self, number: i64, search: String, limit: Option<u32>) -> Result<()> {
        let limit = limit.unwrap_or(LIST_LIMIT);
        let search = wanted(&search)?.unwrap_or_default();
        self.sessions.submit_list(Listing { search, limit }, Reply::Number(number.unsigned_abs()));
        Ok(())
    }

    /// Ends the sessions that a search means; the outcome of call `number` is how many.
    #[napi(catch_unwind)]
    pub fn destroy_all(&self, number: i64, search: String) -> Result<()> {
        let search = wanted(&search)?;
        self.in_pieces(number, |sessions, stop| async move {
            match search {
                Some(search) => sessions.destroy_all(search, &stop).await,
                None => Ok(0),
            }
        });
        Ok(())
    }

    /// Removes the rows of expired sessions; the outcome of call `number` is how many.
    #[napi(catch_unwind)]
    pub fn prune(&self, number: i64) {
        self.in_pieces(number, |sessions, stop| async move { sessions.prune(&stop).await });
    }

    /// Ends the work in pieces of call `number` early.
    #[napi(catch_unwind)]
    pub fn stop(&self, number: i64) {
        if let Some(stop) = lock(&self.stops).get(&number) {
            stop.set();
        }
    }

    /// Of these calls nobody waits for the outcome. Those that wait for a batch are done without one.
    #[napi(catch_unwind)]
    pub fn withdraw(&self, numbers: Vec<i64>) {
        self.sessions.withdraw(&numbers.into_iter().map(i64::unsigned_abs).collect());
    }

    /// How many sessions the table holds, and how much room it takes; the outcome of call `number`.
    #[napi(catch_unwind)]
    pub fn figures(&self, number: i64) {
        self.single(number, |sessions| async move {
            let figures = sessions.figures().await?;
            Ok(json!({ "live": figures.live, "expired": figures.expired, "bytes": figures.bytes }))
        });
    }

    /// The fields that the table has, with their datatypes; the outcome of call `number`.
    #[napi(catch_unwind)]
    pub fn found_fields(&self, number: i64) {
        self.single(number, |sessions| async move {
            let found = sessions.found_fields().await?;
            Ok(found.iter().map(|f| json!({ "field": f.field, "datatype": f.datatype })).collect())
        });
    }

    /// The id under which a session of express-session goes on. Without an object of this class, since it needs none.
    #[napi(catch_unwind)]
    pub fn imported_id(secret: String, sid: String) -> String {
        crate::import::imported_id(&Secret(secret), &sid).as_uuid().to_string()
    }

    /// How many sessions the table of an import has; the outcome of call `number`.
    #[napi(catch_unwind)]
    pub fn import_total(&self, number: i64, question: String) -> Result<()> {
        let (import, _) = imports::asked(&question)?;
        self.single(number, |sessions| async move {
            sessions.import_total(&import).await.map(Value::from)
        });
        Ok(())
    }

    /// Copies the next sessions of an import; the outcome of call `number` says what came of it.
    #[napi(catch_unwind)]
    pub fn import(&self, number: i64, question: String) -> Result<()> {
        let (import, after) = imports::asked(&question)?;
        self.single(number, |sessions| async move {
            sessions.import(&import, after).await.map(imports::answer)
        });
        Ok(())
    }

    /// The statements that make the table where there is none; the outcome of call `number`.
    #[napi(catch_unwind)]
    pub fn table_statements(&self, number: i64) {
        self.single(number, |sessions| async move { sessions.table_statements().map(Value::from) });
    }

    /// The handle of an id, or null if it is none.
    #[napi(catch_unwind)]
    pub fn handle(&self, text: String) -> Option<String> {
        #[cfg(feature = "panics")]
        crate::panics::at("export");
        SessionId::parse(&text).map(|id| self.sessions.handle(id))
    }

    /// The table's name as the options say.
    #[napi(catch_unwind)]
    pub fn table_name(&self) -> String {
        self.sessions.table_name().to_owned()
    }

    /// How many sessions a list shows if the caller does not say.
    #[napi(catch_unwind)]
    pub fn list_limit(&self) -> u32 {
        LIST_LIMIT
    }

    /// The statement that lists what a search means, for a connection of the caller.
    #[napi(catch_unwind)]
    pub fn list_statement(&self, search: String) -> Result<String> {
        let search = wanted(&search)?.unwrap_or_default();
        self.sessions.list_statement_for_pg(&search).map_err(reason)
    }

    /// The statement that ends what a search means, for a connection of the caller. Null: it can mean no session.
    #[napi(catch_unwind)]
    pub fn destroy_all_statement(&self, search: String) -> Result<Option<String>> {
        let Some(search) = wanted(&search)? else { return Ok(None) };
        self.sessions.destroy_all_statement_for_pg(&search).map(Some).map_err(reason)
    }

    /// Answers question `number`: with `failure` if it could not be answered, else with `value`.
    #[napi(catch_unwind)]
    pub fn answer(&self, number: u32, value: Option<String>, failure: Option<String>) {
        self.questions.answer(number, value, failure);
    }

    /// The id in the form in which it is written everywhere, or null if it is none.
    #[napi(catch_unwind)]
    pub fn canonical_id(&self, text: String) -> Option<String> {
        SessionId::parse(&text).map(|id| id.write(&mut [0; ID_LENGTH]).to_owned())
    }

    /// A new id.
    #[napi(catch_unwind)]
    pub fn new_id(&self) -> Result<String> {
        let id = self.sessions.new_id().map_err(reason)?;
        Ok(id.write(&mut [0; ID_LENGTH]).to_owned())
    }

    /// Under which ids the session's row may stand in the table.
    #[napi(catch_unwind)]
    pub fn stored_ids(&self, id: String) -> Result<Vec<String>> {
        let Some(id) = SessionId::parse(&id) else { return Ok(Vec::new()) };
        let stored = self.sessions.stored_ids(id).map_err(reason)?;
        Ok(stored.iter().map(ToString::to_string).collect())
    }

    /// Under which one it stands if it was made with these options.
    #[napi(catch_unwind)]
    pub fn stored_id(&self, id: String) -> Result<String> {
        let id = SessionId::parse(&id).ok_or_else(|| Error::from_reason("this is no id"))?;
        self.sessions.stored_id(id).map(|stored| stored.to_string()).map_err(reason)
    }

    /// The id that opens the session that was found for `id` over this path, or null.
    #[napi(catch_unwind)]
    pub fn follow(&self, id: String, path: String) -> Result<Option<String>> {
        let Some(id) = SessionId::parse(&id) else { return Ok(None) };
        let found = self.sessions.follow(id, &path).map_err(reason)?;
        Ok(found.map(|id| id.write(&mut [0; ID_LENGTH]).to_owned()))
    }

    /// A successor of `id`, sealed for whoever holds `id`, as PostgreSQL writes bytes; null with plain ids.
    #[napi(catch_unwind)]
    pub fn seal(&self, id: String, successor: String) -> Result<Option<String>> {
        let ids = (SessionId::parse(&id), SessionId::parse(&successor));
        let (Some(id), Some(successor)) = ids else { return Ok(None) };
        let sealed = self.sessions.seal(id, successor).map_err(reason)?;
        Ok(sealed.map(|bytes| format!("\\x{}", hex(&bytes))))
    }

    /// The statement that changes a session's fields in a transaction of the caller.
    #[napi(catch_unwind)]
    pub fn update_statement(&self, given: Vec<u16>) -> Result<String> {
        self.sessions.update_statement_for_pg(&given).map_err(reason)
    }

    /// The statement that creates a session in a transaction of the caller.
    #[napi(catch_unwind)]
    pub fn create_statement(&self, given: Vec<u16>) -> Result<String> {
        self.sessions.create_statement_for_pg(&given).map_err(reason)
    }

    /// What the pool and the queues look like, and what has happened so far.
    #[napi(catch_unwind)]
    pub fn stats(&self) -> CoreStats {
        core_stats(self.sessions.stats())
    }

    /// Waits for what is under way and closes the connections; then call `number` is done.
    #[napi(catch_unwind)]
    pub fn close(&self, number: i64) {
        self.single(number, |sessions| async move {
            sessions.close().await;
            Ok(Value::Bool(true))
        });
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.deliveries.untaken.release();
    }
}

impl Core {
    /// Does work on the sessions that is not batched; its outcome is that of call `number`.
    fn single<F>(&self, number: i64, work: impl FnOnce(Arc<Sessions>) -> F)
    where
        F: Future<Output = std::result::Result<Value, crate::error::Error>> + Send + 'static,
    {
        self.deliveries.outcome_of(&self.runtime, number, work(Arc::clone(&self.sessions)));
    }

    /// The same for work in pieces, which [`Self::stop`] ends early.
    fn in_pieces<F>(&self, number: i64, work: impl FnOnce(Arc<Sessions>, Arc<Stop>) -> F)
    where
        F: Future<Output = std::result::Result<u64, crate::error::Error>> + Send + 'static,
    {
        let stop = Arc::new(Stop::default());
        lock(&self.stops).insert(number, Arc::clone(&stop));
        let stops = Arc::clone(&self.stops);
        self.single(number, |sessions| {
            let work = work(sessions, stop);
            async move {
                #[cfg(feature = "panics")]
                crate::panics::at("pieces");
                let outcome = work.await;
                lock(&stops).remove(&number);
                outcome.map(Value::from)
            }
        });
    }
}

fn core_stats(stats: crate::stats::Stats) -> CoreStats {
    #[expect(clippy::cast_precision_loss, reason = "JavaScript's numbers are doubles")]
    let number = |count: u64| count as f64;
    CoreStats {
        size: number(stats.size),
        idle: number(stats.idle),
        waiting: number(stats.waiting),
        calls: number(stats.calls),
        batches: number(stats.batches),
        errors: number(stats.errors),
        pruned: number(stats.pruned),
        refreshed: number(stats.refreshed),
    }
}

fn wanted(search: &str) -> Result<Option<Search>> {
    searches::read(search).map_err(|error| Error::from_reason(format!("search: {error}")))
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err hands it over")]
fn reason(error: crate::error::Error) -> Error {
    Error::from_reason(error.to_string())
}

fn no_session(operation: IdOperation) -> Answer {
    match operation {
        IdOperation::Validate | IdOperation::Refresh => Answer::NoSession,
        IdOperation::Extend | IdOperation::Destroy => Answer::Done(false),
    }
}

/// Cuts a packed list into ids.
///
/// Places are counted in UTF-16 units, as JavaScript counted them: a character that is longer in UTF-8 must not give
/// its neighbours' places to others.
fn split_ids(ids: &str, count: usize) -> Vec<Option<SessionId>> {
    let parse = |bytes: &[u8]| std::str::from_utf8(bytes).ok().and_then(SessionId::parse);
    if ids.len() == count * ID_LENGTH {
        return ids.as_bytes().chunks_exact(ID_LENGTH).map(parse).collect();
    }
    let units: Vec<u16> = ids.encode_utf16().collect();
    let parse = |units: &[u16]| String::from_utf16(units).ok().and_then(|id| SessionId::parse(&id));
    units.chunks_exact(ID_LENGTH).map(parse).chain(std::iter::repeat(None)).take(count).collect()
}

fn field_value(value: Value) -> FieldValue {
    match value {
        Value::String(text) => FieldValue::Text(text),
        Value::Object(bytes) => match bytes.get("hex").and_then(Value::as_str) {
            Some(hex) => FieldValue::Bytes(from_hex(hex)),
            None => FieldValue::Null,
        },
        _ => FieldValue::Null,
    }
}

fn core_settings(settings: ConnectionSettings, caller: Arc<dyn Caller>) -> Settings {
    let password = match settings.password {
        _ if settings.asks_password => Password::Asked,
        Some(password) => Password::Fixed(password),
        None => Password::None,
    };
    Settings {
        host: settings.host,
        port: settings.port,
        hosts: settings.hosts.unwrap_or_default().into_iter().map(OtherHost::from).collect(),
        target: settings
            .read_write
            .map(|is_wanted| if is_wanted { Target::ReadWrite } else { Target::Any }),
        user: settings.user,
        password,
        database: settings.database,
        application_name: settings.application_name,
        options: settings.options,
        parameters: settings.parameters.into_iter().collect(),
        after_connecting: settings.after_connecting,
        keep_alive: settings.keep_alive.map(milliseconds),
        tls: settings.tls.map(TlsOptions::from),
        caller: Some(caller),
    }
}

impl From<OtherHostSettings> for OtherHost {
    fn from(OtherHostSettings { name, port, server_name }: OtherHostSettings) -> Self {
        Self { name, port, server_name }
    }
}

impl From<TlsSettings> for TlsOptions {
    fn from(settings: TlsSettings) -> Self {
        Self {
            trusted: settings.trusted.iter().map(|der| der.to_vec()).collect(),
            certificates: settings.certificates.iter().map(|der| der.to_vec()).collect(),
            key: settings.key.map(|der| der.to_vec()),
            server_name: settings.server_name,
            verify: settings.verify,
            direct: settings.direct,
        }
    }
}

/// A number of ms as JavaScript has it. Negative ones, such as a date before 1970, count as zero.
fn milliseconds(length: f64) -> Duration {
    Duration::try_from_secs_f64(length / 1000.0).unwrap_or(if length > 0.0 {
        Duration::MAX
    } else {
        Duration::ZERO
    })
}

impl From<Field> for FieldSpec {
    fn from(field: Field) -> Self {
        Self { name: field.field, datatype: field.datatype }
    }
}

impl From<MaxSessionsOption> for MaxSessions {
    fn from(given: MaxSessionsOption) -> Self {
        Self { by: given.by, limit: given.limit, index: given.index.unwrap_or(false) }
    }
}

impl From<SessionsOptions> for Options {
    fn from(given: SessionsOptions) -> Self {
        let for_functions = given.for_functions.unwrap_or(false);
        let default = if for_functions { Options::of_functions() } else { Options::default() };
        let length = |given: Option<f64>, default: Duration| given.map_or(default, milliseconds);
        Self {
            session_length: length(given.session_length, default.session_length),
            absolute_length: given.absolute_length.map(milliseconds).or(default.absolute_length),
            extend_interval: length(given.extend_interval, default.extend_interval),
            refresh_interval: match given.refresh_interval {
                None => default.refresh_interval,
                Some(Either::A(is_on)) => is_on.then_some(REFRESH_INTERVAL),
                Some(Either::B(length)) => Some(milliseconds(length)),
            },
            refresh_grace: length(given.refresh_grace, default.refresh_grace),
            remember_ids: default.remember_ids,
            hash_ids: given.hash_ids.unwrap_or(default.hash_ids),
            table_name: given.table_name.unwrap_or(default.table_name),
            schema_name: given.schema_name.or(default.schema_name),
            create_table: given.create_table.unwrap_or(default.create_table),
            max_connections: given
                .max_connections
                .map_or(default.max_connections, |count| count as usize),
            max_queue: given.max_queue.map_or(default.max_queue, |count| count as usize),
            connect_timeout: length(given.connect_timeout, default.connect_timeout),
            query_timeout: length(given.query_timeout, default.query_timeout),
            prepare: given.prepare.unwrap_or(default.prepare),
            batch: given.batch.unwrap_or(default.batch),
            allowed_functions: given.allowed_functions.unwrap_or(default.allowed_functions),
            prune_interval: given.prune_interval.map_or(default.prune_interval, |length| {
                Some(milliseconds(length)).filter(|interval| !interval.is_zero())
            }),
            max_sessions: given.max_sessions.map(MaxSessions::from).or(default.max_sessions),
            only_maintains: given.only_maintains.unwrap_or(default.only_maintains),
            fold_names: default.fold_names,
        }
    }
}
