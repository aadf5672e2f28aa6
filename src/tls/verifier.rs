//! Whether a server's chain is good: the same chains as in OpenSSL, and so in Node, are accepted and refused.
//!
//! webpki verifies; what OpenSSL takes besides, or refuses besides, is added here, each with its reason. Why a chain was
//! refused is then told as OpenSSL tells it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, OtherError, SignatureScheme};
use webpki::{EndEntityCert, KeyUsage, RawPublicKeyEntity, anchor_from_trusted_cert};

use super::TlsOptions;
use super::certificate::Certificate;

/// No chain is longer, see OpenSSL's `X509_VERIFY_MAX_CHAIN_CERTS` and webpki's own limit.
const LONGEST_CHAIN: usize = 10;

/// What is signed with in TLS, and cannot be verified here. Who takes any certificate does not verify it.
const UNVERIFIED: [SignatureScheme; 4] = [
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED448,
    SignatureScheme::RSA_PKCS1_SHA1,
    SignatureScheme::ECDSA_SHA1_Legacy,
];

/// Why a certificate was refused, in the terms of OpenSSL, which Node's errors use.
#[derive(Clone, Debug)]
pub(super) enum Refusal {
    DepthZeroSelfSigned,
    SelfSignedInChain,
    UnableToVerifyLeaf,
    NoIssuer,
    NoIssuerOfTrusted,
    Expired,
    NotYetValid,
    InvalidPurpose,
    PathTooLong,
    Signature,
    KeyMayNotSign,
    UnknownExtension,
    OtherDomains,
    Other(webpki::Error),
}

impl Refusal {
    /// <https://nodejs.org/api/tls.html#x509-certificate-error-codes>
    pub(super) fn code(&self) -> &'static str {
        match self {
            Refusal::DepthZeroSelfSigned => "DEPTH_ZERO_SELF_SIGNED_CERT",
            Refusal::SelfSignedInChain => "SELF_SIGNED_CERT_IN_CHAIN",
            Refusal::UnableToVerifyLeaf => "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
            Refusal::NoIssuer => "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
            Refusal::NoIssuerOfTrusted => "UNABLE_TO_GET_ISSUER_CERT",
            Refusal::Expired => "CERT_HAS_EXPIRED",
            Refusal::NotYetValid => "CERT_NOT_YET_VALID",
            Refusal::InvalidPurpose => "INVALID_PURPOSE",
            Refusal::PathTooLong => "PATH_LENGTH_EXCEEDED",
            Refusal::Signature => "CERT_SIGNATURE_FAILURE",
            // Node knows no name for them.
            Refusal::KeyMayNotSign | Refusal::UnknownExtension | Refusal::OtherDomains => {
                "UNSPECIFIED"
            }
            Refusal::Other(_) => "CERT_UNTRUSTED",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::DepthZeroSelfSigned => "self-signed certificate",
            Refusal::SelfSignedInChain => "self-signed certificate in certificate chain",
            Refusal::UnableToVerifyLeaf => "unable to verify the first certificate",
            Refusal::NoIssuer => "unable to get local issuer certificate",
            Refusal::NoIssuerOfTrusted => "unable to get issuer certificate",
            Refusal::Expired => "certificate has expired",
            Refusal::NotYetValid => "certificate is not yet valid",
            Refusal::InvalidPurpose => "unsuitable certificate purpose",
            Refusal::PathTooLong => "path length constraint exceeded",
            Refusal::Signature => "certificate signature failure",
            Refusal::KeyMayNotSign => "key usage does not include certificate signing",
            Refusal::UnknownExtension => "unhandled critical extension",
            Refusal::OtherDomains => "permitted subtree violation",
            Refusal::Other(error) => return write!(f, "certificate not trusted: {error}"),
        })
    }
}

impl std::error::Error for Refusal {}

/// A certificate with the bytes it was read from.
struct Known {
    der: CertificateDer<'static>,
    facts: Certificate,
}

impl Known {
    fn read(der: &[u8]) -> Option<Self> {
        Some(Self { der: der.to_vec().into(), facts: Certificate::read(der)? })
    }

    fn check_dates(&self, now: Duration) -> Result<(), Refusal> {
        let (from, to) = self.facts.valid;
        if now < from {
            Err(Refusal::NotYetValid)
        } else if now > to {
            Err(Refusal::Expired)
        } else {
            Ok(())
        }
    }
}

pub(super) struct Verifier {
    verify: bool,
    /// Trusted certificates that were issued by themselves.
    roots: Vec<Known>,
    /// Given as trusted, but issued by others: as in OpenSSL, they help to build a chain and do not end it.
    intermediates: Vec<Known>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("verify", &self.verify).finish_non_exhaustive()
    }
}

impl Verifier {
    pub(super) fn new(options: &TlsOptions, algorithms: WebPkiSupportedAlgorithms) -> Self {
        let trusted = options.trusted.iter().filter_map(|der| Known::read(der));
        let (roots, intermediates) = trusted.partition(|trusted| trusted.facts.is_self_issued());
        Self { verify: options.verify, roots, intermediates, algorithms }
    }

    fn check(
        &self,
        leaf: &CertificateDer<'_>,
        sent: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Refusal> {
        let time = Duration::from_secs(now.as_secs());
        let Some(known) = Known::read(leaf) else {
            return Err(Refusal::Other(webpki::Error::BadDer));
        };
        // The first two are unknown to webpki. A certificate of the server's own making, given as trusted, is one.
        let error = if self.is_root(&known) || self.is_issued_by_root(&known, time) {
            None
        } else {
            self.check_chain(leaf, &known.facts, sent, now).err()
        };
        let is_fit = known.facts.may_serve() && !known.facts.is_strange;
        if error.is_none() && is_fit && known.check_dates(time).is_ok() {
            return Ok(());
        }
        let sent: Vec<Known> = sent.iter().filter_map(|der| Known::read(der)).collect();
        Err(self.explain(&known, &sent, time, error))
    }

    /// What webpki does not read or does not take from a server, and OpenSSL does: a certificate of version 1, and one
    /// that may issue others. Taken only from a trusted root itself.
    fn is_issued_by_root(&self, leaf: &Known, now: Duration) -> bool {
        let is_readable = || EndEntityCert::try_from(&leaf.der).is_ok();
        let is_strange = leaf.facts.is_version_1 || leaf.facts.says_ca() && is_readable();
        is_strange
            && self.issuing(now).any(|root| {
                root.facts.subject == leaf.facts.issuer
                    && !root.facts.has_name_constraints
                    && leaf.facts.is_signed_by(&root.facts, self.algorithms.all)
            })
    }

    /// Roots that may issue others now: webpki looks neither at their dates nor at their constraints, nor whether it knows
    /// their critical extensions.
    fn issuing(&self, now: Duration) -> impl Iterator<Item = &Known> {
        let may_issue = move |root: &&Known| {
            root.facts.may_issue() && !root.facts.is_strange && root.check_dates(now).is_ok()
        };
        self.roots.iter().filter(may_issue)
    }

    fn check_chain(
        &self,
        leaf: &CertificateDer<'_>,
        facts: &Certificate,
        sent: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), webpki::Error> {
        let time = Duration::from_secs(now.as_secs());
        let roots: Vec<(TrustAnchor<'_>, &Certificate)> = self
            .issuing(time)
            .filter_map(|root| Some((anchor_from_trusted_cert(&root.der).ok()?, &root.facts)))
            .collect();
        let anchors: Vec<TrustAnchor<'_>> =
            roots.iter().map(|(anchor, _)| anchor.clone()).collect();
        let given = self.intermediates.iter().map(|known| &known.der);
        let intermediates: Vec<CertificateDer<'_>> = sent.iter().chain(given).cloned().collect();
        let leaf = EndEntityCert::try_from(leaf)?;
        leaf.verify_for_usage(
            self.algorithms.all,
            &anchors,
            &intermediates,
            now,
            KeyUsage::server_auth(),
            None,
            Some(&|path| check_path(path, &roots, facts)),
        )?;
        Ok(())
    }

    /// Why OpenSSL would have refused a chain: it looks at everything, and its last complaint counts.
    ///
    /// <https://github.com/openssl/openssl/blob/openssl-3.0/crypto/x509/x509_vfy.c>: `build_chain`,
    /// `check_extensions`, `internal_verify`, `check_name_constraints`.
    fn explain(
        &self,
        leaf: &Known,
        sent: &[Known],
        now: Duration,
        error: Option<webpki::Error>,
    ) -> Refusal {
        let path = self.path(leaf, sent);
        if let Some(webpki::Error::NameConstraintViolation) = error {
            return Refusal::OtherDomains;
        }
        self.broken_link(&path, now)
            .or_else(|| wrong_extension(&path, error.as_ref()))
            .or_else(|| self.unfinished(&path))
            .unwrap_or(Refusal::Other(error.unwrap_or(webpki::Error::UnknownIssuer)))
    }

    /// From a certificate up to its last known issuer; those that are trusted go first.
    fn path<'a>(&'a self, leaf: &'a Known, sent: &'a [Known]) -> Vec<&'a Known> {
        let mut path = vec![leaf];
        let mut last = leaf;
        while !last.facts.is_self_issued() && path.len() < LONGEST_CHAIN {
            let known = self.roots.iter().chain(&self.intermediates).chain(sent);
            let mut issuers = known.filter(|issuer| issuer.facts.subject == last.facts.issuer);
            let Some(issuer) = issuers.next() else { break };
            path.push(issuer);
            last = issuer;
        }
        path
    }

    /// Dates and signatures, the last certificate's first.
    fn broken_link(&self, path: &[&Known], now: Duration) -> Option<Refusal> {
        path.iter().enumerate().find_map(|(at, certificate)| {
            let issuer = path.get(at + 1);
            // Of an issuer whose own is unknown, only the key is of use.
            let is_looked_at = at == 0 || issuer.is_some() || certificate.facts.is_self_issued();
            let outdated = certificate.check_dates(now).err().filter(|_| is_looked_at);
            outdated.or_else(|| {
                let issuer = &issuer?.facts;
                let is_signed = || certificate.facts.is_signed_by(issuer, self.algorithms.all);
                match issuer.key_may_sign() {
                    Some(false) => Some(Refusal::KeyMayNotSign),
                    _ => (!is_signed()).then_some(Refusal::Signature),
                }
            })
        })
    }

    fn unfinished(&self, path: &[&Known]) -> Option<Refusal> {
        let last = path.last()?;
        let is_trusted = |known: &&&Known| {
            let trusted = self.roots.iter().chain(&self.intermediates);
            trusted.into_iter().any(|trusted| trusted.der == known.der)
        };
        match (last.facts.is_self_issued(), path.len()) {
            (true, _) if self.is_root(last) => None,
            (true, 1) => Some(Refusal::DepthZeroSelfSigned),
            (true, _) => Some(Refusal::SelfSignedInChain),
            (false, 1) => Some(Refusal::UnableToVerifyLeaf),
            (false, _) if path.iter().any(|known| is_trusted(&known)) => {
                Some(Refusal::NoIssuerOfTrusted)
            }
            (false, _) => Some(Refusal::NoIssuer),
        }
    }

    fn is_root(&self, certificate: &Known) -> bool {
        self.roots.iter().any(|root| root.der == certificate.der)
    }
}

/// What webpki does not look at: what an issuer's key may be used for, whether it may issue for a common name, and how
/// long a root lets chains become.
fn check_path(
    path: &webpki::VerifiedPath<'_>,
    roots: &[(TrustAnchor<'_>, &Certificate)],
    leaf: &Certificate,
) -> Result<(), webpki::Error> {
    let issuers: Option<Vec<Certificate>> =
        path.intermediate_certificates().map(|issuer| Certificate::read(&issuer.der())).collect();
    let issuers = issuers.ok_or(webpki::Error::BadDer)?;
    let anchors =
        || roots.iter().filter(|(anchor, _)| anchor == path.anchor()).map(|(_, root)| *root);
    if !issuers.iter().all(Certificate::may_issue) {
        Err(webpki::Error::EndEntityUsedAsCa)
    } else if !issuers.iter().chain(anchors()).all(|issuer| issuer.permits_common_names(leaf)) {
        Err(webpki::Error::NameConstraintViolation)
    } else if !anchors().any(|root| root.may_lead_over(issuers.len())) {
        Err(webpki::Error::PathLenConstraintViolated)
    } else {
        Ok(())
    }
}

/// What the certificates themselves say they may not be used for, the first issuer's word last.
fn wrong_extension(path: &[&Known], error: Option<&webpki::Error>) -> Option<Refusal> {
    let wrong = path.iter().enumerate().rev().find_map(|(at, certificate)| {
        let facts = &certificate.facts;
        let is_fit = if at == 0 { facts.may_serve() } else { facts.may_issue() };
        let is_too_far = at > 0 && !facts.may_lead_over(at - 1);
        let purpose = || (!is_fit).then_some(Refusal::InvalidPurpose);
        let strange = || facts.is_strange.then_some(Refusal::UnknownExtension);
        is_too_far.then_some(Refusal::PathTooLong).or_else(purpose).or_else(strange)
    });
    let is_unknown = matches!(error, Some(webpki::Error::UnsupportedCriticalExtension));
    wrong.or_else(|| is_unknown.then_some(Refusal::UnknownExtension))
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        sent: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.verify {
            self.check(leaf, sent, now).map_err(|refusal| {
                let cause = OtherError(Arc::new(refusal));
                rustls::Error::InvalidCertificate(CertificateError::Other(cause))
            })?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if !self.verify {
            return Ok(HandshakeSignatureValid::assertion());
        }
        match version_1(leaf) {
            None => verify_tls12_signature(message, leaf, signed, &self.algorithms),
            Some(leaf) => self.verify_version_1(message, &leaf, signed),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        // Whoever takes any certificate gains nothing from its signature.
        if !self.verify {
            return Ok(HandshakeSignatureValid::assertion());
        }
        match version_1(leaf) {
            None => verify_tls13_signature(message, leaf, signed, &self.algorithms),
            Some(leaf) => {
                let key = &leaf.public_key;
                verify_tls13_signature_with_raw_key(message, key, signed, &self.algorithms)
            }
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = self.algorithms.supported_schemes();
        if !self.verify {
            schemes.extend(UNVERIFIED);
        }
        schemes
    }
}

impl Verifier {
    /// As rustls does it in TLS 1.2, for a certificate that webpki does not read.
    fn verify_version_1(
        &self,
        message: &[u8],
        leaf: &Certificate,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let bad = || rustls::Error::InvalidCertificate(CertificateError::BadSignature);
        let key = RawPublicKeyEntity::try_from(&leaf.public_key).map_err(|_| bad())?;
        let mapping = self.algorithms.mapping.iter().find(|(scheme, _)| *scheme == signed.scheme);
        let (_, algorithms) = mapping.ok_or_else(bad)?;
        let is_good = |algorithm: &&dyn rustls::pki_types::SignatureVerificationAlgorithm| {
            key.verify_signature(*algorithm, message, signed.signature()).is_ok()
        };
        let verified = algorithms.iter().any(is_good);
        verified.then(HandshakeSignatureValid::assertion).ok_or_else(bad)
    }
}

fn version_1(der: &[u8]) -> Option<Certificate> {
    Certificate::read(der).filter(|certificate| certificate.is_version_1)
}
