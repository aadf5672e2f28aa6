//! What is asked about many sessions. Each question is a statement of its own, answered by one row `(NULL, text)`.

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::table::Table;
use crate::operations::{Answer, Operation, Sql};
use crate::pool::{Access, Request};

/// Rows that one prune removes: a longer statement would hold its locks, and the log of the server, too long.
pub(super) const PRUNED_AT_ONCE: u32 = 1000;

/// A question about many sessions.
#[derive(Clone, Debug)]
pub enum Question {
    /// The data of all live sessions, a JSON array of JSON texts.
    All,
    /// Their keys, a JSON array.
    Ids,
    /// How many there are.
    Length,
    /// Removes all sessions; how many.
    Clear,
    /// Removes some expired sessions; how many.
    Prune,
    /// The live sessions with a value at a path, a JSON array of `[key, JSON text, ms since 1970]`.
    List(Match),
    /// Removes the sessions with a value at a path, but for those with these keys; how many.
    End(Match, Vec<String>),
}

/// A value at a path in the data.
#[derive(Clone, Debug)]
pub struct Match {
    /// The keys that lead to it.
    pub path: Vec<String>,
    /// The value as text.
    pub value: String,
    /// Its type in JSON: `string`, `number`, `boolean`.
    pub kind: String,
    /// Whether data that PostgreSQL cannot take apart is repaired first. No index serves that.
    pub repaired: bool,
}

pub(crate) struct Ask {
    all: Sql,
    ids: Sql,
    length: Sql,
    clear: Sql,
    prune: Sql,
    list: Sql,
    end: Sql,
    list_repaired: Sql,
    end_repaired: Sql,
}

impl Ask {
    pub(super) fn new(table: &Table) -> Self {
        let name = &table.sql_name;
        let live = |what: &str, condition: &str| -> Sql {
            format!(
                "SELECT NULL::text, ({what})::text AS answer FROM {name} WHERE expire >= now(){condition}"
            )
            .into()
        };
        let list = |what: &str| format!("coalesce(json_agg({what}), '[]')");
        let listed = list(
            "json_build_array(sid, sess::text, extract(epoch FROM expire::timestamptz) * 1000)",
        );
        let list_of = |matches: &str| live(&listed, &format!(" AND {matches}"));
        let end_of = |matches: &str| {
            remove(table, &format!("WHERE {matches} AND NOT sid::text = ANY($4::text[]) "), "")
        };
        let as_it_is = matches(table.data.column(), table.data.type_of());
        let repaired = matches(REPAIRED, "json_typeof");
        Self {
            all: live(&list("sess::text"), ""),
            ids: live(&list("sid"), ""),
            length: live("count(*)", ""),
            clear: remove(table, "", ""),
            prune: remove(table, "WHERE expire < now() ", &format!("LIMIT {PRUNED_AT_ONCE} ")),
            list: list_of(&as_it_is),
            end: end_of(&as_it_is),
            list_repaired: list_of(&repaired),
            end_repaired: end_of(&repaired),
        }
    }

    /// In the order of [`Question`], then those that repair the data.
    pub(super) fn all_sql(&self) -> [String; 9] {
        let all = [
            &self.all,
            &self.ids,
            &self.length,
            &self.clear,
            &self.prune,
            &self.list,
            &self.end,
            &self.list_repaired,
            &self.end_repaired,
        ];
        all.map(|sql| (**sql).to_owned())
    }
}

/// Removes rows, locked in the same order as everywhere.
fn remove(table: &Table, condition: &str, limit: &str) -> Sql {
    // What is only tidied up need not be waited for.
    let wait = if limit.is_empty() { "" } else { " SKIP LOCKED" };
    format!(
        "WITH locked AS MATERIALIZED (SELECT sid FROM {name} {condition}ORDER BY sid::text COLLATE \"C\" {limit}\
           FOR UPDATE{wait}), \
         gone AS (DELETE FROM {name} AS s USING locked WHERE s.sid = locked.sid RETURNING 1) \
         SELECT NULL::text, count(*)::text AS answer FROM gone",
        name = table.sql_name,
    )
    .into()
}

/// The data with a question mark for each NUL and each half of a character: `json` keeps these, and fails at the first
/// look into such data, whatever is looked for. Whole characters are no escapes in what `JSON.stringify` writes.
const REPAIRED: &str = concat!(
    r"regexp_replace(sess::text, ",
    r"E'(?<!\\\\)((?:\\\\\\\\)*)\\\\u(?:0000|[dD][89a-fA-F][0-9a-fA-F]{2})', E'\\1?', 'g')::json"
);

/// Written so that an index on `(sess #>> '{passport,user}')` serves it.
fn matches(data: &str, type_of: &str) -> String {
    format!("{data} #>> $1::text[] = $2::text AND {type_of}({data} #> $1::text[]) = $3::text")
}

fn with_match(request: Request, wanted: &Match) -> Request {
    request
        .with(wanted.path.clone(), Type::TEXT_ARRAY)
        .with(wanted.value.clone(), Type::TEXT)
        .with(wanted.kind.clone(), Type::TEXT)
}

impl Operation for Ask {
    type Call = Question;

    fn access(&self, calls: &[Question]) -> Access {
        match calls {
            [Question::All | Question::Ids | Question::Length | Question::List(_)] => Access::Read,
            _ => Access::Write,
        }
    }

    fn set(&self, calls: &[Question]) -> Request {
        match calls.first() {
            Some(Question::List(wanted)) => {
                let sql = if wanted.repaired { &self.list_repaired } else { &self.list };
                with_match(Request::new(sql), wanted)
            }
            Some(Question::End(wanted, except)) => {
                let sql = if wanted.repaired { &self.end_repaired } else { &self.end };
                with_match(Request::new(sql), wanted).with(except.clone(), Type::TEXT_ARRAY)
            }
            Some(Question::Ids) => Request::new(&self.ids),
            Some(Question::Length) => Request::new(&self.length),
            Some(Question::Clear) => Request::new(&self.clear),
            Some(Question::Prune) => Request::new(&self.prune),
            Some(Question::All) | None => Request::new(&self.all),
        }
    }

    fn read(&self, _: &[Row], calls: &[Question]) -> Vec<Option<Answer>> {
        calls.iter().map(|_| Some(Answer::Text(0))).collect()
    }

    fn may_join(&self, _: &Question, _: &Question) -> bool {
        false
    }
}
