//! The caller's fields. The user's text ends here: a name becomes a quoted identifier, a datatype is parsed, checked
//! and written anew from the parsed form, so nothing else of it can reach SQL.

use sqlparser::ast::{
    CastKind, ColumnDef, ColumnOption, CreateTable, DataType, Expr, FunctionArguments, ObjectName,
    ObjectNamePart, Statement, Value,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer, Whitespace};

use crate::error::Error;

mod expression;

/// PostgreSQL cuts longer names in silence; two fields could become one.
const MAX_NAME_BYTES: usize = 63;
/// No real datatype comes near; the parser's work stays bounded.
const MAX_DATATYPE_BYTES: usize = 2_000;
/// An expression is a tree, and a long chain such as `1 + 1 + …` a deep one: what walks it would need more than the stack
/// that a thread has otherwise, and so end the program.
const STACK_BYTES: usize = 1 << 25;

const SYSTEM_COLUMNS: [&str; 6] = ["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];
/// The columns that every session has, in the table's order.
pub(crate) const SESSION_COLUMNS: [&str; 4] =
    ["sess_id", "sess_creation_date", "sess_last_updated", "sess_expiration"];

/// A field as the caller names it.
#[derive(Clone, Debug)]
pub struct FieldSpec {
    /// Its name.
    pub name: String,
    /// A PostgreSQL datatype, with constraints if wanted: `INT`, `VARCHAR(255) NOT NULL`.
    pub datatype: String,
}

/// A field that passed the checks.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// The name as the caller wrote it.
    pub(crate) asked: String,
    /// The column's name if it has to be created.
    pub(crate) column: String,
    /// The type alone, for `to_regtype`: SERIAL is INT here, as it is in the catalogue.
    pub(crate) type_sql: String,
    /// Whether the type carries a modifier such as a length.
    pub(crate) has_modifier: bool,
    /// Type and constraints, as they stand behind the name in CREATE TABLE.
    pub(crate) definition: String,
}

/// Checks the fields; the order stays. With `fold`, plain names are folded to lower case. `allowed`: functions that
/// may be called in expressions besides the well-known ones.
pub(crate) fn check_fields(
    specs: &[FieldSpec],
    fold: bool,
    allowed: &[String],
) -> Result<Vec<Field>, Error> {
    std::thread::scope(|scope| {
        let check = || check_each_field(specs, fold, allowed);
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, check);
        let failed = || Error::internal("the datatypes could not be checked");
        thread.map_err(|_| failed())?.join().map_err(|_| failed())?
    })
}

fn check_each_field(
    specs: &[FieldSpec],
    fold: bool,
    allowed: &[String],
) -> Result<Vec<Field>, Error> {
    let mut fields: Vec<Field> = Vec::with_capacity(specs.len());
    for spec in specs {
        let field = check_field(spec, fold, allowed)?;
        if fields.iter().any(|other| other.column == field.column) {
            return Err(Error::argument(format!(
                "field {:?} is named twice (names are compared as {:?})",
                spec.name, field.column
            )));
        }
        fields.push(field);
    }
    Ok(fields)
}

fn check_field(spec: &FieldSpec, fold: bool, allowed: &[String]) -> Result<Field, Error> {
    let column = if fold { fold_name(&spec.name) } else { spec.name.clone() };
    check_name("field name", &column)?;
    if SYSTEM_COLUMNS.contains(&column.as_str()) {
        return Err(Error::argument(format!(
            "field name {column:?} is a system column of PostgreSQL; choose another name"
        )));
    }
    if SESSION_COLUMNS.contains(&column.as_str()) {
        return Err(Error::argument(format!(
            "field name {column:?} is a column that every session has; choose another name"
        )));
    }
    let refused = |why: &str| {
        Error::argument(format!(
            "datatype of field {:?}: {why}; expected a PostgreSQL datatype such as INT, VARCHAR(255) or TEXT NOT NULL, \
             got {:?}",
            spec.name,
            shorten(&spec.datatype)
        ))
    };
    let parsed = parse_datatype(&spec.datatype).map_err(|why| refused(&why))?;
    check_options(&parsed, allowed).map_err(|why| refused(&why))?;
    Ok(describe(spec, column, &parsed))
}

/// Checks a name that becomes a quoted identifier. `what` names it in the error.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), Error> {
    let why = if name.is_empty() {
        "must not be empty"
    } else if name.contains('\0') {
        "must not contain U+0000"
    } else if name.len() > MAX_NAME_BYTES {
        "must not be longer than 63 bytes"
    } else {
        return Ok(());
    };
    Err(Error::argument(format!("{what} {why}, got {:?}", shorten(name))))
}

/// Folds a plain name as PostgreSQL folds it without quotes: ASCII letters only, for in UTF-8 it folds no others.
fn fold_name(name: &str) -> String {
    let mut letters = name.chars();
    let is_plain = letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '$');
    if is_plain { name.to_ascii_lowercase() } else { name.to_owned() }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn describe(spec: &FieldSpec, column: String, parsed: &ColumnDef) -> Field {
    let written = parsed.data_type.to_string();
    let type_sql = match written.to_ascii_uppercase().as_str() {
        "SERIAL" | "SERIAL4" => "INT4".to_owned(),
        "BIGSERIAL" | "SERIAL8" => "INT8".to_owned(),
        "SMALLSERIAL" | "SERIAL2" => "INT2".to_owned(),
        _ => written,
    };
    // Everything behind the one-letter name of the probe column.
    let definition = parsed.to_string().chars().skip(2).collect();
    let has_modifier =
        type_sql.contains('(') || type_sql.to_ascii_uppercase().starts_with("INTERVAL ");
    Field { asked: spec.name.clone(), column, type_sql, has_modifier, definition }
}

/// Parses a datatype with its constraints as the only column of a table.
fn parse_datatype(datatype: &str) -> Result<ColumnDef, String> {
    if datatype.len() > MAX_DATATYPE_BYTES {
        return Err(format!("longer than {MAX_DATATYPE_BYTES} bytes"));
    }
    check_tokens(datatype)?;
    let column = parse_column(datatype)?;
    // What is sent is the rendering of this tree. Had the renderer left out a quote somewhere, the rendering would
    // read differently from what was checked.
    let rendered = column.to_string();
    let again = parse_column(rendered.get(2..).unwrap_or_default())?;
    check_rendering(&rendered)?;
    if again == column { Ok(column) } else { Err("it cannot be written unambiguously".to_owned()) }
}

/// What PostgreSQL would read otherwise than the parser is refused here: to it, `--` and `/*` begin a comment even within
/// an operator, and what stands behind would no longer be what was checked.
///
/// <https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-OPERATORS>
fn check_rendering(rendered: &str) -> Result<(), String> {
    let mut quote = None;
    let mut before = ' ';
    for letter in rendered.chars() {
        // A quote that is doubled ends what is quoted and begins it anew.
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (Some(_), _) => continue,
            (None, '\'' | '"') => quote = Some(letter),
            (None, _) => check_pair(before, letter)?,
        }
        before = letter;
    }
    Ok(())
}

/// Two letters outside of quotes.
fn check_pair(before: char, letter: char) -> Result<(), String> {
    let is_in_name = before.is_alphanumeric() || before == '_' || before == '$';
    match (before, letter) {
        ('-', '-') | ('/', '*') => Err("it contains a comment".to_owned()),
        (_, ';' | '\\') => Err(format!("it contains {letter} outside of quotes")),
        (_, '$') if !is_in_name => Err("it contains $ outside of quotes".to_owned()),
        _ => Ok(()),
    }
}

/// What the parser passes over in silence is refused here: comments, and a keyword of other databases.
fn check_tokens(datatype: &str) -> Result<(), String> {
    if datatype.contains('\0') {
        return Err("it contains U+0000".to_owned());
    }
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, datatype)
        .tokenize()
        .map_err(|error| format!("it cannot be read ({error})"))?;
    for token in &tokens {
        match token {
            Token::Whitespace(
                Whitespace::SingleLineComment { .. } | Whitespace::MultiLineComment(_),
            ) => return Err("it contains a comment".to_owned()),
            Token::Word(word)
                if matches!(word.keyword, Keyword::AUTO_INCREMENT | Keyword::AUTOINCREMENT) =>
            {
                return Err(format!("{word} is not PostgreSQL; use SERIAL"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn parse_column(datatype: &str) -> Result<ColumnDef, String> {
    let (column, rest) = parse_probe(datatype)?;
    // Table options, further columns, constraints, a query… anything but the one column shows up in the rest.
    let (_, expected) = parse_probe("INT")?;
    if rest == expected {
        Ok(column)
    } else {
        Err("it is more than one column definition".to_owned())
    }
}

/// Parses `CREATE TABLE t (c …)` and takes the single column out of it.
fn parse_probe(datatype: &str) -> Result<(ColumnDef, CreateTable), String> {
    // The line break keeps a trailing `--` from hiding the parenthesis.
    let sql = format!("CREATE TABLE t (c {datatype}\n)");
    let statements = Parser::parse_sql(&PostgreSqlDialect {}, &sql)
        .map_err(|error| format!("it cannot be read ({error})"))?;
    let not_one = || "it is more than one column definition".to_owned();
    let [Statement::CreateTable(table)] =
        <[Statement; 1]>::try_from(statements).map_err(|_| not_one())?
    else {
        return Err(not_one());
    };
    let mut table = table;
    let [column] =
        <[ColumnDef; 1]>::try_from(std::mem::take(&mut table.columns)).map_err(|_| not_one())?;
    Ok((column, table))
}

/// Only what makes sense for a column of this table, and only expressions that do nothing but compute.
fn check_options(column: &ColumnDef, allowed: &[String]) -> Result<(), String> {
    check_type(&column.data_type)?;
    for option in &column.options {
        check_option(&option.option, allowed)?;
    }
    Ok(())
}

fn check_option(option: &ColumnOption, allowed: &[String]) -> Result<(), String> {
    match option {
        ColumnOption::Null
        | ColumnOption::NotNull
        | ColumnOption::Unique(_)
        | ColumnOption::ForeignKey(_)
        | ColumnOption::Collation(_) => Ok(()),
        ColumnOption::PrimaryKey(_) => {
            Err("PRIMARY KEY is not possible, the table's is sess_id; use UNIQUE".to_owned())
        }
        ColumnOption::Default(expr) => expression::check(expr, allowed),
        ColumnOption::Check(check) => expression::check(&check.expr, allowed),
        ColumnOption::Generated { generation_expr: Some(expr), .. } => {
            expression::check(expr, allowed)
        }
        ColumnOption::Generated { generation_expr: None, .. } => Ok(()),
        other => Err(format!("{other} is not allowed here")),
    }
}

fn check_type(data_type: &DataType) -> Result<(), String> {
    match data_type {
        // The renderer writes the modifiers of a type that it does not know without quotes.
        DataType::Custom(_, modifiers) => {
            let is_plain = |modifier: &String| {
                modifier.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-')
            };
            if modifiers.iter().all(is_plain) {
                Ok(())
            } else {
                Err("its modifiers may hold only letters and digits".to_owned())
            }
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text::quote_name;

    fn definition(datatype: &str) -> Result<String, Error> {
        let spec = FieldSpec { name: "f".to_owned(), datatype: datatype.to_owned() };
        check_fields(&[spec], false, &[]).map(|mut fields| fields.remove(0).definition)
    }

    #[test]
    fn real_datatypes_pass() {
        for datatype in [
            "INT",
            "int not null",
            "VARCHAR(255)",
            "CHARACTER VARYING(10) DEFAULT 'x'",
            "NUMERIC(10,2)",
            "TIMESTAMP WITH TIME ZONE DEFAULT now()",
            "TIMESTAMPTZ(3)",
            "DOUBLE PRECISION",
            "BOOLEAN DEFAULT false",
            "INT[]",
            "TEXT[] NOT NULL DEFAULT '{}'",
            "TEXT[] DEFAULT ARRAY[]::text[]",
            "JSONB DEFAULT '{}'::jsonb",
            "INTERVAL DAY TO SECOND",
            "SERIAL",
            "BIGSERIAL",
            "\"My Type\"",
            "app.\"Mood\"",
            "INT UNIQUE",
            "INT CHECK (f > 0 AND f < 100)",
            "INT REFERENCES users(id) ON DELETE CASCADE",
            "TEXT COLLATE \"C\"",
            "INT GENERATED ALWAYS AS (1 + 2) STORED",
            "INT GENERATED BY DEFAULT AS IDENTITY",
            "UUID DEFAULT gen_random_uuid()",
            "TIMESTAMP DEFAULT CURRENT_TIMESTAMP",
            "TSTZRANGE",
            "geometry(Point,4326)",
            "BIT VARYING(5)",
            "DATE DEFAULT (now() AT TIME ZONE 'UTC')",
            "INT DEFAULT 1 - -1",
            "JSONB DEFAULT '{\"a\": 1}' #- '{a}'",
            "TEXT DEFAULT '-- /* ; $$ \\'",
            "\"a--b/*c;$$\"",
            "a$b",
            "TEXT CHECK (f ~ '^\\d+$')",
        ] {
            assert!(definition(datatype).is_ok(), "{datatype}: {:?}", definition(datatype));
        }
    }

    #[test]
    fn anything_more_than_a_column_is_refused() {
        for datatype in [
            "",
            "INT, evil INT",
            "INT); DROP TABLE users; --",
            "INT); DROP TABLE users; CREATE TABLE t2 (c INT",
            "INT) WITH (fillfactor=10",
            "INT) INHERITS (users",
            "INT) PARTITION BY HASH (c",
            "INT) TABLESPACE evil; --",
            "INT -- comment",
            "INT /* comment */",
            "INT DEFAULT (SELECT 1)",
            "INT DEFAULT pg_sleep(10)",
            "TEXT DEFAULT pg_read_file('/etc/passwd')",
            "TEXT DEFAULT lower(pg_read_file('/etc/passwd'))",
            "TEXT CHECK (pg_sleep(1) IS NULL)",
            "TEXT CHECK (EXISTS (SELECT 1))",
            "INT PRIMARY KEY",
            "INT AUTO_INCREMENT",
            "INT COMMENT 'x'",
            "TEXT DEFAULT $$x$$",
            "TEXT DEFAULT E'\\''",
            "geometry('x) , evil INT')",
            "INT\0",
            "INT DEFAULT other.now()",
            "INT DEFAULT 1 #-- 2",
            "INT DEFAULT 1 @-/* 2",
            "INT DEFAULT 1#/*2",
            "INT DEFAULT 1 |/**/ 2",
            "INT DEFAULT '{}'#--'{a}'",
            "INT CHECK (f #/* 2)",
            "INT GENERATED ALWAYS AS (1 &-- 2) STORED",
            "INT DEFAULT length('a') OVER ()",
            "INT DEFAULT length('a') FILTER (WHERE pg_sleep(1) IS NULL)",
        ] {
            assert!(definition(datatype).is_err(), "{datatype}: {:?}", definition(datatype));
        }
    }

    /// Pieces that a hostile datatype is made of, in any order.
    fn pieces() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("INT"),
            Just("TEXT"),
            Just("VARCHAR"),
            Just("("),
            Just(")"),
            Just("5"),
            Just(","),
            Just(";"),
            Just("--"),
            Just("/*"),
            Just("*/"),
            Just("'"),
            Just("''"),
            Just("\""),
            Just("$$"),
            Just("E'"),
            Just("\\"),
            Just("DEFAULT"),
            Just("NOT NULL"),
            Just("CHECK"),
            Just("UNIQUE"),
            Just("REFERENCES"),
            Just("t"),
            Just("now()"),
            Just("pg_sleep(1)"),
            Just("(SELECT 1)"),
            Just("WITH"),
            Just("DROP TABLE t"),
            Just("\n"),
            Just("COLLATE"),
            Just("GENERATED ALWAYS AS"),
            Just("STORED"),
            Just("[]"),
            Just("::"),
            Just("é"),
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.join(" "))
    }

    proptest! {
        #[test]
        fn a_datatype_that_passes_is_one_column_and_nothing_else(datatype in pieces()) {
            if let Ok(definition) = definition(&datatype) {
                prop_assert!(parse_column(&definition).is_ok(), "{datatype} became {definition}");
                prop_assert!(!definition.contains(';') || definition.contains('\''), "{datatype} became {definition}");
            }
        }

        /// By other means: without what is quoted, and what PostgreSQL takes for an operator read as it reads it.
        #[test]
        fn no_datatype_that_passes_has_a_comment(letters in "[-+*/<>=~!@#%^&|`?'\"$;a1 ]{1,12}") {
            for datatype in [format!("INT DEFAULT 1 {letters} 2"), format!("INT CHECK (1{letters}2)")] {
                let Ok(definition) = definition(&datatype) else { continue };
                let plain: String = definition.split(['\'', '"']).step_by(2).collect::<Vec<_>>().join(" ");
                for sign in ["--", "/*", ";", "$$"] {
                    prop_assert!(!plain.contains(sign), "{datatype} became {definition}");
                }
            }
        }

        #[test]
        fn any_text_is_taken_or_refused_without_a_panic(datatype in ".{0,60}", name in ".{0,70}") {
            let _ = check_fields(&[FieldSpec { name, datatype }], true, &[]);
        }

        #[test]
        fn a_quoted_name_reads_back_as_itself(name in "[^\0]{1,60}") {
            let tokens = Tokenizer::new(&PostgreSqlDialect {}, &quote_name(&name)).tokenize();
            let is_that_name = |token: &Token| matches!(token, Token::Word(word) if word.value == name);
            prop_assert!(matches!(tokens.as_deref(), Ok([token]) if is_that_name(token)), "{tokens:?}");
        }
    }

    #[test]
    fn the_deepest_expression_that_fits_harms_nobody() {
        for (begin, again, end) in [
            ("INT DEFAULT 1", "+1", ""),
            ("INT DEFAULT 1", "::x", ""),
            ("INT DEFAULT 1", " IS NULL", ""),
            ("INT DEFAULT a", "[1]", ""),
            ("INT DEFAULT ", "(", "1"),
            ("INT DEFAULT ", "- ", "1"),
            ("INT DEFAULT ", "NOT ", "true"),
            ("INT DEFAULT ", "ARRAY[", "1"),
            ("INT DEFAULT ", "CASE WHEN ", "1"),
            ("INT DEFAULT ", "lower(", "'a'"),
            ("INT", "[]", ""),
            ("INT", " NOT NULL", ""),
            ("INT CHECK (a", " AND a", ")"),
            ("a", ".a", ""),
        ] {
            let times = (MAX_DATATYPE_BYTES - begin.len() - end.len()) / again.len();
            let _ = definition(&format!("{begin}{}{end}", again.repeat(times)));
        }
    }

    #[test]
    fn a_function_that_the_user_vouches_for_may_be_called() {
        let spec =
            |datatype: &str| [FieldSpec { name: "f".to_owned(), datatype: datatype.to_owned() }];
        let allowed = ["app.next_number".to_owned()];

        assert!(check_fields(&spec("INT DEFAULT app.next_number()"), false, &allowed).is_ok());
        assert!(check_fields(&spec("INT DEFAULT next_number()"), false, &allowed).is_err());
        assert!(check_fields(&spec("INT DEFAULT app.next_number()"), false, &[]).is_err());
    }

    #[test]
    fn names_that_cannot_be_columns_are_refused() {
        for name in ["", "a\0b", "ctid", "sess_id", &"x".repeat(64)] {
            let spec = FieldSpec { name: name.to_owned(), datatype: "INT".to_owned() };
            assert!(check_fields(&[spec], false, &[]).is_err(), "{name:?}");
        }
    }

    #[test]
    fn plain_names_fold_where_the_original_folded() {
        assert_eq!(fold_name("userId"), "userid");
        assert_eq!(fold_name("user Id"), "user Id");
        assert_eq!(fold_name("Ünder"), "Ünder");
        let twice = ["userId", "userid"]
            .map(|name| FieldSpec { name: name.to_owned(), datatype: "INT".to_owned() });
        assert!(check_fields(&twice, true, &[]).is_err());
        assert!(check_fields(&twice, false, &[]).is_ok());
    }
}
