//! The binding of [`crate::store`]: as [`super`] binds sessions, but the calls of a turn cross as one JSON text.

use std::sync::Arc;
use std::time::Duration;

use napi::bindgen_prelude::{Function, within_runtime_if_available};
use napi::{Error, Result};
use napi_derive::napi;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::questions::Questions;
use super::{ConnectionSettings, CoreStats, Deliveries, core_settings, core_stats, milliseconds};
use crate::connect::Caller;
use crate::options::{Options, StoreOptions};
use crate::sessions::{Reply, Sink};
use crate::store::{Call, Change, Content, Expiry, Match, Part, Question, Store};

/// Options that were given; the core knows the defaults of the others.
#[napi(object)]
#[derive(Default)]
#[allow(missing_docs, reason = "described in options.rs")]
pub struct GivenStoreOptions {
    pub table_name: Option<String>,
    pub schema_name: Option<String>,
    pub create_table_if_missing: Option<bool>,
    /// In seconds, as connect-pg-simple has it.
    pub ttl: Option<f64>,
    pub merge: Option<bool>,
    pub hash_ids: Option<bool>,
    /// In seconds.
    pub prune_session_interval: Option<f64>,
    pub max_connections: Option<u32>,
    /// In ms.
    pub connect_timeout: Option<f64>,
    /// In ms.
    pub query_timeout: Option<f64>,
    pub prepare: Option<bool>,
    pub batch: Option<bool>,
}

/// What JavaScript has to know of the options, with the defaults of what was not given.
#[napi(object)]
#[allow(missing_docs, reason = "described in options.rs")]
pub struct StoreFacts {
    /// In seconds.
    pub ttl: f64,
    pub merge: bool,
    /// In seconds.
    pub prune_session_interval: f64,
}

/// The table of a Store for express-session, for JavaScript.
#[napi]
pub struct StoreCore {
    store: Arc<Store>,
    deliveries: Arc<Deliveries>,
    questions: Arc<Questions>,
    runtime: Handle,
}

impl Drop for StoreCore {
    fn drop(&mut self) {
        self.deliveries.untaken.release();
    }
}

#[napi]
impl StoreCore {
    /// Prepares everything that needs no connection.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        settings: ConnectionSettings,
        options: GivenStoreOptions,
        receive: Function<'_, String, ()>,
    ) -> Result<Self> {
        let deliveries = Deliveries::to(receive)?;
        let questions = Arc::new(Questions::new(Arc::clone(&deliveries)));
        let runtime = within_runtime_if_available(Handle::current);
        let store = Store::new(
            core_settings(settings, Arc::clone(&questions) as Arc<dyn Caller>),
            options.into(),
            runtime.clone(),
            Arc::clone(&deliveries) as Arc<dyn Sink>,
        )
        .map_err(|error| Error::from_reason(error.to_string()))?;
        Ok(Self { store: Arc::new(store), deliveries, questions, runtime })
    }

    /// Finds or makes the table; the outcome of call `number` holds the statements for a connection of the caller.
    #[napi(catch_unwind)]
    pub fn set_up(&self, number: i64) {
        let store = Arc::clone(&self.store);
        self.deliveries.outcome_of(&self.runtime, number, async move {
            store.set_up().await?;
            statements(&store)
        });
    }

    /// Takes in the calls of a turn, a JSON array; see [`read_call`]. The first has number `first`, the others follow.
    #[napi(catch_unwind)]
    pub fn submit(&self, first: i64, calls: String) -> Result<()> {
        let calls: Vec<Value> = serde_json::from_str(&calls)
            .map_err(|error| Error::from_reason(format!("store: {error}")))?;
        let calls: Option<Vec<Call>> = calls.into_iter().map(read_call).collect();
        let calls = calls.ok_or_else(|| Error::from_reason("store: a call that is none"))?;
        let numbers = (first.unsigned_abs()..).map(Reply::Number);
        self.store.submit(calls.into_iter().zip(numbers));
        Ok(())
    }

    /// Answers question `number`: with `failure` if it could not be answered, else with `value`.
    #[napi(catch_unwind)]
    pub fn answer(&self, number: u32, value: Option<String>, failure: Option<String>) {
        self.questions.answer(number, value, failure);
    }

    /// The id as the table holds it.
    #[napi(catch_unwind)]
    pub fn key(&self, sid: String) -> String {
        self.store.key(&sid)
    }

    /// The options as they hold.
    #[napi(catch_unwind)]
    pub fn facts(&self) -> StoreFacts {
        let options = self.store.options();
        StoreFacts {
            ttl: options.ttl.as_secs_f64(),
            merge: options.merge,
            prune_session_interval: options.prune_session_interval.as_secs_f64(),
        }
    }

    /// What the pool and the queues look like, and what has happened so far.
    #[napi(catch_unwind)]
    pub fn stats(&self) -> CoreStats {
        core_stats(self.store.stats())
    }

    /// Waits for what is under way and closes the connections; then call `number` is done.
    #[napi(catch_unwind)]
    pub fn close(&self, number: i64) {
        let store = Arc::clone(&self.store);
        self.deliveries.outcome_of(&self.runtime, number, async move {
            store.close().await;
            Ok(Value::Bool(true))
        });
    }
}

/// A call as JavaScript packs it: its name, then what it needs.
///
/// `["get", sid]`, `["destroy", sid]`, `["touch", sid, at, after]`, `["put", sid, at, after, json]`,
/// `["update", sid, at, after, json]`, `["merge", sid, at, after, [[key, value], …]]` where `at` and `after` are seconds,
/// one of them null, and keys and values are JSON texts; `["all"]`, `["ids"]`, `["length"]`, `["clear"]`, `["prune"]`,
/// `["list", path, value, type]`, `["end", path, value, type, except]`, and both with `Repaired` behind their names.
fn read_call(call: Value) -> Option<Call> {
    let Value::Array(parts) = call else { return None };
    let mut parts = parts.into_iter();
    let name = parts.next()?;
    let mut next = || parts.next().unwrap_or_default();
    Some(match name.as_str()? {
        "get" => Call::Get(text(next())?),
        "destroy" => Call::Destroy(Change {
            key: text(next())?,
            expiry: Expiry::After(0.0),
            content: Content::Same,
        }),
        "touch" => Call::Touch(change(&mut next, |_| Some(Content::Same))?),
        "put" => Call::Put(change(&mut next, whole)?),
        "update" => Call::Update(change(&mut next, whole)?),
        "merge" => Call::Merge(change(&mut next, |value| {
            serde_json::from_value::<Vec<(String, Option<String>)>>(value).ok().map(content)
        })?),
        "all" => Call::Ask(Question::All),
        "ids" => Call::Ask(Question::Ids),
        "length" => Call::Ask(Question::Length),
        "clear" => Call::Ask(Question::Clear),
        "prune" => Call::Ask(Question::Prune),
        "list" => Call::Ask(Question::List(wanted(&mut next, false)?)),
        "listRepaired" => Call::Ask(Question::List(wanted(&mut next, true)?)),
        "end" => Call::Ask(Question::End(wanted(&mut next, false)?, texts(next())?)),
        "endRepaired" => Call::Ask(Question::End(wanted(&mut next, true)?, texts(next())?)),
        _ => return None,
    })
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn texts(value: Value) -> Option<Vec<String>> {
    serde_json::from_value(value).ok()
}

fn whole(value: Value) -> Option<Content> {
    text(value).map(Content::Whole)
}

fn content(parts: Vec<(String, Option<String>)>) -> Content {
    Content::Parts(parts.into_iter().map(|(key, value)| Part { key, value }).collect())
}

fn change(
    next: &mut impl FnMut() -> Value,
    read_content: impl FnOnce(Value) -> Option<Content>,
) -> Option<Change> {
    let key = text(next())?;
    let (at, after) = (next().as_f64(), next().as_f64());
    let expiry = at.map(Expiry::At).or(after.map(Expiry::After))?;
    Some(Change { key, expiry, content: read_content(next())? })
}

fn wanted(next: &mut impl FnMut() -> Value, repaired: bool) -> Option<Match> {
    Some(Match { path: texts(next())?, value: text(next())?, kind: text(next())?, repaired })
}

fn statements(store: &Store) -> std::result::Result<Value, crate::error::Error> {
    let statements = store.statements()?;
    let [all, ids, length, clear, prune, list, end, list_repaired, end_repaired] = statements.ask;
    Ok(json!({
        "get": statements.get,
        "put": statements.put,
        "update": statements.update,
        "merge": statements.merge,
        "touch": statements.touch,
        "destroy": statements.destroy,
        "all": all,
        "ids": ids,
        "length": length,
        "clear": clear,
        "prune": prune,
        "list": list,
        "end": end,
        "listRepaired": list_repaired,
        "endRepaired": end_repaired,
    }))
}

impl From<GivenStoreOptions> for StoreOptions {
    fn from(given: GivenStoreOptions) -> Self {
        let default = Self::default();
        let common = default.common;
        let length = |given: Option<f64>, default: Duration| given.map_or(default, milliseconds);
        let seconds = |given: Option<f64>, default: Duration| {
            given.map_or(default, |seconds| milliseconds(seconds * 1000.0))
        };
        Self {
            ttl: seconds(given.ttl, default.ttl),
            merge: given.merge.unwrap_or(default.merge),
            hash_ids: given.hash_ids.unwrap_or(default.hash_ids),
            prune_session_interval: seconds(
                given.prune_session_interval,
                default.prune_session_interval,
            ),
            common: Options {
                table_name: given.table_name.unwrap_or(common.table_name),
                schema_name: given.schema_name.or(common.schema_name),
                create_table: given.create_table_if_missing.unwrap_or(common.create_table),
                max_connections: given
                    .max_connections
                    .map_or(common.max_connections, |count| count as usize),
                connect_timeout: length(given.connect_timeout, common.connect_timeout),
                query_timeout: length(given.query_timeout, common.query_timeout),
                prepare: given.prepare.unwrap_or(common.prepare),
                batch: given.batch.unwrap_or(common.batch),
                ..Options::default()
            },
        }
    }
}
