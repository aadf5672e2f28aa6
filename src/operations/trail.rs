//! Rows found under an id that was replaced. Their first column is a trail in place of an id: the id that was asked
//! for, then a step to each successor.

use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::Answer;
use super::columns::{ById, IDS, Reader, is_live, row_columns_with};
use crate::companion::{PATHS, follow, is_stored_as, trail_sql};
use crate::ids::{Ids, Lookup, hash_sql};
use crate::table::Table;

/// The rows of live sessions whose replaced ids are among `$1` and still work. `None`: no id was ever replaced.
pub(crate) fn rows_sql(table: &Table, reader: Reader) -> Option<String> {
    let companion = table.companion.as_deref()?;
    Some(format!(
        "WITH RECURSIVE {trail}, {PATHS} SELECT {columns} FROM trail AS t JOIN paths ON paths.whose = t.asked \
         JOIN {name} AS s ON {same} WHERE {is_live}",
        trail = trail_sql(companion, table.ids, true),
        columns = row_columns_with(&path("paths.path", reader), "s.", table, reader),
        name = table.sql_name,
        same = is_stored_as("s.sess_id", "t.id", table.ids),
        is_live = is_live(table),
    ))
}

/// What a statement for one call, which waits, adds so that it works on a replaced id.
pub(super) struct Following {
    /// The CTE, with a comma behind it; needs WITH RECURSIVE.
    pub(super) cte: String,
    /// The ids under which the session may stand.
    pub(super) ids: String,
}

impl Following {
    /// `in_grace`: only from ids that still work.
    pub(super) fn new(table: &Table, in_grace: bool) -> Option<Self> {
        let companion = table.companion.as_deref()?;
        let hashed = match table.ids {
            Ids::Plain => String::new(),
            Ids::Hashed => format!(" UNION ALL SELECT {} FROM trail", hash_sql("trail.id")),
        };
        Some(Self {
            cte: format!("{}, ", trail_sql(companion, table.ids, in_grace)),
            ids: format!("($1::uuid[] || ARRAY(SELECT id FROM trail{hashed}))"),
        })
    }
}

/// For the first column of a row of `s` that may have been found over a trail.
pub(super) fn path_of_row(table: &Table, reader: Reader) -> String {
    let found = format!(
        "coalesce((SELECT uuid_send(t.asked) || (SELECT array_agg(p.step ORDER BY p.place) FROM trail AS p \
         WHERE p.asked = t.asked) FROM trail AS t WHERE {} LIMIT 1), ARRAY[uuid_send(s.sess_id)])",
        is_stored_as("s.sess_id", "t.id", table.ids)
    );
    path(&found, reader)
}

/// Which of the sessions `$1` there are, by the ids that were asked for.
pub(super) fn probe_sql(table: &Table, counts: &str, in_grace: bool) -> String {
    let name = &table.sql_name;
    let direct = format!("SELECT sess_id FROM {name} WHERE sess_id = ANY({IDS}){counts}");
    let Some(companion) = table.companion.as_deref() else { return direct };
    format!(
        "WITH RECURSIVE {trail} {direct} UNION ALL SELECT t.asked FROM trail AS t JOIN {name} AS s ON {same} \
         WHERE true{counts}",
        trail = trail_sql(companion, table.ids, in_grace),
        same = is_stored_as("s.sess_id", "t.id", table.ids),
    )
}

/// pg is given the steps in digits, which no type parser of the user reads.
fn path(path: &str, reader: Reader) -> String {
    match reader {
        Reader::Core => path.to_owned(),
        Reader::Pg => {
            format!(
                "array_to_string(ARRAY(SELECT encode(step, 'hex') FROM unnest({path}) AS step), ',')"
            )
        }
    }
}

/// A row, and how it was found.
pub(super) struct Found {
    pub(super) place: usize,
    pub(super) path: Vec<Vec<u8>>,
}

/// The rows by the ids that were asked for; of a row that was found directly, the path has one step.
pub(super) fn found(rows: &[Row]) -> ById<Found> {
    let read = |(place, row): (usize, &Row)| {
        let path: Vec<Vec<u8>> = if has_path(row) {
            row.try_get(0).ok()?
        } else {
            vec![row.try_get::<_, Uuid>(0).ok()?.as_bytes().to_vec()]
        };
        let asked = Uuid::from_slice(path.first()?).ok()?;
        Some((asked, Found { place, path }))
    };
    rows.iter().enumerate().filter_map(read).collect()
}

fn has_path(row: &Row) -> bool {
    row.columns().first().is_some_and(|column| *column.type_() == Type::BYTEA_ARRAY)
}

/// The answer with a row that was found under one of the caller's ids.
pub(super) fn answer(ids: Ids, call: &Lookup, found: &Found, first_row: usize) -> Answer {
    let place = first_row + found.place;
    match follow(ids, call.id, &found.path) {
        Some(id) if id == call.id => Answer::Row(place, id),
        Some(id) => Answer::NewRow(place, id),
        None => Answer::NoSession,
    }
}
