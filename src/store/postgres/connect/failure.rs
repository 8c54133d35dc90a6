//! Why no connection was made.

use std::error::Error as StdError;
use std::fmt;
use std::future::{Ready, ready};
use std::io;

use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::{NoTlsStream, TlsConnect};

use crate::error::{Error, Kind};

/// Why a connection was not made, in words without a password, for an [`Error`] to be made of.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    pub(crate) problem: String,
    pub(crate) advice: &'static str,
    pub(crate) code: Option<String>,
    /// No other host would answer better: the password is wrong, or a setting.
    pub(crate) is_final: bool,
    /// The server may answer better with the other kind of encryption.
    pub(crate) other_encryption: bool,
    /// A pooler does not take the options that the connection was started with.
    pub(crate) options_refused: bool,
}

impl Failure {
    pub(crate) fn unavailable(problem: impl Into<String>) -> Self {
        Self {
            kind: Kind::Unavailable,
            problem: problem.into(),
            advice: "",
            code: None,
            is_final: false,
            other_encryption: false,
            options_refused: false,
        }
    }

    pub(crate) fn into_error(self, doing: &'static str) -> Error {
        let error = Error::new(self.kind, doing, self.problem).advice(self.advice);
        match self.code {
            Some(code) => error.code_is(code),
            None => error,
        }
    }

    /// What several hosts had to say. `failures` holds one for each host that was tried, with the
    /// name it goes by.
    pub(crate) fn of_hosts(mut failures: Vec<(&str, Self)>) -> Self {
        // More would not be read.
        const SHOWN: usize = 4;
        let hosts = failures.len();
        let reasons: Vec<String> = failures
            .iter()
            .take(SHOWN)
            .map(|(host, failure)| format!("{host} {}", failure.problem))
            .collect();
        let more = if hosts > SHOWN { "; …" } else { "" };
        let reasons = format!("{}{more}", reasons.join("; "));
        let telling = |kind| failures.iter().rposition(|(_, failure)| failure.kind == kind);
        let index = telling(Kind::Config)
            .or_else(|| telling(Kind::Overloaded))
            .unwrap_or_else(|| hosts.saturating_sub(1));
        if index >= hosts {
            return Self::unavailable("no host is known");
        }
        let (_, failure) = failures.swap_remove(index);
        let problem = match hosts {
            1 => reasons,
            _ => format!("none of {hosts} hosts can be used: {reasons}"),
        };
        Self { problem, ..failure }
    }

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
        let options_refused = *code == SqlState::PROTOCOL_VIOLATION
            && message.contains("unsupported startup parameter");
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

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

impl StdError for Failure {}

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
