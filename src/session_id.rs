//! Session ids. An id is a secret: whoever has it is logged in. It is never shown by `Debug` and has no `Display`.

use std::fmt;

use uuid::Uuid;

/// How long an id is as it is written everywhere.
const ID_LENGTH: usize = 36;
const HIDDEN_ID: &str = "********-****-****-****-************";

/// The id of a session, as it stands in a cookie.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(Uuid);

impl SessionId {
    /// A new id: a version 4 UUID (122 random bits) from the operating system's generator.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// Reads an id in a form that PostgreSQL's `uuid` reads, too: with or without hyphens, with or without braces, in
    /// any case. Anything else is `None`, which means "no session", never an error.
    pub fn parse(text: &str) -> Option<Self> {
        let inner = match text.strip_prefix('{') {
            Some(rest) => rest.strip_suffix('}')?,
            None => text,
        };
        // The parser of the crate also reads the URN form, which PostgreSQL does not.
        if inner.len() != 36 && inner.len() != 32 {
            return None;
        }
        Uuid::try_parse(inner).ok().map(Self)
    }

    /// The id as it is written everywhere: lower case, with hyphens.
    pub fn write(self, buffer: &mut [u8; 36]) -> &str {
        self.0.hyphenated().encode_lower(buffer)
    }

    pub(crate) fn as_uuid(self) -> Uuid {
        self.0
    }

    pub(crate) fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

/// The text with stars for everything in it that looks like an id, as long as before.
///
/// The server's errors quote rows and keys, and with plain ids a session's own is among them.
pub(crate) fn hide_ids(text: &str) -> String {
    let mut hidden = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let (shown, length) = match rest.get(..ID_LENGTH) {
            Some(start) if is_id(start) => (HIDDEN_ID, ID_LENGTH),
            _ => (rest.get(..next.len_utf8()).unwrap_or_default(), next.len_utf8()),
        };
        hidden.push_str(shown);
        rest = rest.get(length..).unwrap_or_default();
    }
    hidden
}

fn is_id(text: &str) -> bool {
    let is_right = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    text.len() == ID_LENGTH && text.bytes().enumerate().all(is_right)
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same by other means: 32 digits in PostgreSQL's two forms, in braces or not.
    fn is_id(text: &str) -> bool {
        let inner = text.strip_prefix('{').map_or(Some(text), |rest| rest.strip_suffix('}'));
        inner.is_some_and(|inner| {
            let digits: String = match inner.len() {
                36 => inner
                    .split('-')
                    .map(str::len)
                    .eq([8, 4, 4, 4, 12])
                    .then(|| inner.replace('-', "")),
                _ => Some(inner.to_owned()),
            }
            .unwrap_or_default();
            digits.len() == 32 && digits.chars().all(|digit| digit.is_ascii_hexdigit())
        })
    }

    proptest! {
        #[test]
        fn each_id_is_read_back_in_each_form(bits: u128, is_upper: bool) {
            let id = SessionId(Uuid::from_u128(bits));
            let plain = id.write(&mut [0; 36]).to_owned();
            let plain = if is_upper { plain.to_uppercase() } else { plain };
            for text in [plain.clone(), plain.replace('-', ""), format!("{{{plain}}}")] {
                prop_assert_eq!(SessionId::parse(&text), Some(id));
            }
        }

        #[test]
        fn any_text_is_an_id_or_none(
            text in "\\{?[0-9a-fA-F]{7,9}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{11,13}\\}?|.{0,40}",
        ) {
            prop_assert_eq!(SessionId::parse(&text).is_some(), is_id(&text), "{}", text);
        }
    }

    #[test]
    fn reads_what_postgresql_reads() {
        for text in [
            "0f8fad5b-d9cb-469f-a165-70867728950e",
            "0F8FAD5B-D9CB-469F-A165-70867728950E",
            "{0f8fad5b-d9cb-469f-a165-70867728950e}",
            "0f8fad5bd9cb469fa16570867728950e",
        ] {
            let mut buffer = [0; 36];
            let id = SessionId::parse(text).map(|id| id.write(&mut buffer).to_owned());
            assert_eq!(id.as_deref(), Some("0f8fad5b-d9cb-469f-a165-70867728950e"), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_session() {
        for text in [
            "",
            "' or 1=1 --",
            "0f8fad5b-d9cb-469f-a165-70867728950",
            "0f8fad5b-d9cb-469f-a165-70867728950g",
            "{0f8fad5b-d9cb-469f-a165-70867728950e",
            "urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e",
            "0f8fad5b-d9cb-469f-a165-70867728950\0",
            "0f8fad5b-d9cb-469f-a165-7086772895é",
        ] {
            assert!(SessionId::parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn ids_are_hidden_wherever_they_stand() {
        let id = "0f8fad5b-d9cb-469f-a165-70867728950E";
        for text in ["{}", "Key (sess_id)=({}) is", "{{},{}}", "{}{}", "é{}é", "0{}0", ""] {
            assert_eq!(hide_ids(&text.replace("{}", id)), text.replace("{}", HIDDEN_ID), "{text}");
        }
    }

    #[test]
    fn what_is_no_id_is_not_hidden() {
        for text in
            ["0f8fad5b-d9cb-469f-a165-70867728950", "0f8fad5b-d9cb-469f-a165-7086772895é", "é-- -"]
        {
            assert_eq!(hide_ids(text), text);
        }
    }

    #[test]
    fn debug_hides_the_id() {
        assert_eq!(format!("{:?}", SessionId::random()), "SessionId(hidden)");
    }
}
