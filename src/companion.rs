//! The companion of a table of sessions: what `refresh` must remember of the ids that it replaced.
//!
//! A row says which id was replaced by which, when, and until when the replaced one works. Both stand as the table holds
//! them, hashed or not. With hashed ids the successor stands there a second time, sealed with a key that only the
//! replaced id gives: whoever holds the old id gets the new one from any process, and the table alone yields nothing.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};
use ring::hkdf::{HKDF_SHA256, Salt};
use uuid::Uuid;

use crate::ids::{Ids, StoredId, hash_sql, is_plain_sql, stored_sql};
use crate::session_id::SessionId;
use crate::text::{hex, quote_name};

const SUFFIX: &str = "_ids";
/// PostgreSQL cuts longer names.
const MAX_NAME_BYTES: usize = 63;
/// So many digits of a hash tell apart two names that are alike up to where they are cut.
const HASH_DIGITS: usize = 8;
const SALT: &[u8] = b"pg-sess-rs/successor/1";
const NONCE_BYTES: usize = 12;
/// So many replaced ids of a session are forgotten with it at once. Each costs a look at the companion, which may be one at
/// all of it.
const MOST_FORGOTTEN: u32 = 100;

/// Its columns and their types.
pub(crate) const COLUMNS: [(&str, &str); 5] = [
    ("old_id", "uuid"),
    ("new_id", "uuid"),
    ("issued", "timestamp with time zone"),
    ("grace_end", "timestamp with time zone"),
    ("sealed_id", "bytea"),
];

/// The companion's name: the table's with `_ids` behind it; a long one is cut, and a hash of it makes it unique again.
pub(crate) fn name(table: &str) -> String {
    beside(table, SUFFIX)
}

/// The name of a table that belongs to this one.
pub(crate) fn beside(table: &str, suffix: &str) -> String {
    if table.len() + suffix.len() <= MAX_NAME_BYTES {
        return format!("{table}{suffix}");
    }
    let digits: String =
        hex(digest(&SHA256, table.as_bytes()).as_ref()).chars().take(HASH_DIGITS).collect();
    let room = MAX_NAME_BYTES - suffix.len() - HASH_DIGITS - 1;
    let end = (0..=room).rev().find(|&end| table.is_char_boundary(end)).unwrap_or(0);
    format!("{}_{digits}{suffix}", table.get(..end).unwrap_or_default())
}

/// The companion's name as SQL. Without a schema the connection's search_path counts.
pub(crate) fn sql_name(schema: Option<&str>, table: &str) -> String {
    let name = quote_name(&name(table));
    match schema {
        Some(schema) => format!("{}.{name}", quote_name(schema)),
        None => name,
    }
}

/// The statements that make it.
pub(crate) fn ddl(sql_name: &str) -> [String; 2] {
    [
        format!(
            "CREATE TABLE {sql_name} (old_id uuid PRIMARY KEY, new_id uuid NOT NULL, issued timestamptz NOT NULL, \
             grace_end timestamptz NOT NULL, sealed_id bytea)"
        ),
        format!("CREATE INDEX ON {sql_name} (new_id)"),
    ]
}

/// For `prune`: looks at `$2` notes behind the id `$1` and forgets those whose grace is over; gives the last that it looked
/// at, if there are more. The last one before the current id of a session stays, without what was sealed, for it tells
/// the age of that id.
pub(crate) fn forget_sql(companion: &str, table: &str) -> String {
    let current =
        |note: &str| format!("EXISTS (SELECT FROM {table} AS s WHERE s.sess_id = {note}.new_id)");
    format!(
        "WITH looked AS MATERIALIZED (SELECT i.old_id, i.new_id, i.grace_end, i.sealed_id FROM {companion} AS i \
         WHERE i.old_id > $1::uuid ORDER BY i.old_id LIMIT $2::bigint), \
         over AS MATERIALIZED (SELECT i.old_id, {is_current} AS is_current FROM {companion} AS i \
         WHERE i.old_id = ANY(ARRAY(SELECT l.old_id FROM looked AS l \
         WHERE l.grace_end < now() AND (l.sealed_id IS NOT NULL OR NOT {was_current}))) AND i.grace_end < now() \
         ORDER BY i.old_id FOR UPDATE OF i SKIP LOCKED), \
         kept AS (UPDATE {companion} AS i SET sealed_id = NULL FROM over WHERE over.is_current AND i.old_id = over.old_id), \
         gone AS (DELETE FROM {companion} AS i USING over WHERE NOT over.is_current AND i.old_id = over.old_id) \
         SELECT (SELECT old_id FROM looked ORDER BY old_id DESC LIMIT 1) AS last, \
         (SELECT count(*) FROM looked) >= $2::bigint AS is_full",
        is_current = current("i"),
        was_current = current("l"),
    )
}

/// Notes whose ids are still plain, from before `hash_ids`: up to `$1` of them.
pub(crate) fn plain_sql(companion: &str) -> String {
    format!(
        "SELECT old_id, new_id FROM {companion} WHERE {} OR {} LIMIT $1::bigint",
        is_plain_sql("old_id"),
        is_plain_sql("new_id")
    )
}

/// Hashes them: `$1` and `$2` are their ids, `$3` the successors, sealed.
pub(crate) fn hash_plain_sql(companion: &str) -> String {
    let hashed = |id: &str| stored_sql(id, Ids::Hashed);
    format!(
        "WITH locked AS MATERIALIZED (SELECT old_id FROM {companion} WHERE old_id = ANY($1::uuid[]) ORDER BY old_id \
         FOR UPDATE) UPDATE {companion} AS i SET old_id = {old}, new_id = {new}, sealed_id = coalesce(i.sealed_id, u.sealed) \
         FROM locked, unnest($1::uuid[], $2::uuid[], $3::bytea[]) AS u (old_id, new_id, sealed) \
         WHERE i.old_id = locked.old_id AND u.old_id = i.old_id AND u.new_id = i.new_id RETURNING i.old_id",
        old = hashed("i.old_id"),
        new = hashed("i.new_id"),
    )
}

/// The CTE `trail (asked, id, step, place)`, for a WITH RECURSIVE: from each replaced id among `$1` to its successors, one
/// row each. `in_grace`: only from ids that still work.
pub(crate) fn trail_sql(companion: &str, ids: Ids, in_grace: bool) -> String {
    trail_from_sql("$1", companion, ids, in_grace)
}

/// The same from the ids in the parameter `asked`.
fn trail_from_sql(asked: &str, companion: &str, ids: Ids, in_grace: bool) -> String {
    let grace = if in_grace { " AND i.grace_end > now()" } else { "" };
    format!(
        "trail (asked, id, step, place) AS (SELECT i.old_id, i.new_id, {step}, 1 FROM {companion} AS i \
         WHERE i.old_id = ANY({asked}::uuid[]){grace} UNION ALL SELECT t.asked, i.new_id, {step}, t.place + 1 \
         FROM trail AS t JOIN {companion} AS i ON {next})",
        step = "coalesce(i.sealed_id, uuid_send(i.new_id))",
        next = is_stored_as("i.old_id", "t.id", ids),
    )
}

/// The CTE `paths (whose, path)` behind a trail: for each id that was asked for, what [`follow`] needs. It is made at the
/// end: with the way so far in each row of the trail, a session that had thousands of ids would cost seconds.
pub(crate) const PATHS: &str = "paths (whose, path) AS (SELECT p.asked, uuid_send(p.asked) || array_agg(p.step ORDER BY p.place) \
     FROM trail AS p GROUP BY p.asked)";

/// The ids, as [`Ids::stored`] gives them, of the sessions that replaced ids in the parameter `asked` still lead to: an
/// array.
pub(crate) fn current_sql(asked: &str, companion: &str, ids: Ids) -> String {
    format!(
        "ARRAY(WITH RECURSIVE {trail} SELECT {id} FROM trail AS t)",
        trail = trail_from_sql(asked, companion, ids, true),
        id = stored_sql("t.id", ids),
    )
}

/// Whether the row `s` of the sessions once had an id of which `condition` says so, as `former.id`.
pub(crate) fn had_id_sql(companion: &str, condition: &str) -> String {
    format!(
        "EXISTS (WITH RECURSIVE former (id) AS (SELECT i.old_id FROM {companion} AS i WHERE i.new_id = s.sess_id \
         UNION SELECT i.old_id FROM former JOIN {companion} AS i ON i.new_id = former.id) \
         SELECT FROM former WHERE {condition})"
    )
}

/// The CTEs that forget what is remembered of the sessions in the CTE `gone (sess_id)`; need WITH RECURSIVE. Of a session
/// that had very many ids, the oldest notes are left to [`forget_sql`]: they lead nowhere any more.
pub(crate) fn forget_gone_sql(companion: &str) -> String {
    format!(
        "former (old_id, place) AS (SELECT i.old_id, 1 FROM gone JOIN {companion} AS i ON i.new_id = gone.sess_id \
         UNION SELECT i.old_id, former.place + 1 FROM former JOIN {companion} AS i ON i.new_id = former.old_id \
         WHERE former.place < {MOST_FORGOTTEN}), \
         forgotten AS (DELETE FROM {companion} AS i USING former WHERE i.old_id = former.old_id)"
    )
}

/// Whether `stored` is the id `id` of a trail: a plain one from before `hash_ids` may have been hashed since.
pub(crate) fn is_stored_as(stored: &str, id: &str, ids: Ids) -> String {
    match ids {
        Ids::Plain => format!("{stored} = {id}"),
        Ids::Hashed => format!("{stored} = ANY (ARRAY[{id}, {}])", hash_sql(id)),
    }
}

/// Seals `successor` so that whoever holds `old` can read it. `None` with plain ids: it stands beside it anyway.
pub(crate) fn seal(ids: Ids, old: SessionId, successor: SessionId) -> Option<Vec<u8>> {
    if ids == Ids::Plain {
        return None;
    }
    let random = *SessionId::random().as_uuid().as_bytes();
    let other = *SessionId::random().as_uuid().as_bytes();
    let mut nonce = [0; NONCE_BYTES];
    // The bytes of a UUID that are all random: the first six of each.
    let bytes = random.iter().take(6).chain(other.iter().take(6));
    nonce.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
    let mut sealed = successor.as_uuid().as_bytes().to_vec();
    let (key, stored) = (key(old)?, ids.stored(old));
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad(stored), &mut sealed)
        .ok()?;
    sealed.splice(..0, nonce);
    Some(sealed)
}

/// The id at the end of a trail, for the caller who holds the id at its beginning.
pub(crate) fn follow(ids: Ids, old: SessionId, path: &[Vec<u8>]) -> Option<SessionId> {
    path.iter().skip(1).try_fold(old, |id, step| match Uuid::from_slice(step) {
        Ok(plain) => Some(SessionId::from_uuid(plain)),
        Err(_) => open(ids, id, step),
    })
}

fn open(ids: Ids, old: SessionId, sealed: &[u8]) -> Option<SessionId> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let mut sealed = sealed.to_vec();
    let (key, stored) = (key(old)?, ids.stored(old));
    let opened =
        key.open_in_place(Nonce::assume_unique_for_key(*nonce), aad(stored), &mut sealed).ok()?;
    Uuid::from_slice(opened).ok().map(SessionId::from_uuid)
}

fn key(old: SessionId) -> Option<LessSafeKey> {
    let secret = Salt::new(HKDF_SHA256, SALT).extract(old.as_uuid().as_bytes());
    let key = secret.expand(&[b"AES-256-GCM"], &AES_256_GCM).ok()?;
    Some(LessSafeKey::new(UnboundKey::from(key)))
}

fn aad(stored: StoredId) -> Aad<[u8; 16]> {
    Aad::from(*stored.as_uuid().as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(bits: u128) -> SessionId {
        SessionId::from_uuid(Uuid::from_u128(bits))
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_with_its_id_and_no_other(
            old: u128, new: u128, other: u128, place: usize, change in 1_u8..,
        ) {
            prop_assume!(old != other);
            let sealed = seal(Ids::Hashed, id(old), id(new)).unwrap_or_default();
            prop_assert_eq!(open(Ids::Hashed, id(old), &sealed), Some(id(new)));
            prop_assert_eq!(open(Ids::Hashed, id(other), &sealed), None);
            let mut spoilt = sealed.clone();
            if let Some(byte) = spoilt.get_mut(place % sealed.len()) {
                *byte ^= change;
            }
            prop_assert_eq!(open(Ids::Hashed, id(old), &spoilt), None);
        }

        #[test]
        fn any_path_is_followed_or_not(path: Vec<Vec<u8>>, old: u128, plain: u128) {
            for ids in [Ids::Plain, Ids::Hashed] {
                let _ = follow(ids, id(old), &path);
            }
            let path = [Vec::new(), plain.to_be_bytes().to_vec()];
            prop_assert_eq!(follow(Ids::Plain, id(old), &path), Some(id(plain)));
        }
    }

    #[test]
    fn names_fit_and_differ() {
        assert_eq!(name("sess"), "sess_ids");
        let long = "x".repeat(62);
        let names = [format!("{long}a"), format!("{long}b"), "ü".repeat(31), "ü".repeat(30) + "ab"];
        let companions: std::collections::HashSet<String> =
            names.iter().map(|table| name(table)).collect();
        assert_eq!(companions.len(), names.len());
        for companion in companions {
            assert!(companion.len() <= 63 && companion.ends_with("_ids"), "{companion}");
        }
    }

    #[test]
    fn whoever_holds_the_first_id_gets_the_last() {
        let [a, b, c] = [(); 3].map(|()| Ids::Hashed.random());
        let seal = |old, new| seal(Ids::Hashed, old, new).unwrap_or_default();
        let path = [Vec::new(), seal(a, b), seal(b, c)];
        assert_eq!(follow(Ids::Hashed, a, &path), Some(c));
        assert_eq!(follow(Ids::Hashed, Ids::Hashed.random(), &path), None);
        assert_ne!(seal(a, b), seal(a, b), "no nonce is used twice");
    }
}
