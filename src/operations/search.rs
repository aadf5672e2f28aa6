//! Which sessions of many are meant: fields by equality, exceptions by id, one by its handle.
//!
//! Values are read by the database as create's are: parameters of the column's type, or text cast to it.

use tokio_postgres::types::Type;

use super::columns::{is_live, uuids};
use super::create::as_text;
use crate::handle;
use crate::pool::Request;
use crate::session_id::SessionId;
use crate::table::{FieldColumn, Table};
use crate::text::{FieldValue, quote_name};

/// Which live sessions are meant: those that meet all of it.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// What their fields are; none: everyone's sessions.
    pub conditions: Vec<Condition>,
    /// Not these.
    pub except: Vec<SessionId>,
    /// Only the session with this handle, see [`crate::handle::parse`].
    pub only: Option<Vec<u8>>,
}

/// What a field is.
#[derive(Clone, Debug)]
pub struct Condition {
    /// Its place among the table's fields.
    pub place: u16,
    /// Its value.
    pub wanted: Wanted,
}

/// The value of a field.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// This one; NULL is one, too.
    Value(FieldValue),
    /// Any of these; with an empty list, none fits.
    AnyOf(Vec<FieldValue>),
}

impl Search {
    /// Whether all fields exist.
    pub(crate) fn fits(&self, fields: usize) -> bool {
        self.conditions.iter().all(|condition| usize::from(condition.place) < fields)
    }

    /// The condition as SQL, on the table under the alias `s`. The parameters begin at `$first`.
    pub(crate) fn sql(&self, table: &Table, first: usize) -> String {
        let mut place = first;
        let mut next = || {
            place += 1;
            place - 1
        };
        let mut parts = vec![is_live(table)];
        for condition in &self.conditions {
            if let Some(column) = table.columns.get(usize::from(condition.place)) {
                parts.push(condition.wanted.sql(column, &mut next));
            }
        }
        if !self.except.is_empty() {
            parts.push(format!("s.sess_id <> ALL(${}::uuid[])", next()));
        }
        if self.only.is_some() {
            parts.push(format!("{} = ${}::bytea", handle::sql("s.sess_id"), next()));
        }
        parts.join(" AND ")
    }

    /// Adds the parameters of [`Self::sql`].
    pub(crate) fn bind(&self, request: Request) -> Request {
        let request =
            self.conditions.iter().fold(request, |request, condition| match &condition.wanted {
                Wanted::Value(FieldValue::Null) => request,
                Wanted::Value(value) => request.with(value.clone(), Type::UNKNOWN),
                Wanted::AnyOf(values) => {
                    let texts: Vec<String> = values.iter().filter_map(as_text).collect();
                    request.with(texts, Type::TEXT_ARRAY)
                }
            });
        let request = match self.except.as_slice() {
            [] => request,
            except => request.with(uuids(except.iter()), Type::UUID_ARRAY),
        };
        match &self.only {
            Some(only) => request.with(only.clone(), Type::BYTEA),
            None => request,
        }
    }
}

impl Wanted {
    fn sql(&self, column: &FieldColumn, next: &mut impl FnMut() -> usize) -> String {
        // json has no equality, jsonb has.
        let (as_jsonb, cast) = match column.oid {
            oid if oid == Type::JSON.oid() => ("::jsonb", "jsonb"),
            _ => ("", column.cast.as_str()),
        };
        let name = format!("s.{}{as_jsonb}", quote_name(&column.name));
        // Not IS NULL, which is also true of a composite of NULLs.
        let is_null = format!("num_nulls({name}) = 1");
        match self {
            Wanted::Value(FieldValue::Null) => is_null,
            Wanted::Value(_) => format!("{name} = ${}::{cast}", next()),
            Wanted::AnyOf(values) => {
                let any = format!(
                    "{name} = ANY(ARRAY(SELECT v::{cast} FROM unnest(${}::text[]) AS given (v)))",
                    next()
                );
                let with_null = values.iter().any(|value| matches!(value, FieldValue::Null));
                if with_null { format!("({any} OR {is_null})") } else { any }
            }
        }
    }
}
