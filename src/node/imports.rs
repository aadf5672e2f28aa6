//! Imports as they cross: what is asked, what came of it.

use napi::{Error, Result};
use serde_json::{Value, json};

use crate::import::{Import, Imported, Secret};

type Question = (Option<String>, String, Vec<(u16, Vec<String>)>, String, bool, Option<String>);

/// From a JSON array: schema, table, fields by their place with their paths, secret, whether to change nothing, and the
/// last session that was looked at.
pub(super) fn asked(question: &str) -> Result<(Import, Option<String>)> {
    // serde's own words would show what is in there.
    let (schema, table, paths, secret, dry, after): Question = serde_json::from_str(question)
        .map_err(|_| Error::from_reason("import: the question is not as it should be"))?;
    Ok((Import { schema, table, paths, secret: Secret(secret), dry }, after))
}

pub(super) fn answer(imported: Imported) -> Value {
    let Imported { copied, known, expired, unmapped, next } = imported;
    json!({ "copied": copied, "known": known, "expired": expired, "unmapped": unmapped, "next": next })
}
