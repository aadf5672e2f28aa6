//! Sessions of express-session, in the table of connect-pg-simple, are copied piece by piece.
//!
//! Each piece is a short transaction of its own. Where PostgreSQL does not take a value, the piece is halved until the
//! guilty session stands alone; its neighbours are copied.

use ring::hmac;
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::{Builder, Uuid};

use crate::companion;
use crate::error::Error;
use crate::operations::import::{IS_THERE, LOOK, Place, copy_sql, ddl, page_sql, total_sql};
use crate::pool::{Connection, Request};
use crate::session_id::SessionId;
use crate::table::{FieldColumn, Table};
use crate::text::quote_name;
use tokio::time::Instant;

/// Authenticated in front of each id, so that the result is of no use elsewhere.
const DOMAIN: &[u8] = b"pg-sess-rs/import/1:";
/// Sessions that are looked at together.
const PIECE: i64 = 1_000;
/// "Made from a name" in RFC 9562: neither that of plain ids nor that of stored hashes.
const VERSION: u8 = 5;
const SUFFIX: &str = "_imported";
/// What PostgreSQL says of a table that another process made at the same time.
const MADE_TWICE: [&str; 2] = ["42P07", "23505"];

/// What is to be copied.
#[derive(Clone, Debug, Default)]
pub struct Import {
    /// The schema of the table with express-session's sessions; without it the search_path counts.
    pub schema: Option<String>,
    /// Its name.
    pub table: String,
    /// For each field that gets a value, by its place in the table's fields: where it stands in the JSON.
    pub paths: Vec<(u16, Vec<String>)>,
    /// What signs express-session's cookies.
    pub secret: Secret,
    /// Whether to say only what would come of it.
    pub dry: bool,
}

/// A text that is never shown.
#[derive(Clone, Default)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// What came of a piece.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// How many sessions were copied.
    pub copied: u64,
    /// How many had been copied before.
    pub known: u64,
    /// How many have expired.
    pub expired: u64,
    /// How many could not be copied, by the reason.
    pub unmapped: Vec<(String, u64)>,
    /// Where the next piece begins; `None`: that was the last.
    pub next: Option<String>,
}

/// The id under which a session of express-session goes on. Only whoever knows the secret can tell it from the old one,
/// as only they can sign a cookie: what leaks from the old table opens no session.
pub fn imported_id(secret: &Secret, sid: &str) -> SessionId {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.0.as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(DOMAIN);
    context.update(sid.as_bytes());
    let tag = context.sign();
    let bytes = tag.as_ref().first_chunk().copied().unwrap_or_default();
    let mut id = Builder::from_bytes(bytes).into_uuid().into_bytes();
    id[6] = (id[6] & 0x0f) | (VERSION << 4);
    id[8] = (id[8] & 0x3f) | 0x80;
    SessionId::from_uuid(Uuid::from_bytes(id))
}

/// One piece of the work.
pub(crate) struct Piece<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) table: &'a Table,
    pub(crate) import: &'a Import,
    pub(crate) deadline: Instant,
}

impl Piece<'_> {
    /// How many sessions the old table has.
    pub(crate) async fn total(&self) -> Result<u64, Error> {
        let rows = self.run(Request::new(&total_sql(&self.from()).into())).await?;
        Ok(first(&rows)?.try_get::<_, i64>("total")?.unsigned_abs())
    }

    /// Copies the sessions that come next behind `after`.
    pub(crate) async fn copy(&self, after: Option<String>) -> Result<Imported, Error> {
        let mapped = self.mapped()?;
        let place = self.place().await?;
        let request = Request::new(&page_sql(&place.from).into())
            .with(after, Type::TEXT)
            .with(PIECE, Type::INT8);
        let rows = self.run(request).await?;
        let mut sids: Vec<String> = Vec::with_capacity(rows.len());
        let mut done = Imported::default();
        for row in &rows {
            if row.try_get("is_live")? {
                sids.push(row.try_get("sid")?);
            } else {
                done.expired += 1;
            }
        }
        let is_last = rows.len() < usize::try_from(PIECE).unwrap_or(usize::MAX);
        done.next = match rows.last() {
            Some(row) if !is_last => Some(row.try_get("sid")?),
            _ => None,
        };
        self.copy_sound(&place, &mapped, sids, &mut done).await?;
        Ok(done)
    }

    async fn copy_sound(
        &self,
        place: &Place,
        mapped: &[&FieldColumn],
        sids: Vec<String>,
        done: &mut Imported,
    ) -> Result<(), Error> {
        let sql = copy_sql(self.table, place, mapped, self.import.dry).into();
        let mut waiting = vec![sids];
        while let Some(mut sids) = waiting.pop() {
            if sids.is_empty() {
                continue;
            }
            match self.run(self.request(&sql, &sids)).await {
                Ok(rows) => count(first(&rows)?, mapped, done)?,
                Err(error) if !is_of_values(&error) => return Err(error),
                Err(error) if sids.len() == 1 => {
                    let code = error.sqlstate().unwrap_or_default();
                    note(done, format!("a value was refused with {code}"), 1);
                }
                Err(_) => {
                    let half = sids.split_off(sids.len() / 2);
                    waiting.extend([half, sids]);
                }
            }
        }
        Ok(())
    }

    fn request(&self, sql: &std::sync::Arc<str>, sids: &[String]) -> Request {
        let id =
            |sid: &String| self.table.ids.stored(imported_id(&self.import.secret, sid)).as_uuid();
        let ids: Vec<Uuid> = sids.iter().map(id).collect();
        let request =
            Request::new(sql).with(sids.to_vec(), Type::TEXT_ARRAY).with(ids, Type::UUID_ARRAY);
        let paths = self.import.paths.iter().map(|(_, path)| path.clone());
        paths.fold(request, |request, path| request.with(path, Type::TEXT_ARRAY))
    }

    fn mapped(&self) -> Result<Vec<&FieldColumn>, Error> {
        let column = |place: &u16| self.table.columns.get(usize::from(*place));
        let mapped = self.import.paths.iter().map(|(place, _)| {
            column(place).ok_or_else(|| Error::argument("import: a field that is not there"))
        });
        mapped.collect()
    }

    async fn place(&self) -> Result<Place, Error> {
        let name = self.table.sql_name.clone();
        let rows = self.run(Request::new(&LOOK.into()).with(name, Type::TEXT)).await?;
        let row = first(&rows)?;
        let (schema, table): (String, String) = (row.try_get("schema")?, row.try_get("name")?);
        let own = quote_name(&companion::beside(&table, SUFFIX));
        let imported = format!("{}.{own}", quote_name(&schema));
        let has_imported = self.is_there(&imported).await?
            || (!self.import.dry && self.remember_in(&imported).await?);
        Ok(Place { from: self.from(), imported, has_imported, required: row.try_get("required")? })
    }

    async fn is_there(&self, table: &str) -> Result<bool, Error> {
        let asked = Request::new(&IS_THERE.into()).with(table.to_owned(), Type::TEXT);
        Ok(first(&self.run(asked).await?)?.try_get("is_there")?)
    }

    /// Makes the table that remembers what was copied. Another process may do so at the same time: then one of the two
    /// fails, and the table is there.
    async fn remember_in(&self, imported: &str) -> Result<bool, Error> {
        match self.run(Request::new(&ddl(imported).into())).await {
            Err(error) if !error.sqlstate().is_some_and(|code| MADE_TWICE.contains(&code)) => {
                Err(error)
            }
            _ => Ok(true),
        }
    }

    fn from(&self) -> String {
        let table = quote_name(&self.import.table);
        match &self.import.schema {
            Some(schema) => format!("{}.{table}", quote_name(schema)),
            None => table,
        }
    }

    async fn run(&self, request: Request) -> Result<Vec<Row>, Error> {
        self.connection.run(&request, self.deadline).await
    }
}

fn first(rows: &[Row]) -> Result<&Row, Error> {
    rows.first().ok_or_else(|| Error::internal("import was not answered"))
}

/// Whether a value is to blame: it is none of its field's type, or breaks a rule of the table.
fn is_of_values(error: &Error) -> bool {
    error.sqlstate().is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
}

fn count(row: &Row, mapped: &[&FieldColumn], done: &mut Imported) -> Result<(), Error> {
    let number = |name| row.try_get::<_, i64>(name).map(i64::unsigned_abs);
    done.copied += number("copied")?;
    done.known += number("known")?;
    done.expired += number("expired")?;
    let lacking: Vec<i64> = row.try_get("lacking")?;
    for (column, count) in mapped.iter().zip(lacking) {
        note(done, format!("no value for {}", column.asked), count.unsigned_abs());
    }
    Ok(())
}

fn note(done: &mut Imported, reason: String, count: u64) {
    match done.unmapped.iter_mut().find(|(known, _)| *known == reason) {
        Some((_, sum)) => *sum += count,
        None if count > 0 => done.unmapped.push((reason, count)),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_imported_id_depends_on_the_secret_and_looks_neither_plain_nor_hashed() {
        let id = |secret: &str| imported_id(&Secret(secret.to_owned()), "sid").as_uuid();

        assert_eq!(id("one"), id("one"));
        assert_ne!(id("one"), id("two"));
        assert_eq!(id("one").get_version_num(), 5);
    }
}
