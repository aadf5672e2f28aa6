//! Which expressions may stand in DEFAULT, CHECK and GENERATED. They run on the server with the session's rights, so
//! only those that compute pass: an allow-list of syntax and of functions.

use super::{CastKind, Expr, FunctionArguments, ObjectName, ObjectNamePart, Value};
use sqlparser::ast::{Array, Function, FunctionArg, FunctionArgExpr};

const FUNCTIONS: [&str; 60] = [
    "abs",
    "array_length",
    "btrim",
    "cardinality",
    "ceil",
    "ceiling",
    "char_length",
    "clock_timestamp",
    "coalesce",
    "concat",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "date_part",
    "date_trunc",
    "floor",
    "gen_random_uuid",
    "greatest",
    "initcap",
    "json_array_length",
    "json_build_array",
    "json_build_object",
    "json_typeof",
    "jsonb_array_length",
    "jsonb_build_array",
    "jsonb_build_object",
    "jsonb_typeof",
    "least",
    "left",
    "length",
    "localtime",
    "localtimestamp",
    "lower",
    "make_date",
    "make_interval",
    "md5",
    "mod",
    "nextval",
    "now",
    "nullif",
    "octet_length",
    "position",
    "random",
    "replace",
    "right",
    "round",
    "session_user",
    "statement_timestamp",
    "substr",
    "timezone",
    "to_tsvector",
    "transaction_timestamp",
    "trunc",
    "upper",
    "uuid_generate_v4",
    "uuidv7",
];

/// Passes an expression that only computes; the error says what in it does not.
pub(super) fn check(expr: &Expr) -> Result<(), String> {
    match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => Ok(()),
        Expr::Value(value) => check_value(&value.value),
        Expr::TypedString(typed) => check_value(&typed.value.value),
        Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, .. } => check(expr),
        Expr::Nested(expr)
        | Expr::UnaryOp { expr, .. }
        | Expr::IsNull(expr)
        | Expr::IsNotNull(expr)
        | Expr::IsTrue(expr)
        | Expr::IsNotTrue(expr)
        | Expr::IsFalse(expr)
        | Expr::IsNotFalse(expr)
        | Expr::Collate { expr, .. }
        | Expr::Extract { expr, .. } => check(expr),
        Expr::BinaryOp { left, right, .. }
        | Expr::IsDistinctFrom(left, right)
        | Expr::IsNotDistinctFrom(left, right)
        | Expr::AnyOp { left, right, .. }
        | Expr::AllOp { left, right, .. } => check(left).and_then(|()| check(right)),
        Expr::AtTimeZone { timestamp, time_zone } => {
            check(timestamp).and_then(|()| check(time_zone))
        }
        Expr::Between { expr, low, high, .. } => {
            [expr, low, high].into_iter().try_for_each(|part| check(part))
        }
        Expr::Like { expr, pattern, .. }
        | Expr::ILike { expr, pattern, .. }
        | Expr::SimilarTo { expr, pattern, .. } => check(expr).and_then(|()| check(pattern)),
        Expr::InList { expr, list, .. } => check(expr).and_then(|()| check_all(list)),
        Expr::Tuple(list) | Expr::Array(Array { elem: list, .. }) => check_all(list),
        Expr::Interval(interval) => check(&interval.value),
        Expr::Function(function) => check_function(function),
        other => Err(format!("the expression {other} is not allowed here")),
    }
}

fn check_all(list: &[Expr]) -> Result<(), String> {
    list.iter().try_for_each(check)
}

/// Plain literals: the other kinds (E'', U&'', dollar quotes) are where two readers of SQL disagree.
fn check_value(value: &Value) -> Result<(), String> {
    match value {
        Value::Number(..) | Value::SingleQuotedString(_) | Value::Boolean(_) | Value::Null => {
            Ok(())
        }
        other => Err(format!("the literal {other} is not allowed here; use '…'")),
    }
}

fn check_function(function: &Function) -> Result<(), String> {
    if !is_known(&function.name) {
        return Err(format!("the function {} is not allowed here", function.name));
    }
    match &function.args {
        FunctionArguments::None => Ok(()),
        FunctionArguments::List(list) => list.args.iter().try_for_each(check_argument),
        FunctionArguments::Subquery(_) => Err("a subquery is not allowed here".to_owned()),
    }
}

fn check_argument(argument: &FunctionArg) -> Result<(), String> {
    let (FunctionArg::Named { arg, .. }
    | FunctionArg::ExprNamed { arg, .. }
    | FunctionArg::Unnamed(arg)) = argument;
    match arg {
        FunctionArgExpr::Expr(expr) => check(expr),
        _ => Err("only values may be given to a function here".to_owned()),
    }
}

/// `now` or `pg_catalog.now`.
fn is_known(name: &ObjectName) -> bool {
    let is_named = |part: &ObjectNamePart, name: &str| match part {
        ObjectNamePart::Identifier(ident) => ident.value.eq_ignore_ascii_case(name),
        ObjectNamePart::Function(_) => false,
    };
    let last = match name.0.as_slice() {
        [last] => last,
        [schema, last] if is_named(schema, "pg_catalog") => last,
        _ => return false,
    };
    FUNCTIONS.iter().any(|function| is_named(last, function))
}
