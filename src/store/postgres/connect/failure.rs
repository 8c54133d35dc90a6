//! Why no connection was made: what PostgreSQL's driver says of it.

use std::error::Error as StdError;
use std::future::{Ready, ready};
use std::io;

use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::{NoTlsStream, TlsConnect};

use crate::error::Kind;
pub(crate) use crate::store::connect::failure::Failure;

impl Failure {
    /// Reads the driver's error of one attempt.
    pub(crate) fn of_attempt(error: &tokio_postgres::Error) -> Self {
        if let Some(error) = error.as_db_error() {
            return Self::of_server(error.code(), error.message());
        }
        // The driver tells the kinds apart by nothing but these words.
        let words = error.to_string();
        let source = error.source();
        let why = source.map_or_else(|| words.clone(), reason);
        match words.as_str() {
            "error performing TLS handshake" => Self {
                advice: tls_advice(source, &why),
                other_encryption: true,
                ..Self::unavailable(format!("failed to set up TLS: {why}"))
            },
            "authentication error" | "invalid configuration" => Self {
                kind: Kind::Config,
                is_final: true,
                ..Self::unavailable(format!("cannot be logged in to: {why}"))
            },
            "error connecting to server" => Self::unavailable(format!("cannot be reached: {why}")),
            _ => Self::unavailable(format!("ended the connection: {why}")),
        }
    }

    /// Reads an error that the server sent while connecting; its message names at most the user
    /// and the database, its detail is left out.
    fn of_server(code: &SqlState, message: &str) -> Self {
        let said = |problem: &str| Self {
            code: Some(code.code().to_owned()),
            ..Self::unavailable(format!("{problem}: {message}"))
        };
        if *code == SqlState::TOO_MANY_CONNECTIONS || code.code().starts_with("53") {
            return Self {
                kind: Kind::Overloaded,
                advice: "have fewer connections, or let the server take more",
                ..said("takes no more connections")
            };
        }
        let options_refused = are_options_refused(code, message);
        let no_rule = *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION;
        let config = code.code().starts_with("28")
            || *code == SqlState::INVALID_CATALOG_NAME
            || *code == SqlState::INSUFFICIENT_PRIVILEGE;
        if config || options_refused {
            return Self {
                kind: Kind::Config,
                advice: match code.code() {
                    "3D000" => "create the database, or name another",
                    code if code.starts_with("28") => "check user, password and pg_hba.conf",
                    _ if options_refused => "behind a pooler in transaction mode turn pgbouncer on",
                    _ => "",
                },
                // What is missing on one server can be there on the next; a wrong password tried
                // everywhere locks accounts.
                is_final: code.code().starts_with("28"),
                other_encryption: no_rule,
                options_refused,
                ..said("refused the connection")
            };
        }
        // A pooler that wants encryption says so without a code of its own.
        Self {
            other_encryption: *code == SqlState::PROTOCOL_VIOLATION,
            ..said("refused the connection")
        }
    }
}

/// A pooler does not take what a connection is started with: PgBouncer names the parameter, RDS Proxy
/// the option or the command line.
fn are_options_refused(code: &SqlState, message: &str) -> bool {
    match *code {
        SqlState::FEATURE_NOT_SUPPORTED => true,
        SqlState::PROTOCOL_VIOLATION => message.contains("unsupported startup parameter"),
        _ => message.contains("support command-line options"),
    }
}

/// The innermost words: the driver's own outer ones say less.
fn reason(error: &(dyn StdError + 'static)) -> String {
    if let Some(io) = error.downcast_ref::<io::Error>() {
        if io.kind() == io::ErrorKind::ConnectionRefused {
            return "connection refused".to_owned();
        }
        if io.kind() == io::ErrorKind::UnexpectedEof {
            return "it hung up".to_owned();
        }
    }
    error.to_string()
}

fn tls_advice(source: Option<&(dyn StdError + 'static)>, why: &str) -> &'static str {
    use rustls::CertificateError as Bad;
    let inner = source
        .and_then(|source| source.downcast_ref::<io::Error>())
        .and_then(io::Error::get_ref)
        .and_then(|error| error.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(Bad::UnknownIssuer)) => {
            "sslrootcert has to hold the root that signed the server's certificate"
        }
        Some(rustls::Error::InvalidCertificate(
            Bad::NotValidForName | Bad::NotValidForNameContext { .. },
        )) => "connect by a name that the server's certificate is for",
        _ if why.contains("UnsupportedCertVersion") => {
            "the certificate is of X.509's version 1; make one with a subjectAltName"
        }
        _ if why.contains("does not support TLS") => "turn ssl on in the server",
        _ => "",
    }
}

/// Puts our failure into the driver's error, which is all that deadpool-postgres lets through.
///
/// The driver has no public way to make one, but it wraps what a TLS connector fails with, and with
/// direct TLS nothing is sent before the connector is asked. [`unwrap`] is the way back.
pub(crate) async fn wrap(
    failure: Failure,
) -> Result<(Client, JoinHandle<()>), tokio_postgres::Error> {
    let mut config = tokio_postgres::Config::new();
    config.user("").ssl_mode(SslMode::Require).ssl_negotiation(SslNegotiation::Direct);
    // There is no value of the connector's stream, so this only ever fails.
    let (client, connection) = config.connect_raw(tokio::io::empty(), Carrier(failure)).await?;
    Ok((client, tokio::spawn(async move { drop(connection.await) })))
}

struct Carrier(Failure);

impl<S> TlsConnect<S> for Carrier {
    type Stream = NoTlsStream;
    type Error = Failure;
    type Future = Ready<Result<NoTlsStream, Failure>>;

    fn connect(self, _: S) -> Self::Future {
        ready(Err(self.0))
    }
}

/// The failure inside the driver's error, or a reading of the driver's own.
pub(crate) fn unwrap(error: tokio_postgres::Error) -> Failure {
    match error.source().and_then(|source| source.downcast_ref::<Failure>()) {
        Some(failure) => failure.clone(),
        None => Failure::of_attempt(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What poolers that are not to be had for tests are reported to say.
    #[test]
    fn poolers_that_refuse_options_are_known_by_their_words() {
        for (code, message) in [
            (SqlState::PROTOCOL_VIOLATION, "unsupported startup parameter: options"),
            (
                SqlState::FEATURE_NOT_SUPPORTED,
                "Feature not supported: RDS Proxy currently doesn\u{2019}t support command-line options.",
            ),
            (
                SqlState::INTERNAL_ERROR,
                "Feature not supported: RDS Proxy currently doesn't support command-line options.",
            ),
        ] {
            assert!(Failure::of_server(&code, message).options_refused, "{message}");
        }
        let other = Failure::of_server(&SqlState::PROTOCOL_VIOLATION, "SSL required");
        assert!(!other.options_refused && other.other_encryption);
    }
}
