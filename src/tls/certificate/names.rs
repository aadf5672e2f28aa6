//! Common names that are host names, and the domains that an issuer may issue for.
//!
//! Node takes the host's name from the common name where there are no alternative names, and OpenSSL compares it with
//! name constraints then. webpki compares alternative names only: that is its business, and the rest is done here.
//!
//! <https://github.com/openssl/openssl/blob/openssl-3.0/crypto/x509/v3_ncons.c>: `cn2dnsid`, `nc_dns`.

use super::{OID, Reader, SEQUENCE, Value};

const SET: u8 = 0x31;
const DNS_NAME: u8 = 0x82;
const PERMITTED: u8 = 0xa0;
const EXCLUDED: u8 = 0xa1;
const UNIVERSAL_STRING: u8 = 0x1c;
const BMP_STRING: u8 = 0x1e;
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// The domains that an issuer may issue for.
#[derive(Clone, Debug, Default)]
pub(super) struct Domains {
    permitted: Vec<String>,
    excluded: Vec<String>,
}

impl Domains {
    /// Reads name constraints.
    pub(super) fn read(content: &[u8]) -> Option<Self> {
        let mut lists = Reader(content);
        let mut subtrees = |tag| match lists.optional(tag) {
            Some(list) => domains(list.content),
            None => Some(Vec::new()),
        };
        Some(Self { permitted: subtrees(PERMITTED)?, excluded: subtrees(EXCLUDED)? })
    }

    pub(super) fn permit(&self, name: &str) -> bool {
        let holds = |domain: &String| is_in(name, domain);
        (self.permitted.is_empty() || self.permitted.iter().any(holds))
            && !self.excluded.iter().any(holds)
    }
}

fn domains(content: &[u8]) -> Option<Vec<String>> {
    let mut subtrees = Reader(content);
    let mut found = Vec::new();
    while !subtrees.0.is_empty() {
        let base = Reader(subtrees.expect(SEQUENCE)?.content).next()?;
        if base.tag == DNS_NAME {
            found.push(text(&base));
        }
    }
    Some(found)
}

fn is_in(name: &str, domain: &str) -> bool {
    let (name, domain) = (name.to_ascii_lowercase(), domain.to_ascii_lowercase());
    name.strip_suffix(&domain).is_some_and(|before| {
        before.is_empty() || before.ends_with('.') || domain.starts_with('.') || domain.is_empty()
    })
}

/// The host names among the common names of a subject.
pub(super) fn host_names(subject: &[u8]) -> Option<Vec<String>> {
    let mut parts = Reader(subject);
    let mut found = Vec::new();
    while !parts.0.is_empty() {
        let mut part = Reader(parts.expect(SET)?.content);
        while !part.0.is_empty() {
            let mut attribute = Reader(part.expect(SEQUENCE)?.content);
            let id = attribute.expect(OID)?.content;
            let name = text(&attribute.next()?);
            if id == COMMON_NAME && is_host_name(&name) {
                found.push(name);
            }
        }
    }
    Some(found)
}

/// Whether alternative names hold a host's: then the common name counts nowhere.
pub(super) fn has_dns_name(content: &[u8]) -> Option<bool> {
    let mut names = Reader(content);
    let mut found = false;
    while !names.0.is_empty() {
        found |= names.next()?.tag == DNS_NAME;
    }
    Some(found)
}

/// Two labels at least, as in OpenSSL. It overlooks names with a star, which Node takes for host names.
fn is_host_name(name: &str) -> bool {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || "_-.*".contains(letter);
    name.trim_matches('.').contains('.') && name.chars().all(is_part)
}

/// What is not ASCII is no host's name, however it is read.
fn text(value: &Value<'_>) -> String {
    let width = match value.tag {
        UNIVERSAL_STRING => 4,
        BMP_STRING => 2,
        _ => 1,
    };
    let letter = |digits: &[u8]| digits.iter().fold(0, |sum, &digit| sum << 8 | u32::from(digit));
    let letters = value.content.chunks(width).map(letter);
    letters.map(|letter| char::from_u32(letter).unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_holds_itself_and_what_is_below_it() {
        for (name, domain, holds) in [
            ("example.com", "example.com", true),
            ("DB.example.com", "Example.com", true),
            ("db.example.com", ".example.com", true),
            ("example.com", ".example.com", false),
            ("badexample.com", "example.com", false),
            ("example.com", "db.example.com", false),
            ("anything.at.all", "", true),
        ] {
            assert_eq!(is_in(name, domain), holds, "{name} in {domain}");
        }
    }

    #[test]
    fn a_name_counts_as_a_hosts_if_it_may_be_one() {
        for name in ["db.example.com", "*.example.com", "a_b.c-d"] {
            assert!(is_host_name(name), "{name}");
        }
        for name in ["localhost", "Example Inc. CA", ".", "a.", "", "a\0.b"] {
            assert!(!is_host_name(name), "{name}");
        }
    }

    #[test]
    fn wide_letters_are_read() {
        let content = [0, b'a', 0, b'.', 0, b'b'];
        let value = Value { tag: BMP_STRING, content: &content, whole: &content };
        assert_eq!(text(&value), "a.b");
    }
}
