//! The pool: connections are lent, and every wait has an end. Knows no operation.
//!
//! A connection on which a deadline passed is never lent again: its answer may still come, and the next user's would
//! wait behind it. It is closed, and the server is asked to give up what it was doing. The same goes for one that is
//! returned with a statement under way, because the future of whoever asked was dropped.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use deadpool::managed::{
    self, Metrics, Object, PoolError, RecycleError, RecycleResult, TimeoutType, Timeouts,
};
use tokio::runtime::Handle;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Row, Statement};

use crate::connect::{Client, Connector, Settings};
use crate::error::{Error, Step};
use crate::options::Options;

/// How long the server is given to take a request to cancel.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

/// Statements that a connection keeps prepared. An app needs a few; one that gives another set of fields each time
/// must not fill the server's memory.
const MAX_STATEMENTS: usize = 200;

mod around;
mod writers;

use writers::{Permit, Writers};

pub(crate) use around::Around;
pub(crate) use writers::Access;

/// A statement with its parameters.
pub(crate) struct Request {
    pub(crate) sql: Arc<str>,
    pub(crate) params: Vec<(Box<dyn ToSql + Sync + Send>, Type)>,
    /// What else belongs into its transaction.
    around: Option<Box<Around>>,
}

impl Request {
    pub(crate) fn new(sql: &Arc<str>) -> Self {
        Self { sql: Arc::clone(sql), params: Vec::new(), around: None }
    }

    /// Adds a parameter. The type is what an unprepared statement declares; `UNKNOWN` lets the server find it out.
    pub(crate) fn with(mut self, value: impl ToSql + Sync + Send + 'static, ty: Type) -> Self {
        self.params.push((Box::new(value), ty));
        self
    }

    /// Puts it into a transaction with other statements.
    pub(crate) fn around(mut self, around: Around) -> Self {
        self.around = Some(Box::new(around));
        self
    }
}

/// A bounded set of connections.
#[derive(Clone)]
pub(crate) struct Pool {
    inner: managed::Pool<Manager>,
    writers: Writers,
    connector: Arc<Connector>,
    limits: Limits,
}

#[derive(Clone, Copy)]
struct Limits {
    connect: Duration,
    query: Duration,
}

impl Pool {
    pub(crate) fn new(settings: Settings, options: &Options) -> Result<Self, Error> {
        let connector = Arc::new(Connector::new(settings, options.prepare)?);
        let manager =
            Manager { connector: Arc::clone(&connector), connect_timeout: options.connect_timeout };
        let inner = managed::Pool::builder(manager)
            .max_size(options.max_connections)
            .runtime(deadpool::Runtime::Tokio1)
            .build()
            .map_err(|error| Error::internal(error.to_string()))?;
        let writers = Writers::new(options.max_connections);
        let limits = Limits { connect: options.connect_timeout, query: options.query_timeout };
        Ok(Self { inner, writers, connector, limits })
    }

    /// Lends a connection, at the latest at `deadline`. One that is lent to read must not write, unless
    /// [`Connection::may_write`] says so.
    pub(crate) async fn get(&self, access: Access, deadline: Instant) -> Result<Connection, Error> {
        let begin = Instant::now();
        let left = deadline.saturating_duration_since(begin);
        let wait = self.limits.connect.min(left);
        // Each host has the whole time.
        let limit = (self.limits.connect * self.connector.hosts()).min(left);
        let permit = match access {
            Access::Read => OnceLock::new(),
            Access::Write => OnceLock::from(self.writers.permit(begin + wait).await?),
        };
        let wait = wait.saturating_sub(begin.elapsed());
        let timeouts = Timeouts { wait: Some(wait), create: Some(limit), recycle: None };
        // Waiting and then connecting must not take twice as long.
        let got = timeout_at(begin + limit, self.inner.timeout_get(&timeouts)).await;
        match got.unwrap_or(Err(PoolError::Timeout(TimeoutType::Create))) {
            Ok(object) => Ok(Connection {
                object: Some(object),
                under_way: AtomicUsize::new(0),
                broken: AtomicBool::new(false),
                given_up: AtomicBool::new(false),
                permit,
                writers: self.writers.clone(),
                connector: Arc::clone(&self.connector),
                limits: self.limits,
            }),
            Err(PoolError::Backend(error)) => Err(error),
            Err(PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle)) => {
                Err(Error::timeout(Step::Connecting))
            }
            Err(PoolError::Timeout(TimeoutType::Wait)) => {
                Err(Error::timeout(Step::WaitingForConnection))
            }
            Err(PoolError::Closed) => Err(Error::closed()),
            Err(error) => Err(Error::internal(error.to_string())),
        }
    }

    /// Open connections, and those among them that nobody uses.
    pub(crate) fn size_and_idle(&self) -> (usize, usize) {
        // Those that ended while they were idle are found out when they are lent, or here.
        drop(self.inner.retain(|client, _| !client.is_closed()));
        let status = self.inner.status();
        (status.size, status.available)
    }

    /// How many connections there may be.
    pub(crate) fn max_size(&self) -> usize {
        self.inner.status().max_size
    }

    /// How many connections may write at a time.
    pub(crate) fn max_writers(&self) -> usize {
        self.max_size().saturating_sub(1).max(1)
    }

    pub(crate) fn close(&self) {
        self.writers.close();
        self.inner.close();
    }
}

struct Manager {
    connector: Arc<Connector>,
    connect_timeout: Duration,
}

impl managed::Manager for Manager {
    type Type = Client;
    type Error = Error;

    async fn create(&self) -> Result<Client, Error> {
        self.connector.connect(self.connect_timeout).await
    }

    async fn recycle(&self, client: &mut Client, _: &Metrics) -> RecycleResult<Error> {
        if client.is_closed() {
            return Err(RecycleError::Backend(Error::terminated()));
        }
        Ok(())
    }
}

/// A lent connection; it returns to the pool when dropped, unless it broke or a statement is under way.
pub(crate) struct Connection {
    /// `None` only while dropping.
    object: Option<Object<Manager>>,
    /// Statements that were begun and have not ended.
    under_way: AtomicUsize,
    broken: AtomicBool,
    /// The server was asked to cancel; once is enough.
    given_up: AtomicBool,
    /// Set if it may write. It is given back after the connection.
    permit: OnceLock<Permit>,
    writers: Writers,
    connector: Arc<Connector>,
    limits: Limits,
}

impl Connection {
    /// Runs one statement, as a transaction of its own unless one is open. Several may run at once: they go down the
    /// wire one after the other, without waiting for each other's answers.
    pub(crate) async fn run(
        &self,
        request: &Request,
        deadline: Instant,
    ) -> Result<Vec<Row>, Error> {
        if let Some(around) = &request.around {
            return self.run_around(request, around, deadline).await;
        }
        let client = self.client()?;
        let begin = Instant::now();
        let deadline = deadline.min(begin + self.limits.query);
        match self.until(deadline, self.send(client, request)).await {
            Ok(Ok(rows)) => Ok(rows),
            Ok(Err(error)) => {
                let error = Error::from(error);
                // What was nonsense once may be kept as a prepared statement.
                if error.is_connection_lost() || error.is_nonsense() {
                    self.broken.store(true, Ordering::Relaxed);
                }
                Err(error)
            }
            Err(_) => {
                self.give_up(client);
                self.close_idle_since(begin);
                Err(Error::timeout(Step::WaitingForAnswer))
            }
        }
    }

    /// Waits for what was asked. A future that is dropped here leaves it counted as under way.
    async fn until<T>(
        &self,
        deadline: Instant,
        asked: impl Future<Output = T>,
    ) -> Result<T, Elapsed> {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        let outcome = timeout_at(deadline, asked).await;
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        outcome
    }

    /// Silence casts doubt on every connection that was not lent since: each would cost somebody a timeout.
    fn close_idle_since(&self, begin: Instant) {
        if let Some(pool) = self.object.as_ref().and_then(Object::pool) {
            drop(pool.retain(|_, metrics| metrics.last_used() < begin.elapsed()));
        }
    }

    async fn send(
        &self,
        client: &Client,
        request: &Request,
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        if !client.prepares {
            let params: Vec<(&(dyn ToSql + Sync), Type)> = request
                .params
                .iter()
                .map(|(value, ty)| (&**value as &(dyn ToSql + Sync), ty.clone()))
                .collect();
            return client.driver.send(client.query_typed(&request.sql, &params)).await;
        }
        let statement = self.prepare(client, request).await?;
        let params: Vec<&(dyn ToSql + Sync)> =
            request.params.iter().map(|(value, _)| &**value as &(dyn ToSql + Sync)).collect();
        client.driver.send(client.query(&statement, &params)).await
    }

    async fn prepare(
        &self,
        client: &Client,
        request: &Request,
    ) -> Result<Statement, tokio_postgres::Error> {
        if client.statement_cache.size() >= MAX_STATEMENTS {
            client.statement_cache.clear();
        }
        client.prepare_cached(&request.sql).await
    }

    /// Forgets the statement prepared for `request`: the schema changed under it.
    pub(crate) fn forget(&self, request: &Request) {
        if let Ok(client) = self.client() {
            client.statement_cache.remove(&request.sql, &[]);
        }
        if let Some(around) = &request.around {
            around.before.iter().chain(&around.after).for_each(|request| self.forget(request));
        }
    }

    /// Runs a statement without parameters or rows, such as BEGIN or DDL.
    pub(crate) async fn execute(&self, sql: &str, deadline: Instant) -> Result<(), Error> {
        let client = self.client()?;
        match self.until(deadline, client.query_typed(sql, &[])).await {
            Ok(result) => result.map(|_| ()).map_err(Error::from),
            Err(_) => {
                self.give_up(client);
                Err(Error::timeout(Step::WaitingForAnswer))
            }
        }
    }

    /// Whether it may write: it was lent to, or there is a permit left, which it takes. Waits for nobody.
    pub(crate) fn may_write(&self) -> bool {
        if self.permit.get().is_some() {
            return true;
        }
        let free = self.writers.free_permit();
        free.is_some_and(|permit| self.permit.set(permit).is_ok())
    }

    /// From now on the connection does not return to the pool, whatever happens: a transaction is open on it.
    pub(crate) fn hold(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }

    /// The transaction ended well: the connection may return.
    pub(crate) fn release(&self) {
        self.broken.store(false, Ordering::Relaxed);
    }

    fn give_up(&self, client: &Client) {
        self.broken.store(true, Ordering::Relaxed);
        // A future can be dropped anywhere, also where there is no runtime any more.
        let Ok(runtime) = Handle::try_current() else { return };
        if !self.given_up.swap(true, Ordering::Relaxed) {
            let (token, host) = (client.cancel_token(), client.host);
            let connector = Arc::clone(&self.connector);
            runtime.spawn(async move { connector.cancel(token, host, CANCEL_TIMEOUT).await });
        }
    }

    /// The connection broke while a statement was under way; the server may go on with it. Returns when it was told not
    /// to: the statement could follow the next attempt, and so undo what the caller did after that.
    pub(crate) async fn call_off(&self, deadline: Instant) {
        if let Ok(client) = self.client()
            && !self.given_up.swap(true, Ordering::Relaxed)
        {
            let limit = CANCEL_TIMEOUT.min(deadline.saturating_duration_since(Instant::now()));
            self.connector.cancel(client.cancel_token(), client.host, limit).await;
        }
    }

    fn client(&self) -> Result<&Client, Error> {
        self.object
            .as_deref()
            .ok_or_else(|| Error::internal("a connection was used after its return"))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if *self.under_way.get_mut() > 0
            && let Ok(client) = self.client()
        {
            self.give_up(client);
        }
        if let Some(object) = self.object.take()
            && self.broken.load(Ordering::Relaxed)
        {
            // Out of the pool, and closed.
            drop(Object::take(object));
        }
    }
}
