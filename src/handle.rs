//! Handles: what a list of sessions shows in the place of their ids. A handle tells sessions apart and opens none.
//!
//! It is a hash of the id as it stands in the table, made here and, by the same rule, in SQL: so sessions are found by
//! their handles inside the database, and no id leaves it for that.

use ring::digest::{SHA256, digest};
use uuid::Uuid;

use crate::text::hex;

/// Goes before the id, so that no other hash of an id is ever the same.
const DOMAIN: &str = "pg-sess-rs handle of ";
/// SHA-256.
const BYTES: usize = 32;

/// The handle of a session; `stored`: its id as it stands in the table.
pub(crate) fn of_stored(stored: Uuid) -> String {
    let mut input = Vec::with_capacity(DOMAIN.len() + 16);
    input.extend_from_slice(DOMAIN.as_bytes());
    input.extend_from_slice(stored.as_bytes());
    hex(digest(&SHA256, &input).as_ref())
}

/// The same in SQL, as bytea. `stored`: an expression that gives the id as it stands in the table.
pub(crate) fn sql(stored: &str) -> String {
    format!("sha256('{DOMAIN}'::bytea || uuid_send({stored}))")
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
    use super::*;

    #[test]
    fn a_handle_is_read_back() {
        let handle = of_stored(Uuid::from_u128(1));

        assert_eq!(handle.len(), 64);
        assert_eq!(parse(&handle).map(|bytes| hex(&bytes)), Some(handle));
    }

    #[test]
    fn anything_else_is_no_handle() {
        let upper = of_stored(Uuid::from_u128(1)).to_uppercase();
        for text in ["", "me", "é".repeat(32).as_str(), "g".repeat(64).as_str(), upper.as_str()] {
            assert!(parse(text).is_none(), "{text:?}");
        }
    }
}
