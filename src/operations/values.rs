//! What create and update share: values for fields, as text in arrays or each as a parameter of its own.

use tokio_postgres::types::Type;

use crate::pool::Request;
use crate::table::{FieldColumn, Table};
use crate::text::{FieldValue, hex};

/// Sets of given fields whose statements are kept.
pub(super) const MAX_STATEMENTS: usize = 200;

/// How long a batch waits for locks, in ms, and then each of its calls. One call that has to wait for another
/// transaction (of a user who is being deleted, say) must not hold its neighbours.
pub(crate) const PATIENCE: i32 = 200;
pub(crate) const BRIEF_PATIENCE: i32 = 20;

/// Shortens the lock timeout for this statement to the parameter at `place`, unless the role's is shorter.
pub(crate) fn patience(place: usize) -> String {
    format!(
        "WITH patience AS MATERIALIZED (SELECT set_config('lock_timeout', coalesce(least(nullif(extract(epoch FROM \
         current_setting('lock_timeout')::interval) * 1000, 0)::int, ${place}::int), ${place}::int)::text, true))"
    )
}

/// As many values as given fields, which exist, ascending.
pub(crate) fn fit(given: &[u16], values: &[FieldValue], fields: usize) -> bool {
    given.len() == values.len()
        && given.is_sorted_by(|one, next| one < next)
        && given.last().is_none_or(|&last| usize::from(last) < fields)
}

/// Bytes for a column that is not bytea are in the binary format of its type, which no cast from text reads.
pub(super) fn fit_arrays(table: &Table, given: &[u16], values: &[FieldValue]) -> bool {
    let is_bytea = |column: &FieldColumn| column.oid == Type::BYTEA.oid();
    columns(table, given)
        .zip(values)
        .all(|(column, value)| !matches!(value, FieldValue::Bytes(_)) || is_bytea(column))
}

/// The columns of the given fields.
pub(super) fn columns<'a>(
    table: &'a Table,
    given: &'a [u16],
) -> impl Iterator<Item = &'a FieldColumn> {
    given.iter().filter_map(|&place| table.columns.get(usize::from(place)))
}

/// Adds each value as a parameter that the server reads as it reads one of `pg`.
pub(super) fn with_each(request: Request, values: &[FieldValue]) -> Request {
    values.iter().fold(request, |request, value| request.with(value.clone(), Type::UNKNOWN))
}

pub(super) fn as_text(value: &FieldValue) -> Option<String> {
    match value {
        FieldValue::Null => None,
        FieldValue::Text(text) => Some(text.clone()),
        FieldValue::Bytes(bytes) => Some(format!("\\x{}", hex(bytes))),
    }
}

pub(super) fn weight(values: &[FieldValue]) -> usize {
    values.iter().map(FieldValue::weight).sum::<usize>() + 16
}
