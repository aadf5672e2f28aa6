//! A real PostgreSQL: the one of PGSESS_TEST_URL, or one that `scripts/postgres.js` starts, once per test program. It
//! stops when its stdin ends, however this process does.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;

use pg_sess_rs::connect::{Password, Settings};
use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config, NoTls};

const VARIABLE: &str = "PGSESS_TEST_URL";

/// A server that stops when this is dropped, or the process ends.
pub(crate) struct Server {
    url: String,
    _stdin: Option<ChildStdin>,
    child: Option<Child>,
}

/// The server that all tests of this program share.
pub(crate) fn shared() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| match std::env::var(VARIABLE) {
        Ok(url) if !url.is_empty() => Server { url, _stdin: None, child: None },
        _ => Server::start(),
    })
}

impl Server {
    /// One for a single test, which may crash it.
    pub(crate) fn start() -> Self {
        let mut child = Command::new("node")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/postgres.js"))
            .env_remove(VARIABLE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the tests need Node, to start PostgreSQL by scripts/postgres.js");
        let stdin = child.stdin.take();
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let Some(url) = line.trim().strip_prefix("PGSESS_TEST_URL=") else {
            panic!("scripts/postgres.js started no PostgreSQL; set {VARIABLE} to the URL of one");
        };
        Self { url: url.to_owned(), _stdin: stdin, child: Some(child) }
    }

    pub(crate) fn config(&self) -> Config {
        self.url.parse().expect("PGSESS_TEST_URL is the URL of a server")
    }

    /// How the crate connects to it, as a superuser.
    pub(crate) fn settings(&self) -> Settings {
        let config = self.config();
        let host = match config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            #[cfg(unix)]
            Some(Host::Unix(folder)) => folder.to_string_lossy().into_owned(),
            None => "127.0.0.1".to_owned(),
        };
        let user = config.get_user().unwrap_or("postgres").to_owned();
        let password = config.get_password().map(String::from_utf8_lossy);
        Settings {
            host,
            port: config.get_ports().first().copied().unwrap_or(5432),
            password: password.map_or(Password::None, |secret| Password::Fixed(secret.into())),
            database: config.get_dbname().unwrap_or(&user).to_owned(),
            user,
            ..Settings::default()
        }
    }

    /// A plain connection to `database`, or the URL's.
    pub(crate) async fn connect(&self, database: Option<&str>) -> Client {
        let mut config = self.config();
        if let Some(database) = database {
            config.dbname(database);
        }
        let (client, connection) = config.connect(NoTls).await.expect("a server that answers");
        tokio::spawn(connection);
        client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self._stdin = None;
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
    }
}
