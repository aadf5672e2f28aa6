//! Outcomes as one string a batch: V8 reads one string faster than it can be handed objects one by one.
//!
//! Numbers are in digits of seven bits, one a character, most significant first; `lib/packed.js` reads them with less
//! work than JSON's. In order: the tag `B`, where the texts begin (5 digits), how many outcomes there are (3), then
//! each outcome: the call's number (6), its kind (1, see [`OutcomeKind`]) and what belongs to it. A row has its three times,
//! each as its day (4, see [`FIRST_DAY`]) and its microsecond of that day (6); a list, how many rows it has (3), then
//! each as a new row's; a failure has its place among the failures (3). The texts are one JSON array: of a new row its
//! id, of one in a list its handle, of any row its fields as PostgreSQL writes them; behind the last text, if anything
//! failed, an array of the failures.
//!
//! What is not batched is a JSON array: `["done", number, value]`, `["failed", number, failure]`; so is an error to which
//! no call belongs: `["report", table, failure]`, and that the table is to be described again: `["changed"]`.

use serde_json::{Map, Value, json};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::ID_LENGTH;
use crate::error::{Error, Kind};
use crate::operations::Answer;
use crate::row::{microseconds, write_field};
use crate::session_id::SessionId;
use crate::sessions::{IdOperation, Sessions};

/// What an outcome with a row of three short fields takes.
const NUMBERS_PER_OUTCOME: usize = 37;
const TEXTS_PER_OUTCOME: usize = 64;

const TAG: char = 'B';
const DIGIT_BITS: u32 = 7;
const OFFSET_DIGITS: u32 = 5;
const COUNT_DIGITS: u32 = 3;
const NUMBER_DIGITS: u32 = 6;
const FAILURE_DIGITS: u32 = 3;
const DAY_DIGITS: u32 = 4;
const MICROSECOND_DIGITS: u32 = 6;
/// Days are counted from here, so that none is negative. The first and the last stand for the infinities.
const FIRST_DAY: i64 = -(1 << (DAY_DIGITS * DIGIT_BITS - 1));
const LAST_DAY: u64 = (1 << (DAY_DIGITS * DIGIT_BITS)) - 1;
const DAY_MICROSECONDS: i64 = 86_400_000_000;
/// Tag, offset and count.
const PREFIX: usize = 1 + (OFFSET_DIGITS + COUNT_DIGITS) as usize;

/// How long the texts of a message may be. A string of V8's holds 2^29 - 24 characters, and a longer one would be an
/// exception that nobody catches.
const MAX_TEXTS: usize = 500 << 20;

/// What came of a call.
#[derive(Clone, Copy)]
enum OutcomeKind {
    Nothing,
    Yes,
    No,
    Row,
    NewRow,
    Failure,
    List,
}

/// Packs the outcomes of a batch. `None`: they are too long for one message.
pub(super) fn outcomes(rows: &[Row], outcomes: &[(u64, Result<Answer, Error>)]) -> Option<String> {
    #[cfg(feature = "panics")]
    crate::panics::at("pack");
    let mut packing = Packing::new(rows, outcomes.len());
    for (number, outcome) in outcomes {
        push_digits(&mut packing.numbers, *number, NUMBER_DIGITS);
        match outcome {
            Ok(answer) => packing.answer(*answer),
            Err(error) => packing.failure(error),
        }
        if packing.is_too_long() {
            return None;
        }
    }
    Some(packing.finish(outcomes.len()))
}

/// The same, where that did not succeed.
pub(super) fn all_failed(outcomes: &[(u64, Result<Answer, Error>)], error: &Error) -> String {
    let mut packing = Packing::new(&[], outcomes.len());
    for (number, _) in outcomes {
        push_digits(&mut packing.numbers, *number, NUMBER_DIGITS);
        packing.failure(error);
    }
    packing.finish(outcomes.len())
}

/// Packs the outcome of a call that is not batched.
pub(super) fn single(number: i64, outcome: Result<Value, Error>) -> String {
    match outcome {
        Ok(value) => json!(["done", number, value]),
        Err(error) => json!(["failed", number, failure(&error)]),
    }
    .to_string()
}

/// An error to which no call belongs, and the table whose work failed.
pub(super) fn report(error: &Error, table: &str) -> String {
    json!(["report", table, failure(error)]).to_string()
}

/// The table is to be described again.
pub(super) fn changed() -> String {
    json!(["changed"]).to_string()
}

/// Describes a table that was set up.
pub(super) fn table(sessions: &Sessions, notes: &[String]) -> Result<Value, Error> {
    let field = |field: crate::sessions::FieldInfo| json!({ "asked": field.asked, "column": field.column, "oid": field.oid, "array": field.is_array });
    let fields: Vec<Value> = sessions.fields()?.into_iter().map(field).collect();
    Ok(json!({
        "fields": fields,
        "types": { "id": Type::UUID.oid(), "times": sessions.time_types()? },
        "notes": notes,
        "limit": sessions.limit_for_pg()?,
        "statements": {
            "validate": sessions.statement_for_pg(IdOperation::Validate)?,
            "extend": sessions.statement_for_pg(IdOperation::Extend)?,
            "destroy": sessions.statement_for_pg(IdOperation::Destroy)?,
            "refresh": sessions.statement_for_pg(IdOperation::Refresh).ok(),
            "trail": sessions.trail_statement_for_pg()?,
        },
    }))
}

struct Packing<'a> {
    rows: &'a [Row],
    numbers: String,
    /// The elements of the array, each followed by a comma.
    texts: String,
    scratch: String,
    failures: Vec<Error>,
}

impl<'a> Packing<'a> {
    fn new(rows: &'a [Row], outcomes: usize) -> Self {
        Self {
            rows,
            numbers: String::with_capacity(outcomes * NUMBERS_PER_OUTCOME),
            texts: String::with_capacity(outcomes * TEXTS_PER_OUTCOME),
            scratch: String::new(),
            failures: Vec::new(),
        }
    }

    fn text(&mut self, place: usize) {
        let written = match self.rows.get(place) {
            Some(row) => self.field(row, 1),
            None => Err(Error::internal("an answer without a row")),
        };
        match written {
            Ok(()) => self.kind(OutcomeKind::Row),
            Err(error) => self.failure(&error),
        }
    }

    fn answer(&mut self, answer: Answer) {
        match answer {
            Answer::Row(place, _) => self.row(place, OutcomeKind::Row, None),
            Answer::NewRow(place, id) => self.row(place, OutcomeKind::NewRow, Some(id)),
            Answer::NoSession => self.kind(OutcomeKind::Nothing),
            Answer::Done(true) => self.kind(OutcomeKind::Yes),
            Answer::Done(false) => self.kind(OutcomeKind::No),
            Answer::Text(place) => self.text(place),
            Answer::Rows => self.or_failure(Self::try_list),
        }
    }

    fn kind(&mut self, kind: OutcomeKind) {
        push_digits(&mut self.numbers, kind as u64, 1);
    }

    fn row(&mut self, place: usize, kind: OutcomeKind, id: Option<SessionId>) {
        self.or_failure(|packing| {
            let row = packing
                .rows
                .get(place)
                .ok_or_else(|| Error::internal("an answer without a row"))?;
            packing.kind(kind);
            packing.times(row)?;
            if let Some(id) = id {
                push_json_string(&mut packing.texts, id.write(&mut [0; ID_LENGTH]));
                packing.texts.push(',');
            }
            packing.fields(row)
        });
    }

    /// Packs an outcome; what cannot be read is a failure in its place.
    fn or_failure(&mut self, pack: impl FnOnce(&mut Self) -> Result<(), Error>) {
        let (numbers, texts) = (self.numbers.len(), self.texts.len());
        if let Err(error) = pack(self) {
            self.numbers.truncate(numbers);
            self.texts.truncate(texts);
            self.failure(&error);
        }
    }

    fn try_list(&mut self) -> Result<(), Error> {
        self.kind(OutcomeKind::List);
        push_digits(&mut self.numbers, self.rows.len() as u64, COUNT_DIGITS);
        for row in self.rows {
            self.times(row)?;
            self.field(row, 0)?;
            self.fields(row)?;
            if self.is_too_long() {
                return Err(Error::too_large());
            }
        }
        Ok(())
    }

    fn is_too_long(&self) -> bool {
        self.texts.len() > MAX_TEXTS
    }

    fn times(&mut self, row: &Row) -> Result<(), Error> {
        for place in 1..4 {
            self.time(microseconds(row, place)?);
        }
        Ok(())
    }

    fn fields(&mut self, row: &Row) -> Result<(), Error> {
        (4..row.len()).try_for_each(|place| self.field(row, place))
    }

    fn time(&mut self, time: i64) {
        let day = match time {
            i64::MIN => 0,
            i64::MAX => LAST_DAY,
            time => (time.div_euclid(DAY_MICROSECONDS) - FIRST_DAY).unsigned_abs(),
        };
        push_digits(&mut self.numbers, day, DAY_DIGITS);
        let microseconds = time.rem_euclid(DAY_MICROSECONDS).unsigned_abs();
        push_digits(&mut self.numbers, microseconds, MICROSECOND_DIGITS);
    }

    fn field(&mut self, row: &Row, place: usize) -> Result<(), Error> {
        self.scratch.clear();
        if write_field(row, place, &mut self.scratch)? {
            push_json_string(&mut self.texts, &self.scratch);
        } else {
            self.texts.push_str("null");
        }
        self.texts.push(',');
        Ok(())
    }

    fn failure(&mut self, error: &Error) {
        // One failure of a whole batch is packed once.
        if !self.failures.last().is_some_and(|last| last.is_same(error)) {
            self.failures.push(error.clone());
        }
        self.kind(OutcomeKind::Failure);
        push_digits(&mut self.numbers, self.failures.len() as u64 - 1, FAILURE_DIGITS);
    }

    fn finish(mut self, count: usize) -> String {
        if !self.failures.is_empty() {
            let failures: Vec<Value> = self.failures.iter().map(failure).collect();
            self.texts.push_str(&Value::Array(failures).to_string());
        } else {
            self.texts.pop();
        }
        let mut message = String::with_capacity(PREFIX + self.numbers.len() + self.texts.len() + 2);
        message.push(TAG);
        push_digits(&mut message, (PREFIX + self.numbers.len()) as u64, OFFSET_DIGITS);
        push_digits(&mut message, count as u64, COUNT_DIGITS);
        message.push_str(&self.numbers);
        if !self.texts.is_empty() {
            message.push('[');
            message.push_str(&self.texts);
            message.push(']');
        }
        message
    }
}

/// Appends a number in digits of seven bits.
fn push_digits(out: &mut String, number: u64, digits: u32) {
    for digit in (0..digits).rev() {
        // Seven bits are a character of ASCII.
        out.push(char::from((number >> (digit * DIGIT_BITS)) as u8 & 0x7f));
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
        Kind::ReadOnly => "readOnly",
        Kind::Closed => "closed",
        Kind::QueueFull => "queueFull",
        Kind::TooLarge => "tooLarge",
        Kind::Table | Kind::Changed => "table",
        Kind::Argument => "argument",
        Kind::Internal => "internal",
    };
    put("kind", Some(kind.into()));
    Value::Object(facts)
}
