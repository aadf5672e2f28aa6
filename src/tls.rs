//! TLS as `pg` has it through Node: the same certificates are accepted and refused, and a refusal carries Node's code.
//!
//! Chains are verified here, inside the handshake. Whether the certificate is for this host is asked of the caller
//! right after it, before anything secret is sent: Node's own check, or the one that the user put in its place.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{AlertDescription, CertificateError, ClientConfig, OtherError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::error::{Error, NetworkFailure};

mod certificate;
mod verifier;

use verifier::{Refusal, Verifier};

/// What PostgreSQL asks for in ALPN when TLS begins without a request for it.
const ALPN: &[u8] = b"postgresql";

/// Node's number for it.
const EPROTO: i32 = if cfg!(windows) {
    4046
} else if cfg!(target_os = "linux") {
    71
} else {
    100
};
const UNNAMED: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

/// How to speak TLS, as given.
#[derive(Clone, Default)]
pub struct TlsOptions {
    /// Certificates to trust, in DER.
    pub trusted: Vec<Vec<u8>>,
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
        // Each connection looks at the server's certificate anew, as in pg.
        config.resumption = Resumption::disabled();
        let name = options.server_name.as_deref().and_then(|name| ServerName::try_from(name).ok());
        config.enable_sni = name.is_some();
        // Where no name is sent, rustls still wants one.
        let server_name = name.map_or_else(|| ServerName::from(UNNAMED), |name| name.to_owned());
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
        let shaking = self.connector.connect(self.server_name.clone(), socket);
        shaking.await.map_err(|error| handshake_failed(&error))
    }
}

/// The certificates that the server sent, its own first, in DER, one after the other.
pub(crate) fn peer_certificates<S>(stream: &TlsStream<S>) -> Vec<u8> {
    let (_, connection) = stream.get_ref();
    let sent = connection.peer_certificates().unwrap_or_default();
    sent.iter().flat_map(|certificate| certificate.iter().copied()).collect()
}

fn refused(error: rustls::Error) -> Error {
    Error::argument(format!("ssl: {error}"))
}

fn handshake_failed(error: &io::Error) -> Error {
    let Some(failure) = tls_error(error) else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof => disconnected(),
            _ => Error::interrupted(error),
        };
    };
    if let rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(cause))) = failure
        && let Some(refusal) = cause.downcast_ref::<Refusal>()
    {
        let facts = NetworkFailure { code: Some(refusal.code()), ..NetworkFailure::default() };
        return Error::network(facts, refusal.to_string());
    }
    // Node meets all the rest of it while it writes.
    let facts = NetworkFailure {
        code: Some("EPROTO"),
        errno: Some(-EPROTO),
        syscall: Some("write"),
        ..NetworkFailure::default()
    };
    Error::network(facts, format!("write EPROTO: TLS handshake failed: {failure}"))
}

/// How TLS ended a connection after the handshake, if it was TLS: in version 1.3 a server looks at the client's
/// certificate only then.
pub(crate) fn failure(error: &io::Error) -> Option<Error> {
    let failure = tls_error(error)?;
    let code = match failure {
        rustls::Error::AlertReceived(alert) => alert_code(*alert),
        _ => "EPROTO",
    };
    let facts = NetworkFailure { code: Some(code), ..NetworkFailure::default() };
    Some(Error::network(facts, format!("TLS failed: {failure}")))
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// The words are Node's.
fn disconnected() -> Error {
    let facts = NetworkFailure { code: Some("ECONNRESET"), ..NetworkFailure::default() };
    Error::network(
        facts,
        "Client network socket disconnected before secure TLS connection was established",
    )
}

/// The code of Node's error for an alert of the server.
fn alert_code(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::UnexpectedMessage => "ERR_SSL_SSLV3_ALERT_UNEXPECTED_MESSAGE",
        AlertDescription::BadRecordMac => "ERR_SSL_SSLV3_ALERT_BAD_RECORD_MAC",
        AlertDescription::HandshakeFailure => "ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE",
        AlertDescription::BadCertificate => "ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE",
        AlertDescription::UnsupportedCertificate => "ERR_SSL_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        AlertDescription::CertificateRevoked => "ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED",
        AlertDescription::CertificateExpired => "ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED",
        AlertDescription::CertificateUnknown => "ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        AlertDescription::IllegalParameter => "ERR_SSL_SSLV3_ALERT_ILLEGAL_PARAMETER",
        AlertDescription::UnknownCA => "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA",
        AlertDescription::AccessDenied => "ERR_SSL_TLSV1_ALERT_ACCESS_DENIED",
        AlertDescription::DecodeError => "ERR_SSL_TLSV1_ALERT_DECODE_ERROR",
        AlertDescription::DecryptError => "ERR_SSL_TLSV1_ALERT_DECRYPT_ERROR",
        AlertDescription::ProtocolVersion => "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION",
        AlertDescription::InsufficientSecurity => "ERR_SSL_TLSV1_ALERT_INSUFFICIENT_SECURITY",
        AlertDescription::InternalError => "ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR",
        AlertDescription::UnrecognisedName => "ERR_SSL_TLSV1_UNRECOGNIZED_NAME",
        AlertDescription::CertificateRequired => "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED",
        AlertDescription::NoApplicationProtocol => "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL",
        _ => "EPROTO",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Files that a user mixed up, or that were cut short.
        #[test]
        fn any_keys_certificates_and_names_are_taken_or_refused(
            key: Option<Vec<u8>>, certificates: Vec<Vec<u8>>, trusted: Vec<Vec<u8>>, server_name: Option<String>,
        ) {
            let has_key = key.is_some();
            let options = TlsOptions { trusted, certificates, key, server_name, ..TlsOptions::default() };
            // No random bytes are a key.
            prop_assert_eq!(Tls::new(&options).is_err(), has_key);
        }
    }
}
