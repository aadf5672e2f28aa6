//! create: a new session. Its id is made here, so a create whose answer was lost can be sent again.
//!
//! Two forms, from the same pieces. A batch uses `unnest` over arrays of text, cast to each field's type. A call alone
//! uses VALUES, where each value is a parameter of the column's own type: this is what `pg` sends, so its errors are
//! those that `pg` gives, and every value is read as `pg`'s would be. A batch that fails for one bad value runs again
//! in this form, call by call.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::columns::{Reader, interval, now, places, row_columns};
use super::limit::{Limit, Trimmed};
use super::validate;
use super::values::{
    BRIEF_PATIENCE, MAX_STATEMENTS, PATIENCE, as_text, columns, fit, fit_arrays, patience, weight,
    with_each,
};
use super::{Answer, Operation, Sql, Verdict};
use crate::pool::Request;
use crate::session_id::SessionId;
use crate::table::Table;
use crate::text::{FieldValue, quote_name};

/// A session to be made.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Its id.
    pub id: SessionId,
    /// Which fields are given, by their place in the table's fields, ascending. The others get their DEFAULT.
    pub given: Vec<u16>,
    /// Their values.
    pub values: Vec<FieldValue>,
    /// The session in whose place it comes, which its owner is about to end: at the limit it is the first to end.
    pub replaced: Option<SessionId>,
}

impl NewSession {
    /// As many values as given fields, which exist, ascending.
    pub(crate) fn fits(&self, fields: usize) -> bool {
        fit(&self.given, &self.values, fields)
    }
}

pub(crate) struct Create {
    table: Table,
    types: Vec<u32>,
    session_length: Duration,
    select: Sql,
    limit: Option<Limit>,
    /// The statements by the fields that are given: an app has one or two of these sets.
    statements: Mutex<HashMap<Vec<u16>, Statements>>,
}

#[derive(Clone)]
struct Statements {
    set: Sql,
    alone: Sql,
}

impl Create {
    pub(crate) fn new(table: &Table, session_length: Duration) -> Self {
        Self {
            table: table.clone(),
            types: table.row_types(),
            session_length,
            select: validate::sql(table, Reader::Core).into(),
            limit: Limit::new(table, format!("{} SELECT FROM patience", patience(1))),
            statements: Mutex::default(),
        }
    }

    fn statements(&self, given: &[u16]) -> Statements {
        let mut known = self.statements.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(statements) = known.get(given) {
            return statements.clone();
        }
        let statements = Statements {
            set: self.set_sql(given).into(),
            alone: self.alone_sql(given, Reader::Core).into(),
        };
        if known.len() >= MAX_STATEMENTS {
            known.clear();
        }
        known.insert(given.to_vec(), statements.clone());
        statements
    }

    fn stored<'a>(&self, calls: impl IntoIterator<Item = &'a NewSession>) -> Vec<Uuid> {
        calls.into_iter().map(|call| self.table.ids.stored(call.id).as_uuid()).collect()
    }

    fn insert(&self, given: &[u16], source: &str, reader: Reader) -> String {
        let fields: String = columns(&self.table, given)
            .map(|column| format!(", {}", quote_name(&column.name)))
            .collect();
        // Without a key, one that is sent again may be refused as a duplicate of itself; that is rare and harmless.
        let conflict = if self.table.has_key { "ON CONFLICT (sess_id) DO NOTHING " } else { "" };
        format!(
            "INSERT INTO {name} (sess_id, sess_creation_date, sess_last_updated, sess_expiration{fields}) {source} \
             {conflict}RETURNING {columns}",
            name = self.table.sql_name,
            columns = row_columns(&self.table, reader),
        )
    }

    fn times(&self) -> String {
        let clocks = self.table.clocks;
        let length = self.table.absolute_length.unwrap_or(Duration::MAX).min(self.session_length);
        let times = format!(
            "{}, {}, {} + {}",
            now(clocks.creation_is_tz),
            now(clocks.updated_is_tz),
            now(clocks.expiration_is_tz),
            interval(length)
        );
        match self.limit {
            // now() is when the transaction began. Who waited longest for its lock must not be the oldest.
            Some(_) => times.replace("now()", "statement_timestamp()"),
            None => times,
        }
    }

    fn set_sql(&self, given: &[u16]) -> String {
        let mut arrays = String::from("$1::uuid[]");
        let mut names = String::from("id");
        let mut values = String::new();
        for (place, column) in columns(&self.table, given).enumerate() {
            arrays.push_str(&format!(", ${}::text[]", place + 2));
            names.push_str(&format!(", v{place}"));
            values.push_str(&format!(", u.v{place}::{}", column.cast));
        }
        let source = format!(
            "SELECT u.id, {}{values} FROM patience, unnest({arrays}) AS u ({names})",
            self.times()
        );
        format!("{} {}", patience(given.len() + 2), self.insert(given, &source, Reader::Core))
    }

    fn together(&self, calls: &[NewSession], patience: i32) -> Request {
        let given = calls.first().map_or(&[][..], |first| &first.given);
        let mut request =
            Request::new(&self.statements(given).set).with(self.stored(calls), Type::UUID_ARRAY);
        for place in 0..given.len() {
            let texts: Vec<Option<String>> =
                calls.iter().map(|call| call.values.get(place).and_then(as_text)).collect();
            request = request.with(texts, Type::TEXT_ARRAY);
        }
        self.limited(request.with(patience, Type::INT4), calls, Some(patience))
    }

    fn limited(&self, request: Request, calls: &[NewSession], patience: Option<i32>) -> Request {
        match &self.limit {
            Some(limit) => {
                let replaced = calls.iter().filter_map(|call| call.replaced);
                let sessions = Trimmed {
                    new: self.stored(calls),
                    replaced: replaced.flat_map(|id| self.table.ids.lookup(id).stored()).collect(),
                };
                limit.keep(request, calls, &sessions, patience)
            }
            None => request,
        }
    }

    /// What keeps to the limit, if there is one.
    pub(crate) fn limit(&self) -> Option<&Limit> {
        self.limit.as_ref()
    }

    /// The form with one parameter a value; `reader` is `Pg` when it runs in a transaction of the caller.
    pub(crate) fn alone_sql(&self, given: &[u16], reader: Reader) -> String {
        let values: String = (0..given.len()).map(|place| format!(", ${}", place + 2)).collect();
        let source = format!("VALUES ($1::uuid, {}{values})", self.times());
        self.insert(given, &source, reader)
    }

    fn single(&self, call: &NewSession) -> Request {
        let statement = self.statements(&call.given).alone;
        let id = self.table.ids.stored(call.id).as_uuid();
        let request = with_each(Request::new(&statement).with(id, Type::UUID), &call.values);
        self.limited(request, std::slice::from_ref(call), None)
    }
}

impl Operation for Create {
    type Call = NewSession;

    fn row_types(&self) -> &[u32] {
        &self.types
    }

    fn set(&self, calls: &[NewSession]) -> Request {
        if let [call] = calls {
            return self.single(call);
        }
        self.together(calls, PATIENCE)
    }

    fn brief(&self, call: &NewSession) -> Request {
        self.together(std::slice::from_ref(call), BRIEF_PATIENCE)
    }

    fn read(&self, rows: &[Row], calls: &[NewSession]) -> Vec<Option<Answer>> {
        let places = places(rows);
        let place = |call: &NewSession| places.get(&self.table.ids.stored(call.id).as_uuid());
        let answer = |call| place(call).map(|&place| Answer::NewRow(place, call.id));
        calls.iter().map(answer).collect()
    }

    /// A session that was not inserted is there already: an earlier attempt did it.
    fn follow_up(&self, calls: &[&NewSession]) -> Option<Request> {
        let stored = self.stored(calls.iter().copied());
        Some(Request::new(&self.select).with(stored, Type::UUID_ARRAY))
    }

    fn verdicts(
        &self,
        rows: &[Row],
        first_row: usize,
        calls: &[&NewSession],
        _: bool,
    ) -> Vec<Verdict> {
        let places = places(rows);
        let place = |call: &NewSession| places.get(&self.table.ids.stored(call.id).as_uuid());
        let verdict = |call: &&NewSession| match place(call) {
            Some(place) => Verdict::Answer(Answer::NewRow(first_row + place, call.id)),
            None => Verdict::Answer(Answer::NoSession),
        };
        calls.iter().map(verdict).collect()
    }

    /// A field may be unique or refer to another table, where somebody is at work.
    fn may_wait(&self) -> bool {
        true
    }

    fn has_transactions(&self) -> bool {
        self.limit.is_some()
    }

    fn may_join(&self, first: &NewSession, call: &NewSession) -> bool {
        first.given == call.given
            && [first, call].iter().all(|call| fit_arrays(&self.table, &call.given, &call.values))
    }

    fn weight(&self, call: &NewSession) -> usize {
        weight(&call.values)
    }
}
