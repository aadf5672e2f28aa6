//! How the id that a caller holds relates to the one in the table.
//!
//! Plain, they are the same. Hashed, the table holds SHA-256 of the caller's id, cut to a UUID of version 8 whose last
//! byte is a mark: what leaks from the database opens no session, since nobody finds the id that belongs to a hash. A
//! salt would add nothing, for ids are random.
//!
//! A table that held plain ids before goes on working: an id of version 4 is looked for as it is, too. No hash has
//! that version, so whoever presents a hash finds nothing. Nor with `hash_ids` off: what looks like a hash is not
//! looked for. A foreign id, made by whatever rule, looks so once in 16 384 times; a mark of two bytes would leave the
//! hash fewer than the 112 bits that count as strong (NIST SP 800-57).

use std::fmt;

use ring::digest::{SHA256, digest};
use uuid::{Uuid, Variant};

use crate::session_id::SessionId;

/// Hashed in front of each id, so that the hash is of no use elsewhere.
const DOMAIN: &[u8; 16] = b"pg-sess-rs/id/1:";

/// The version of ids that were made without hashing, by this package and by the original.
const PLAIN_VERSION: usize = 4;
/// The version of stored hashes: "custom" in RFC 9562.
const HASH_VERSION: usize = 8;
/// The last byte of stored hashes.
const HASH_MARK: u8 = 0x73;

/// What ids look like in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ids {
    /// As the caller holds them.
    Plain,
    /// As hashes of those.
    Hashed,
}

/// An id as it stands in the table. With [`Ids::Hashed`] it opens no session.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoredId(Uuid);

/// A session that somebody asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lookup {
    /// The id as the caller gave it.
    pub(crate) id: SessionId,
    /// The one or two ids under which its row may stand.
    stored: [Option<StoredId>; 2],
}

impl Ids {
    pub(crate) fn new(hashed: bool) -> Self {
        if hashed { Self::Hashed } else { Self::Plain }
    }

    /// An id for a new session.
    pub(crate) fn random(self) -> SessionId {
        match self {
            Self::Plain => SessionId::random(),
            Self::Hashed => loop {
                // One that looks plain would be looked for as it is, and so reach the server.
                let id = all_bits_random();
                if id.get_version_num() != PLAIN_VERSION {
                    return SessionId::from_uuid(id);
                }
            },
        }
    }

    /// Under which id a session with this one is stored.
    pub(crate) fn stored(self, id: SessionId) -> StoredId {
        match self {
            Self::Plain => StoredId(id.as_uuid()),
            Self::Hashed => hash(id),
        }
    }

    /// Where to look for a session. The work is the same whether there is one or not.
    pub(crate) fn lookup(self, id: SessionId) -> Lookup {
        let uuid = id.as_uuid();
        let plain = StoredId(uuid);
        let stored = match self {
            Self::Plain => [(!looks_hashed(uuid)).then_some(plain), None],
            Self::Hashed => {
                let is_plain = uuid.get_version_num() == PLAIN_VERSION;
                [Some(hash(id)), is_plain.then_some(plain)]
            }
        };
        Lookup { id, stored }
    }

    /// Whether a stored id is still to be hashed.
    pub(crate) fn is_to_be_hashed(self, stored: Uuid) -> bool {
        self == Self::Hashed && stored.get_version_num() == PLAIN_VERSION
    }
}

impl Lookup {
    /// The ids under which the row may stand.
    pub(crate) fn stored(&self) -> impl Iterator<Item = Uuid> + use<> {
        self.stored.into_iter().flatten().map(StoredId::as_uuid)
    }
}

impl StoredId {
    pub(crate) fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Debug for StoredId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredId(hidden)")
    }
}

/// The condition of a stored id that is not hashed yet.
pub(crate) fn is_plain_sql(id: &str) -> String {
    format!("substr({id}::text, 15, 1) = '{PLAIN_VERSION}'")
}

/// The id of a row as [`Ids::stored`] would give it, also where it is not hashed yet.
pub(crate) fn stored_sql(id: &str, ids: Ids) -> String {
    match ids {
        Ids::Plain => id.to_owned(),
        Ids::Hashed => {
            format!("CASE WHEN {} THEN {} ELSE {id} END", is_plain_sql(id), hash_sql(id))
        }
    }
}

/// [`hash`], computed by the server: turns a plain id that is stored into its hash.
pub(crate) fn hash_sql(id: &str) -> String {
    let domain = crate::text::hex(DOMAIN);
    // The first 16 bytes; then the version in byte 6, the variant in byte 8, the mark in byte 15.
    format!(
        "(SELECT encode(set_byte(set_byte(set_byte(h, 6, get_byte(h, 6) & 15 | 128), \
         8, get_byte(h, 8) & 63 | 128), 15, {HASH_MARK}), 'hex')::uuid \
         FROM substr(sha256(decode('{domain}', 'hex') || uuid_send({id})), 1, 16) AS h)"
    )
}

fn hash(id: SessionId) -> StoredId {
    let mut input = [0; 32];
    let (domain, bytes) = input.split_at_mut(DOMAIN.len());
    domain.copy_from_slice(DOMAIN);
    bytes.copy_from_slice(id.as_uuid().as_bytes());
    let digest = digest(&SHA256, &input);
    let mut first: [u8; 16] = digest.as_ref().first_chunk().copied().unwrap_or_default();
    let [.., last] = &mut first;
    *last = HASH_MARK;
    StoredId(uuid::Builder::from_custom_bytes(first).into_uuid())
}

fn looks_hashed(id: Uuid) -> bool {
    let [.., last] = id.as_bytes();
    id.get_version_num() == HASH_VERSION
        && id.get_variant() == Variant::RFC4122
        && *last == HASH_MARK
}

/// A version 4 UUID has 122 random bits; the other 6 come from a second one.
fn all_bits_random() -> Uuid {
    let [one, other] = [Uuid::new_v4().as_u128(), Uuid::new_v4().as_u128()];
    const FIXED: u128 = 0x0000_0000_0000_f000_c000_0000_0000_0000;
    Uuid::from_u128((one & !FIXED) | (other.rotate_left(64 + 17) & FIXED))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_id_is_looked_for_where_it_would_stand(bits: u128) {
            let id = SessionId::from_uuid(Uuid::from_u128(bits));
            for ids in [Ids::Plain, Ids::Hashed] {
                let stored = ids.stored(id).as_uuid();
                let is_found = ids.lookup(id).stored().any(|place| place == stored);
                prop_assert_eq!(is_found, ids == Ids::Hashed || !looks_hashed(id.as_uuid()));
            }
        }
    }

    #[test]
    fn a_hash_finds_nothing() {
        for ids in [Ids::Plain, Ids::Hashed] {
            let id = Ids::Hashed.random();
            let hash = Ids::Hashed.stored(id).as_uuid();
            assert!(ids.lookup(SessionId::from_uuid(hash)).stored().all(|stored| stored != hash));
        }
    }

    #[test]
    fn with_plain_ids_any_uuid_is_found_unless_it_looks_like_a_hash() {
        let foreign = |text: u128| SessionId::from_uuid(Uuid::from_u128(text));
        for text in [
            0x6f1c1f7e_3b0c_8a52_9d3e_0a1b2c3d4e5f,
            0x6f1c1f7e_3b0c_8a52_1d3e_0a1b2c3d4e73,
            0x6f1c1f7e_3b0c_7a52_9d3e_0a1b2c3d4e73,
        ] {
            assert_eq!(Ids::Plain.lookup(foreign(text)).stored().count(), 1, "{text:x}");
        }
        let hash = foreign(0x6f1c1f7e_3b0c_8a52_9d3e_0a1b2c3d4e73);
        assert_eq!(Ids::Plain.lookup(hash).stored().count(), 0);
    }

    #[test]
    fn a_plain_id_is_found_hashed_or_not() {
        let id = SessionId::random();
        let stored: Vec<Uuid> = Ids::Hashed.lookup(id).stored().collect();
        assert_eq!(stored, [Ids::Hashed.stored(id).as_uuid(), id.as_uuid()]);
        assert_eq!(Ids::Plain.lookup(id).stored().collect::<Vec<_>>(), [id.as_uuid()]);
    }

    #[test]
    fn a_new_id_never_reaches_the_server() {
        for _ in 0..2_000 {
            let id = Ids::Hashed.random();
            assert!(Ids::Hashed.lookup(id).stored().all(|stored| stored != id.as_uuid()));
        }
    }

    /// How many of 2000 new ids have a 1 there, bit by bit.
    fn ones(ids: Ids) -> Vec<usize> {
        let new: Vec<u128> = (0..2_000).map(|_| ids.random().as_uuid().as_u128()).collect();
        (0..128).map(|bit| new.iter().filter(|id| *id >> bit & 1 == 1).count()).collect()
    }

    #[test]
    fn each_bit_of_a_new_id_is_random() {
        for (bit, ones) in ones(Ids::Hashed).into_iter().enumerate() {
            assert!((700..1_300).contains(&ones), "bit {bit} is 1 in {ones} of 2000");
        }
    }

    #[test]
    fn of_a_plain_id_each_bit_but_six_is_random() {
        let fixed = ones(Ids::Plain).into_iter().filter(|ones| !(700..1_300).contains(ones));
        assert_eq!(fixed.collect::<Vec<_>>(), [0, 2_000, 0, 0, 2_000, 0]);
    }

    #[test]
    fn no_two_new_ids_are_the_same() {
        for ids in [Ids::Plain, Ids::Hashed] {
            let new: std::collections::HashSet<Uuid> =
                (0..50_000).map(|_| ids.random().as_uuid()).collect();
            assert_eq!(new.len(), 50_000);
        }
    }

    #[test]
    fn debug_hides_a_stored_id() {
        let lookup = format!("{:?}", Ids::Hashed.lookup(SessionId::random()));
        assert!(!lookup.contains('-'), "{lookup}");
    }
}
