//! Outcomes as one JSON text a batch: V8 parses it faster than it can be handed objects one by one.
//!
//! `[failures, number, outcome, number, outcome, …]`. An outcome is `null`, `true`, `false`, a row
//! `[id, created, updated, expires, field, …]` (`id` is 0 where JavaScript knows it; times in microseconds since
//! 1970; fields as PostgreSQL writes them), or `{"failed": place}` with the place of its failure in `failures`, which
//! is 0 if there are none.

use serde_json::{Map, Value, json};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::error::{Error, Kind};
use crate::operations::Answer;
use crate::row::{microseconds, write_field};
use crate::sessions::{IdOperation, Sessions};
use crate::text::write_number;

/// A row of three short fields takes about this much.
const BYTES_PER_OUTCOME: usize = 128;

/// Packs the outcomes of a batch.
pub(super) fn outcomes(rows: &[Row], outcomes: &[(u64, Result<Answer, Error>)]) -> String {
    pack(rows, outcomes, Packing::session)
}

/// The same where a row's second column, a text, is all that is asked for.
pub(super) fn texts(rows: &[Row], outcomes: &[(u64, Result<Answer, Error>)]) -> String {
    pack(rows, outcomes, |packing, row, _| packing.field(row, 1))
}

fn pack<'a>(
    rows: &'a [Row],
    outcomes: &[(u64, Result<Answer, Error>)],
    write_row: WriteRow<'a>,
) -> String {
    let mut packing = Packing {
        rows,
        write_row,
        text: String::with_capacity(outcomes.len() * BYTES_PER_OUTCOME),
        scratch: String::new(),
        failures: Vec::new(),
    };
    for (number, outcome) in outcomes {
        packing.text.push(',');
        write_number(&mut packing.text, *number);
        packing.text.push(',');
        match outcome {
            Ok(answer) => packing.answer(*answer),
            Err(error) => packing.failure(error),
        }
    }
    packing.finish()
}

/// Packs the outcome of a call that is not batched.
pub(super) fn single(number: i64, outcome: Result<Value, Error>) -> String {
    match outcome {
        Ok(value) => json!([0, number, value]),
        Err(error) => json!([[failure(&error)], number, { "failed": 0 }]),
    }
    .to_string()
}

/// Describes a table that was set up.
pub(super) fn table(sessions: &Sessions, notes: &[String]) -> Result<Value, Error> {
    let field = |field: crate::sessions::FieldInfo| json!({ "asked": field.asked, "column": field.column, "oid": field.oid });
    let fields: Vec<Value> = sessions.fields()?.into_iter().map(field).collect();
    Ok(json!({
        "fields": fields,
        "types": { "id": Type::UUID.oid(), "times": sessions.time_types()? },
        "notes": notes,
        "statements": {
            "validate": sessions.statement_for_pg(IdOperation::Validate)?,
            "extend": sessions.statement_for_pg(IdOperation::Extend)?,
            "destroy": sessions.statement_for_pg(IdOperation::Destroy)?,
        },
    }))
}

/// Appends a row; the last argument says whether its id has to be told.
type WriteRow<'a> = fn(&mut Packing<'a>, &'a Row, bool) -> Result<(), Error>;

struct Packing<'a> {
    rows: &'a [Row],
    write_row: WriteRow<'a>,
    text: String,
    scratch: String,
    failures: Vec<Error>,
}

impl<'a> Packing<'a> {
    fn answer(&mut self, answer: Answer) {
        match answer {
            Answer::Row(place) => self.row(place, false),
            Answer::NewRow(place) => self.row(place, true),
            Answer::NoSession => self.text.push_str("null"),
            Answer::Done(true) => self.text.push_str("true"),
            Answer::Done(false) => self.text.push_str("false"),
        }
    }

    fn row(&mut self, place: usize, with_id: bool) {
        let start = self.text.len();
        if let Err(error) = self.try_row(place, with_id) {
            self.text.truncate(start);
            self.failure(&error);
        }
    }

    fn try_row(&mut self, place: usize, with_id: bool) -> Result<(), Error> {
        let row = self.rows.get(place).ok_or_else(|| Error::internal("an answer without a row"))?;
        (self.write_row)(self, row, with_id)
    }

    fn session(&mut self, row: &'a Row, with_id: bool) -> Result<(), Error> {
        self.text.push('[');
        if with_id {
            self.field(row, 0)?;
        } else {
            self.text.push('0');
        }
        for place in 1..4 {
            self.text.push(',');
            match microseconds(row, place)? {
                // JSON has no infinity; a number beyond all doubles is read as one.
                i64::MAX => self.text.push_str("1e999"),
                i64::MIN => self.text.push_str("-1e999"),
                time => write_number(&mut self.text, time),
            }
        }
        for place in 4..row.len() {
            self.text.push(',');
            self.field(row, place)?;
        }
        self.text.push(']');
        Ok(())
    }

    fn field(&mut self, row: &Row, place: usize) -> Result<(), Error> {
        self.scratch.clear();
        if write_field(row, place, &mut self.scratch)? {
            push_json_string(&mut self.text, &self.scratch);
        } else {
            self.text.push_str("null");
        }
        Ok(())
    }

    fn failure(&mut self, error: &Error) {
        let place = match self.failures.last() {
            Some(last) if last.is_same(error) => self.failures.len() - 1,
            _ => {
                self.failures.push(error.clone());
                self.failures.len() - 1
            }
        };
        self.text.push_str("{\"failed\":");
        write_number(&mut self.text, place);
        self.text.push('}');
    }

    fn finish(self) -> String {
        let failures = if self.failures.is_empty() {
            "0".to_owned()
        } else {
            Value::Array(self.failures.iter().map(failure).collect()).to_string()
        };
        format!("[{failures}{}]", self.text)
    }
}

fn push_json_string(out: &mut String, text: &str) {
    let needs_escape = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    if text.bytes().any(needs_escape) {
        out.push_str(&Value::from(text).to_string());
    } else {
        out.push('"');
        out.push_str(text);
        out.push('"');
    }
}

/// The facts of a failure, under the names that JavaScript's errors use. What is absent stays out.
fn failure(error: &Error) -> Value {
    let mut facts = Map::new();
    facts.insert("message".to_owned(), error.to_string().into());
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            facts.insert(name.to_owned(), value);
        }
    };
    let kind = match error.kind() {
        Kind::Database(failure) => {
            let text = |value: &Option<String>| value.clone().map(Value::from);
            // pg gives all of them as text.
            let number = |value: Option<u32>| value.map(|number| number.to_string().into());
            put("severity", Some(failure.severity.clone().into()));
            put("code", Some(failure.code.clone().into()));
            put("detail", text(&failure.detail));
            put("hint", text(&failure.hint));
            put("position", number(failure.position));
            put("internalPosition", number(failure.internal_position));
            put("internalQuery", text(&failure.internal_query));
            put("where", text(&failure.where_));
            put("schema", text(&failure.schema));
            put("table", text(&failure.table));
            put("column", text(&failure.column));
            put("dataType", text(&failure.datatype));
            put("constraint", text(&failure.constraint));
            put("file", text(&failure.file));
            put("line", number(failure.line));
            put("routine", text(&failure.routine));
            "database"
        }
        Kind::Network(failure) => {
            put("code", failure.code.map(Value::from));
            put("errno", failure.errno.map(Value::from));
            put("syscall", failure.syscall.map(Value::from));
            put("address", failure.address.clone().map(Value::from));
            put("port", failure.port.map(Value::from));
            put("hostname", failure.hostname.clone().map(Value::from));
            "network"
        }
        Kind::Timeout(step) => {
            put("step", Some(step.as_str().into()));
            "timeout"
        }
        Kind::Caller(number) => {
            put("question", Some((*number).into()));
            "caller"
        }
        Kind::Closed => "closed",
        Kind::Table => "table",
        Kind::Argument => "argument",
        Kind::Internal => "internal",
    };
    put("kind", Some(kind.into()));
    Value::Object(facts)
}
