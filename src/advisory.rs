//! Keys of advisory locks: the same for all processes that work on one table, different for different purposes.

use ring::digest::{SHA256, digest};

/// What a lock is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// Keeping to `max_sessions`.
    Limit,
    /// Removing expired rows.
    Prune,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Purpose::Limit => "limit",
            Purpose::Prune => "prune",
        }
    }
}

/// The first of the two keys of a lock; `table`: its name in SQL.
pub(crate) fn key(purpose: Purpose, table: &str) -> i32 {
    let text = format!("pg-sess-rs {} of {table}", purpose.name());
    let hash = digest(&SHA256, text.as_bytes());
    hash.as_ref().first_chunk().map_or(0, |bytes| i32::from_be_bytes(*bytes))
}
