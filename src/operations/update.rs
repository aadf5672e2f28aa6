//! update: changes some fields of a live session, and nothing else of it.
//!
//! Two forms, for the reasons that create has. In a batch, each call says for each field whether it changes it; one
//! that does not leaves the column to itself, so calls that change different fields share a statement. Of two calls
//! for one session, the second waits for the next statement of the same batch: one UPDATE changes a row once.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::columns::{
    IDS, Reader, find, is_live, is_locked, is_still_live, places, row_columns_of, row_columns_with,
    stored,
};
use super::convert::Convert;
use super::trail::{self, Following};
use super::values::{
    BRIEF_PATIENCE, MAX_STATEMENTS, PATIENCE, as_text, columns, fit_arrays, patience, weight,
    with_each,
};
use super::{Answer, Operation, Sql, Verdict, validate};
use crate::ids::Lookup;
use crate::pool::Request;
use crate::table::Table;
use crate::text::{FieldValue, quote_name};

/// Fields of a session that are to change.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// Which session.
    pub(crate) session: Lookup,
    /// Which fields, by their place in the table's fields, ascending.
    pub(crate) given: Vec<u16>,
    /// Their values.
    pub(crate) values: Vec<FieldValue>,
}

impl Change {
    fn value(&self, field: u16) -> Option<&FieldValue> {
        self.given.binary_search(&field).ok().and_then(|place| self.values.get(place))
    }
}

pub(crate) struct Update {
    table: Table,
    select: Sql,
    /// The same for ids that were replaced.
    trail: Option<Sql>,
    /// Which live sessions there are.
    probe: Sql,
    types: Vec<u32>,
    convert: Convert,
    /// The statements by form and by the fields that are given: an app has a few of them.
    statements: Mutex<HashMap<(Form, Vec<u16>), Sql>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Form {
    /// Arrays of text, for any number of calls.
    Set,
    /// One parameter a value, for one call: leaves a row that somebody else holds.
    Single,
    /// The same for a row that may stand under another id.
    Elsewhere,
    /// The same, but waits for the row.
    Alone,
}

impl Update {
    pub(crate) fn new(table: &Table) -> Self {
        Self {
            table: table.clone(),
            select: validate::sql(table, Reader::Core).into(),
            trail: trail::rows_sql(table, Reader::Core).map(Sql::from),
            probe: trail::probe_sql(table, &format!(" AND {}", is_live(table)), true).into(),
            types: table.row_types(),
            convert: Convert::new(table),
            statements: Mutex::default(),
        }
    }

    fn statement(&self, form: Form, given: &[u16]) -> Sql {
        let mut known = self.statements.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (form, given.to_vec());
        if let Some(statement) = known.get(&key) {
            return Sql::clone(statement);
        }
        let statement: Sql = match form {
            Form::Set => self.set_sql(given),
            Form::Single => {
                let with = self.locked(IDS, "", " SKIP LOCKED");
                self.single_sql(given, &with, "s.sess_id", Reader::Core)
            }
            Form::Elsewhere => self.following_sql(given, " SKIP LOCKED", Reader::Core),
            Form::Alone => self.following_sql(given, "", Reader::Core),
        }
        .into();
        if known.len() >= MAX_STATEMENTS {
            known.clear();
        }
        known.insert(key, Sql::clone(&statement));
        statement
    }

    fn locked(&self, ids: &str, more: &str, wait: &str) -> String {
        format!(
            "locked AS MATERIALIZED (SELECT r.sess_id FROM {} AS r{more} WHERE r.sess_id = ANY({ids}) AND {} \
             ORDER BY r.sess_id FOR UPDATE OF r{wait})",
            self.table.sql_name,
            is_still_live(&self.table)
        )
    }

    /// The form that waits for its row and takes each value as a parameter: in a transaction of the caller, too.
    pub(crate) fn alone_sql(&self, given: &[u16], reader: Reader) -> String {
        if given.is_empty() {
            return validate::sql(&self.table, reader);
        }
        self.following_sql(given, "", reader)
    }

    fn following_sql(&self, given: &[u16], wait: &str, reader: Reader) -> String {
        match Following::new(&self.table, true) {
            Some(Following { cte, ids }) => {
                let with = format!("RECURSIVE {cte}{}", self.locked(&ids, "", wait));
                self.single_sql(given, &with, &trail::path_of_row(&self.table, reader), reader)
            }
            None => self.single_sql(given, &self.locked(IDS, "", wait), "s.sess_id", reader),
        }
    }

    fn single_sql(&self, given: &[u16], with: &str, id: &str, reader: Reader) -> String {
        let set = columns(&self.table, given)
            .enumerate()
            .map(|(place, column)| format!("{} = ${}", quote_name(&column.name), place + 2));
        format!(
            "WITH {with} UPDATE {name} AS s SET {set} FROM locked WHERE {is_locked} RETURNING {columns}",
            name = self.table.sql_name,
            is_locked = is_locked(&self.table),
            set = set.collect::<Vec<_>>().join(", "),
            columns = row_columns_with(id, "s.", &self.table, reader),
        )
    }

    /// Beside each id stands, for each field, whether it is given and its text.
    fn set_sql(&self, given: &[u16]) -> String {
        let mut arrays = String::from("$1::uuid[]");
        let mut names = String::from("id");
        let mut set = Vec::with_capacity(given.len());
        for (place, column) in columns(&self.table, given).enumerate() {
            let parameter = 2 * place + 2;
            arrays.push_str(&format!(", ${parameter}::bool[], ${}::text[]", parameter + 1));
            names.push_str(&format!(", g{place}, v{place}"));
            let name = quote_name(&column.name);
            set.push(format!(
                "{name} = CASE WHEN u.g{place} THEN u.v{place}::{cast} ELSE s.{name} END",
                cast = column.cast
            ));
        }
        format!(
            "{patience}, {locked} UPDATE {name} AS s SET {set} FROM locked, unnest({arrays}) AS u ({names}) \
             WHERE {is_locked} AND u.id = locked.sess_id RETURNING {columns}",
            patience = patience(2 * given.len() + 2),
            locked = self.locked(IDS, ", patience", " SKIP LOCKED"),
            is_locked = is_locked(&self.table),
            name = self.table.sql_name,
            set = set.join(", "),
            columns = row_columns_of("s.", &self.table, Reader::Core),
        )
    }

    fn together(&self, calls: &[Change], patience: i32) -> Request {
        let given = all_given(calls);
        if given.is_empty() {
            return self.look(calls.iter());
        }
        let rows: Vec<(Uuid, &Change)> = calls
            .iter()
            .flat_map(|call| call.session.stored().map(move |stored| (stored, call)))
            .collect();
        let ids: Vec<Uuid> = rows.iter().map(|(stored, _)| *stored).collect();
        let mut request =
            Request::new(&self.statement(Form::Set, &given)).with(ids, Type::UUID_ARRAY);
        for &field in &given {
            let values: Vec<_> = rows.iter().map(|(_, call)| call.value(field)).collect();
            let is_given: Vec<bool> = values.iter().map(Option::is_some).collect();
            let texts: Vec<Option<String>> =
                values.into_iter().map(|value| value.and_then(as_text)).collect();
            request = request.with(is_given, Type::BOOL_ARRAY).with(texts, Type::TEXT_ARRAY);
        }
        request.with(patience, Type::INT4)
    }

    fn single(&self, form: Form, call: &Change) -> Request {
        if call.given.is_empty() {
            return match (form, &self.trail) {
                (Form::Elsewhere | Form::Alone, Some(trail)) => {
                    let ids = stored(std::iter::once(&call.session));
                    Request::new(trail).with(ids, Type::UUID_ARRAY)
                }
                _ => self.look(std::iter::once(call)),
            };
        }
        let sessions = std::iter::once(&call.session);
        let request = Request::new(&self.statement(form, &call.given))
            .with(stored(sessions), Type::UUID_ARRAY);
        with_each(request, &call.values)
    }

    fn look<'a>(&self, calls: impl Iterator<Item = &'a Change>) -> Request {
        let sessions = calls.map(|call| &call.session);
        Request::new(&self.select).with(stored(sessions), Type::UUID_ARRAY)
    }
}

/// The fields that any of the calls gives.
fn all_given(calls: &[Change]) -> Vec<u16> {
    let mut given: Vec<u16> = calls.iter().flat_map(|call| call.given.iter().copied()).collect();
    given.sort_unstable();
    given.dedup();
    given
}

impl Operation for Update {
    type Call = Change;

    fn row_types(&self) -> &[u32] {
        &self.types
    }

    fn set(&self, calls: &[Change]) -> Request {
        if let [call] = calls {
            return self.single(Form::Single, call);
        }
        self.together(calls, PATIENCE)
    }

    fn brief(&self, call: &Change) -> Request {
        self.together(std::slice::from_ref(call), BRIEF_PATIENCE)
    }

    fn elsewhere(&self, call: &Change) -> Request {
        self.single(Form::Elsewhere, call)
    }

    fn alone(&self, call: &Change) -> Request {
        self.single(Form::Alone, call)
    }

    fn read(&self, rows: &[Row], calls: &[Change]) -> Vec<Option<Answer>> {
        let found = trail::found(rows);
        let answer = |call: &Change| {
            let found = find(&found, &call.session)?;
            Some(trail::answer(self.table.ids, &call.session, found, 0))
        };
        calls.iter().map(answer).collect()
    }

    fn follow_up(&self, calls: &[&Change]) -> Option<Request> {
        let ids = stored(calls.iter().map(|call| &call.session));
        Some(Request::new(&self.probe).with(ids, Type::UUID_ARRAY))
    }

    fn verdicts(&self, rows: &[Row], _: usize, calls: &[&Change], _: bool) -> Vec<Verdict> {
        let places = places(rows);
        let verdict = |call: &&Change| match find(&places, &call.session) {
            Some(_) => Verdict::Alone,
            None => Verdict::Answer(Answer::NoSession),
        };
        calls.iter().map(verdict).collect()
    }

    /// A field may be unique or refer to another table, where somebody is at work.
    fn may_wait(&self) -> bool {
        true
    }

    fn may_move(&self) -> bool {
        self.table.may_move()
    }

    fn fitting(&self, calls: &[Change]) -> usize {
        let mut seen = HashSet::with_capacity(calls.len());
        calls.iter().take_while(|call| seen.insert(call.session.id)).count()
    }

    fn may_join(&self, first: &Change, call: &Change) -> bool {
        [first, call].iter().all(|call| fit_arrays(&self.table, &call.given, &call.values))
    }

    fn besides(&self, rows: &[Row]) -> Option<Request> {
        self.convert.request(rows)
    }

    fn weight(&self, call: &Change) -> usize {
        weight(&call.values)
    }
}
