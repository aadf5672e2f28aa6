//! TLS as `pg` has it through Node: the same certificates are accepted and refused, and a refusal carries Node's code.
//!
//! Chains are verified here, inside the handshake. Whether the certificate is for this host is asked of the caller
//! right after it, before anything secret is sent: Node's own check, or the one that the user put in its place.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, TrustAnchor, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, OtherError, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::error::{Error, NetworkFailure};

/// What PostgreSQL asks for in ALPN when TLS begins without a request for it.
const ALPN: &[u8] = b"postgresql";

/// How to speak TLS, as given.
#[derive(Clone, Default)]
pub struct TlsOptions {
    /// Certificates to trust.
    pub trusted: Vec<Trusted>,
    /// The client's certificate and those that lead to its issuer, in DER; empty if it has none.
    pub certificates: Vec<Vec<u8>>,
    /// The client's key, in PKCS#8 DER.
    pub key: Option<Vec<u8>>,
    /// The name sent to the server, if one is sent.
    pub server_name: Option<String>,
    /// Whether the server's certificate must be good.
    pub verify: bool,
    /// Whether TLS begins at once, without asking the server first.
    pub direct: bool,
}

/// A trusted certificate.
#[derive(Clone)]
pub struct Trusted {
    /// In DER.
    pub certificate: Vec<u8>,
    /// From when it holds, since 1970.
    pub valid_from: Duration,
    /// Until when.
    pub valid_to: Duration,
}

/// How to speak TLS, checked.
#[derive(Clone)]
pub(crate) struct Tls {
    connector: TlsConnector,
    server_name: ServerName<'static>,
    pub(crate) verify: bool,
    pub(crate) direct: bool,
}

impl Tls {
    pub(crate) fn new(options: &TlsOptions) -> Result<Self, Error> {
        let provider = Arc::new(ring::default_provider());
        let verifier = Verifier::new(options, provider.signature_verification_algorithms);
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(refused)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &options.key {
            Some(key) => {
                let chain = options.certificates.iter().cloned().map(CertificateDer::from);
                let key = PrivateKeyDer::Pkcs8(key.clone().into());
                builder.with_client_auth_cert(chain.collect(), key).map_err(refused)?
            }
            None => builder.with_no_client_auth(),
        };
        if options.direct {
            config.alpn_protocols = vec![ALPN.to_vec()];
        }
        config.enable_sni = options.server_name.is_some();
        // Where no name is sent, rustls still wants one to file its session tickets under.
        let name = options.server_name.clone().unwrap_or_else(|| "localhost".to_owned());
        let server_name = ServerName::try_from(name.clone())
            .map_err(|_| Error::argument(format!("ssl: {name:?} is not a host name")))?;
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            server_name,
            verify: options.verify,
            direct: options.direct,
        })
    }

    /// Shakes hands. With `verify`, the server's chain is good afterwards; its name is still to be checked.
    pub(crate) async fn connect<S>(&self, socket: S) -> Result<TlsStream<S>, Error>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.connector.connect(self.server_name.clone(), socket).await.map_err(|error| match error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        {
            Some(error) => handshake_failed(error),
            None => Error::interrupted(&error),
        })
    }
}

/// The server's certificate, in DER.
pub(crate) fn peer_certificate<S>(stream: &TlsStream<S>) -> Vec<u8> {
    let (_, connection) = stream.get_ref();
    let leaf = connection.peer_certificates().and_then(<[_]>::first);
    leaf.map(|leaf| leaf.to_vec()).unwrap_or_default()
}

fn refused(error: rustls::Error) -> Error {
    Error::argument(format!("ssl: {error}"))
}

fn handshake_failed(error: &rustls::Error) -> Error {
    if let rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(cause))) = error
        && let Some(refusal) = cause.downcast_ref::<Refusal>()
    {
        let facts = NetworkFailure { code: refusal.code(), ..NetworkFailure::default() };
        return Error::network(facts, refusal.to_string());
    }
    let facts = NetworkFailure { code: Some("EPROTO"), ..NetworkFailure::default() };
    Error::network(facts, format!("TLS handshake failed: {error}"))
}

/// Why a certificate was refused, in the terms of OpenSSL, which Node's errors use.
#[derive(Debug)]
enum Refusal {
    DepthZeroSelfSigned,
    SelfSignedInChain,
    UnableToVerifyLeaf,
    NoIssuer,
    Expired,
    NotYetValid,
    Other(webpki::Error),
}

impl Refusal {
    /// <https://nodejs.org/api/tls.html#x509-certificate-error-codes>
    fn code(&self) -> Option<&'static str> {
        match self {
            Refusal::DepthZeroSelfSigned => Some("DEPTH_ZERO_SELF_SIGNED_CERT"),
            Refusal::SelfSignedInChain => Some("SELF_SIGNED_CERT_IN_CHAIN"),
            Refusal::UnableToVerifyLeaf => Some("UNABLE_TO_VERIFY_LEAF_SIGNATURE"),
            Refusal::NoIssuer => Some("UNABLE_TO_GET_ISSUER_CERT_LOCALLY"),
            Refusal::Expired => Some("CERT_HAS_EXPIRED"),
            Refusal::NotYetValid => Some("CERT_NOT_YET_VALID"),
            Refusal::Other(_) => Some("CERT_UNTRUSTED"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::DepthZeroSelfSigned => f.write_str("self-signed certificate"),
            Refusal::SelfSignedInChain => {
                f.write_str("self-signed certificate in certificate chain")
            }
            Refusal::UnableToVerifyLeaf => f.write_str("unable to verify the first certificate"),
            Refusal::NoIssuer => f.write_str("unable to get local issuer certificate"),
            Refusal::Expired => f.write_str("certificate has expired"),
            Refusal::NotYetValid => f.write_str("certificate is not yet valid"),
            Refusal::Other(error) => write!(f, "certificate not trusted: {error}"),
        }
    }
}

impl std::error::Error for Refusal {}

/// A self-signed certificate that was given as trusted.
struct Root {
    certificate: CertificateDer<'static>,
    anchor: TrustAnchor<'static>,
    valid_from: Duration,
    valid_to: Duration,
}

struct Verifier {
    verify: bool,
    roots: Vec<Root>,
    /// Given as trusted, but issued by others: as in OpenSSL, they help to build a chain and do not end it.
    intermediates: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("verify", &self.verify).finish_non_exhaustive()
    }
}

impl Verifier {
    fn new(options: &TlsOptions, algorithms: WebPkiSupportedAlgorithms) -> Self {
        let mut verifier = Self {
            verify: options.verify,
            roots: Vec::new(),
            intermediates: Vec::new(),
            algorithms,
        };
        for trusted in &options.trusted {
            let certificate = CertificateDer::from(trusted.certificate.clone());
            if !is_self_signed(&certificate) {
                verifier.intermediates.push(certificate);
            } else if let Ok(anchor) = anchor_from_trusted_cert(&certificate) {
                let anchor = anchor.to_owned();
                let Trusted { valid_from, valid_to, .. } = *trusted;
                verifier.roots.push(Root { certificate, anchor, valid_from, valid_to });
            }
        }
        verifier
    }

    fn check(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Refusal> {
        let time = Duration::from_secs(now.as_secs());
        if let Some(root) = self.roots.iter().find(|root| root.certificate == *leaf) {
            return root.check_dates(time);
        }
        let (good, outdated): (Vec<&Root>, Vec<&Root>) =
            self.roots.iter().partition(|root| root.check_dates(time).is_ok());
        let outcome = self.check_chain(leaf, chain, &good, now);
        if matches!(outcome, Err(webpki::Error::UnknownIssuer))
            && self.check_chain(leaf, chain, &outdated, now).is_ok()
        {
            return Err(Refusal::Expired);
        }
        outcome.map_err(|error| refusal(error, leaf, chain))
    }

    fn check_chain(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        roots: &[&Root],
        now: UnixTime,
    ) -> Result<(), webpki::Error> {
        let anchors: Vec<TrustAnchor<'_>> = roots.iter().map(|root| root.anchor.clone()).collect();
        let intermediates: Vec<CertificateDer<'_>> =
            chain.iter().chain(&self.intermediates).cloned().collect();
        EndEntityCert::try_from(leaf)?.verify_for_usage(
            self.algorithms.all,
            &anchors,
            &intermediates,
            now,
            KeyUsage::server_auth(),
            None,
            None,
        )?;
        Ok(())
    }
}

impl Root {
    fn check_dates(&self, now: Duration) -> Result<(), Refusal> {
        if now < self.valid_from {
            Err(Refusal::NotYetValid)
        } else if now > self.valid_to {
            Err(Refusal::Expired)
        } else {
            Ok(())
        }
    }
}

fn is_self_signed(certificate: &CertificateDer<'_>) -> bool {
    EndEntityCert::try_from(certificate).is_ok_and(|parsed| parsed.issuer() == parsed.subject())
}

fn refusal(
    error: webpki::Error,
    leaf: &CertificateDer<'_>,
    chain: &[CertificateDer<'_>],
) -> Refusal {
    match error {
        webpki::Error::CertExpired { .. } => Refusal::Expired,
        webpki::Error::CertNotValidYet { .. } => Refusal::NotYetValid,
        // A certificate of one's own making that is in no list of trusted ones.
        webpki::Error::CaUsedAsEndEntity | webpki::Error::UnknownIssuer if is_self_signed(leaf) => {
            Refusal::DepthZeroSelfSigned
        }
        webpki::Error::UnknownIssuer if chain.iter().any(is_self_signed) => {
            Refusal::SelfSignedInChain
        }
        webpki::Error::UnknownIssuer if chain.is_empty() => Refusal::UnableToVerifyLeaf,
        webpki::Error::UnknownIssuer => Refusal::NoIssuer,
        other => Refusal::Other(other),
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.verify {
            self.check(leaf, chain, now).map_err(|refusal| {
                rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(
                    refusal,
                ))))
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
        // Whoever takes any certificate gains nothing from its signature, and old ones would not be read here.
        if !self.verify {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls12_signature(message, leaf, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if !self.verify {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls13_signature(message, leaf, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
