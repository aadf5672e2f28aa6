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

/// Passes an expression that only computes, or calls a function of `allowed`; the error says what in it does not.
pub(super) fn check(expr: &Expr, allowed: &[String]) -> Result<(), String> {
    Checker { allowed }.expression(expr)
}

struct Checker<'a> {
    /// Functions that the user vouches for, as they are called: `f` or `schema.f`.
    allowed: &'a [String],
}

impl Checker<'_> {
    fn expression(&self, expr: &Expr) -> Result<(), String> {
        match expr {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => Ok(()),
            Expr::Value(value) => check_value(&value.value),
            Expr::TypedString(typed) => check_value(&typed.value.value),
            Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, .. } => {
                self.expression(expr)
            }
            Expr::Nested(expr)
            | Expr::UnaryOp { expr, .. }
            | Expr::IsNull(expr)
            | Expr::IsNotNull(expr)
            | Expr::IsTrue(expr)
            | Expr::IsNotTrue(expr)
            | Expr::IsFalse(expr)
            | Expr::IsNotFalse(expr)
            | Expr::Collate { expr, .. }
            | Expr::Extract { expr, .. } => self.expression(expr),
            Expr::BinaryOp { left, right, .. }
            | Expr::IsDistinctFrom(left, right)
            | Expr::IsNotDistinctFrom(left, right)
            | Expr::AnyOp { left, right, .. }
            | Expr::AllOp { left, right, .. } => {
                self.expression(left).and_then(|()| self.expression(right))
            }
            Expr::AtTimeZone { timestamp, time_zone } => {
                self.expression(timestamp).and_then(|()| self.expression(time_zone))
            }
            Expr::Between { expr, low, high, .. } => {
                [expr, low, high].into_iter().try_for_each(|part| self.expression(part))
            }
            Expr::Like { expr, pattern, .. }
            | Expr::ILike { expr, pattern, .. }
            | Expr::SimilarTo { expr, pattern, .. } => {
                self.expression(expr).and_then(|()| self.expression(pattern))
            }
            Expr::InList { expr, list, .. } => self.expression(expr).and_then(|()| self.all(list)),
            Expr::Tuple(list) | Expr::Array(Array { elem: list, .. }) => self.all(list),
            Expr::Interval(interval) => self.expression(&interval.value),
            Expr::Function(function) => self.function(function),
            other => Err(format!("the expression {other} is not allowed here")),
        }
    }

    fn all(&self, list: &[Expr]) -> Result<(), String> {
        list.iter().try_for_each(|expr| self.expression(expr))
    }

    fn function(&self, function: &Function) -> Result<(), String> {
        if !self.is_known(&function.name) {
            return Err(format!("the function {} is not allowed here", function.name));
        }
        let is_plain = function.filter.is_none()
            && function.over.is_none()
            && function.null_treatment.is_none()
            && function.within_group.is_empty()
            && matches!(function.parameters, FunctionArguments::None);
        if !is_plain {
            return Err(format!("only a plain call of {} is allowed here", function.name));
        }
        match &function.args {
            FunctionArguments::None => Ok(()),
            FunctionArguments::List(list) if !list.clauses.is_empty() => {
                Err(format!("only a plain call of {} is allowed here", function.name))
            }
            FunctionArguments::List(list) => {
                list.args.iter().try_for_each(|argument| self.argument(argument))
            }
            FunctionArguments::Subquery(_) => Err("a subquery is not allowed here".to_owned()),
        }
    }

    fn argument(&self, argument: &FunctionArg) -> Result<(), String> {
        let (FunctionArg::Named { arg, .. }
        | FunctionArg::ExprNamed { arg, .. }
        | FunctionArg::Unnamed(arg)) = argument;
        match arg {
            FunctionArgExpr::Expr(expr) => self.expression(expr),
            _ => Err("only values may be given to a function here".to_owned()),
        }
    }

    /// `now` or `pg_catalog.now`.
    fn is_known(&self, name: &ObjectName) -> bool {
        let is_named = |part: &ObjectNamePart, name: &str| match part {
            ObjectNamePart::Identifier(ident) => ident.value.eq_ignore_ascii_case(name),
            ObjectNamePart::Function(_) => false,
        };
        if self.allowed.iter().any(|allowed| name.to_string().eq_ignore_ascii_case(allowed)) {
            return true;
        }
        let last = match name.0.as_slice() {
            [last] => last,
            [schema, last] if is_named(schema, "pg_catalog") => last,
            _ => return false,
        };
        FUNCTIONS.iter().any(|function| is_named(last, function))
    }
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
