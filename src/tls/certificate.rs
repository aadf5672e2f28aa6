//! What OpenSSL looks at in a certificate and webpki does not tell: read from DER, nothing decided.
//!
//! webpki reads version 3 only. Certificates made by hand are often of version 1, which has no extensions: that is what
//! `openssl x509 -req` makes unless it is told otherwise.
//!
//! <https://www.rfc-editor.org/rfc/rfc5280#section-4.1>

use std::time::Duration;

use chrono::NaiveDateTime;
use rustls::pki_types::{SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer};
use webpki::RawPublicKeyEntity;

mod names;

use names::{Domains, has_dns_name, host_names};

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;

const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];
const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x1e];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
/// What a certificate was for before there were extended key usages. OpenSSL still looks at it.
const NETSCAPE_TYPE: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x86, 0xf8, 0x42, 0x01, 0x01];
/// Extensions begin so, and end with their number.
const EXTENSION: &[u8] = &[0x55, 0x1d];
/// Those that OpenSSL knows (its `X509_supported_extension`): these may be critical.
const KNOWN: [u8; 10] = [15, 17, 19, 30, 31, 32, 33, 36, 37, 54];

// Bits of the first byte of a key usage, counted from the left.
const DIGITAL_SIGNATURE: u8 = 0x80;
const KEY_ENCIPHERMENT: u8 = 0x20;
const KEY_AGREEMENT: u8 = 0x08;
const KEY_CERT_SIGN: u8 = 0x04;
// A bit of a Netscape type.
const SSL_SERVER: u8 = 0x40;

/// A certificate.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    pub(super) issuer: Vec<u8>,
    pub(super) subject: Vec<u8>,
    /// From when and until when it holds, since 1970.
    pub(super) valid: (Duration, Duration),
    pub(super) is_version_1: bool,
    pub(super) has_name_constraints: bool,
    /// Whether it has a critical extension that OpenSSL does not know.
    pub(super) is_strange: bool,
    domains: Domains,
    /// Common names that Node may take for the host's.
    host_names: Vec<String>,
    pub(super) public_key: SubjectPublicKeyInfoDer<'static>,
    /// What `signature` signs.
    signed: Vec<u8>,
    /// The signature's algorithm, as `SignatureVerificationAlgorithm` names it.
    algorithm: Vec<u8>,
    /// Whether what is signed names the same algorithm.
    is_algorithm_signed: bool,
    signature: Vec<u8>,
    is_ca: Option<bool>,
    /// How many issuers may stand between it and the last certificate.
    path_length: Option<usize>,
    key_usage: Option<u8>,
    /// Whether it is for servers, where it says what it is for.
    for_servers: Option<bool>,
    netscape_type: Option<u8>,
}

impl Certificate {
    /// `None` if it is not a certificate.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let mut all = Reader(der);
        let mut outer = Reader(all.expect(SEQUENCE)?.content);
        let signed = outer.expect(SEQUENCE)?;
        let algorithm = outer.expect(SEQUENCE)?.content.to_vec();
        let signature = bits(outer.expect(BIT_STRING)?.content)?.to_vec();
        if !all.0.is_empty() || !outer.0.is_empty() {
            return None;
        }
        let mut inner = Reader(signed.content);
        let version = inner.optional(VERSION);
        inner.expect(INTEGER)?; // serial number
        let is_algorithm_signed = inner.expect(SEQUENCE)?.content == algorithm;
        let issuer = inner.expect(SEQUENCE)?.whole.to_vec();
        let mut validity = Reader(inner.expect(SEQUENCE)?.content);
        let valid = (time(&validity.next()?)?, time(&validity.next()?)?);
        let subject = inner.expect(SEQUENCE)?;
        let host_names = host_names(subject.content)?;
        let subject = subject.whole.to_vec();
        let public_key = inner.expect(SEQUENCE)?.whole.to_vec().into();
        let mut certificate = Self {
            issuer,
            subject,
            valid,
            is_version_1: version.is_none(),
            has_name_constraints: false,
            is_strange: false,
            domains: Domains::default(),
            host_names,
            public_key,
            signed: signed.whole.to_vec(),
            algorithm,
            is_algorithm_signed,
            signature,
            is_ca: None,
            path_length: None,
            key_usage: None,
            for_servers: None,
            netscape_type: None,
        };
        // Version 1 has no extensions, and webpki does not look whether there are any.
        if !certificate.is_version_1
            && let Some(extensions) = inner.optional(EXTENSIONS)
        {
            certificate.read_extensions(extensions.content)?;
        }
        inner.0.is_empty().then_some(certificate)
    }

    fn read_extensions(&mut self, content: &[u8]) -> Option<()> {
        let mut extensions = Reader(Reader(content).expect(SEQUENCE)?.content);
        let mut seen = Vec::new();
        while !extensions.0.is_empty() {
            let mut extension = Reader(extensions.expect(SEQUENCE)?.content);
            let id = extension.expect(OID)?.content;
            if seen.contains(&id) {
                return None;
            }
            seen.push(id);
            let is_critical = extension.optional(BOOLEAN).is_some_and(|is| is.content != [0]);
            self.is_strange |= is_critical && !is_known(id);
            let mut value = Reader(extension.expect(OCTET_STRING)?.content);
            match id {
                KEY_USAGE => {
                    self.key_usage = Some(first_bits(&mut value)?);
                }
                NETSCAPE_TYPE => self.netscape_type = Some(first_bits(&mut value)?),
                BASIC_CONSTRAINTS => {
                    let mut constraints = Reader(value.expect(SEQUENCE)?.content);
                    let ca = constraints.optional(BOOLEAN);
                    self.is_ca = Some(ca.is_some_and(|ca| ca.content != [0]));
                    self.path_length = match constraints.optional(INTEGER) {
                        Some(limit) => Some(number(limit.content)?),
                        None => None,
                    };
                }
                EXTENDED_KEY_USAGE => {
                    let uses = value.expect(SEQUENCE)?.content;
                    self.for_servers = Some(names(uses)?.contains(&SERVER_AUTH));
                }
                NAME_CONSTRAINTS => {
                    self.has_name_constraints = true;
                    self.domains = Domains::read(value.expect(SEQUENCE)?.content)?;
                }
                ALTERNATIVE_NAMES => {
                    let counts = !has_dns_name(value.expect(SEQUENCE)?.content)?;
                    self.host_names.retain(|_| counts);
                }
                _ => {}
            }
        }
        Some(())
    }

    pub(super) fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }

    /// Whether it says that it may issue others.
    pub(super) fn says_ca(&self) -> bool {
        self.is_ca == Some(true)
    }

    /// Whether OpenSSL lets it issue others, for servers (its `check_ca` and `check_purpose_ssl_server`).
    pub(super) fn may_issue(&self) -> bool {
        let is_issuer = match (self.key_may_sign(), self.is_ca) {
            (Some(false), _) => false,
            (_, Some(is_ca)) => is_ca,
            (None, None) => self.is_version_1 && self.is_self_issued(),
            (Some(true), None) => true,
        };
        is_issuer && self.for_servers != Some(false)
    }

    /// Whether it may issue for the host that `leaf` names in its common name, if that one counts.
    pub(super) fn permits_common_names(&self, leaf: &Self) -> bool {
        leaf.host_names.iter().all(|name| self.domains.permit(name))
    }

    /// Whether it may have so many issuers between itself and the last certificate.
    pub(super) fn may_lead_over(&self, issuers: usize) -> bool {
        self.path_length.is_none_or(|limit| issuers <= limit)
    }

    /// Whether its key is for signing certificates, where it says what its key is for.
    pub(super) fn key_may_sign(&self) -> Option<bool> {
        self.key_usage.map(|usage| usage & KEY_CERT_SIGN != 0)
    }

    /// Whether OpenSSL takes it from a server (its `check_purpose_ssl_server`).
    pub(super) fn may_serve(&self) -> bool {
        const USES: u8 = DIGITAL_SIGNATURE | KEY_ENCIPHERMENT | KEY_AGREEMENT;
        self.for_servers != Some(false)
            && self.key_usage.is_none_or(|usage| usage & USES != 0)
            && self.netscape_type.is_none_or(|types| types & SSL_SERVER != 0)
    }

    /// Whether `issuer` signed it, with one of `algorithms`.
    pub(super) fn is_signed_by(
        &self,
        issuer: &Self,
        algorithms: &[&dyn SignatureVerificationAlgorithm],
    ) -> bool {
        let Ok(key) = RawPublicKeyEntity::try_from(&issuer.public_key) else { return false };
        let algorithms = if self.is_algorithm_signed { algorithms } else { &[] };
        algorithms
            .iter()
            .filter(|algorithm| algorithm.signature_alg_id().as_ref() == self.algorithm)
            .any(|algorithm| {
                key.verify_signature(*algorithm, &self.signed, &self.signature).is_ok()
            })
    }
}

/// One value in DER.
struct Value<'a> {
    tag: u8,
    content: &'a [u8],
    /// With tag and length.
    whole: &'a [u8],
}

/// Reads values that lie one after the other.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<Value<'a>> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let length = if first < 0x80 {
            usize::from(first)
        } else {
            let (digits, behind) = rest.split_at_checked(usize::from(first & 0x7f))?;
            rest = behind;
            let fits = (1..=size_of::<u32>()).contains(&digits.len());
            fits.then(|| digits.iter().fold(0, |sum, &digit| sum << 8 | usize::from(digit)))?
        };
        let (content, behind) = rest.split_at_checked(length)?;
        let whole = self.0.get(..self.0.len() - behind.len())?;
        self.0 = behind;
        Some(Value { tag, content, whole })
    }

    fn expect(&mut self, tag: u8) -> Option<Value<'a>> {
        self.next().filter(|value| value.tag == tag)
    }

    fn optional(&mut self, tag: u8) -> Option<Value<'a>> {
        if self.0.first() == Some(&tag) { self.next() } else { None }
    }
}

/// The bytes of a bit string; how many bits of the last one are unused does not matter here.
fn bits(content: &[u8]) -> Option<&[u8]> {
    content.split_first().map(|(_, bits)| bits)
}

/// The first eight of them.
fn first_bits(value: &mut Reader<'_>) -> Option<u8> {
    let bits = bits(value.expect(BIT_STRING)?.content)?;
    Some(bits.first().copied().unwrap_or(0))
}

/// Whether OpenSSL knows this extension.
fn is_known(id: &[u8]) -> bool {
    id == NETSCAPE_TYPE
        || matches!(id.strip_prefix(EXTENSION), Some([number]) if KNOWN.contains(number))
}

/// A small number; one that is too large for that limits nothing. `None` if it is negative.
fn number(content: &[u8]) -> Option<usize> {
    let sum = content
        .iter()
        .try_fold(0, |sum: usize, &digit| Some(sum.checked_mul(256)? + usize::from(digit)));
    (*content.first()? < 0x80).then(|| sum.unwrap_or(usize::MAX))
}

fn names(content: &[u8]) -> Option<Vec<&[u8]>> {
    let mut reader = Reader(content);
    let mut names = Vec::new();
    while !reader.0.is_empty() {
        names.push(reader.expect(OID)?.content);
    }
    Some(names)
}

/// A time before 1970 counts as 1970.
fn time(value: &Value<'_>) -> Option<Duration> {
    let text = std::str::from_utf8(value.content).ok()?;
    let text = match value.tag {
        GENERALIZED_TIME => text.to_owned(),
        // A year of two digits belongs to 1950 to 2049.
        UTC_TIME => format!("{}{text}", if text.get(..2)? < "50" { "20" } else { "19" }),
        _ => return None,
    };
    let seconds = NaiveDateTime::parse_from_str(&text, "%Y%m%d%H%M%SZ").ok()?.and_utc().timestamp();
    Some(Duration::from_secs(seconds.try_into().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A value in DER.
    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = content.len();
        let digits: Vec<u8> =
            length.to_be_bytes().into_iter().skip_while(|digit| *digit == 0).collect();
        let head = if length < 0x80 {
            vec![tag, u8::try_from(length).unwrap_or_default()]
        } else {
            [&[tag, 0x80 | u8::try_from(digits.len()).unwrap_or_default()], digits.as_slice()]
                .concat()
        };
        [head.as_slice(), content].concat()
    }

    fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
        der(SEQUENCE, &parts.concat())
    }

    /// The name of an organization.
    fn name(organization: &[u8]) -> Vec<u8> {
        const SET: u8 = 0x31;
        const UTF8_STRING: u8 = 0x0c;
        let attribute = sequence(&[der(OID, &[0x55, 4, 10]), der(UTF8_STRING, organization)]);
        sequence(&[der(SET, &attribute)])
    }

    /// A certificate whose subject, dates and usage are these.
    fn certificate(subject: &[u8], until: &str, usage: u8) -> Vec<u8> {
        let extension = [der(OID, KEY_USAGE), der(OCTET_STRING, &der(BIT_STRING, &[0, usage]))];
        let signed = sequence(&[
            der(VERSION, &der(INTEGER, &[2])),
            der(INTEGER, &[1]),
            sequence(&[]),
            name(b"issuer"),
            sequence(&[der(UTC_TIME, b"700101000000Z"), der(GENERALIZED_TIME, until.as_bytes())]),
            name(subject),
            sequence(&[]),
            der(EXTENSIONS, &sequence(&[sequence(&extension)])),
        ]);
        sequence(&[signed, sequence(&[]), der(BIT_STRING, &[0, 1, 2])])
    }

    proptest! {
        #[test]
        fn what_a_certificate_says_is_read(
            subject in prop::collection::vec(any::<u8>(), 0..300), year in 1970_u16..9999, usage: u8,
        ) {
            let der_of = certificate(&subject, &format!("{year}0101000000Z"), usage);
            let read = Certificate::read(&der_of).ok_or_else(|| TestCaseError::fail("not read"))?;
            prop_assert_eq!(read.subject, name(&subject));
            prop_assert_eq!(read.key_usage, Some(usage));
            prop_assert!(!read.is_version_1);
            let years = read.valid.1.as_secs() / 86_400 / 365;
            prop_assert!(years.abs_diff(u64::from(year) - 1970) <= 6);
        }

        /// What a server sends is not yet known to be anybody's.
        #[test]
        fn any_bytes_are_a_certificate_or_none(
            bytes: Vec<u8>, changes in prop::collection::vec((any::<usize>(), any::<u8>()), 1..6), cut: usize,
        ) {
            let _ = Certificate::read(&bytes);
            let _ = Certificate::read(&der(SEQUENCE, &der(SEQUENCE, &bytes)));
            let mut spoilt = certificate(b"subject", "20300101000000Z", 0);
            let length = spoilt.len();
            for (place, byte) in changes {
                if let Some(spot) = spoilt.get_mut(place % length) {
                    *spot = byte;
                }
            }
            let _ = Certificate::read(&spoilt);
            prop_assert!(Certificate::read(spoilt.get(..cut % length).unwrap_or_default()).is_none());
        }

        #[test]
        fn values_lie_one_after_the_other(contents: Vec<Vec<u8>>, tag: u8) {
            let all: Vec<u8> = contents.iter().flat_map(|content| der(tag, content)).collect();
            let mut reader = Reader(&all);
            for content in &contents {
                let value = reader.expect(tag).ok_or_else(|| TestCaseError::fail("not read"))?;
                prop_assert_eq!(value.content, content.as_slice());
            }
            prop_assert!(reader.0.is_empty() && reader.next().is_none());
        }
    }
}
