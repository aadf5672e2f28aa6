//! A schema of one's own, and a plain connection to look into it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use pg_sess_rs::connect::{Password, Settings};
use pg_sess_rs::error::Error;
use pg_sess_rs::options::Options;
use pg_sess_rs::session_id::SessionId;
use pg_sess_rs::sessions::Sessions;
use tokio_postgres::Client;
use tokio_postgres::types::{FromSqlOwned, Type};

use super::proxy::Proxy;
use super::server::{self, Server};
use super::{eventually, fields, id_text};

/// The server of the tests looks after clients that left; a server in the field does not, unless it is told to.
const AS_IN_THE_FIELD: &str = "SELECT set_config(name, '0', false) FROM pg_settings
    WHERE name = 'client_connection_check_interval'";

/// A schema with the name of the test's place, in a database that is shared or its own; removed in the end. Its
/// connections go by the same name, so `pg_stat_activity` can tell them from those of other tests.
pub(crate) struct Place {
    pub(crate) name: String,
    /// For looking at things, and for being in the way.
    pub(crate) sql: Client,
    server: &'static Server,
    database: Option<String>,
    roles: std::sync::Mutex<Vec<String>>,
    _watchdog: Watchdog,
}

impl Place {
    pub(crate) async fn new() -> Self {
        Self::on(server::shared(), None).await
    }

    /// In a database of its own, set up by `settings` such as `timezone = 'UTC'`.
    pub(crate) async fn in_database_with(settings: &[&str]) -> Self {
        let server = server::shared();
        let database = unique_name();
        let sql = server.connect(None).await;
        sql.batch_execute(&format!("CREATE DATABASE {database}")).await.expect("a database");
        for setting in settings {
            let alter = format!("ALTER DATABASE {database} SET {setting}");
            sql.batch_execute(&alter).await.expect("a setting");
        }
        Self::on(server, Some(database)).await
    }

    pub(crate) async fn on(server: &'static Server, database: Option<String>) -> Self {
        let name = unique_name();
        let sql = server.connect(database.as_deref()).await;
        sql.batch_execute(&format!("CREATE SCHEMA {name}")).await.expect("a schema");
        let roles = std::sync::Mutex::default();
        Self { name, sql, server, database, roles, _watchdog: Watchdog::start() }
    }

    pub(crate) fn table(&self) -> String {
        format!("{}.sess", self.name)
    }

    pub(crate) fn settings(&self) -> Settings {
        let settings = self.server.settings();
        Settings {
            database: self.database.clone().unwrap_or(settings.database),
            application_name: Some(self.name.clone()),
            after_connecting: Some(AS_IN_THE_FIELD.to_owned()),
            ..settings
        }
    }

    /// The same, but as a new role of limited rights, with `attributes` such as `CONNECTION LIMIT 2`.
    pub(crate) async fn settings_of_role(&self, attributes: &str) -> Settings {
        let role = unique_name();
        self.run(&format!("CREATE ROLE {role} LOGIN PASSWORD 'role' {attributes}")).await;
        self.run(&format!("GRANT USAGE ON SCHEMA {} TO {role}", self.name)).await;
        self.roles.lock().expect("no panic under it").push(role.clone());
        Settings { user: role, password: Password::Fixed("role".to_owned()), ..self.settings() }
    }

    /// Another plain connection.
    pub(crate) async fn connect(&self) -> Client {
        self.server.connect(self.database.as_deref()).await
    }

    pub(crate) async fn proxy(&self) -> Proxy {
        let settings = self.server.settings();
        Proxy::to(&settings.host, settings.port).await
    }

    /// With plain ids, so that a test finds its rows in the table.
    pub(crate) fn options(&self) -> Options {
        Options { schema_name: Some(self.name.clone()), hash_ids: false, ..Options::default() }
    }

    /// Sessions that are not set up yet.
    pub(crate) fn prepare(&self, declared: &[(&str, &str)], options: Options) -> Sessions {
        Sessions::new(self.settings(), fields(declared), options).expect("sound options")
    }

    /// Sessions in this schema, with the options of this place.
    pub(crate) async fn sessions(&self, declared: &[(&str, &str)]) -> Sessions {
        self.sessions_with(declared, self.options()).await
    }

    pub(crate) async fn sessions_with(
        &self,
        declared: &[(&str, &str)],
        options: Options,
    ) -> Sessions {
        let sessions = self.prepare(declared, options);
        sessions.set_up().await.expect("sets up");
        sessions
    }

    /// What setting up a table for these fields gives.
    pub(crate) async fn set_up(&self, declared: &[(&str, &str)]) -> Result<Vec<String>, Error> {
        self.prepare(declared, self.options()).set_up().await
    }

    /// Runs SQL; `{table}` is the sessions' table, `{schema}` this schema.
    pub(crate) async fn run(&self, sql: &str) {
        let sql = self.fill_in(sql);
        self.sql.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// The single value that a query gives.
    pub(crate) async fn ask<T: FromSqlOwned>(&self, sql: &str) -> T {
        let sql = self.fill_in(sql);
        let rows = self.sql.query_typed(&sql, &[]).await;
        let rows = rows.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        rows.first().expect("a row").get(0)
    }

    fn fill_in(&self, sql: &str) -> String {
        sql.replace("{table}", &self.table()).replace("{schema}", &self.name)
    }

    pub(crate) async fn count(&self) -> i64 {
        self.ask("SELECT count(*) FROM {table}").await
    }

    pub(crate) async fn has(&self, id: SessionId) -> bool {
        self.ask(&format!(
            "SELECT EXISTS (SELECT FROM {{table}} WHERE sess_id = '{}')",
            id_text(id)
        ))
        .await
    }

    /// Makes the session as old as if this long had passed.
    pub(crate) async fn age(&self, id: SessionId, time: &str) {
        self.run(&format!(
            "UPDATE {{table}} SET sess_creation_date = sess_creation_date - interval '{time}',
               sess_last_updated = sess_last_updated - interval '{time}',
               sess_expiration = sess_expiration - interval '{time}' WHERE sess_id = '{}'",
            id_text(id)
        ))
        .await;
    }

    /// How many connections of this place the server knows, counting those for which `condition` holds.
    pub(crate) async fn backends(&self, condition: &str) -> i64 {
        self.sql
            .query_typed(
                &format!(
                    "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND ({condition})"
                ),
                &[(&self.name, Type::TEXT)],
            )
            .await
            .expect("a count")
            .first()
            .expect("a row")
            .get(0)
    }

    /// Waits until no connection for which `condition` holds is left.
    pub(crate) async fn no_backends(&self, condition: &str, limit: Duration) {
        let none = async || self.backends(condition).await == 0;
        eventually(&format!("no backend left where {condition}"), limit, none).await;
    }

    /// Ends the connections of this place, as an administrator would.
    pub(crate) async fn terminate_backends(&self) {
        self.run(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{}'",
            self.name
        ))
        .await;
    }

    fn clean_up(&self) -> Vec<String> {
        let roles = self.roles.lock().expect("no panic under it");
        let drop_role =
            |role: &String| [format!("DROP OWNED BY {role}"), format!("DROP ROLE {role}")];
        let mut statements = vec![
            "SET lock_timeout = '2s'".to_owned(),
            "SET client_min_messages = error".to_owned(),
            format!("DROP SCHEMA IF EXISTS {} CASCADE", self.name),
        ];
        statements.extend(roles.iter().flat_map(drop_role));
        statements
    }
}

impl Drop for Place {
    /// On a server that outlives the tests nothing of them stays. What fails here does not matter to them.
    fn drop(&mut self) {
        let (server, database, statements) = (self.server, self.database.clone(), self.clean_up());
        let work = async move {
            let sql = server.connect(database.as_deref()).await;
            for statement in statements {
                let _ = sql.batch_execute(&statement).await;
            }
            drop(sql);
            if let Some(database) = database {
                let sql = server.connect(None).await;
                let end =
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
                let _ = sql.query_typed(end, &[(&database, Type::TEXT)]).await;
                let _ = sql.batch_execute(&format!("DROP DATABASE {database}")).await;
            }
        };
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(work);
        });
        let _ = thread.join();
    }
}

/// Ends the program when a test does not come to its end: a call that never settles fails the tests, it does not hang
/// them.
struct Watchdog(#[expect(dead_code, reason = "its drop is what counts")] mpsc::Sender<()>);

impl Watchdog {
    const PATIENCE: Duration = Duration::from_secs(120);

    fn start() -> Self {
        let (test_lives, test_is_over) = mpsc::channel();
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        std::thread::spawn(move || {
            if test_is_over.recv_timeout(Self::PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
                eprintln!("{test} hangs: no end after {:?}", Self::PATIENCE);
                std::process::exit(1);
            }
        });
        Self(test_lives)
    }
}

fn unique_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_micros();
    format!("pgsess_{}_{since}_{number}", std::process::id())
}
