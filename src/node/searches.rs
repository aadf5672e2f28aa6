//! Searches as JavaScript writes them: `[conditions, excepted ids, handle or null]`, where a condition is
//! `[place, value, null]` or `[place, null, [value, …]]`, with values as for create.

use serde_json::Value;

use super::field_value;
use crate::handle;
use crate::session_id::SessionId;
use crate::sessions::{Condition, Search, Wanted};

type Given = (u16, Value, Option<Vec<Value>>);

/// Reads a search. `None`: it can mean no session, since its handle is none.
pub(super) fn read(text: &str) -> serde_json::Result<Option<Search>> {
    let (conditions, except, only): (Vec<Given>, Vec<String>, Option<String>) =
        serde_json::from_str(text)?;
    let only = match only.as_deref().map(handle::parse) {
        Some(None) => return Ok(None),
        Some(handle) => handle,
        None => None,
    };
    Ok(Some(Search {
        conditions: conditions.into_iter().map(condition).collect(),
        // What is no id is no session's, and so excepts none.
        except: except.iter().filter_map(|id| SessionId::parse(id)).collect(),
        only,
    }))
}

fn condition((place, value, any_of): Given) -> Condition {
    let wanted = match any_of {
        Some(values) => Wanted::AnyOf(values.into_iter().map(field_value).collect()),
        None => Wanted::Value(field_value(value)),
    };
    Condition { place, wanted }
}
