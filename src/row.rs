//! A session's row: the four columns of every session, then the fields.

use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::error::Error;
use crate::session_id::SessionId;
use crate::text::{Raw, write_output};

/// Between PostgreSQL's epoch (2000) and Unix' (1970).
const EPOCH_MICROSECONDS: i64 = 946_684_800_000_000;

/// A session as it stands in the table.
#[derive(Clone, Debug)]
pub struct SessionRow {
    /// Its id.
    pub id: SessionId,
    /// When it was created.
    pub creation_date: DateTime<Utc>,
    /// When it was created or extended last.
    pub last_updated: DateTime<Utc>,
    /// When it ends.
    pub expiration: DateTime<Utc>,
    /// Its fields as PostgreSQL writes them, in the order of the table's fields; `None` is NULL.
    pub fields: Vec<Option<String>>,
}

/// A session in a list: everything but its id.
#[derive(Clone, Debug)]
pub struct ListedRow {
    /// What the session is known by in lists, see [`crate::handle`].
    pub handle: String,
    /// When it was created.
    pub creation_date: DateTime<Utc>,
    /// When it was created or extended last.
    pub last_updated: DateTime<Utc>,
    /// When it ends.
    pub expiration: DateTime<Utc>,
    /// Its fields, as in [`SessionRow::fields`].
    pub fields: Vec<Option<String>>,
}

impl SessionRow {
    pub(crate) fn read(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: SessionId::from_uuid(row.try_get::<_, Uuid>(0)?),
            creation_date: time(row, 1)?,
            last_updated: time(row, 2)?,
            expiration: time(row, 3)?,
            fields: fields(row)?,
        })
    }
}

impl ListedRow {
    pub(crate) fn read(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            handle: row.try_get(0)?,
            creation_date: time(row, 1)?,
            last_updated: time(row, 2)?,
            expiration: time(row, 3)?,
            fields: fields(row)?,
        })
    }
}

fn time(row: &Row, place: usize) -> Result<DateTime<Utc>, Error> {
    DateTime::from_timestamp_micros(microseconds(row, place)?)
        .ok_or_else(|| Error::internal("a session's time is out of range"))
}

fn fields(row: &Row) -> Result<Vec<Option<String>>, Error> {
    let field = |place| {
        let mut text = String::new();
        Ok(write_field(row, place, &mut text)?.then_some(text))
    };
    (4..row.len()).map(field).collect()
}

/// A time in microseconds since 1970; `i64::MAX` and `i64::MIN` are PostgreSQL's infinities.
pub(crate) fn microseconds(row: &Row, place: usize) -> Result<i64, Error> {
    let Raw(bytes) = row.try_get(place)?;
    let bytes = bytes.try_into().map_err(|_| Error::internal("a time has 8 bytes"))?;
    Ok(match i64::from_be_bytes(bytes) {
        infinite @ (i64::MAX | i64::MIN) => infinite,
        finite => finite.saturating_add(EPOCH_MICROSECONDS),
    })
}

/// Appends the output text of a column; `false` if it is NULL.
pub(crate) fn write_field(row: &Row, place: usize, out: &mut String) -> Result<bool, Error> {
    let Some(Raw(bytes)) = row.try_get(place)? else { return Ok(false) };
    let column = row.columns().get(place).ok_or_else(|| Error::internal("no such column"))?;
    write_output(column.type_(), bytes, out)
        .ok_or_else(|| Error::internal(format!("column {:?} cannot be read", column.name())))?;
    Ok(true)
}
