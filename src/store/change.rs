//! update, merge, touch, destroy: what is done to a row that is there, and never makes one.
//!
//! Rows are locked in the order of their keys, and those that somebody else holds are left for later, as in
//! [`crate::operations::locking`], for the same reasons. That order is the bytes' and not the column's collation: put
//! sorts what it inserts, and both have to agree.

use std::collections::HashMap;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::keys::{are_named, places};
use super::table::Table;
use crate::operations::{Answer, Operation, Sql, Verdict};
use crate::pool::Request;

/// When a session ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Expiry {
    /// At this time, in seconds since 1970.
    At(f64),
    /// So many seconds after now.
    After(f64),
}

/// A key at the top of a session's data with its new value, both as JSON; no value: the key goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The key, a JSON string.
    pub key: String,
    /// Its value.
    pub value: Option<String>,
}

/// What a session's data becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// What it was.
    Same,
    /// This, in JSON.
    Whole(String),
    /// What it was but for these parts.
    Parts(Vec<Part>),
}

/// A change of one session.
#[derive(Clone, Debug)]
pub struct Change {
    /// Its id.
    pub key: String,
    /// When it ends.
    pub expiry: Expiry,
    /// What it holds.
    pub content: Content,
}

impl Change {
    /// How much of a batch's size limit it takes.
    pub(super) fn weight(&self) -> usize {
        let content = match &self.content {
            Content::Same => 0,
            Content::Whole(json) => json.len(),
            Content::Parts(parts) => parts.iter().map(part_weight).sum(),
        };
        self.key.len() + content
    }
}

fn part_weight(part: &Part) -> usize {
    part.key.len() + part.value.as_ref().map_or(0, String::len)
}

/// When a row ends, from the columns of [`Columns`].
pub(super) const EXPIRE: &str =
    "coalesce(to_timestamp(a.at_second), now() + make_interval(secs => a.after_seconds))";

/// The changes of a batch as the arrays of a statement, one entry a session.
///
/// A statement changes a row once, so what several calls ask of one session is put together: the last one says when it
/// ends and what it holds.
#[derive(Default)]
pub(super) struct Columns {
    keys: Vec<String>,
    at: Vec<Option<f64>>,
    after: Vec<Option<f64>>,
    contents: Vec<Content>,
}

impl Columns {
    pub(super) fn new<'a>(changes: impl Iterator<Item = &'a Change>) -> Self {
        let mut columns = Self::default();
        let mut places: HashMap<&str, usize> = HashMap::new();
        for change in changes {
            let (at, after) = match change.expiry {
                Expiry::At(second) => (Some(second), None),
                Expiry::After(seconds) => (None, Some(seconds)),
            };
            let place = *places.entry(&change.key).or_insert(columns.keys.len());
            match (
                columns.at.get_mut(place),
                columns.after.get_mut(place),
                columns.contents.get_mut(place),
            ) {
                (Some(earlier_at), Some(earlier_after), Some(content)) => {
                    (*earlier_at, *earlier_after) = (at, after);
                    follow(content, &change.content);
                }
                _ => {
                    columns.keys.push(change.key.clone());
                    columns.at.push(at);
                    columns.after.push(after);
                    columns.contents.push(change.content.clone());
                }
            }
        }
        columns
    }

    pub(super) fn keys(self, request: Request) -> Request {
        request.with(self.keys, Type::TEXT_ARRAY)
    }

    pub(super) fn times(self, request: Request) -> Request {
        request
            .with(self.keys, Type::TEXT_ARRAY)
            .with(self.at, Type::FLOAT8_ARRAY)
            .with(self.after, Type::FLOAT8_ARRAY)
    }

    pub(super) fn wholes(mut self, request: Request) -> Request {
        let wholes: Vec<Option<String>> =
            std::mem::take(&mut self.contents).into_iter().map(whole).collect();
        self.times(request).with(wholes, Type::TEXT_ARRAY)
    }

    fn parts(mut self, request: Request) -> Request {
        let (values, names): (Vec<String>, Vec<String>) =
            std::mem::take(&mut self.contents).into_iter().map(parts).unzip();
        self.times(request).with(values, Type::TEXT_ARRAY).with(names, Type::TEXT_ARRAY)
    }
}

/// What a session holds after a further change.
fn follow(content: &mut Content, next: &Content) {
    match (content, next) {
        (Content::Parts(parts), Content::Parts(later)) => {
            parts.retain(|part| later.iter().all(|other| other.key != part.key));
            parts.extend(later.iter().cloned());
        }
        (content, next) => *content = next.clone(),
    }
}

fn whole(content: Content) -> Option<String> {
    match content {
        Content::Whole(json) => Some(json),
        Content::Same | Content::Parts(_) => None,
    }
}

/// The parts with a value as a JSON object, and the names of all parts as a JSON array.
fn parts(content: Content) -> (String, String) {
    let parts = match content {
        Content::Parts(parts) => parts,
        Content::Same | Content::Whole(_) => Vec::new(),
    };
    let values: Vec<String> = parts
        .iter()
        .filter_map(|part| part.value.as_ref().map(|value| format!("{}:{value}", part.key)))
        .collect();
    let names: Vec<&str> = parts.iter().map(|part| part.key.as_str()).collect();
    (format!("{{{}}}", values.join(",")), format!("[{}]", names.join(",")))
}

/// Which change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    Update,
    Merge,
    Touch,
    Destroy,
}

pub(crate) struct Changing {
    work: Work,
    set: Sql,
    alone: Sql,
    probe: Sql,
}

impl Changing {
    pub(super) fn new(table: &Table, work: Work) -> Self {
        let sql = |wait| format!("{} {}", locked(table, wait), statement(table, work)).into();
        Self {
            work,
            set: sql(" SKIP LOCKED"),
            alone: sql(""),
            probe: format!("SELECT sid::text FROM {} WHERE {}", table.sql_name, are_named(table))
                .into(),
        }
    }

    /// The form that waits for locked rows.
    pub(super) fn alone_sql(&self) -> &str {
        &self.alone
    }

    fn request<'a>(&self, sql: &Sql, calls: impl Iterator<Item = &'a Change>) -> Request {
        let (columns, request) = (Columns::new(calls), Request::new(sql));
        match self.work {
            Work::Update => columns.wholes(request),
            Work::Merge => columns.parts(request),
            Work::Touch => columns.times(request),
            Work::Destroy => columns.keys(request),
        }
    }
}

fn locked(table: &Table, wait: &str) -> String {
    format!(
        "WITH locked AS MATERIALIZED (SELECT sid FROM {} WHERE {} ORDER BY sid::text COLLATE \"C\" FOR UPDATE{wait})",
        table.sql_name,
        are_named(table),
    )
}

fn statement(table: &Table, work: Work) -> String {
    let name = &table.sql_name;
    let (contents, more_names, sess) = match work {
        Work::Destroy => {
            return format!(
                "DELETE FROM {name} AS s USING locked WHERE s.sid = locked.sid RETURNING s.sid::text"
            );
        }
        Work::Touch => (0, "", String::new()),
        Work::Update => (1, ", sess", format!("sess = a.sess::{}, ", table.data.cast())),
        Work::Merge => (2, ", parts, names", merged(table)),
    };
    // Each in a SELECT, as in `are_named`: the planner would count their entries, and plan anew for each batch.
    let arrays = ["text", "float8", "float8", "text", "text"].iter().take(3 + contents).zip(1..);
    let arrays: Vec<_> = arrays.map(|(ty, at)| format!("(SELECT ${at}::{ty}[])")).collect();
    format!(
        "UPDATE {name} AS s SET {sess}expire = {EXPIRE} FROM locked \
         JOIN unnest({arrays}) AS a (sid, at_second, after_seconds{more_names}) ON a.sid{cast} = locked.sid \
         WHERE s.sid = locked.sid RETURNING s.sid::text",
        arrays = arrays.join(", "),
        cast = table.key_cast(),
    )
}

/// The row as it is now but for the parts. Not by way of jsonb, which would write numbers anew and sort the keys of
/// everything in it.
fn merged(table: &Table) -> String {
    format!(
        "sess = (SELECT coalesce(json_object_agg(e.key, e.value), '{{}}') FROM (\
           SELECT o.key, o.value FROM json_each(s.sess::json) AS o WHERE NOT a.names::jsonb ? o.key \
           UNION ALL SELECT p.key, p.value FROM json_each(a.parts::json) AS p) AS e)::{}, ",
        table.data.cast()
    )
}

impl Operation for Changing {
    type Call = Change;

    fn set(&self, calls: &[Change]) -> Request {
        self.request(&self.set, calls.iter())
    }

    fn read(&self, rows: &[Row], calls: &[Change]) -> Vec<Option<Answer>> {
        let places = places(rows);
        let done =
            |call: &Change| places.contains_key(call.key.as_str()).then_some(Answer::Done(true));
        calls.iter().map(done).collect()
    }

    fn follow_up(&self, calls: &[&Change]) -> Option<Request> {
        let columns = Columns::new(calls.iter().copied());
        Some(columns.keys(Request::new(&self.probe)))
    }

    fn verdicts(&self, rows: &[Row], _: usize, calls: &[&Change], repeated: bool) -> Vec<Verdict> {
        let held = places(rows);
        let verdict = |call: &&Change| {
            if held.contains_key(call.key.as_str()) {
                return Verdict::Alone;
            }
            // The attempt before may have removed it.
            Verdict::Answer(Answer::Done(repeated && self.work == Work::Destroy))
        };
        calls.iter().map(verdict).collect()
    }

    fn alone(&self, call: &Change) -> Request {
        self.request(&self.alone, std::iter::once(call))
    }

    fn weight(&self, call: &Change) -> usize {
        call.weight()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(key: &str, value: Option<&str>) -> Part {
        Part { key: format!("{key:?}"), value: value.map(str::to_owned) }
    }

    fn change(key: &str, second: f64, content: Content) -> Change {
        Change { key: key.to_owned(), expiry: Expiry::At(second), content }
    }

    #[test]
    fn of_two_changes_of_one_session_both_keep_their_parts_and_the_later_wins() {
        let changes = [
            change("a", 1.0, Content::Parts(vec![part("x", Some("1")), part("y", Some("1"))])),
            change("b", 2.0, Content::Parts(vec![part("x", Some("5"))])),
            change("a", 3.0, Content::Parts(vec![part("y", None), part("z", Some("2"))])),
        ];

        let columns = Columns::new(changes.iter());

        assert_eq!(columns.keys, ["a", "b"]);
        assert_eq!(columns.at, [Some(3.0), Some(2.0)]);
        let texts: Vec<_> = columns.contents.into_iter().map(parts).collect();
        let text = |values: &str, names: &str| (values.to_owned(), names.to_owned());
        assert_eq!(
            texts,
            [text(r#"{"x":1,"z":2}"#, r#"["x","y","z"]"#), text(r#"{"x":5}"#, r#"["x"]"#)]
        );
    }

    #[test]
    fn of_two_whole_writes_of_one_session_the_later_stays() {
        let changes = [
            change("a", 1.0, Content::Whole("1".to_owned())),
            change("a", 2.0, Content::Whole("2".to_owned())),
        ];

        let columns = Columns::new(changes.iter());

        assert_eq!(columns.contents, [Content::Whole("2".to_owned())]);
    }
}
