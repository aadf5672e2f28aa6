//! destroyAll: removes many sessions in pieces, so that no transaction is long.
//!
//! A piece looks at up to [`PIECE`] sessions in the order of their ids, takes the locks that nobody else holds and
//! removes those rows. It says how many it saw and how many it removed: where these differ, somebody was at work on a
//! session, and whoever goes through the pieces comes back for it. So no piece waits for a lock, and none can be part
//! of a deadlock; and a session whose row changed between the look and the lock is not missed.

use std::sync::Arc;

use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::removal::removal;
use super::search::Search;
use super::{Answer, Operation};
use crate::error::Error;
use crate::pool::Request;
use crate::table::Table;

/// Sessions in a piece.
const PIECE: i64 = 1_000;

/// A part of the sessions that a search means.
#[derive(Clone)]
pub(crate) struct Piece {
    pub(crate) search: Arc<Search>,
    /// Only those behind this id.
    pub(crate) after: Option<Uuid>,
}

/// What came of a piece.
pub(crate) struct Removed {
    /// How many were removed.
    pub(crate) gone: u64,
    /// Somebody else was at work on some.
    pub(crate) has_left_some: bool,
    /// Where the next piece begins, if there is one.
    pub(crate) next: Option<Uuid>,
}

pub(crate) struct DestroyAll {
    table: Table,
}

impl DestroyAll {
    pub(crate) fn new(table: &Table) -> Self {
        Self { table: table.clone() }
    }

    fn sql(&self, piece: &Piece) -> String {
        // $1 is how many, $2 where the piece begins.
        let (after, first) = match piece.after {
            Some(_) => ("s.sess_id > $2::uuid AND ", 3),
            None => ("", 2),
        };
        self.statement(
            &piece.search.sql(&self.table, first),
            after,
            "LIMIT $1::bigint",
            " SKIP LOCKED",
        )
    }

    /// The form that waits for locked rows and takes all at once, for a connection of the caller.
    pub(crate) fn alone_sql(&self, search: &Search) -> String {
        self.statement(&search.sql(&self.table, 1), "", "", "")
    }

    fn statement(&self, search: &str, after: &str, limit: &str, wait: &str) -> String {
        format!(
            "WITH found AS MATERIALIZED (SELECT s.sess_id FROM {name} AS s WHERE {after}{search} \
             ORDER BY s.sess_id {limit}), \
             locked AS MATERIALIZED (SELECT s.sess_id FROM {name} AS s \
             WHERE s.sess_id = ANY(ARRAY(SELECT sess_id FROM found)) AND {search} \
             ORDER BY s.sess_id FOR UPDATE{wait}), {removal} \
             SELECT (SELECT count(*) FROM found) AS found, (SELECT count(*) FROM gone) AS gone, \
             (SELECT sess_id FROM found ORDER BY sess_id DESC LIMIT 1) AS last",
            name = self.table.sql_name,
            removal = removal(&self.table),
        )
    }

    /// What the answer to a piece says.
    pub(crate) fn removed(rows: &[Row]) -> Result<Removed, Error> {
        let row = rows.first().ok_or_else(|| Error::internal("destroyAll was not answered"))?;
        let (found, gone): (i64, i64) = (row.try_get("found")?, row.try_get("gone")?);
        let last: Option<Uuid> = row.try_get("last")?;
        Ok(Removed {
            gone: gone.unsigned_abs(),
            has_left_some: gone < found,
            next: last.filter(|_| found >= PIECE),
        })
    }
}

impl Operation for DestroyAll {
    type Call = Piece;

    fn set(&self, calls: &[Piece]) -> Request {
        let Some(piece) = calls.first() else { return Request::new(&"SELECT".into()) };
        let request = Request::new(&self.sql(piece).into()).with(PIECE, Type::INT8);
        let request = match piece.after {
            Some(after) => request.with(after, Type::UUID),
            None => request,
        };
        piece.search.bind(request)
    }

    fn read(&self, _: &[Row], calls: &[Piece]) -> Vec<Option<Answer>> {
        calls.iter().map(|_| Some(Answer::Rows)).collect()
    }
}
