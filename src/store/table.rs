//! The store's table: found as connect-pg-simple made it, or made like it. Only what the statements need is looked at:
//! that library does not look at all, and what works there has to work here.

use tokio::time::Instant;
use tokio_postgres::types::Type;

use crate::error::Error;
use crate::fields::check_name;
use crate::options::Options;
use crate::pool::{Connection, Request};
use crate::table::SET_UP_LOCK;
use crate::text::quote_name;

/// The table as the statements need it.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// Quoted, with its schema if one was given.
    pub(crate) sql_name: String,
    /// The type of `sid` unless it is text.
    key_type: Option<String>,
    /// What `sess` is.
    pub(crate) data: Data,
}

/// How the data is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Data {
    /// As connect-pg-simple makes it.
    Json,
    /// A table that was changed.
    Jsonb,
    /// Text of any kind that holds JSON.
    Text,
}

impl Data {
    /// The type that JSON text is cast to.
    pub(crate) fn cast(self) -> &'static str {
        match self {
            Data::Json => "json",
            Data::Jsonb => "jsonb",
            Data::Text => "text",
        }
    }

    /// The column, where it is looked into.
    pub(crate) fn column(self) -> &'static str {
        match self {
            Data::Json | Data::Jsonb => "sess",
            Data::Text => "sess::json",
        }
    }

    /// What tells the type of a value in it.
    pub(crate) fn type_of(self) -> &'static str {
        match self {
            Data::Jsonb => "jsonb_typeof",
            Data::Json | Data::Text => "json_typeof",
        }
    }
}

impl Table {
    /// Turns a key into what the column compares with.
    pub(crate) fn key_cast(&self) -> String {
        self.key_type.as_ref().map(|name| format!("::{name}")).unwrap_or_default()
    }

    /// The same for an array of keys.
    pub(crate) fn key_array_cast(&self) -> String {
        self.key_type.as_ref().map(|name| format!("::{name}[]")).unwrap_or_default()
    }
}

/// Finds the table, or makes it.
pub(crate) async fn set_up(
    connection: &Connection,
    options: &Options,
    deadline: Instant,
) -> Result<Table, Error> {
    check_name("tableName", &options.table_name)?;
    if let Some(schema) = &options.schema_name {
        check_name("schemaName", schema)?;
    }
    let set_up = SetUp { connection, name: sql_name(options), deadline };
    if let Some(table) = set_up.look().await? {
        return Ok(table);
    }
    if options.create_table {
        return set_up.create().await;
    }
    // The server's own words for a table that is not there.
    let sql = format!("SELECT sid, sess, expire FROM {} LIMIT 0", set_up.name);
    connection.execute(&sql, deadline).await?;
    Err(Error::table(format!("{} exists but is not a table of sessions", set_up.name)))
}

fn sql_name(options: &Options) -> String {
    let table = quote_name(&options.table_name);
    match &options.schema_name {
        Some(schema) => format!("{}.{table}", quote_name(schema)),
        None => table,
    }
}

struct SetUp<'a> {
    connection: &'a Connection,
    name: String,
    deadline: Instant,
}

impl SetUp<'_> {
    /// `None`: there is no such table, or it lacks one of the three columns.
    async fn look(&self) -> Result<Option<Table>, Error> {
        let request = Request::new(&LOOK.into()).with(self.name.clone(), Type::TEXT);
        let rows = self.connection.run(&request, self.deadline).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (key, data): (u32, u32) = (row.try_get("key")?, row.try_get("data")?);
        let is_text = |oid| [Type::TEXT, Type::VARCHAR].iter().any(|ty| ty.oid() == oid);
        let key_type: String = row.try_get("key_type")?;
        Ok(Some(Table {
            sql_name: self.name.clone(),
            key_type: (!is_text(key)).then_some(key_type),
            data: match data {
                oid if oid == Type::JSON.oid() => Data::Json,
                oid if oid == Type::JSONB.oid() => Data::Jsonb,
                _ => Data::Text,
            },
        }))
    }

    /// Any number of processes may start at once: whoever comes second finds the table under the lock.
    async fn create(&self) -> Result<Table, Error> {
        let run = |sql: String| async move { self.connection.execute(&sql, self.deadline).await };
        // Anything but a commit closes the connection, and with it the transaction.
        self.connection.hold();
        run("BEGIN ISOLATION LEVEL READ COMMITTED".to_owned()).await?;
        run(format!("SELECT pg_advisory_xact_lock({SET_UP_LOCK})")).await?;
        if self.look().await?.is_none() {
            // No names for the key and the index: the server finds some that are free, also for a second table.
            run(format!(
                "CREATE TABLE {} (sid varchar NOT NULL PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)",
                self.name
            ))
            .await?;
            run(format!("CREATE INDEX ON {} (expire)", self.name)).await?;
        }
        let table = self.look().await?;
        run("COMMIT".to_owned()).await?;
        self.connection.release();
        table.ok_or_else(|| Error::internal("the table is not there after it was made"))
    }
}

/// Without the types' modifiers: a cast must not cut a key.
const LOOK: &str = "
SELECT key.atttypid AS key, format_type(key.atttypid, -1) AS key_type, data.atttypid AS data
FROM pg_attribute key
JOIN pg_attribute data ON data.attrelid = key.attrelid AND data.attname = 'sess' AND NOT data.attisdropped
JOIN pg_attribute expire ON expire.attrelid = key.attrelid AND expire.attname = 'expire' AND NOT expire.attisdropped
WHERE key.attrelid = to_regclass($1) AND key.attname = 'sid' AND NOT key.attisdropped";
