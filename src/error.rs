//! The one error of this crate: opaque, cheap to clone (one failure may end a whole batch), its facts kept apart.
//!
//! "No session" is never an error. An id or a field's value never appears in a message of ours.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;

use tokio_postgres::error::{DbError, ErrorPosition};

use crate::session_id::hide_ids;

/// pg's words for a connection that ended while an answer was awaited.
const TERMINATED: &str = "Connection terminated unexpectedly";

/// Why a call failed.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: Kind,
    message: String,
}

/// What kind of failure it was, with the facts that belong to it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Kind {
    /// PostgreSQL answered with an error.
    Database(Box<DatabaseFailure>),
    /// The connection could not be made, or broke.
    Network(NetworkFailure),
    /// A server that takes writes was wanted, and there is none.
    ReadOnly,
    /// A deadline passed in this step.
    Timeout(Step),
    /// What the caller was asked under this number failed.
    Caller(u32),
    /// The sessions were closed.
    Closed,
    /// Too many calls wait already.
    QueueFull,
    /// The answer is larger than can be handed to the caller.
    TooLarge,
    /// The table does not fit the fields.
    Table,
    /// A column has not the type that the statement was made for.
    Changed,
    /// The caller's arguments are wrong.
    Argument,
    /// A defect of this crate, or an answer that no PostgreSQL gives.
    Internal,
}

/// The step in which a deadline passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// All connections were busy.
    WaitingForConnection,
    /// A new connection was being made.
    Connecting,
    /// The statement was sent.
    WaitingForAnswer,
}

impl Step {
    /// The step in words, as users read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Step::WaitingForConnection => "waiting for a connection",
            Step::Connecting => "connecting",
            Step::WaitingForAnswer => "waiting for the answer",
        }
    }
}

/// The fields of PostgreSQL's ErrorResponse.
///
/// <https://www.postgresql.org/docs/current/protocol-error-fields.html>
#[derive(Debug)]
#[allow(missing_docs, reason = "the names are those of the protocol's documentation")]
pub struct DatabaseFailure {
    pub severity: String,
    pub code: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    pub position: Option<u32>,
    pub internal_position: Option<u32>,
    pub internal_query: Option<String>,
    pub where_: Option<String>,
    pub schema: Option<String>,
    pub table: Option<String>,
    pub column: Option<String>,
    pub datatype: Option<String>,
    pub constraint: Option<String>,
    pub file: Option<String>,
    pub line: Option<u32>,
    pub routine: Option<String>,
}

/// What the operating system said of a connection, in the terms of Node's errors.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "the names are those of Node's system errors")]
pub struct NetworkFailure {
    pub code: Option<&'static str>,
    pub errno: Option<i32>,
    pub syscall: Option<&'static str>,
    pub address: Option<String>,
    pub port: Option<u16>,
    pub hostname: Option<String>,
}

impl Error {
    fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner { kind, message: message.into() }))
    }

    /// The caller's argument is wrong; the message names it.
    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Self::new(Kind::Argument, message)
    }

    /// The table does not fit.
    pub(crate) fn table(message: impl Into<String>) -> Self {
        Self::new(Kind::Table, message)
    }

    /// A column has not the type that the statement was made for. Nobody hears of it but where the table changes again
    /// and again.
    pub(crate) fn changed() -> Self {
        Self::new(Kind::Changed, "the types of the table's columns do not hold still")
    }

    /// Nothing is there to remember replaced ids.
    pub(crate) fn no_companion(table: &str) -> Self {
        let name = crate::companion::name(table);
        Self::table(format!(
            "refresh needs the table {name:?}, which remembers replaced ids: give init the option refreshInterval; connect \
             makes it unless createTable is false or the role's rights do not suffice"
        ))
    }

    /// Something that cannot happen happened.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(Kind::Internal, message)
    }

    /// Too many calls wait already.
    pub(crate) fn queue_full(limit: usize) -> Self {
        let message = format!(
            "{limit} calls are waiting already, the most that maxQueue allows: the database does not keep up"
        );
        Self::new(Kind::QueueFull, message)
    }

    /// The answer is larger than can be handed to the caller: for a [`Sink`](crate::sessions::Sink), which alone knows.
    pub fn too_large() -> Self {
        let message =
            "the answer is larger than a string of JavaScript can be; what was asked was done";
        Self::new(Kind::TooLarge, message)
    }

    /// The sessions were closed before the call.
    pub(crate) fn closed() -> Self {
        Self::new(Kind::Closed, "these sessions are closed")
    }

    /// None of the servers takes writes.
    pub(crate) fn read_only(message: impl Into<String>) -> Self {
        Self::new(Kind::ReadOnly, message)
    }

    /// A deadline passed.
    pub(crate) fn timeout(step: Step) -> Self {
        let may_have_happened = match step {
            Step::WaitingForAnswer => "; what was asked may still happen on the server",
            Step::WaitingForConnection | Step::Connecting => "",
        };
        Self::new(
            Kind::Timeout(step),
            format!("timeout exceeded when {}{may_have_happened}", step.as_str()),
        )
    }

    /// The caller was asked something, and failed; the number is for the caller to know its failure by.
    pub fn caller(number: u32, message: impl Into<String>) -> Self {
        Self::new(Kind::Caller(number), message)
    }

    /// The connection ended while an answer was awaited. The message is pg's.
    pub(crate) fn terminated() -> Self {
        Self::network(NetworkFailure::default(), TERMINATED)
    }

    /// A failure of the network, with a message made by the caller.
    pub(crate) fn network(facts: NetworkFailure, message: impl Into<String>) -> Self {
        Self::new(Kind::Network(facts), message)
    }

    /// An operating system error while connecting to `address`.
    pub(crate) fn connecting(error: &io::Error, address: String, port: Option<u16>) -> Self {
        let code = error_code(error);
        let place = match port {
            Some(port) => format!("{address}:{port}"),
            None => address.clone(),
        };
        let message = match code {
            Some(code) => format!("connect {code} {place}"),
            None => format!("connect {place}: {error}"),
        };
        let facts = NetworkFailure {
            code,
            errno: error.raw_os_error().map(|number| -number),
            syscall: Some("connect"),
            address: Some(address),
            port,
            hostname: None,
        };
        Self::network(facts, message)
    }

    /// An operating system error on an open connection.
    pub(crate) fn interrupted(error: &io::Error) -> Self {
        let Some(code) = error_code(error) else { return Self::terminated() };
        let facts = NetworkFailure {
            code: Some(code),
            errno: error.raw_os_error().map(|number| -number),
            syscall: Some("read"),
            ..NetworkFailure::default()
        };
        Self::network(facts, format!("read {code}"))
    }

    /// The host's name has no address.
    pub(crate) fn host_not_found(hostname: &str) -> Self {
        let facts = NetworkFailure {
            code: Some("ENOTFOUND"),
            errno: Some(-3008),
            syscall: Some("getaddrinfo"),
            hostname: Some(hostname.to_owned()),
            ..NetworkFailure::default()
        };
        Self::network(facts, format!("getaddrinfo ENOTFOUND {hostname}"))
    }

    /// The same failure of the network or of time, in other words.
    pub(crate) fn saying(&self, message: String) -> Self {
        match self.kind() {
            Kind::Network(facts) => Self::network(facts.clone(), message),
            Kind::Timeout(step) => Self::new(Kind::Timeout(*step), message),
            _ => self.clone(),
        }
    }

    /// What kind of failure it was.
    pub fn kind(&self) -> &Kind {
        &self.0.kind
    }

    /// PostgreSQL's own account, if the server answered.
    pub fn database(&self) -> Option<&DatabaseFailure> {
        match self.kind() {
            Kind::Database(failure) => Some(failure),
            _ => None,
        }
    }

    /// SQLSTATE, if the server answered.
    pub fn sqlstate(&self) -> Option<&str> {
        self.database().map(|failure| failure.code.as_str())
    }

    /// Whether both are the same failure, not merely alike.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn sqlstate_class(&self) -> Option<&str> {
        self.sqlstate().and_then(|code| code.get(..2))
    }

    /// The connection is of no further use: it broke, or the server is ending it.
    ///
    /// 57P01, 57P02 and 57P03 (shutdown, crash, start-up), class 08 and a broken socket mean one thing: another
    /// connection. 25006 (read-only) too: after a failover the old primary must not be kept.
    pub fn is_connection_lost(&self) -> bool {
        match self.kind() {
            Kind::Network(_) => true,
            Kind::Database(failure) => {
                matches!(failure.code.as_str(), "57P01" | "57P02" | "57P03" | "57P05" | "25006")
                    || (failure.code.starts_with("08") && failure.code != "08P01")
            }
            _ => false,
        }
    }

    /// The connection broke without a word of the server, which may not know of it.
    pub(crate) fn is_disconnection(&self) -> bool {
        matches!(self.kind(), Kind::Network(_))
    }

    /// A connection broke while it was being made; the next may not.
    pub(crate) fn is_interrupted_start(&self) -> bool {
        match self.kind() {
            // Not a refusal of TLS or of the password: that would be refused again.
            Kind::Network(facts) => facts.syscall == Some("read") || self.0.message == TERMINATED,
            Kind::Database(failure) => matches!(failure.code.as_str(), "57P01" | "57P02" | "08006"),
            _ => false,
        }
    }

    /// This program, or this machine, may open no more files and sockets; some may be closed soon.
    pub(crate) fn is_short_of_files(&self) -> bool {
        matches!(self.kind(), Kind::Network(NetworkFailure { code: Some("EMFILE" | "ENFILE"), .. }))
    }

    /// The server gave up waiting for a lock.
    pub(crate) fn is_lock_timeout(&self) -> bool {
        self.sqlstate() == Some("55P03")
    }

    /// A column has not the type that the statement was made for.
    pub(crate) fn is_changed(&self) -> bool {
        matches!(self.kind(), Kind::Changed)
    }

    /// The same may be why the server refuses a statement: 42804 "column is of type date but expression is of type
    /// text", 42883 "operator does not exist".
    pub(crate) fn may_be_changed(&self) -> bool {
        self.is_changed() || matches!(self.sqlstate(), Some("42804" | "42883"))
    }

    /// What to tell a caller whose call failed with `failure` when the table was looked at: no change was found, so it
    /// stands; or looking failed itself.
    pub(crate) fn unless_changed(self, failure: Self) -> Self {
        if self.is_changed() { failure } else { self }
    }

    /// The server said what no PostgreSQL says.
    pub(crate) fn is_nonsense(&self) -> bool {
        matches!(self.kind(), Kind::Internal)
    }

    /// A deadline passed.
    pub(crate) fn is_timeout(&self) -> bool {
        matches!(self.kind(), Kind::Timeout(_))
    }

    /// The server's plan or prepared statement no longer fits (schema changed, or a pooler gave us another backend).
    ///
    /// 0A000 "cached plan must not change result type", 26000 "prepared statement does not exist".
    pub(crate) fn is_stale_statement(&self) -> bool {
        match self.database() {
            Some(failure) => match failure.code.as_str() {
                "26000" => true,
                "0A000" => {
                    matches!(failure.routine.as_deref(), None | Some("RevalidateCachedQuery"))
                }
                _ => false,
            },
            None => false,
        }
    }

    /// One of several calls may be to blame, not the statement as a whole: anything but what says of itself that it is
    /// about the connection, the server or its resources. (A trigger may raise any code, a type's own reader many.)
    pub(crate) fn may_belong_to_one_call(&self) -> bool {
        let is_about_the_server =
            |class| matches!(class, "08" | "25" | "26" | "28" | "40" | "53" | "55" | "57" | "58");
        self.sqlstate_class().is_some_and(|class| !is_about_the_server(class))
            && !self.is_stale_statement()
    }

    /// Another transaction was in the way; running again is enough.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self.sqlstate(), Some("40001" | "40P01"))
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(failure) = error.as_db_error() {
            return failure.into();
        }
        if let Some(io) = io_cause(&error) {
            return Self::interrupted(io);
        }
        if error.is_closed() {
            return Self::terminated();
        }
        Self::internal(with_causes(&error))
    }
}

impl From<&DbError> for Error {
    fn from(error: &DbError) -> Self {
        let (position, internal_position, internal_query) = match error.position() {
            Some(ErrorPosition::Original(position)) => (Some(*position), None, None),
            Some(ErrorPosition::Internal { position, query }) => {
                (None, Some(*position), Some(hide_ids(query)))
            }
            None => (None, None, None),
        };
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let hidden = |text: Option<&str>| text.map(hide_ids);
        let failure = DatabaseFailure {
            severity: error.severity().to_owned(),
            code: error.code().code().to_owned(),
            detail: hidden(error.detail()),
            hint: hidden(error.hint()),
            position,
            internal_position,
            internal_query,
            where_: hidden(error.where_()),
            schema: owned(error.schema()),
            table: owned(error.table()),
            column: owned(error.column()),
            datatype: owned(error.datatype()),
            constraint: owned(error.constraint()),
            file: owned(error.file()),
            line: error.line(),
            routine: owned(error.routine()),
        };
        let message = format!("{}{}", hide_ids(error.message()), advice(&failure.code));
        Self::new(Kind::Database(Box::new(failure)), message)
    }
}

/// What to do about an error that only a pooler brings about, and one that was not recognised as such.
fn advice(code: &str) -> &'static str {
    match code {
        "26000" | "42P05" => "; behind a transaction pooler, set the option prepare to false",
        _ => "",
    }
}

fn io_cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a io::Error> {
    let mut cause = error.source();
    while let Some(current) = cause {
        if let Some(io) = current.downcast_ref::<io::Error>() {
            return Some(io);
        }
        cause = current.source();
    }
    None
}

fn with_causes(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(current) = cause {
        text = format!("{text}: {current}");
        cause = current.source();
    }
    text
}

/// Node's name for an operating system error.
fn error_code(error: &io::Error) -> Option<&'static str> {
    use io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused => Some("ECONNREFUSED"),
        ErrorKind::ConnectionReset => Some("ECONNRESET"),
        ErrorKind::ConnectionAborted => Some("ECONNABORTED"),
        ErrorKind::BrokenPipe => Some("EPIPE"),
        ErrorKind::TimedOut => Some("ETIMEDOUT"),
        ErrorKind::HostUnreachable => Some("EHOSTUNREACH"),
        ErrorKind::NetworkUnreachable => Some("ENETUNREACH"),
        ErrorKind::AddrNotAvailable => Some("EADDRNOTAVAIL"),
        ErrorKind::NotFound => Some("ENOENT"),
        ErrorKind::PermissionDenied => Some("EACCES"),
        _ => short_of_files(error),
    }
}

/// The standard library has no kind for them. The numbers are the same on all systems that have them.
#[cfg(unix)]
fn short_of_files(error: &io::Error) -> Option<&'static str> {
    match error.raw_os_error() {
        Some(23) => Some("ENFILE"),
        Some(24) => Some("EMFILE"),
        _ => None,
    }
}

#[cfg(not(unix))]
fn short_of_files(_: &io::Error) -> Option<&'static str> {
    None
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", self.kind())
            .field("message", &self.0.message)
            .finish()
    }
}

impl StdError for Error {}
