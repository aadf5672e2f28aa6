//! One new connection: host name, socket, TLS, start-up and authentication, all under one deadline.
//!
//! Socket and TLS are ours, not tokio-postgres': its `connect_timeout` covers the TCP handshake only, and a server
//! that accepts and stays silent would hang it for ever.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::config::{ChannelBinding, SslMode};
use tokio_postgres::{CancelToken, Client, NoTls};

use crate::error::{Error, NetworkFailure, Step};
use crate::tls::{Tls, TlsOptions, peer_certificate};

/// <https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-SSLREQUEST>
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// What only the caller can answer, and only when a connection is made.
pub trait Caller: Send + Sync {
    /// The password for a new connection.
    fn password(&self) -> Answering<'_, Option<String>>;
    /// Whether the certificate (in DER) is the host's.
    fn check_identity(&self, certificate: Vec<u8>) -> Answering<'_, ()>;
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
    /// A statement that every new connection begins with, such as `SET search_path`.
    pub after_connecting: Option<String>,
    /// TCP keep-alive: how long a connection is silent before it is probed. Zero leaves that to the system.
    pub keep_alive: Option<Duration>,
    /// TLS; `None` is a plain connection.
    pub tls: Option<TlsOptions>,
    /// Needed where the caller is asked.
    pub caller: Option<Arc<dyn Caller>>,
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
    tls: Option<Tls>,
}

/// An open connection: the client, and the task that moves its bytes.
pub(crate) type Connected = (Client, JoinHandle<()>);

/// Bytes to and from a server, whatever carries them.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Connector {
    pub(crate) fn new(settings: Settings) -> Result<Self, Error> {
        let tls = settings.tls.as_ref().map(Tls::new).transpose()?;
        Ok(Self { settings, tls })
    }

    /// Connects before `deadline`.
    pub(crate) async fn connect(&self, deadline: Instant) -> Result<Connected, Error> {
        timeout_at(deadline, self.start(deadline))
            .await
            .unwrap_or_else(|_| Err(Error::timeout(Step::Connecting)))
    }

    async fn start(&self, deadline: Instant) -> Result<Connected, Error> {
        let stream = self.open(deadline).await?;
        let password = self.password().await?;
        let config = self.start_up(password.as_deref());
        let (client, connection) =
            config.connect_raw(stream, NoTls).await.map_err(log_in_failed)?;
        let task = tokio::spawn(async move {
            // The error is not lost: whoever waits for an answer gets it, and the pool drops a closed connection.
            let _ = connection.await;
        });
        if let Some(sql) = &self.settings.after_connecting {
            client.batch_execute(sql).await?;
        }
        Ok((client, task))
    }

    /// Asks the server to give up what `token`'s connection is doing. Nobody waits for the outcome: the call has
    /// failed already, and its connection is closed in any case.
    pub(crate) async fn cancel(&self, token: CancelToken, limit: Duration) {
        let deadline = Instant::now() + limit;
        let ask = async {
            if let Ok(stream) = self.open(deadline).await {
                let _ = token.cancel_query_raw(stream, NoTls).await;
            }
        };
        let _ = timeout_at(deadline, ask).await;
    }

    async fn password(&self) -> Result<Option<String>, Error> {
        match (&self.settings.password, &self.settings.caller) {
            (Password::Fixed(password), _) => Ok(Some(password.clone())),
            (Password::Asked, Some(caller)) => caller.password().await,
            (Password::None, _) | (Password::Asked, None) => Ok(None),
        }
    }

    fn start_up(&self, password: Option<&str>) -> tokio_postgres::Config {
        let settings = &self.settings;
        let mut config = tokio_postgres::Config::new();
        config.user(&settings.user).dbname(&settings.database);
        // TLS is under way already where it is wanted. Channel binding is off as in pg: a proxy that ends TLS passes
        // on an offer of it that it cannot keep.
        config.ssl_mode(SslMode::Disable).channel_binding(ChannelBinding::Disable);
        if let Some(password) = password {
            config.password(password);
        }
        if let Some(name) = &settings.application_name {
            config.application_name(name);
        }
        if let Some(options) = &settings.options {
            config.options(options);
        }
        config
    }

    /// A stream on which the server waits for the start-up message.
    async fn open(&self, deadline: Instant) -> Result<Box<dyn Stream>, Error> {
        let socket = self.open_socket(deadline).await?;
        match &self.tls {
            Some(tls) => self.secure(tls, socket).await,
            None => Ok(socket),
        }
    }

    async fn secure(
        &self,
        tls: &Tls,
        mut socket: Box<dyn Stream>,
    ) -> Result<Box<dyn Stream>, Error> {
        if !tls.direct {
            request_tls(&mut socket).await?;
        }
        let stream = tls.connect(socket).await?;
        if let (true, Some(caller)) = (tls.verify, &self.settings.caller) {
            caller.check_identity(peer_certificate(&stream)).await?;
        }
        Ok(Box::new(stream))
    }

    async fn open_socket(&self, deadline: Instant) -> Result<Box<dyn Stream>, Error> {
        let Settings { host, port, keep_alive, .. } = &self.settings;
        if host.starts_with('/') {
            return open_unix(host, *port).await;
        }
        let stream = open_tcp(host, *port, deadline).await?;
        // Refused only by systems that do not have it; the connection works all the same.
        let _ = stream.set_nodelay(true);
        if let Some(after) = keep_alive {
            let mut options = TcpKeepalive::new();
            if !after.is_zero() {
                options = options.with_time(*after);
            }
            let _ = SockRef::from(&stream).set_tcp_keepalive(&options);
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

/// Tries the host's addresses in turn. Each gets its share of the time, so that a dead one does not use up all of it.
async fn open_tcp(host: &str, port: u16, deadline: Instant) -> Result<TcpStream, Error> {
    let addresses: Vec<SocketAddr> = match lookup_host((host, port)).await {
        Ok(found) => found.collect(),
        Err(_) => return Err(Error::host_not_found(host)),
    };
    let mut failure = Error::host_not_found(host);
    for (tried, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let untried = u32::try_from(addresses.len() - tried).unwrap_or(1);
        match timeout_at(Instant::now() + left / untried, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failure = refused(&error, *address),
            Err(_) => failure = Error::timeout(Step::Connecting),
        }
    }
    Err(failure)
}

fn refused(error: &io::Error, address: SocketAddr) -> Error {
    Error::connecting(error, address.ip().to_string(), Some(address.port()))
}

/// Asks the server for TLS. The messages are pg's.
async fn request_tls(socket: &mut Box<dyn Stream>) -> Result<(), Error> {
    let refuse = |message: &str| Error::network(NetworkFailure::default(), message);
    let mut answer = [0];
    let exchange = async {
        socket.write_all(&SSL_REQUEST).await?;
        socket.read_exact(&mut answer).await
    };
    exchange.await.map_err(|error| Error::interrupted(&error))?;
    match answer {
        [b'S'] => Ok(()),
        [b'N'] => Err(refuse("The server does not support SSL connections")),
        _ => Err(refuse("There was an error establishing an SSL connection")),
    }
}

/// The driver's own refusals have no code; that of a missing password gets the message that pg gives.
fn log_in_failed(error: tokio_postgres::Error) -> Error {
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    if cause.as_deref() == Some("password missing") {
        let message = "SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string";
        return Error::network(NetworkFailure::default(), message);
    }
    error.into()
}
