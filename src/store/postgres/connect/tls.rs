//! Encryption: what rustls is told to check, by libpq's modes.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore,
    SignatureScheme,
};
use x509_cert::Certificate;
use x509_cert::der::asn1::{PrintableStringRef, TeletexStringRef, Utf8StringRef};
use x509_cert::der::{Any, Decode, Encode, Tagged};
use x509_cert::ext::pkix::SubjectAltName;

use super::super::options::SslMode;
use super::server::{Roots, Server};
use crate::error::{Error, Result};

const DOING: &str = "setting up TLS";

/// What a client is told to check and to show. Reads the files of certificates.
pub(super) fn config(server: &Server) -> Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier::new(server, &provider)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| Error::config(DOING, "no version of TLS is left"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match (&server.client_cert, &server.client_key) {
        (Some(chain), Some(key)) => {
            let (chain, key) = (certificates("sslcert", chain)?, private_key(key)?);
            builder.with_client_auth_cert(chain, key).map_err(|error| {
                Error::config(DOING, format!("sslcert and sslkey cannot be used: {error}"))
            })?
        }
        _ => builder.with_no_client_auth(),
    };
    if server.ssl_direct {
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok(config)
}

fn certificates(what: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, pem::Error> =
        CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(unreadable(what, file, &pem::Error::NoItemsFound)),
        Err(error) => Err(unreadable(what, file, &error)),
    }
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(file).map_err(|error| {
        unreadable("sslkey", file, &error)
            .advice("it has to be a PEM file in PKCS#8, PKCS#1 or SEC1, without a passphrase")
    })
}

/// Names the file; of the parser's errors only those that quote nothing of it.
fn unreadable(what: &str, file: &Path, error: &pem::Error) -> Error {
    let why = match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => "it holds none in PEM".to_owned(),
        _ => "it is not PEM".to_owned(),
    };
    Error::config(DOING, format!("{what} {} cannot be read: {why}", file.display()))
}

/// Certificates that are trusted.
struct Trust {
    roots: RootCertStore,
    /// As they were given: a server's own certificate may be among them.
    given: Vec<CertificateDer<'static>>,
}

impl Trust {
    fn new(roots: &Roots) -> Result<Self> {
        let given = match roots {
            Roots::File(file) => certificates("sslrootcert", file)?,
            Roots::System => rustls_native_certs::load_native_certs().certs,
        };
        let mut store = RootCertStore::empty();
        // Systems have roots that no library reads; a file of one's own has none to spare.
        let (_, ignored) = store.add_parsable_certificates(given.iter().cloned());
        if store.is_empty() || (ignored > 0 && *roots != Roots::System) {
            let problem = match roots {
                Roots::File(file) => {
                    format!("sslrootcert {} holds what is no certificate", file.display())
                }
                Roots::System => "the system has no root certificates".to_owned(),
            };
            return Err(Error::config(DOING, problem));
        }
        let given = if *roots == Roots::System { Vec::new() } else { given };
        Ok(Self { roots: store, given })
    }
}

/// Checks a server's certificate as far as the mode asks for it.
///
/// rustls' own verifier cannot leave out the host's name, and refuses a certificate that signs
/// itself, which is what many databases have and libpq takes when it is the one in `sslrootcert`.
struct Verifier {
    trust: Option<Trust>,
    name: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    fn new(server: &Server, provider: &CryptoProvider) -> Result<Self> {
        let mode = server.ssl_mode();
        let trust = match (mode, &server.roots) {
            (SslMode::VerifyCa, Some(roots)) => Some(Trust::new(roots)?),
            (SslMode::VerifyFull, roots) => {
                Some(Trust::new(roots.as_ref().unwrap_or(&Roots::System))?)
            }
            _ => None,
        };
        let algorithms = provider.signature_verification_algorithms;
        Ok(Self { trust, name: mode == SslMode::VerifyFull, algorithms })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let Some(trust) = &self.trust else { return Ok(ServerCertVerified::assertion()) };
        if trust.given.contains(end_entity) {
            check_validity(end_entity, now)?;
        } else {
            verify_server_cert_signed_by_trust_anchor(
                &ParsedCertificate::try_from(end_entity)?,
                &trust.roots,
                intermediates,
                now,
                self.algorithms.all,
            )?;
        }
        if self.name {
            check_name(end_entity, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    /// By the bare key: the library reads no certificate of version 1, as `openssl x509 -req` makes
    /// them, and with `sslmode=require` it may be one.
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let key = parse(cert)?
            .tbs_certificate
            .subject_public_key_info
            .to_der()
            .map_err(|_| TlsError::from(CertificateError::BadEncoding))?;
        verify_tls13_signature_with_raw_key(message, &key.into(), dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let certificates = self.trust.as_ref().map(|trust| trust.roots.len());
        f.debug_struct("Verifier")
            .field("certificates", &certificates)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

fn parse(cert: &CertificateDer<'_>) -> Result<Certificate, TlsError> {
    Certificate::from_der(cert).map_err(|_| CertificateError::BadEncoding.into())
}

fn check_validity(cert: &CertificateDer<'_>, now: UnixTime) -> Result<(), TlsError> {
    let validity = parse(cert)?.tbs_certificate.validity;
    let now = Duration::from_secs(now.as_secs());
    if now < validity.not_before.to_unix_duration() {
        return Err(CertificateError::NotValidYet.into());
    }
    if now > validity.not_after.to_unix_duration() {
        return Err(CertificateError::Expired.into());
    }
    Ok(())
}

/// By the alternative names; as libpq does, by the common name where a certificate has none.
fn check_name(cert: &CertificateDer<'_>, wanted: &ServerName<'_>) -> Result<(), TlsError> {
    let checked =
        ParsedCertificate::try_from(cert).and_then(|parsed| verify_server_name(&parsed, wanted));
    let (Err(refused), ServerName::DnsName(wanted)) = (&checked, wanted) else { return checked };
    let cert = parse(cert)?.tbs_certificate;
    let has_names = cert.get::<SubjectAltName>().map_or(true, |names| names.is_some());
    let common = common_names(&cert.subject);
    match !has_names && common.iter().any(|name| covers(name, wanted.as_ref())) {
        true => Ok(()),
        false => Err(refused.clone()),
    }
}

fn common_names(subject: &x509_cert::name::Name) -> Vec<String> {
    const COMMON_NAME: &str = "2.5.4.3";
    let attributes = subject.0.iter().flat_map(|names| names.0.iter());
    attributes
        .filter(|attribute| attribute.oid.to_string() == COMMON_NAME)
        .filter_map(|attribute| text(&attribute.value))
        .collect()
}

fn text(value: &Any) -> Option<String> {
    use x509_cert::der::Tag;
    match value.tag() {
        Tag::Utf8String => value.decode_as::<Utf8StringRef<'_>>().ok().map(|s| s.to_string()),
        Tag::PrintableString => {
            value.decode_as::<PrintableStringRef<'_>>().ok().map(|s| s.to_string())
        }
        Tag::TeletexString => value.decode_as::<TeletexStringRef<'_>>().ok().map(|s| s.to_string()),
        _ => None,
    }
}

/// `*` stands for the first label alone.
fn covers(pattern: &str, name: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(parent) => name
            .split_once('.')
            .is_some_and(|(first, rest)| !first.is_empty() && rest.eq_ignore_ascii_case(parent)),
        None => !pattern.contains('*') && pattern.eq_ignore_ascii_case(name),
    }
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn a_star_stands_for_one_label() {
        assert!(covers("db.example.com", "DB.example.com"));
        assert!(covers("*.example.com", "db.example.com"));
        assert!(!covers("*.example.com", "a.db.example.com"));
        assert!(!covers("*.example.com", "example.com"));
        assert!(!covers("d*.example.com", "db.example.com"));
        assert!(!covers("*", "db"));
        assert!(!covers("", "db"));
    }
}
