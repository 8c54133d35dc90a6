//! Encryption.

use std::sync::Arc;

use super::server::Server;
use crate::error::{Error, Result};

/// Trusts nobody yet.
pub(super) fn config(_: &Server) -> Result<rustls::ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| Error::config("setting up TLS", "the versions do not fit"))?;
    Ok(config.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
}
