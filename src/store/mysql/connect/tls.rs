//! Encryption: what the driver is told to check, by MySQL's modes.

use std::path::Path;

use mysql_async::{ClientIdentity, IoError, SslOpts};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::server::Server;
use crate::error::{Error, Result};
use crate::store::connect::SslMode;

const DOING: &str = "setting up TLS";

/// What a connection is told to check and to show; `None` where it is never encrypted. Reads the
/// files of certificates.
pub(super) fn options(server: &Server) -> Result<Option<SslOpts>> {
    let mode = server.ssl_mode();
    if mode == SslMode::Disable {
        return Ok(None);
    }
    provide();
    let checked = matches!(mode, SslMode::VerifyCa | SslMode::VerifyFull);
    let mut options = SslOpts::default()
        .with_danger_accept_invalid_certs(!checked)
        .with_danger_skip_domain_validation(mode != SslMode::VerifyFull);
    if let Some(root) = &server.root {
        let text = read("ssl-ca", root)?;
        if CertificateDer::pem_slice_iter(&text).next().is_none_or(|found| found.is_err()) {
            return Err(unreadable("ssl-ca", root, "it holds no certificate in PEM"));
        }
        // Whom the public authorities know is not for that reason the server.
        options = options.with_root_certs(vec![text.into()]).with_disable_built_in_roots(true);
    }
    if let (Some(cert), Some(key)) = (&server.client_cert, &server.client_key) {
        options = options.with_client_identity(Some(identity(cert, key)?));
    }
    Ok(Some(options))
}

/// A name that the server's certificate is for, after it was refused for its name alone.
///
/// With `VERIFY_CA` any name will do, but the driver's way of leaving the name out knows rustls' old
/// error of it only. The certificate's signatures were checked before its name, and are again.
pub(super) fn other_name(fault: &mysql_async::Error) -> Option<String> {
    use rustls::{CertificateError, Error};
    let mysql_async::Error::Io(IoError::Io(error)) = fault else { return None };
    let inner = error.get_ref()?.downcast_ref::<Error>()?;
    let Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }) =
        inner
    else {
        return None;
    };
    presented.iter().find_map(|name| bare_name(name))
}

/// `DnsName("*.example.com")` → a name that it covers.
fn bare_name(presented: &str) -> Option<String> {
    let inside = |kind: &str| presented.strip_prefix(kind)?.strip_suffix(')');
    match inside("DnsName(") {
        Some(name) => Some(name.trim_matches('"').replace('*', "any")),
        None => inside("IpAddress(").map(str::to_owned),
    }
}

/// The driver takes the process's default provider of cryptography and panics where there is none
/// and two are compiled in. One that the service has chosen stays.
fn provide() {
    if CryptoProvider::get_default().is_none() {
        // Somebody else may have chosen one meanwhile.
        drop(ring::default_provider().install_default());
    }
}

fn identity(cert: &Path, key: &Path) -> Result<ClientIdentity> {
    let (chain, secret) = (read("ssl-cert", cert)?, read("ssl-key", key)?);
    let found: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&chain).collect();
    let certificates = found.unwrap_or_default();
    if certificates.is_empty() {
        return Err(unreadable("ssl-cert", cert, "it holds no certificate in PEM"));
    }
    let der = PrivateKeyDer::from_pem_slice(&secret).map_err(|_| {
        unreadable("ssl-key", key, "it holds no key in PEM")
            .advice("it has to be in PKCS#8, PKCS#1 or SEC1, without a passphrase")
    })?;
    CertifiedKey::from_der(certificates, der, &ring::default_provider()).map_err(|error| {
        Error::config(DOING, format!("ssl-cert and ssl-key cannot be used: {error}"))
    })?;
    Ok(ClientIdentity::new(chain.into(), secret.into()))
}

fn read(what: &str, file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).map_err(|error| unreadable(what, file, &error.to_string()))
}

fn unreadable(what: &str, file: &Path, why: &str) -> Error {
    Error::config(DOING, format!("{what} {} cannot be read: {why}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::bare_name;

    #[test]
    fn a_presented_name_is_one_to_ask_for() {
        assert_eq!(bare_name(r#"DnsName("db.example.com")"#).unwrap(), "db.example.com");
        assert_eq!(bare_name(r#"DnsName("*.example.com")"#).unwrap(), "any.example.com");
        assert_eq!(bare_name("IpAddress(10.0.0.1)").unwrap(), "10.0.0.1");
        assert_eq!(bare_name("DirectoryName"), None);
    }
}
