//! One new connection: host name, socket, TLS, start-up and authentication, all under one deadline.
//!
//! The sockets are ours, not tokio-postgres': its `connect_timeout` covers the TCP handshake only, and a server that
//! accepts and stays silent would hang it for ever.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::config::{ChannelBinding, SslMode};
use tokio_postgres::{CancelToken, Client, NoTls};

use crate::error::{Error, Step};

/// Where to connect and as whom, as `pg` resolved it. Nothing is looked up in the environment here.
#[derive(Clone, Default)]
pub struct Settings {
    /// Host name or address, or the folder of a Unix socket (begins with a slash).
    pub host: String,
    /// Port, also part of a Unix socket's name.
    pub port: u16,
    /// Role.
    pub user: String,
    /// Password, if the server asks for one.
    pub password: Option<String>,
    /// Database.
    pub database: String,
    /// Start-up parameter `application_name`, if the user gave one.
    pub application_name: Option<String>,
    /// Start-up parameter `options`, if the user gave one.
    pub options: Option<String>,
    /// A statement that every new connection begins with, such as `SET search_path`.
    pub after_connecting: Option<String>,
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

impl Settings {
    fn config(&self) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.user(&self.user).dbname(&self.database);
        // As pg by default: a proxy that ends TLS passes on an offer of channel binding that it cannot keep.
        config.channel_binding(ChannelBinding::Disable);
        config.ssl_mode(SslMode::Disable);
        if let Some(password) = &self.password {
            config.password(password);
        }
        if let Some(name) = &self.application_name {
            config.application_name(name);
        }
        if let Some(options) = &self.options {
            config.options(options);
        }
        config
    }
}

/// An open connection: the client, and the task that moves its bytes.
pub(crate) type Connected = (Client, JoinHandle<()>);

/// Connects before `deadline`.
pub(crate) async fn connect(settings: &Settings, deadline: Instant) -> Result<Connected, Error> {
    timeout_at(deadline, start(settings, deadline))
        .await
        .unwrap_or_else(|_| Err(Error::timeout(Step::Connecting)))
}

async fn start(settings: &Settings, deadline: Instant) -> Result<Connected, Error> {
    let (client, task) = start_up(settings, deadline).await?;
    if let Some(sql) = &settings.after_connecting {
        client.batch_execute(sql).await?;
    }
    Ok((client, task))
}

async fn start_up(settings: &Settings, deadline: Instant) -> Result<Connected, Error> {
    let config = settings.config();
    match open(settings, deadline).await? {
        Socket::Tcp(stream) => {
            let (client, connection) = config.connect_raw(stream, NoTls).await?;
            Ok((client, tokio::spawn(drive(connection))))
        }
        #[cfg(unix)]
        Socket::Unix(stream) => {
            let (client, connection) = config.connect_raw(stream, NoTls).await?;
            Ok((client, tokio::spawn(drive(connection))))
        }
    }
}

/// Moves the connection's bytes until it ends. Its error is not lost: whoever waits for an answer gets it, and the
/// pool throws a closed connection away.
async fn drive(connection: impl Future<Output = Result<(), tokio_postgres::Error>>) {
    let _ = connection.await;
}

/// Asks the server to give up what `token`'s connection is doing.
pub(crate) async fn cancel(settings: &Settings, token: CancelToken, limit: Duration) {
    let deadline = Instant::now() + limit;
    let ask = async {
        match open(settings, deadline).await {
            Ok(Socket::Tcp(stream)) => token.cancel_query_raw(stream, NoTls).await.ok(),
            #[cfg(unix)]
            Ok(Socket::Unix(stream)) => token.cancel_query_raw(stream, NoTls).await.ok(),
            Err(_) => None,
        }
    };
    // Nobody waits for the outcome: the call has failed already, and the connection is closed in any case.
    let _ = timeout_at(deadline, ask).await;
}

enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(tokio::net::UnixStream),
}

async fn open(settings: &Settings, deadline: Instant) -> Result<Socket, Error> {
    if settings.host.starts_with('/') {
        return open_unix(settings).await;
    }
    open_tcp(&settings.host, settings.port, deadline).await.map(Socket::Tcp)
}

#[cfg(unix)]
async fn open_unix(settings: &Settings) -> Result<Socket, Error> {
    let path = format!("{}/.s.PGSQL.{}", settings.host, settings.port);
    match tokio::net::UnixStream::connect(&path).await {
        Ok(stream) => Ok(Socket::Unix(stream)),
        Err(error) => Err(Error::connecting(&error, path, None)),
    }
}

#[cfg(not(unix))]
async fn open_unix(settings: &Settings) -> Result<Socket, Error> {
    Err(Error::argument(format!(
        "host {:?} names a Unix socket, which this system does not have",
        settings.host
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
            Ok(Ok(stream)) => {
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => failure = refused(&error, *address),
            Err(_) => failure = Error::timeout(Step::Connecting),
        }
    }
    Err(failure)
}

fn refused(error: &io::Error, address: SocketAddr) -> Error {
    Error::connecting(error, address.ip().to_string(), Some(address.port()))
}
