//! Handles: what a list of sessions shows in the place of their ids. A handle tells sessions apart and opens none.
//!
//! It is a hash of the id as it stands in the table, made here and, by the same rule, in SQL: so sessions are found by
//! their handles inside the database, and no id leaves it for that. In a table of hashed ids, one that is still plain
//! counts as if it were hashed: its session keeps its handle when that is done.

use ring::digest::{SHA256, digest};

use crate::ids::{Ids, StoredId, stored_sql};
use crate::text::hex;

/// Goes before the id, so that no other hash of an id is ever the same.
const DOMAIN: &str = "pg-sess-rs handle of ";
/// SHA-256.
const BYTES: usize = 32;

/// The handle of a session.
pub(crate) fn of_stored(stored: StoredId) -> String {
    let mut input = Vec::with_capacity(DOMAIN.len() + 16);
    input.extend_from_slice(DOMAIN.as_bytes());
    input.extend_from_slice(stored.as_uuid().as_bytes());
    hex(digest(&SHA256, &input).as_ref())
}

/// The same in SQL, as bytea. `id`: an expression that gives the id of a row.
pub(crate) fn sql(id: &str, ids: Ids) -> String {
    format!("sha256('{DOMAIN}'::bytea || uuid_send({}))", stored_sql(id, ids))
}

/// The bytes of a handle. `None`: it is none, and so no session's.
pub fn parse(text: &str) -> Option<Vec<u8>> {
    if text.len() != 2 * BYTES {
        return None;
    }
    let digit = |byte: &u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    text.as_bytes().chunks_exact(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::session_id::SessionId;

    proptest! {
        #[test]
        fn any_text_is_a_handle_or_none(text in "[0-9a-f]{64}|[0-9a-fA-F]{63,65}|.{0,70}") {
            let is_digit = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
            let is_handle = text.len() == 64 && text.bytes().all(is_digit);
            prop_assert_eq!(parse(&text).map(|bytes| hex(&bytes)), is_handle.then(|| text.clone()));
        }
    }

    fn some_handle() -> String {
        of_stored(Ids::Hashed.stored(SessionId::random()))
    }

    #[test]
    fn a_handle_is_read_back() {
        let handle = some_handle();

        assert_eq!(handle.len(), 64);
        assert_eq!(parse(&handle).map(|bytes| hex(&bytes)), Some(handle));
    }

    #[test]
    fn anything_else_is_no_handle() {
        let upper = some_handle().to_uppercase();
        for text in ["", "me", "é".repeat(32).as_str(), "g".repeat(64).as_str(), upper.as_str()] {
            assert!(parse(text).is_none(), "{text:?}");
        }
    }
}
