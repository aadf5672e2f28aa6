//! `max_sessions`: no more than so many live sessions with the same value of a field. Whoever creates one more ends the
//! oldest, in the same transaction.
//!
//! Two transactions that create for the same value do not see each other's rows, so an advisory lock on the value lets
//! them follow one another; the statement that counts comes after it and sees what the one before committed. Locks are
//! taken in the order of their keys, rows in the order of their ids.

use tokio_postgres::types::Type;
use uuid::Uuid;

use super::Sql;
use super::columns::{IDS, is_still_live};
use super::create::NewSession;
use super::removal::{removal, with};
use super::values::as_text;
use crate::advisory::{Purpose, key};
use crate::pool::{Around, Request};
use crate::table::Table;
use crate::text::{FieldValue, quote_name};

/// The sessions among which a create ends the oldest: all others have neither of these ids.
pub(crate) struct Trimmed {
    /// Those that it makes: the last to end.
    pub(crate) new: Vec<Uuid>,
    /// Those in whose place they come: the first to end.
    pub(crate) replaced: Vec<Uuid>,
}

/// The statements around a create.
pub(crate) struct Limit {
    place: u16,
    patience: Sql,
    lock_set: Sql,
    lock_one: Sql,
    lock_inserted: Sql,
    trim: Sql,
}

impl Limit {
    /// `None`: there is no limit.
    pub(crate) fn new(table: &Table, patience: String) -> Option<Self> {
        let limit = table.limit.as_ref()?;
        let column = table.columns.get(limit.place)?;
        let by = quote_name(&column.name);
        let key = key(Purpose::Limit, &table.sql_name);
        // The hash that the type itself has, through an array of one: equal values that are written differently
        // (1.0 and 1.00) have the same.
        let lock =
            |value: &str| format!("pg_advisory_xact_lock({key}, hash_array(ARRAY[{value}]))");
        let one_by_one = |value: &str, source: &str| {
            format!(
                "SELECT pg_advisory_xact_lock({key}, lock), current_setting('transaction_isolation') AS isolation \
                 FROM (SELECT DISTINCT hash_array(ARRAY[{value}]) AS lock FROM {source} ORDER BY lock) AS locks"
            )
        };
        let ty = &limit.type_name;
        Some(Self {
            place: u16::try_from(limit.place).ok()?,
            patience: patience.into(),
            lock_set: one_by_one(
                &format!("v::{ty}"),
                "unnest($1::text[]) AS given (v) WHERE v IS NOT NULL",
            )
            .into(),
            lock_one: format!(
                "SELECT {}, current_setting('transaction_isolation') AS isolation",
                lock(&format!("$1::{ty}"))
            )
            .into(),
            lock_inserted: one_by_one(
                &by,
                &format!("{} WHERE sess_id = ANY({IDS}) AND {by} IS NOT NULL", table.sql_name),
            )
            .into(),
            trim: trim(table, &by, limit.limit).into(),
        })
    }

    /// The place of the field among the table's.
    pub(crate) fn place(&self) -> u16 {
        self.place
    }

    /// The lock for one value, `$1`; for the values of the sessions `$1`; and the end of the oldest, of the sessions `$2`
    /// first and of the sessions `$1` last.
    pub(crate) fn statements_for_pg(&self) -> [&str; 3] {
        [&self.lock_one, &self.lock_inserted, &self.trim]
    }

    /// Keeps the `sessions` that `request` makes to the limit. `patience`: how long locks are waited for, in ms.
    pub(crate) fn keep(
        &self,
        request: Request,
        calls: &[NewSession],
        sessions: &Trimmed,
        patience: Option<i32>,
    ) -> Request {
        let mut before: Vec<Request> = patience
            .map(|ms| Request::new(&self.patience).with(ms, Type::INT4))
            .into_iter()
            .collect();
        let ids = || sessions.new.clone();
        let mut after = Vec::new();
        match self.given(calls) {
            Given::Nothing => return request,
            Given::One(value) => {
                before.push(Request::new(&self.lock_one).with(value.clone(), Type::UNKNOWN));
            }
            Given::Several(texts) => {
                before.push(Request::new(&self.lock_set).with(texts, Type::TEXT_ARRAY));
            }
            // A DEFAULT shows only in the row.
            Given::Unknown => {
                after.push(Request::new(&self.lock_inserted).with(ids(), Type::UUID_ARRAY));
            }
        }
        // Twice: a session that gets a new id while its lock is awaited escapes the first.
        let replaced = || sessions.replaced.clone();
        let trim = || {
            Request::new(&self.trim)
                .with(ids(), Type::UUID_ARRAY)
                .with(replaced(), Type::UUID_ARRAY)
        };
        after.extend([trim(), trim()]);
        request.around(Around { before, after })
    }

    fn given<'a>(&self, calls: &'a [NewSession]) -> Given<'a> {
        let place =
            calls.first().and_then(|first| first.given.iter().position(|&p| p == self.place));
        let Some(place) = place else { return Given::Unknown };
        match calls {
            [call] => match call.values.get(place) {
                None | Some(FieldValue::Null) => Given::Nothing,
                Some(value) => Given::One(value),
            },
            _ => {
                let value = |call: &NewSession| call.values.get(place).and_then(as_text);
                let texts: Vec<String> = calls.iter().filter_map(value).collect();
                if texts.is_empty() { Given::Nothing } else { Given::Several(texts) }
            }
        }
    }
}

/// What is known of the limited field before the sessions are in the table.
enum Given<'a> {
    /// It is NULL, which is not limited.
    Nothing,
    One(&'a FieldValue),
    Several(Vec<String>),
    /// The table has to say.
    Unknown,
}

/// The new ones come first, the latest call of a batch before the others, so they survive if the limit lets them; those
/// that are replaced come last.
fn trim(table: &Table, by: &str, limit: u32) -> String {
    let is_live = is_still_live(table);
    format!(
        "{with} ranked AS (SELECT s.sess_id, row_number() OVER (PARTITION BY s.{by} \
         ORDER BY array_position($1::uuid[], s.sess_id) DESC NULLS LAST, s.sess_id = ANY($2::uuid[]), \
         s.sess_creation_date DESC, s.sess_id) AS place \
         FROM {name} AS s WHERE s.{by} IN \
         (SELECT {by} FROM {name} WHERE sess_id = ANY({IDS})) AND {is_live}), \
         locked AS MATERIALIZED (SELECT s.sess_id FROM {name} AS s \
         WHERE s.sess_id = ANY(ARRAY(SELECT sess_id FROM ranked WHERE place > {limit})) \
         ORDER BY s.sess_id FOR UPDATE), {removal} SELECT count(*) FROM gone",
        name = table.sql_name,
        with = with(table),
        removal = removal(table),
    )
}
