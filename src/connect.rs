//! One new connection: host name, socket, TLS, start-up and authentication, all under one deadline. Of several hosts,
//! each has its own.
//!
//! Socket and TLS are ours, not tokio-postgres': its `connect_timeout` covers the TCP handshake only, and a server
//! that accepts and stays silent would hang it for ever.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use futures_util::StreamExt;
use futures_util::future::join;
use futures_util::stream::FuturesUnordered;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::config::{ChannelBinding, SslMode};
use tokio_postgres::{CancelToken, NoTls};

use crate::error::{Error, NetworkFailure, Step};
use crate::tls::{self, Tls, TlsOptions, peer_certificates};

mod driver;
mod hosts;
mod other_end;
mod start_up;

pub(crate) use driver::Driver;
use hosts::{Host, Hosts};
use start_up::Wanted;

/// <https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-SSLREQUEST>
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// How long an address of a host may keep the next one waiting, as in Node.
const HEAD_START: Duration = Duration::from_millis(250);
/// What libuv, and so Node, sets besides: how often a silent connection is probed, and how many probes may fail.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
const PROBES: u32 = 10;
/// Node's number for a name server that did not answer.
const EAI_AGAIN: i32 = -3001;

/// What only the caller can answer, and only when a connection is made.
pub trait Caller: Send + Sync {
    /// The password for a new connection, asked for if the server wants one.
    fn password(&self) -> Answering<'_, Option<String>>;
    /// Whether the first of these certificates is the host's, which is given by its place (the connection's own has 0,
    /// then follow [`Settings::hosts`]). The others, if any, are those that the server sent with it; all are in DER,
    /// one after the other.
    fn check_identity(&self, host: usize, certificates: Vec<u8>) -> Answering<'_, ()>;
}

/// An answer that takes its time.
pub type Answering<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// The password to log in with.
#[derive(Clone, Default)]
pub enum Password {
    /// There is none.
    #[default]
    None,
    /// This one, always.
    Fixed(String),
    /// The caller is asked for each connection.
    Asked,
}

/// Where to connect and as whom, as `pg` resolved it. Nothing is looked up in the environment here.
#[derive(Clone, Default)]
pub struct Settings {
    /// Host name or address, or the folder of a Unix socket (begins with a slash).
    pub host: String,
    /// Port, also part of a Unix socket's name.
    pub port: u16,
    /// More servers, tried in turn after `host`.
    pub hosts: Vec<OtherHost>,
    /// Which server will do. `None`: with `hosts`, one that takes writes, else any.
    pub target: Option<Target>,
    /// Role.
    pub user: String,
    /// Password.
    pub password: Password,
    /// Database.
    pub database: String,
    /// Start-up parameter `application_name`, if the user gave one.
    pub application_name: Option<String>,
    /// Start-up parameter `options`, if the user gave one.
    pub options: Option<String>,
    /// Further start-up parameters, and their values.
    pub parameters: Vec<(String, String)>,
    /// A statement that every new connection begins with, such as `SET search_path`.
    pub after_connecting: Option<String>,
    /// TCP keep-alive: how long a connection is silent before it is probed. Zero leaves that to the system.
    pub keep_alive: Option<Duration>,
    /// TLS; `None` is a plain connection.
    pub tls: Option<TlsOptions>,
    /// Needed where the caller is asked.
    pub caller: Option<Arc<dyn Caller>>,
}

/// One more server that may be connected to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OtherHost {
    /// Host name or address.
    pub name: String,
    /// Port.
    pub port: u16,
    /// As [`TlsOptions::server_name`].
    pub server_name: Option<String>,
}

/// What a server must do for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Let us in.
    Any,
    /// Take writes, too: no standby.
    ReadWrite,
}

impl Settings {
    fn needs_writes(&self) -> bool {
        let default = if self.hosts.is_empty() { Target::Any } else { Target::ReadWrite };
        self.target.unwrap_or(default) == Target::ReadWrite
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("user", &self.user)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

/// Makes connections.
pub(crate) struct Connector {
    settings: Settings,
    hosts: Hosts,
    /// Whether statements are prepared where they can be.
    prepare: bool,
}

/// Bytes to and from a server, whatever carries them.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Connector {
    pub(crate) fn new(settings: Settings, prepare: bool) -> Result<Self, Error> {
        let hosts = Hosts::new(&settings)?;
        Ok(Self { settings, hosts, prepare })
    }

    /// How many servers may be tried for one connection.
    pub(crate) fn hosts(&self) -> u32 {
        u32::try_from(self.hosts.count()).unwrap_or(u32::MAX)
    }

    /// Connects to the first server that will do. Each has `limit` to answer.
    pub(crate) async fn connect(&self, limit: Duration) -> Result<Client, Error> {
        let mut failures = Vec::new();
        for place in self.hosts.in_turn() {
            self.hosts.note(place);
            match timeout(limit, self.start(place)).await {
                Ok(Ok(client)) => return Ok(client),
                Ok(Err(error)) => failures.push((place, error)),
                Err(_) => failures.push((place, Error::timeout(Step::Connecting))),
            }
        }
        match failures.as_slice() {
            [(_, only)] => Err(only.clone()),
            _ => Err(self.hosts.failure(failures)),
        }
    }

    async fn start(&self, place: usize) -> Result<Client, Error> {
        #[cfg(feature = "panics")]
        crate::panics::at("connect");
        let host = self.hosts.get(place)?;
        let stream = self.open(host, place).await?;
        let started = start_up::start(stream, &self.parameters()).await?;
        let password = self.password(started.wanted).await?;
        let config = self.log_in(password.as_deref());
        let (client, connection) =
            config.connect_raw(started.stream, NoTls).await.map_err(log_in_failed)?;
        let driver = Driver::new(async move {
            // The error is not lost: whoever waits for an answer gets it, and the pool drops a closed connection.
            let _ = connection.await;
        });
        // From here on the task ends with the client, also where the time runs out below.
        let client = ClientWrapper::new(client, tokio::spawn(Arc::clone(&driver).run()));
        let client = Client { client, driver, host: place, prepares: false };
        let (prepares, is_fit) = join(self.may_prepare(&client), self.is_fit(&client)).await;
        let prepares = prepares?;
        is_fit?;
        if let Some(sql) = &self.settings.after_connecting {
            client.batch_execute(sql).await?;
        }
        Ok(Client { prepares, ..client })
    }

    /// Behind a pooler nothing is: a statement prepared on one of its connections may be missing on the next, or
    /// another program's may be there under the same name.
    async fn may_prepare(&self, client: &Client) -> Result<bool, Error> {
        Ok(self.prepare && other_end::is_server(client).await?)
    }

    async fn is_fit(&self, client: &Client) -> Result<(), Error> {
        if self.settings.needs_writes() {
            return other_end::takes_writes(client).await;
        }
        Ok(())
    }

    /// Asks the server to give up what `token`'s connection is doing. Returns when that was told to it: the server
    /// closes the connection then. The outcome is nobody's business, the connection is closed in any case.
    pub(crate) async fn cancel(&self, token: CancelToken, place: usize, limit: Duration) {
        let deadline = Instant::now() + limit;
        let ask = async {
            if let Ok(mut stream) = self.open(self.hosts.get(place)?, place).await
                && token.cancel_query_raw(&mut stream, NoTls).await.is_ok()
            {
                let _ = stream.read(&mut [0]).await;
            }
            Ok::<(), Error>(())
        };
        let _ = timeout_at(deadline, ask).await;
    }

    /// The start-up parameters, in pg's order.
    fn parameters(&self) -> Vec<(&str, &str)> {
        let Settings { user, database, application_name, options, .. } = &self.settings;
        let given = [
            ("user", Some(user)),
            ("database", Some(database)),
            ("application_name", application_name.as_ref()),
            ("options", options.as_ref()),
        ];
        let given = given.into_iter().filter_map(|(name, value)| Some((name, value?.as_str())));
        let further = self.settings.parameters.iter().map(|(name, value)| (&**name, &**value));
        given.chain(further).chain([("client_encoding", "UTF8")]).collect()
    }

    async fn password(&self, wanted: Wanted) -> Result<Option<String>, Error> {
        let password = match (wanted, &self.settings.password, &self.settings.caller) {
            (Wanted::Nothing, ..) => return Ok(None),
            (Wanted::Unknown(kind), ..) => return Err(unknown_authentication(kind)),
            (_, Password::Fixed(password), _) => Some(password.clone()),
            (_, Password::Asked, Some(caller)) => caller.password().await?,
            (_, Password::None, _) | (_, Password::Asked, None) => None,
        };
        match (wanted, password.as_deref()) {
            (Wanted::Proof, None) => Err(no_proof("a string")),
            (Wanted::Proof, Some("")) => Err(no_proof("a non-empty string")),
            // The server has the word: it refuses an empty password.
            (Wanted::Password, None) => Ok(Some(String::new())),
            _ => Ok(password),
        }
    }

    /// What is left to tell tokio-postgres: the start-up parameters are sent.
    fn log_in(&self, password: Option<&str>) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.user(&self.settings.user);
        // TLS is under way already where it is wanted. Channel binding is off as in pg: a proxy that ends TLS passes
        // on an offer of it that it cannot keep.
        config.ssl_mode(SslMode::Disable).channel_binding(ChannelBinding::Disable);
        if let Some(password) = password {
            config.password(password);
        }
        config
    }

    /// A stream on which the server waits for the start-up message.
    async fn open(&self, host: &Host, place: usize) -> Result<Box<dyn Stream>, Error> {
        let socket = self.open_socket(host).await?;
        match &host.tls {
            Some(tls) => self.secure(tls, place, socket).await,
            None => Ok(socket),
        }
    }

    async fn secure(
        &self,
        tls: &Tls,
        place: usize,
        mut socket: Box<dyn Stream>,
    ) -> Result<Box<dyn Stream>, Error> {
        if !tls.direct {
            request_tls(&mut socket).await?;
        }
        let stream = tls.connect(socket).await?;
        if let (true, Some(caller)) = (tls.verify, &self.settings.caller) {
            caller.check_identity(place, peer_certificates(&stream)).await?;
        }
        Ok(Box::new(stream))
    }

    async fn open_socket(&self, Host { name, port, .. }: &Host) -> Result<Box<dyn Stream>, Error> {
        if name.starts_with('/') {
            return open_unix(name, *port).await;
        }
        let stream = open_tcp(name, *port).await?;
        // Refused only by systems that do not have it; the connection works all the same.
        let _ = stream.set_nodelay(true);
        if let Some(after) = &self.settings.keep_alive {
            let _ = set_keep_alive(&stream, *after);
        }
        Ok(Box::new(stream))
    }
}

#[cfg(unix)]
async fn open_unix(folder: &str, port: u16) -> Result<Box<dyn Stream>, Error> {
    let path = format!("{folder}/.s.PGSQL.{port}");
    match tokio::net::UnixStream::connect(&path).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(Error::connecting(&error, path, None)),
    }
}

#[cfg(not(unix))]
async fn open_unix(folder: &str, _: u16) -> Result<Box<dyn Stream>, Error> {
    Err(Error::argument(format!(
        "host {folder:?} names a Unix socket, which this system does not have"
    )))
}

async fn open_tcp(host: &str, port: u16) -> Result<TcpStream, Error> {
    let found = lookup_host((host, port)).await.map_err(|error| not_found(host, &error))?;
    let opened = open_one(found.collect()).await;
    opened.unwrap_or_else(|| Err(Error::host_not_found(host)))
}

/// Tries addresses: the next one as soon as those before have failed or used up their head start, so that a dead one
/// costs little. `None` if there are none.
async fn open_one(addresses: Vec<SocketAddr>) -> Option<Result<TcpStream, Error>> {
    let mut untried = addresses.into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut failure = None;
    loop {
        if attempts.is_empty() {
            let Some(address) = untried.next() else { return failure };
            attempts.push(open_address(address));
        }
        let settled = match untried.len() {
            0 => Ok(attempts.next().await),
            _ => timeout(HEAD_START, attempts.next()).await,
        };
        match settled {
            Ok(Some(Ok(stream))) => return Some(Ok(stream)),
            // The first failure counts, as in Node's AggregateError.
            Ok(Some(Err(error))) => failure = failure.or(Some(Err(error))),
            Ok(None) => {}
            Err(_) => attempts.extend(untried.next().map(open_address)),
        }
    }
}

async fn open_address(address: SocketAddr) -> Result<TcpStream, Error> {
    TcpStream::connect(address).await.map_err(|error| {
        let port = Some(address.port()).filter(|port| *port != 0);
        Error::connecting(&error, address.ip().to_string(), port)
    })
}

/// The system tells only in words why it found no address.
fn not_found(host: &str, error: &io::Error) -> Error {
    let words = error.to_string();
    if !words.contains("Temporary failure") && !words.contains("Try again") {
        return Error::host_not_found(host);
    }
    let facts = NetworkFailure {
        code: Some("EAI_AGAIN"),
        errno: Some(EAI_AGAIN),
        syscall: Some("getaddrinfo"),
        hostname: Some(host.to_owned()),
        ..NetworkFailure::default()
    };
    Error::network(facts, format!("getaddrinfo EAI_AGAIN {host}"))
}

fn set_keep_alive(stream: &TcpStream, after: Duration) -> io::Result<()> {
    let mut options = TcpKeepalive::new();
    if after.as_secs() > 0 {
        options = options.with_time(after).with_interval(PROBE_INTERVAL).with_retries(PROBES);
    }
    SockRef::from(stream).set_tcp_keepalive(&options)
}

/// An open connection.
pub(crate) struct Client {
    client: ClientWrapper,
    pub(crate) driver: Arc<Driver>,
    /// The place of its host.
    pub(crate) host: usize,
    /// Whether its statements are prepared.
    pub(crate) prepares: bool,
}

impl Deref for Client {
    type Target = ClientWrapper;

    fn deref(&self) -> &ClientWrapper {
        &self.client
    }
}

/// Asks the server for TLS. The messages are pg's.
async fn request_tls(socket: &mut Box<dyn Stream>) -> Result<(), Error> {
    let refuse = |message: &str| Error::network(NetworkFailure::default(), message);
    let mut answer = [0];
    let exchange = async {
        socket.write_all(&SSL_REQUEST).await?;
        socket.read_exact(&mut answer).await
    };
    exchange.await.map_err(|error| broken(&error))?;
    match answer {
        [b'S'] => Ok(()),
        [b'N'] => Err(refuse("The server does not support SSL connections")),
        _ => Err(refuse("There was an error establishing an SSL connection")),
    }
}

/// The message is pg's.
fn no_proof(expected: &str) -> Error {
    let message = format!("SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be {expected}");
    Error::network(NetworkFailure::default(), message)
}

/// The message is pg's.
fn unknown_authentication(kind: u8) -> Error {
    let message = format!("Unknown authenticationOk message type {kind}");
    Error::network(NetworkFailure::default(), message)
}

fn log_in_failed(error: tokio_postgres::Error) -> Error {
    let cause = std::error::Error::source(&error);
    match cause.and_then(|cause| cause.downcast_ref::<io::Error>()) {
        Some(cause) => broken(cause),
        None => error.into(),
    }
}

/// What ended a connection before it was of use: the network, or the server's end of TLS.
fn broken(error: &io::Error) -> Error {
    tls::failure(error).unwrap_or_else(|| Error::interrupted(error))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use socket2::{Domain, Socket, Type};
    use tokio::task::JoinHandle;

    use super::*;

    type Anything = Box<dyn std::error::Error>;

    fn local() -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 0).into()
    }

    /// A listener that takes no more connections; they wait, as for an address that nobody answers for.
    async fn silent() -> Result<(Socket, Vec<JoinHandle<io::Result<TcpStream>>>), Anything> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&local().into())?;
        socket.listen(0)?;
        let address = socket.local_addr()?.as_socket().ok_or("no address")?;
        let waiting = (0..4).map(|_| tokio::spawn(TcpStream::connect(address))).collect();
        tokio::time::sleep(Duration::from_millis(50)).await;
        Ok((socket, waiting))
    }

    #[tokio::test]
    async fn a_silent_address_costs_only_its_head_start() -> Result<(), Anything> {
        let (silent, _waiting) = silent().await?;
        let silent = silent.local_addr()?.as_socket().ok_or("no address")?;
        let listener = TcpListener::bind(local())?;
        let start = Instant::now();

        let opened = open_one(vec![silent, listener.local_addr()?]).await;

        assert_eq!(opened.ok_or("none")??.peer_addr()?, listener.local_addr()?);
        // The system itself would try for minutes.
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
        Ok(())
    }

    #[tokio::test]
    async fn a_refusing_address_costs_nothing_and_the_first_failure_counts() -> Result<(), Anything>
    {
        let refusing = TcpListener::bind(local())?.local_addr()?;
        let listener = TcpListener::bind(local())?;

        let opened = open_one(vec![refusing, listener.local_addr()?]).await;
        assert_eq!(opened.ok_or("none")??.peer_addr()?, listener.local_addr()?);

        let failed = open_one(vec![refusing, (Ipv4Addr::LOCALHOST, 1).into()]).await;
        let error = failed.ok_or("none")?.err().ok_or("it connected")?;
        assert!(error.to_string().ends_with(&format!(":{}", refusing.port())), "{error}");
        assert!(open_one(Vec::new()).await.is_none());
        Ok(())
    }
}
