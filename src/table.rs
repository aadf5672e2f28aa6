//! The table: created, adopted, verified. Existing rows are never touched.
//!
//! Looking comes first and needs no lock; only if something is missing does a transaction take the advisory lock,
//! look again and send DDL. So any number of processes may start at once, and a role without the right to create
//! can use a table that is complete.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::types::Type;

use crate::companion;
use crate::error::Error;
use crate::fields::{Field, SESSION_COLUMNS, check_name};
use crate::ids::Ids;
use crate::options::Options;
use crate::pool::{Connection, Request};
use crate::text::{has_simple_output, quote_name};

/// Key of the advisory lock under which tables are set up: "pg-sess" in ASCII.
pub(crate) const SET_UP_LOCK: i64 = 0x0070_672d_7365_7373;

/// The table as the statements need it.
#[derive(Clone, Debug)]
pub struct Table {
    /// Schema-qualified and quoted.
    pub(crate) sql_name: String,
    pub(crate) clocks: Clocks,
    /// The table that remembers replaced ids, as SQL, if there is one.
    pub(crate) companion: Option<String>,
    /// What its ids look like.
    pub(crate) ids: Ids,
    /// No session lives longer than this, counted from its creation.
    pub(crate) absolute_length: Option<Duration>,
    /// In the caller's order.
    pub(crate) columns: Vec<FieldColumn>,
    /// Differences that do no harm, in words.
    pub(crate) notes: Vec<String>,
    pub(crate) limit: Option<SessionLimit>,
    /// Such as 150004 for 15.4.
    pub(crate) server_version: i32,
    /// Whether PostgreSQL itself knows that ids are unique. Of rows on other servers it cannot.
    pub(crate) has_key: bool,
    /// Whether some of its rows are on other servers.
    pub(crate) is_foreign: bool,
}

/// How many live sessions there may be with the same value of a field.
#[derive(Clone, Debug)]
pub(crate) struct SessionLimit {
    /// The field's place among the columns.
    pub(crate) place: usize,
    /// Its column's type, with its modifier: what a value becomes in the table.
    pub(crate) type_name: String,
    pub(crate) limit: u32,
}

impl Table {
    /// Whether a row may get another id.
    pub(crate) fn may_move(&self) -> bool {
        self.companion.is_some() || self.ids == Ids::Hashed
    }

    /// The types of its columns behind the id.
    pub(crate) fn types(&self) -> Vec<u32> {
        let fields = self.columns.iter().map(|column| column.oid);
        self.clocks.types().into_iter().chain(fields).collect()
    }

    /// The same in a row, as this crate asks for it.
    pub(crate) fn row_types(&self) -> Vec<u32> {
        let fields = self.columns.iter().map(|column| match has_simple_output(column.oid) {
            true => column.oid,
            false => Type::TEXT.oid(),
        });
        self.clocks.types().into_iter().chain(fields).collect()
    }
}

/// A field's column.
#[derive(Clone, Debug)]
pub(crate) struct FieldColumn {
    /// The name as the caller wrote it.
    pub(crate) asked: String,
    /// The name in the table.
    pub(crate) name: String,
    /// The type's OID as it goes over the wire: of a domain, its base type's.
    pub(crate) oid: u32,
    /// The type without modifier; of a domain, its base type. A cast to it never cuts a value; the assignment to the
    /// column then checks its length, as it does for a parameter.
    pub(crate) cast: String,
    /// Whether its values are arrays.
    pub(crate) is_array: bool,
}

/// For each of the three times whether its column is a timestamptz.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    pub(crate) creation_is_tz: bool,
    pub(crate) updated_is_tz: bool,
    pub(crate) expiration_is_tz: bool,
}

impl Clocks {
    /// The OIDs of their types, in the table's order.
    pub(crate) fn types(self) -> [u32; 3] {
        let oid = |is_tz: bool| if is_tz { Type::TIMESTAMPTZ.oid() } else { Type::TIMESTAMP.oid() };
        [self.creation_is_tz, self.updated_is_tz, self.expiration_is_tz].map(oid)
    }
}

/// What the catalogue says of the table.
struct Found {
    schema: String,
    name: String,
    kind: String,
    columns: HashMap<String, FoundColumn>,
    has_key: bool,
    /// Whether rows of it, all or some, are on other servers.
    is_foreign: bool,
    /// Columns that an index begins with.
    indexed: Vec<String>,
    server_version: i32,
}

struct FoundColumn {
    type_oid: u32,
    modifier: i32,
    type_name: String,
    base_oid: u32,
    base_name: String,
    is_array: bool,
    must_be_given: bool,
}

/// What the catalogue says of the table that remembers replaced ids.
struct FoundCompanion {
    sql_name: String,
    exists: bool,
    fits: bool,
    /// Whether this role may read and change its rows.
    may_use: bool,
    /// Whether this role could make it here.
    may_create: bool,
}

/// The type that a field asks for.
struct Wanted {
    type_oid: u32,
    type_name: String,
    modifier: Option<i32>,
}

/// Makes sure that there is a table that fits.
pub(crate) async fn set_up(
    connection: &Connection,
    fields: &[Field],
    options: &Options,
    deadline: Instant,
) -> Result<Table, Error> {
    check_names(options)?;
    let set_up = SetUp { connection: Some(connection), fields, options, deadline };
    set_up.limited_place()?;
    set_up.check_schema().await?;
    let found = set_up.look().await?;
    if let Some(found) = &found {
        // Before anything is added to what is no table of sessions.
        set_up.verify_session_columns(found)?;
    }
    // Where nothing may be made, a missing index is only told of.
    let lacks_index = options.create_table && set_up.missing_index(found.as_ref()).is_some();
    if lacks_index || !set_up.missing(found.as_ref()).is_empty() {
        if !options.create_table {
            return Err(set_up.incomplete(found.as_ref()));
        }
        return set_up.create().await;
    }
    let companion = set_up.look_for_companion(found.as_ref()).await?;
    if set_up.lacks(&companion)? {
        return set_up.create().await;
    }
    set_up.verify(found, companion).await
}

/// The table with the types that its columns have now, which a note tells. `None`: those that they had.
pub(crate) async fn look_again(
    connection: &Connection,
    table: &Table,
    deadline: Instant,
) -> Result<Option<Table>, Error> {
    let request = Request::new(&LOOK_COLUMNS.into()).with(table.sql_name.clone(), Type::TEXT);
    let rows = connection.run(&request, deadline).await?;
    let found: HashMap<String, FoundColumn> =
        rows.iter().map(read_column).collect::<Result<_, Error>>()?;
    let mut now = table.clone();
    now.notes.clear();
    for (place, column) in now.columns.iter_mut().enumerate() {
        let Some(found) = found.get(&column.name).filter(|found| found.base_oid != column.oid)
        else {
            continue;
        };
        now.notes.push(format!(
            "column {:?} of table {} was {} and is {} now, as which it is read from here on; change it in the fields, \
             too, before the next start",
            column.name, table.sql_name, column.cast, found.type_name
        ));
        column.oid = found.base_oid;
        column.cast.clone_from(&found.base_name);
        column.is_array = found.is_array;
        if let Some(limit) = now.limit.as_mut().filter(|limit| limit.place == place) {
            limit.type_name.clone_from(&found.type_name);
        }
    }
    let [_, creation, updated, expiration] = SESSION_COLUMNS;
    let is_tz = |name: &str| {
        found.get(name).is_some_and(|column| column.base_oid == Type::TIMESTAMPTZ.oid())
    };
    now.clocks = Clocks {
        creation_is_tz: is_tz(creation),
        updated_is_tz: is_tz(updated),
        expiration_is_tz: is_tz(expiration),
    };
    Ok((now.types() != table.types()).then_some(now))
}

/// The statements that make the table where there is none.
pub(crate) fn statements(fields: &[Field], options: &Options) -> Result<Vec<String>, Error> {
    check_names(options)?;
    let set_up = SetUp { connection: None, fields, options, deadline: Instant::now() };
    set_up.limited_place()?;
    Ok([set_up.ddl(None), set_up.companion_ddl()].concat())
}

fn check_names(options: &Options) -> Result<(), Error> {
    check_name("tableName", &options.table_name)?;
    match &options.schema_name {
        Some(schema) => check_name("schemaName", schema),
        None => Ok(()),
    }
}

struct SetUp<'a> {
    /// `None`: the statements are only written.
    connection: Option<&'a Connection>,
    fields: &'a [Field],
    options: &'a Options,
    deadline: Instant,
}

impl SetUp<'_> {
    fn asked_name(&self) -> String {
        let table = quote_name(&self.options.table_name);
        match &self.options.schema_name {
            Some(schema) => format!("{}.{table}", quote_name(schema)),
            None => table,
        }
    }

    async fn query(
        &self,
        sql: &str,
        text: Option<String>,
    ) -> Result<Vec<tokio_postgres::Row>, Error> {
        let mut request = Request::new(&sql.into());
        if let Some(text) = text {
            request = request.with(text, Type::TEXT);
        }
        self.connection()?.run(&request, self.deadline).await
    }

    fn connection(&self) -> Result<&Connection, Error> {
        self.connection.ok_or_else(|| Error::internal("a table is made without a connection"))
    }

    async fn check_schema(&self) -> Result<(), Error> {
        let Some(schema) = &self.options.schema_name else { return Ok(()) };
        let rows = self
            .query("SELECT 1 FROM pg_namespace WHERE nspname = $1", Some(schema.clone()))
            .await?;
        if rows.is_empty() {
            return Err(Error::table(format!("schemaName: schema {schema:?} does not exist")));
        }
        Ok(())
    }

    /// `None`: no such table.
    async fn look(&self) -> Result<Option<Found>, Error> {
        let rows = self.query(LOOK_TABLE, Some(self.asked_name())).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let columns = self.query(LOOK_COLUMNS, Some(self.asked_name())).await?;
        Ok(Some(Found {
            schema: row.try_get("schema")?,
            name: row.try_get("name")?,
            kind: row.try_get("kind")?,
            has_key: row.try_get("has_key")?,
            is_foreign: row.try_get("is_foreign")?,
            indexed: row.try_get("indexed")?,
            server_version: row.try_get("server_version")?,
            columns: columns.iter().map(read_column).collect::<Result<_, Error>>()?,
        }))
    }

    /// The column of a field: under its own name, or under the name as it was written (an adopted table may have
    /// been made with quotes).
    fn column_of<'f>(field: &Field, found: &'f Found) -> Option<(&'f String, &'f FoundColumn)> {
        found
            .columns
            .get_key_value(&field.column)
            .or_else(|| found.columns.get_key_value(&field.asked))
    }

    /// The fields without a column, or all of them if there is no table.
    fn missing(&self, found: Option<&Found>) -> Vec<String> {
        let Some(found) = found else {
            return SESSION_COLUMNS
                .iter()
                .map(|name| (*name).to_owned())
                .chain(self.fields.iter().map(|field| field.column.clone()))
                .collect();
        };
        self.fields
            .iter()
            .filter(|field| Self::column_of(field, found).is_none())
            .map(|field| field.column.clone())
            .collect()
    }

    fn incomplete(&self, found: Option<&Found>) -> Error {
        let name = self.asked_name();
        Error::table(match found {
            None => format!("table {name} does not exist, and createTable is false"),
            Some(_) => format!(
                "table {name} has no column {}, and createTable is false",
                quote_list(&self.missing(found))
            ),
        })
    }

    async fn create(&self) -> Result<Table, Error> {
        let connection = self.connection()?;
        let run = |sql: String| async move { connection.execute(&sql, self.deadline).await };
        // Only a commit ends this transaction well. After anything else, also a caller who loses interest, the
        // connection is closed, and with it the transaction.
        connection.hold();
        // Under the other levels, what somebody else committed while the lock was awaited would stay unseen.
        run("BEGIN ISOLATION LEVEL READ COMMITTED".to_owned()).await?;
        // A default with a backslash must mean the same whatever the role's settings are.
        run("SET LOCAL standard_conforming_strings = on".to_owned()).await?;
        run(format!("SELECT pg_advisory_xact_lock({SET_UP_LOCK})")).await?;
        for ddl in self.ddl(self.look().await?.as_ref()) {
            run(ddl).await?;
        }
        let found = self.look().await?;
        let mut companion = self.look_for_companion(found.as_ref()).await?;
        if self.lacks(&companion)? {
            for ddl in companion::ddl(&companion.sql_name) {
                run(ddl).await?;
            }
            companion = self.look_for_companion(found.as_ref()).await?;
        }
        let table = self.verify(found, companion).await?;
        run("COMMIT".to_owned()).await?;
        connection.release();
        Ok(table)
    }

    async fn look_for_companion(&self, found: Option<&Found>) -> Result<FoundCompanion, Error> {
        let found = found.ok_or_else(|| self.incomplete(None))?;
        let sql_name = companion::sql_name(Some(&found.schema), &found.name);
        let columns: Vec<String> = companion::COLUMNS
            .iter()
            .map(|(name, type_name)| format!("{name} {type_name}"))
            .collect();
        let request = Request::new(&LOOK_COMPANION.into())
            .with(sql_name.clone(), Type::TEXT)
            .with(found.schema.clone(), Type::TEXT)
            .with(columns, Type::TEXT_ARRAY);
        let rows = self.connection()?.run(&request, self.deadline).await?;
        let row = rows.first().ok_or_else(|| Error::internal("the catalogue gave no row"))?;
        Ok(FoundCompanion {
            sql_name,
            exists: row.try_get("is_there")?,
            fits: row.try_get("fits")?,
            may_use: row.try_get("may_use")?,
            may_create: row.try_get("may_create")?,
        })
    }

    /// Whether the companion is to be made. Where it is only wanted in case somebody calls `refresh`, a role that
    /// cannot make it goes without.
    fn lacks(&self, companion: &FoundCompanion) -> Result<bool, Error> {
        if companion.exists {
            return Ok(false);
        }
        if self.options.refresh_interval.is_none() {
            let is_wanted = self.options.remember_ids && self.options.create_table;
            return Ok(is_wanted && companion.may_create);
        }
        if self.options.create_table {
            return Ok(true);
        }
        Err(Error::table(format!(
            "table {} does not exist, and createTable is false; refreshInterval needs it",
            companion.sql_name
        )))
    }

    /// What makes the companion where there is no table yet.
    fn companion_ddl(&self) -> Vec<String> {
        if !self.options.remember_ids && self.options.refresh_interval.is_none() {
            return Vec::new();
        }
        let schema = self.options.schema_name.as_deref();
        companion::ddl(&companion::sql_name(schema, &self.options.table_name)).to_vec()
    }

    /// The companion, if it can be used.
    fn verify_companion(
        &self,
        companion: FoundCompanion,
        notes: &mut Vec<String>,
    ) -> Result<Option<String>, Error> {
        let FoundCompanion { sql_name, exists, fits, may_use, .. } = companion;
        if !exists {
            return Ok(None);
        }
        if !may_use {
            let message = format!(
                "this role may not use table {sql_name}, so it does not know of replaced ids: GRANT SELECT, INSERT, \
                 UPDATE, DELETE on it"
            );
            if self.options.refresh_interval.is_some() {
                return Err(Error::table(message));
            }
            notes.push(message);
            return Ok(None);
        }
        if !fits {
            let columns: Vec<String> =
                companion::COLUMNS.iter().map(|(name, ty)| format!("{name} {ty}")).collect();
            return Err(Error::table(format!(
                "table {sql_name} exists but does not fit; expected the columns {} and a unique index on old_id",
                columns.join(", ")
            )));
        }
        Ok(Some(sql_name))
    }

    /// What makes the table complete.
    fn ddl(&self, found: Option<&Found>) -> Vec<String> {
        // The server names the index after table and column, and cuts the name where it has to.
        let index = self.missing_index(found).map(|column| {
            format!("CREATE INDEX ON {} ({})", self.asked_name(), quote_name(&column))
        });
        self.columns_ddl(found).into_iter().chain(index).collect()
    }

    fn columns_ddl(&self, found: Option<&Found>) -> Option<String> {
        let definition =
            |field: &Field| format!("{} {}", quote_name(&field.column), field.definition);
        let Some(found) = found else {
            let [id, creation, updated, expiration] = SESSION_COLUMNS;
            let own = [
                format!("{id} uuid PRIMARY KEY"),
                format!("{creation} timestamp NOT NULL"),
                format!("{updated} timestamp NOT NULL"),
                format!("{expiration} timestamp NOT NULL"),
            ];
            let all: Vec<String> =
                own.into_iter().chain(self.fields.iter().map(definition)).collect();
            return Some(format!("CREATE TABLE {} ({})", self.asked_name(), all.join(", ")));
        };
        let added: Vec<String> = self
            .fields
            .iter()
            .filter(|field| Self::column_of(field, found).is_none())
            .map(|field| format!("ADD COLUMN {}", definition(field)))
            .collect();
        (!added.is_empty())
            .then(|| format!("ALTER TABLE {} {}", self.asked_name(), added.join(", ")))
    }

    /// The place of the field that `max_sessions` counts by.
    fn limited_place(&self) -> Result<Option<usize>, Error> {
        let Some(limit) = &self.options.max_sessions else { return Ok(None) };
        let folded = self.options.fold_names.then(|| limit.by.to_ascii_lowercase());
        let is_it = |field: &Field| {
            field.asked == limit.by
                || field.column == limit.by
                || folded.as_deref() == Some(field.column.as_str())
        };
        let place = self.fields.iter().position(is_it).ok_or_else(|| {
            let known: Vec<String> = self.fields.iter().map(|field| field.asked.clone()).collect();
            Error::argument(format!(
                "maxSessions.by: unknown field {:?}; the fields are {}",
                limit.by,
                quote_list(&known)
            ))
        })?;
        Ok(Some(place))
    }

    /// The column that an index is asked for and that none begins with.
    fn missing_index(&self, found: Option<&Found>) -> Option<String> {
        let field = self.fields.get(self.limited_place().ok()??)?;
        self.options.max_sessions.as_ref().filter(|limit| limit.index)?;
        let Some(found) = found else { return Some(field.column.clone()) };
        let column = Self::column_of(field, found).map_or(&field.column, |(name, _)| name);
        // A foreign table's indexes are elsewhere.
        (!found.is_foreign && !found.indexed.contains(column)).then(|| column.clone())
    }

    async fn limit(
        &self,
        found: &Found,
        columns: &[FieldColumn],
    ) -> Result<Option<SessionLimit>, Error> {
        let (Some(limit), Some(place)) = (&self.options.max_sessions, self.limited_place()?) else {
            return Ok(None);
        };
        let column = columns.get(place).and_then(|column| found.columns.get(&column.name));
        let column = column.ok_or_else(|| Error::internal("maxSessions.by has no column"))?;
        let ty = &column.type_name;
        let probe = format!(
            "SELECT hash_array(ARRAY[v]), row_number() OVER (PARTITION BY v) FROM (SELECT NULL::{ty} AS v) AS probe"
        );
        match self.query(&probe, None).await {
            Ok(_) => Ok(Some(SessionLimit { place, type_name: ty.clone(), limit: limit.limit })),
            // There is no such function or operator.
            Err(error) if error.sqlstate() == Some("42883") => Err(Error::table(format!(
                "maxSessions.by: column {:?} is {ty}, whose values PostgreSQL cannot compare",
                limit.by
            ))),
            Err(error) => Err(error),
        }
    }

    async fn verify(
        &self,
        found: Option<Found>,
        companion: FoundCompanion,
    ) -> Result<Table, Error> {
        let found = found.ok_or_else(|| self.incomplete(None))?;
        let name = self.asked_name();
        let clocks = self.verify_session_columns(&found)?;
        let mut columns = Vec::with_capacity(self.fields.len());
        let mut notes = Vec::new();
        let wanted = self.wanted_types().await?;
        for (field, wanted) in self.fields.iter().zip(wanted) {
            let Some((column_name, column)) = Self::column_of(field, &found) else {
                return Err(Error::table(format!("table {name} has no column {:?}", field.column)));
            };
            if wanted.type_oid != column.type_oid {
                return Err(Error::table(format!(
                    "column {column_name:?} is {} in table {name} but {} in the fields; change one of them",
                    column.type_name, wanted.type_name
                )));
            }
            if wanted.modifier.is_some_and(|modifier| modifier != column.modifier) {
                notes.push(format!(
                    "column {column_name:?} is {} in table {name} but {} in the fields; the table's stands",
                    column.type_name, field.type_sql
                ));
            }
            columns.push(FieldColumn {
                asked: field.asked.clone(),
                name: column_name.clone(),
                oid: column.base_oid,
                cast: column.base_name.clone(),
                is_array: column.is_array,
            });
        }
        if !self.options.only_maintains {
            self.refuse_columns_we_cannot_fill(&found, &columns)?;
        }
        let limit = self.limit(&found, &columns).await?;
        if let Some(column) = self.missing_index(Some(&found)) {
            notes.push(format!(
                "no index of table {name} begins with {column:?}, which maxSessions asks for; \
                 without one, each create reads the whole table"
            ));
        }
        let sql_name = format!("{}.{}", quote_name(&found.schema), quote_name(&found.name));
        let companion = self.verify_companion(companion, &mut notes)?;
        Ok(Table {
            sql_name,
            clocks,
            companion,
            ids: Ids::new(self.options.hash_ids),
            absolute_length: self.options.absolute_length,
            columns,
            notes,
            limit,
            server_version: found.server_version,
            has_key: found.has_key,
            is_foreign: found.is_foreign,
        })
    }

    fn verify_session_columns(&self, found: &Found) -> Result<Clocks, Error> {
        let name = self.asked_name();
        if !matches!(found.kind.as_str(), "r" | "p" | "f") {
            return Err(Error::table(format!("{name} exists but is not a table")));
        }
        let type_of = |column: &str, allowed: &[Type], expected: &str| {
            let Some(found) = found.columns.get(column) else {
                return Err(Error::table(format!(
                    "table {name} exists but has no column {column:?}; expected {expected}"
                )));
            };
            allowed.iter().find(|ty| ty.oid() == found.base_oid).cloned().ok_or_else(|| {
                Error::table(format!(
                    "column {column:?} is {} in table {name}; expected {expected}",
                    found.type_name
                ))
            })
        };
        let [id, creation, updated, expiration] = SESSION_COLUMNS;
        type_of(id, &[Type::UUID], "uuid")?;
        let is_tz = |column| {
            type_of(column, &[Type::TIMESTAMP, Type::TIMESTAMPTZ], "timestamp")
                .map(|ty| ty == Type::TIMESTAMPTZ)
        };
        let clocks = Clocks {
            creation_is_tz: is_tz(creation)?,
            updated_is_tz: is_tz(updated)?,
            expiration_is_tz: is_tz(expiration)?,
        };
        if !found.has_key && !found.is_foreign {
            return Err(Error::table(format!(
                "table {name} has neither a primary key nor a unique index on {id:?} alone; add one"
            )));
        }
        Ok(clocks)
    }

    fn refuse_columns_we_cannot_fill(
        &self,
        found: &Found,
        columns: &[FieldColumn],
    ) -> Result<(), Error> {
        let is_ours = |name: &String| {
            SESSION_COLUMNS.contains(&name.as_str()) || columns.iter().any(|own| own.name == *name)
        };
        let mut others: Vec<String> = found
            .columns
            .iter()
            .filter(|(name, column)| column.must_be_given && !is_ours(name))
            .map(|(name, _)| name.clone())
            .collect();
        if others.is_empty() {
            return Ok(());
        }
        others.sort();
        Err(Error::table(format!(
            "table {} has a column that is NOT NULL without DEFAULT and not among the fields: {}; \
             add it to the fields or give it a DEFAULT",
            self.asked_name(),
            quote_list(&others)
        )))
    }

    /// The types that the fields ask for, as the server knows them.
    async fn wanted_types(&self) -> Result<Vec<Wanted>, Error> {
        let mut wanted = Vec::with_capacity(self.fields.len());
        for field in self.fields {
            let rows = self.query(LOOK_TYPE, Some(field.type_sql.clone())).await?;
            let unknown = || {
                Error::argument(format!(
                    "datatype of field {:?}: the server knows no type {:?}",
                    field.asked, field.type_sql
                ))
            };
            let row = rows.first().ok_or_else(unknown)?;
            let type_oid: Option<u32> = row.try_get("oid")?;
            wanted.push(Wanted {
                type_oid: type_oid.ok_or_else(unknown)?,
                type_name: row.try_get("name")?,
                modifier: self.wanted_modifier(field).await?,
            });
        }
        Ok(wanted)
    }

    /// The modifier as the server encodes it: it stands in the description of a result of that type.
    async fn wanted_modifier(&self, field: &Field) -> Result<Option<i32>, Error> {
        if !field.has_modifier {
            return Ok(None);
        }
        let rows = self.query(&format!("SELECT NULL::{}", field.type_sql), None).await?;
        Ok(rows.first().and_then(|row| row.columns().first()).map(|column| column.type_modifier()))
    }
}

fn read_column(row: &tokio_postgres::Row) -> Result<(String, FoundColumn), Error> {
    let column = FoundColumn {
        type_oid: row.try_get("type_oid")?,
        modifier: row.try_get("modifier")?,
        type_name: row.try_get("type_name")?,
        base_oid: row.try_get("base_oid")?,
        base_name: row.try_get("base_name")?,
        is_array: row.try_get("is_array")?,
        must_be_given: row.try_get("must_be_given")?,
    };
    Ok((row.try_get("name")?, column))
}

fn quote_list(names: &[String]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}

/// An index serves ON CONFLICT (sess_id) if it is unique, at once, on that column alone and on all rows.
const LOOK_TABLE: &str = "
SELECT n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS kind,
       EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
               WHERE i.indrelid = c.oid AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL
                 AND i.indnkeyatts = 1 AND a.attname = 'sess_id') AS has_key,
       c.relkind = 'f' OR EXISTS (SELECT FROM pg_inherits h JOIN pg_class p ON p.oid = h.inhrelid
                                  WHERE h.inhparent = c.oid AND p.relkind = 'f') AS is_foreign,
       ARRAY(SELECT a.attname::text FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
             WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL) AS indexed,
       current_setting('server_version_num')::int AS server_version
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = to_regclass($1)";

/// Of a domain, its base type is followed to the end. `format_type(…, -1)` spells a type so that a cast to it has no
/// modifier: a bare `bit` or `char` would mean a length of one.
const LOOK_COLUMNS: &str = "
WITH RECURSIVE base (attnum, oid, next) AS (
  SELECT a.attnum, t.oid, t.typbasetype FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
  WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT base.attnum, t.oid, t.typbasetype FROM base JOIN pg_type t ON t.oid = base.next WHERE base.next <> 0)
SELECT a.attname::text AS name, a.atttypid AS type_oid, a.atttypmod AS modifier,
       format_type(a.atttypid, a.atttypmod) AS type_name,
       base.oid AS base_oid, format_type(base.oid, -1) AS base_name,
       (SELECT typcategory = 'A' FROM pg_type WHERE oid = base.oid) AS is_array,
       a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AS must_be_given
FROM pg_attribute a JOIN base ON base.attnum = a.attnum AND base.next = 0
WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped";

/// `$1`: its name as SQL, `$2`: its schema, `$3`: its columns, each with its type behind it.
const LOOK_COMPANION: &str = "
SELECT c.oid IS NOT NULL AS is_there,
       has_schema_privilege($2::text, 'CREATE') AND NOT current_setting('transaction_read_only')::bool AS may_create,
       coalesce(has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
                AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE'), false) AS may_use,
       (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT a.attisdropped
          AND a.attname || ' ' || format_type(a.atttypid, NULL) = ANY($3::text[])) = cardinality($3::text[])
       AND EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
                   WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
                     AND i.indnkeyatts = 1 AND a.attname = 'old_id') AS fits
FROM (SELECT to_regclass($1::text) AS oid) AS c";

const LOOK_TYPE: &str =
    "SELECT to_regtype($1)::oid AS oid, format_type(to_regtype($1), NULL) AS name";
