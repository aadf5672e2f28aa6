//! What can be chosen, and every default. Reads no environment.

use std::time::Duration;

/// How many sessions a list shows if the caller does not say.
pub const LIST_LIMIT: u32 = 1_000;

/// How sessions are kept. `Options::default()` holds the defaults that the documentation names.
#[derive(Clone, Debug)]
pub struct Options {
    /// Idle length: what create and extend grant.
    pub session_length: Duration,
    /// The table's name.
    pub table_name: String,
    /// The table's schema; `None`: found through the connection's search_path.
    pub schema_name: Option<String>,
    /// Whether a missing table, or a missing field, is created.
    pub create_table: bool,
    /// How many connections at most.
    pub max_connections: usize,
    /// How many calls may wait for a batch to leave with; one more fails at once.
    pub max_queue: usize,
    /// The longest wait for a connection, new or returned.
    pub connect_timeout: Duration,
    /// The longest wait for an answer.
    pub query_timeout: Duration,
    /// Whether statements are prepared; `false` for a pooler that gives each transaction another backend.
    pub prepare: bool,
    /// Whether calls that wait together travel together.
    pub batch: bool,
    /// Functions that DEFAULT, CHECK and GENERATED may call besides the well-known ones: `f` or `schema.f`.
    pub allowed_functions: Vec<String>,
    /// How often expired rows are removed, roughly; `None`: never.
    pub prune_interval: Option<Duration>,
    /// How many live sessions there may be with the same value of a field.
    pub max_sessions: Option<MaxSessions>,
    /// Whether the table is only looked after: columns that no field names are fine, since nothing is created.
    pub only_maintains: bool,
    /// Whether field names are folded to lower case, as PostgreSQL folds names without quotes.
    pub fold_names: bool,
}

/// A limit to the live sessions of, say, one user. NULL is not limited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaxSessions {
    /// The field.
    pub by: String,
    /// How many.
    pub limit: u32,
    /// Whether there shall be an index on the field.
    pub index: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            session_length: Duration::from_millis(1_209_600_000),
            table_name: "sess".to_owned(),
            schema_name: None,
            create_table: true,
            max_connections: 4,
            max_queue: 100_000,
            connect_timeout: Duration::from_millis(10_000),
            query_timeout: Duration::from_millis(10_000),
            prepare: true,
            batch: true,
            allowed_functions: Vec::new(),
            prune_interval: Some(Duration::from_millis(900_000)),
            max_sessions: None,
            only_maintains: false,
            fold_names: false,
        }
    }
}

/// How the sessions of a Store for express-session are kept.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The table's name, connections, timeouts.
    pub common: Options,
    /// How long a session lives whose cookie does not say.
    pub ttl: Duration,
    /// Whether what parallel requests change is merged.
    pub merge: bool,
    /// Whether the table holds hashes of the ids.
    pub hash_ids: bool,
    /// How often expired sessions are removed.
    pub prune_session_interval: Duration,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            common: Options {
                table_name: "session".to_owned(),
                create_table: false,
                ..Options::default()
            },
            ttl: Duration::from_secs(86_400),
            merge: true,
            hash_ids: false,
            prune_session_interval: Duration::from_secs(900),
        }
    }
}

impl Options {
    /// No call takes longer than this.
    pub(crate) fn call_timeout(&self) -> Duration {
        self.connect_timeout + self.query_timeout
    }
}
