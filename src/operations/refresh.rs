//! refresh: gives a live session a new id; its fields and its creation date stay.
//!
//! The row moves to the new id and the companion notes it, in one statement, so that every other statement sees either
//! the one or the other. A call that comes too late, whether it waited for the row or was sent again, finds the note
//! and follows it: racing calls all get the one new id.

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::columns::{
    IDS, Reader, find, interval, is_live, is_still_live, places, row_columns_of, row_columns_with,
    stored,
};
use super::due::Due;
use super::{Answer, Operation, Sql, Verdict, trail};
use crate::companion::{PATHS, is_stored_as, seal, trail_sql};
use crate::ids::{Ids, Lookup};
use crate::pool::Request;
use crate::session_id::SessionId;
use crate::stats::Counter;
use crate::table::Table;

/// A session that is to get a new id.
#[derive(Clone, Debug)]
pub(crate) struct Renewal {
    /// Which session.
    pub(crate) session: Lookup,
    /// Its id from now on, unless somebody else was faster.
    pub(crate) new: SessionId,
    /// Whether it gets one only if the present one is old enough. Otherwise, or if somebody holds the row, it stays as
    /// it is.
    pub(crate) if_due: bool,
}

pub(crate) struct Refresh {
    ids: Ids,
    set: Sql,
    alone: Sql,
    probe: Sql,
    alone_for_pg: String,
    types: Vec<u32>,
    interval: Option<Duration>,
    due: Arc<Due>,
    refreshed: Arc<Counter>,
}

impl Refresh {
    /// `None`: there is no companion to note it in.
    pub(crate) fn new(
        table: &Table,
        interval: Option<Duration>,
        grace: Duration,
        due: Arc<Due>,
        refreshed: Arc<Counter>,
    ) -> Option<Self> {
        let companion = table.companion.as_deref()?;
        let statements = Statements { table, companion, interval, grace };
        Some(Self {
            ids: table.ids,
            set: statements.work(" SKIP LOCKED", Reader::Core).into(),
            alone: statements.work("", Reader::Core).into(),
            probe: statements.probe().into(),
            alone_for_pg: statements.work("", Reader::Pg),
            types: table.row_types(),
            interval,
            due,
            refreshed,
        })
    }

    /// The form that waits for the row, as `pg` reads it.
    pub(crate) fn alone_for_pg(&self) -> &str {
        &self.alone_for_pg
    }

    fn request<'a>(&self, sql: &Sql, calls: impl Iterator<Item = &'a Renewal>) -> Request {
        let (mut old, mut new, mut sealed, mut if_due) = (vec![], vec![], vec![], vec![]);
        for call in calls {
            let successor = self.ids.stored(call.new).as_uuid();
            let secret = seal(self.ids, call.session.id, call.new);
            for stored in call.session.stored() {
                old.push(stored);
                new.push(successor);
                sealed.push(secret.clone());
                if_due.push(call.if_due);
            }
        }
        Request::new(sql)
            .with(old, Type::UUID_ARRAY)
            .with(new, Type::UUID_ARRAY)
            .with(sealed, Type::BYTEA_ARRAY)
            .with(if_due, Type::BOOL_ARRAY)
    }

    fn new_row(&self, call: &Renewal, place: usize) -> Answer {
        self.refreshed.add(1);
        if let Some(interval) = self.interval {
            self.due.not_before(self.ids.stored(call.new).as_uuid(), interval);
        }
        Answer::NewRow(place, call.new)
    }

    /// The row stands under the id that was asked for: it is not due, or somebody holds it.
    fn still_there(
        &self,
        call: &Renewal,
        found: &trail::Found,
        wait: i64,
        first_row: usize,
    ) -> Verdict {
        if !call.if_due {
            return Verdict::Alone;
        }
        if let (Ok(wait), Some(first)) = (u64::try_from(wait), found.path.first())
            && wait > 0
            && let Ok(stored) = Uuid::from_slice(first)
        {
            self.due.not_before(stored, Duration::from_millis(wait));
        }
        Verdict::Answer(Answer::Row(first_row + found.place, call.session.id))
    }
}

/// The SQL of refresh.
struct Statements<'a> {
    table: &'a Table,
    companion: &'a str,
    interval: Option<Duration>,
    grace: Duration,
}

impl Statements<'_> {
    /// When the id of a row was issued. The note of a row that never got a new id is missing; then it is as old as the
    /// session.
    fn issued(&self, alias: &str) -> String {
        let zone = if self.table.clocks.creation_is_tz { "" } else { " AT TIME ZONE 'UTC'" };
        format!(
            "coalesce((SELECT max(i.issued) FROM {} AS i WHERE i.new_id = {alias}sess_id), \
             {alias}sess_creation_date{zone})",
            self.companion
        )
    }

    /// `$1` to `$4`: the present ids, the new ones, these sealed, and whether only if due.
    fn work(&self, wait: &str, reader: Reader) -> String {
        let is_due = match self.interval {
            Some(length) => {
                format!("(NOT a.if_due OR {} + {} <= now())", self.issued("r."), interval(length))
            }
            None => "NOT a.if_due".to_owned(),
        };
        format!(
            "WITH asked AS MATERIALIZED (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::bool[]) \
               AS a (old_id, new_id, sealed_id, if_due)), \
             locked AS MATERIALIZED (SELECT r.sess_id, r.sess_creation_date FROM {name} AS r \
               WHERE r.sess_id = ANY({IDS}) AND {is_live} ORDER BY r.sess_id FOR UPDATE{wait}), \
             due AS MATERIALIZED (SELECT a.old_id, a.new_id, a.sealed_id FROM locked AS r \
               JOIN asked AS a ON a.old_id = r.sess_id WHERE {is_due}), \
             moved AS (UPDATE {name} AS s SET sess_id = due.new_id FROM due WHERE s.sess_id = due.old_id \
               RETURNING {columns}), \
             noted AS (INSERT INTO {companion} (old_id, new_id, issued, grace_end, sealed_id) \
               SELECT due.old_id, due.new_id, now(), now() + {grace}, due.sealed_id \
               FROM moved JOIN due ON due.new_id = moved.sess_id) \
             SELECT * FROM moved",
            name = self.table.sql_name,
            companion = self.companion,
            is_live = is_still_live(self.table),
            columns = row_columns_of("s.", self.table, reader),
            grace = interval(self.grace),
        )
    }

    /// The sessions that did not move: those that are there under the id that was asked for, with the ms until it is
    /// due, and those that were faster.
    fn probe(&self) -> String {
        let table = self.table;
        let wait = match self.interval {
            // In numbers, since no interval leads to a creation at -infinity.
            Some(length) => format!(
                "(1000 * least(greatest(extract(epoch FROM {issued})::float8 + {seconds} \
                   - extract(epoch FROM now())::float8, 0), {seconds}))::bigint",
                issued = self.issued("s."),
                seconds = length.as_secs_f64(),
            ),
            None => "0::bigint".to_owned(),
        };
        let direct = format!("ARRAY[uuid_send(s.sess_id), int8send({wait})]");
        format!(
            "WITH RECURSIVE {trail}, {PATHS} SELECT {there} FROM {name} AS s WHERE s.sess_id = ANY({IDS}) AND {is_live} \
             UNION ALL SELECT {moved} FROM trail AS t JOIN paths ON paths.whose = t.asked \
             JOIN {name} AS s ON {same} WHERE {is_live}",
            trail = trail_sql(self.companion, table.ids, true),
            there = row_columns_with(&direct, "s.", table, Reader::Core),
            moved = row_columns_with("paths.path", "s.", table, Reader::Core),
            name = table.sql_name,
            is_live = is_live(table),
            same = is_stored_as("s.sess_id", "t.id", table.ids),
        )
    }
}

impl Operation for Refresh {
    type Call = Renewal;

    fn row_types(&self) -> &[u32] {
        &self.types
    }

    fn set(&self, calls: &[Renewal]) -> Request {
        self.request(&self.set, calls.iter())
    }

    fn alone(&self, call: &Renewal) -> Request {
        self.request(&self.alone, std::iter::once(call))
    }

    fn read(&self, rows: &[Row], calls: &[Renewal]) -> Vec<Option<Answer>> {
        let places = places(rows);
        let place = |call: &Renewal| places.get(&self.ids.stored(call.new).as_uuid()).copied();
        calls.iter().map(|call| Some(self.new_row(call, place(call)?))).collect()
    }

    fn follow_up(&self, calls: &[&Renewal]) -> Option<Request> {
        let ids = stored(calls.iter().map(|call| &call.session));
        Some(Request::new(&self.probe).with(ids, Type::UUID_ARRAY))
    }

    fn verdicts(
        &self,
        rows: &[Row],
        first_row: usize,
        calls: &[&Renewal],
        _: bool,
    ) -> Vec<Verdict> {
        let found = trail::found(rows);
        let verdict = |call: &&Renewal| match find(&found, &call.session) {
            None => Verdict::Answer(Answer::NoSession),
            Some(found) => match found.path.last().and_then(|last| last.as_slice().try_into().ok())
            {
                Some(wait) => self.still_there(call, found, i64::from_be_bytes(wait), first_row),
                None => Verdict::Answer(trail::answer(self.ids, &call.session, found, first_row)),
            },
        };
        calls.iter().map(verdict).collect()
    }

    fn may_move(&self) -> bool {
        true
    }
}
