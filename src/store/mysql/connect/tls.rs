//! Encryption: what the driver is told to check, by MySQL's modes.

use std::path::Path;

use mysql_async::{ClientIdentity, SslOpts};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

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
    if CertificateDer::pem_slice_iter(&chain).next().is_none_or(|found| found.is_err()) {
        return Err(unreadable("ssl-cert", cert, "it holds no certificate in PEM"));
    }
    match PrivateKeyDer::from_pem_slice(&secret) {
        Ok(_) => Ok(ClientIdentity::new(chain.into(), secret.into())),
        Err(pem::Error::NoItemsFound) => Err(unreadable("ssl-key", key, "it holds no key in PEM")),
        Err(_) => Err(unreadable("ssl-key", key, "it is not PEM")),
    }
    .map_err(|error| {
        error.advice(
            "it has to be a PEM file; a key in PKCS#8, PKCS#1 or SEC1, without a passphrase",
        )
    })
}

fn read(what: &str, file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).map_err(|error| unreadable(what, file, &error.to_string()))
}

fn unreadable(what: &str, file: &Path, why: &str) -> Error {
    Error::config(DOING, format!("{what} {} cannot be read: {why}", file.display()))
}
