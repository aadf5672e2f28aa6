//! What the tests share: the server, a schema of one's own, and the network between.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "here a panic is a test that fails"
)]

pub(crate) mod place;
pub(crate) mod proxy;
pub(crate) mod server;

use std::future::Future;
use std::time::Duration;

use pg_sess_rs::error::Error;
use pg_sess_rs::fields::FieldSpec;
use pg_sess_rs::options::Options;
use pg_sess_rs::session_id::SessionId;
use pg_sess_rs::sessions::{FieldValue, SessionRow, Sessions};
use tokio::time::{Instant, sleep};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// How long a call may take at most with the timeouts of [`short`].
pub(crate) const BOUND: Duration = Duration::from_millis(2600);

/// The options with timeouts that a test can wait for.
pub(crate) fn short(options: Options) -> Options {
    Options { connect_timeout: SECOND, query_timeout: SECOND, ..options }
}

/// A way that calls can take, as a change of the options.
pub(crate) type Road = fn(Options) -> Options;

pub(crate) const ROADS: [(&str, Road); 3] =
    [("in batches", in_batches), ("call by call", call_by_call), ("unprepared", unprepared)];

pub(crate) fn in_batches(options: Options) -> Options {
    options
}

pub(crate) fn call_by_call(options: Options) -> Options {
    Options { batch: false, ..options }
}

pub(crate) fn unprepared(options: Options) -> Options {
    Options { prepare: false, ..options }
}

pub(crate) fn fields(fields: &[(&str, &str)]) -> Vec<FieldSpec> {
    let field = |&(name, datatype): &(&str, &str)| FieldSpec {
        name: name.to_owned(),
        datatype: datatype.to_owned(),
    };
    fields.iter().map(field).collect()
}

pub(crate) fn text(text: impl Into<String>) -> FieldValue {
    FieldValue::Text(text.into())
}

pub(crate) fn id_text(id: SessionId) -> String {
    id.write(&mut [0; 36]).to_owned()
}

/// A session with one field, of tables whose only field it is.
pub(crate) async fn create(sessions: &Sessions, value: &str) -> SessionRow {
    sessions.create(vec![0], vec![text(value)]).await.expect("creates")
}

/// Its field, of a table whose only field it is.
pub(crate) fn field(row: &SessionRow) -> Option<&str> {
    row.fields.first().expect("a field").as_deref()
}

pub(crate) fn sqlstate<T: std::fmt::Debug>(outcome: Result<T, Error>) -> String {
    let error = outcome.expect_err("an error");
    match error.sqlstate() {
        Some(code) => code.to_owned(),
        None => panic!("no SQLSTATE: {error:?}"),
    }
}

/// The four calls that can be asked of a session table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Create,
    Validate,
    Extend,
    Destroy,
}

pub(crate) const CALLS: [Call; 4] = [Call::Create, Call::Validate, Call::Extend, Call::Destroy];

impl Call {
    /// Makes the call on the session `id`; whether it did what it does to a live session.
    pub(crate) async fn make(self, sessions: &Sessions, id: SessionId) -> Result<bool, Error> {
        match self {
            Call::Create => sessions.create(vec![0], vec![text("made")]).await.map(|_| true),
            Call::Validate => sessions.validate(id).await.map(|row| row.is_some()),
            Call::Extend => sessions.extend(id).await,
            Call::Destroy => sessions.destroy(id).await,
        }
    }
}

/// The outcome of `work`, and how long it took.
pub(crate) async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let begin = Instant::now();
    let outcome = work.await;
    (outcome, begin.elapsed())
}

/// Asks until the answer is yes.
pub(crate) async fn eventually<F>(what: &str, limit: Duration, mut ask: impl FnMut() -> F)
where
    F: Future<Output = bool>,
{
    let begin = Instant::now();
    while !ask().await {
        assert!(begin.elapsed() < limit, "not within {limit:?}: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}
