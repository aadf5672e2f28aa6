//! prune: removes the rows of expired sessions, in pieces.
//!
//! Expired rows are found by going through the table's blocks, and not by an index: one on `sess_expiration` would make
//! each extend write it anew (its update would no longer be "heap-only"), and a walk along the ids would meet the
//! blocks in random order. A range of blocks is a condition on `ctid`. In a partitioned table it holds for each
//! partition, so one walk goes through all of them side by side. PostgreSQL 14 and newer read such a range directly;
//! for older ones the places in it are listed.
//!
//! Only one process prunes at a time: each piece tries to take an advisory lock until its transaction ends. A session's
//! lock, held from piece to piece, would be lost behind a transaction pooler. Rows that somebody holds are skipped: no
//! piece ever waits. Nor for the disk: whatever a crash brings back is removed again.

use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::columns::is_live;
use super::removal::{removal, with};
use super::{Answer, Operation, Sql};
use crate::advisory::{Purpose, key};
use crate::companion::forget_sql;
use crate::error::Error;
use crate::pool::{Access, Request};
use crate::table::Table;

/// The first version that reads a range of blocks.
const READS_RANGES: i32 = 140_000;
/// A row takes at least this many bytes of its block.
const SHORTEST_ROW: u32 = 28;

/// Some blocks of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    /// The first.
    pub(crate) block: i64,
    /// How many.
    pub(crate) blocks: i64,
    /// How many rows at most.
    pub(crate) rows: i64,
}

/// What came of a piece.
pub(crate) struct Pruned {
    /// Whether it was our turn; if not, nothing was done.
    pub(crate) was_our_turn: bool,
    /// How many expired rows it saw.
    pub(crate) found: i64,
    /// How many it removed.
    pub(crate) gone: i64,
    /// How long the server was at it. The way there and back is no work, and says nothing about the next piece.
    pub(crate) took: Duration,
}

pub(crate) struct Prune {
    sql: Sql,
}

impl Prune {
    pub(crate) fn new(table: &Table) -> Self {
        Self { sql: sql(table).into() }
    }

    pub(crate) fn pruned(rows: &[Row]) -> Result<Pruned, Error> {
        let row = rows.first().ok_or_else(|| Error::internal("prune was not answered"))?;
        let microseconds: i64 = row.try_get("took")?;
        Ok(Pruned {
            was_our_turn: row.try_get("mine")?,
            found: row.try_get("found")?,
            gone: row.try_get("gone")?,
            took: Duration::from_micros(u64::try_from(microseconds).unwrap_or(0)),
        })
    }
}

impl Operation for Prune {
    type Call = Piece;

    fn set(&self, calls: &[Piece]) -> Request {
        let request = Request::new(&self.sql);
        let Some(piece) = calls.first() else { return request };
        [piece.block, piece.block + piece.blocks, piece.rows]
            .into_iter()
            .fold(request, |request, number| request.with(number, Type::INT8))
    }

    fn read(&self, _: &[Row], calls: &[Piece]) -> Vec<Option<Answer>> {
        calls.iter().map(|_| Some(Answer::Rows)).collect()
    }
}

/// How many blocks the table has; of a partitioned one, its largest partition.
pub(crate) struct CountBlocks {
    sql: Sql,
}

impl CountBlocks {
    pub(crate) fn new(table: &Table) -> Self {
        Self {
            sql: format!(
                "WITH RECURSIVE {} \
                 SELECT coalesce(max(pg_relation_size(c.oid) / current_setting('block_size')::bigint), 0) AS blocks \
                 FROM part JOIN pg_class c ON c.oid = part.oid WHERE c.relkind = 'r'",
                all_parts(table)
            )
            .into(),
        }
    }

    pub(crate) fn blocks(rows: &[Row]) -> Result<i64, Error> {
        let row = rows.first().ok_or_else(|| Error::internal("the table's size was not told"))?;
        Ok(row.try_get("blocks")?)
    }
}

impl Operation for CountBlocks {
    type Call = ();

    fn access(&self, _: &[()]) -> Access {
        Access::Read
    }

    fn set(&self, _: &[()]) -> Request {
        Request::new(&self.sql)
    }

    fn read(&self, _: &[Row], calls: &[()]) -> Vec<Option<Answer>> {
        calls.iter().map(|()| Some(Answer::Rows)).collect()
    }
}

/// Notes of replaced ids that are looked at together.
const NOTES: i64 = 2_000;

/// Forgets the ids that were replaced and no longer work; a call is the last id that was looked at.
pub(crate) struct Forget {
    sql: Sql,
}

impl Forget {
    /// `None`: no id was ever replaced.
    pub(crate) fn new(table: &Table) -> Option<Self> {
        let companion = table.companion.as_deref()?;
        Some(Self { sql: forget_sql(companion, &table.sql_name).into() })
    }

    /// Where the next piece begins, if there is one.
    pub(crate) fn next(rows: &[Row]) -> Result<Option<Uuid>, Error> {
        let row = rows.first().ok_or_else(|| Error::internal("prune was not answered"))?;
        let last: Option<Uuid> = row.try_get("last")?;
        let is_full: bool = row.try_get("is_full")?;
        Ok(last.filter(|_| is_full))
    }
}

impl Operation for Forget {
    type Call = Uuid;

    fn set(&self, calls: &[Uuid]) -> Request {
        let after = calls.first().copied().unwrap_or_default();
        Request::new(&self.sql).with(after, Type::UUID).with(NOTES, Type::INT8)
    }

    fn read(&self, _: &[Row], calls: &[Uuid]) -> Vec<Option<Answer>> {
        calls.iter().map(|_| Some(Answer::Rows)).collect()
    }
}

/// The CTE `part (oid)`: the table and its partitions.
pub(super) fn all_parts(table: &Table) -> String {
    // The name is the text of a literal here.
    let name = table.sql_name.replace('\'', "''").replace('\\', "\\\\");
    format!(
        "part (oid) AS (SELECT to_regclass(E'{name}')::oid UNION \
         SELECT inhrelid FROM pg_inherits JOIN part ON inhparent = part.oid)"
    )
}

fn sql(table: &Table) -> String {
    let range = if table.server_version >= READS_RANGES {
        "s.ctid >= format('(%s,0)', $1::bigint)::tid AND s.ctid < format('(%s,0)', $2::bigint)::tid"
            .to_owned()
    } else {
        format!(
            "s.ctid = ANY(ARRAY(SELECT format('(%s,%s)', block, item)::tid \
             FROM generate_series($1::bigint, $2::bigint - 1) AS block, \
             generate_series(1, current_setting('block_size')::int / {SHORTEST_ROW}) AS item))"
        )
    };
    format!(
        "{with} turn AS MATERIALIZED (SELECT pg_try_advisory_xact_lock({key}, 0) AS mine, \
         set_config('synchronous_commit', 'off', true)), \
         found AS MATERIALIZED (SELECT s.sess_id FROM {name} AS s \
         WHERE (SELECT mine FROM turn) AND {range} AND NOT ({is_live}) LIMIT $3::bigint), \
         locked AS MATERIALIZED (SELECT s.sess_id FROM {name} AS s \
         WHERE s.sess_id = ANY(ARRAY(SELECT sess_id FROM found)) AND NOT ({is_live}) \
         ORDER BY s.sess_id FOR UPDATE SKIP LOCKED), {removal} \
         SELECT mine, found, gone, \
         (extract(epoch FROM clock_timestamp() - statement_timestamp()) * 1000000)::bigint AS took \
         FROM (SELECT (SELECT mine FROM turn) AS mine, (SELECT count(*) FROM found) AS found, \
         (SELECT count(*) FROM gone) AS gone OFFSET 0) AS done",
        key = key(Purpose::Prune, &table.sql_name),
        name = table.sql_name,
        is_live = is_live(table),
        with = with(table),
        removal = removal(table),
    )
}
