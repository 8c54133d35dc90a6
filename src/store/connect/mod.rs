//! Connecting, as far as it is the same for every server: hosts, which of them failed, and URLs.

pub(crate) mod failure;
pub(crate) mod health;
pub(crate) mod host;
pub(crate) mod url;
pub(crate) mod values;

/// How a connection is encrypted, with libpq's names and meaning. Sockets of this machine are never
/// encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SslMode {
    /// Never (MySQL's `DISABLED`).
    Disable,
    /// Only where the server refuses a connection without. On MySQL as `Prefer`.
    Allow,
    /// Where the server can (MySQL's `PREFERRED`). The default; who can change the traffic can turn
    /// it off.
    #[default]
    Prefer,
    /// Always (MySQL's `REQUIRED`). The certificate is checked only when a root certificate is
    /// given, as `VerifyCa`.
    Require,
    /// Always, and a given root has signed the server's certificate (MySQL's `VERIFY_CA`).
    VerifyCa,
    /// Always, a root has signed the certificate, and it is for this host name (MySQL's
    /// `VERIFY_IDENTITY`). Without a root certificate the system's are taken; on MySQL those that
    /// the driver holds.
    VerifyFull,
}
