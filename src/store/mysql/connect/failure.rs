//! Why no connection was made: what the driver says of it.

use std::io;

use mysql_async::{DriverError, Error as Fault, IoError, TlsError};

use crate::error::Kind;
use crate::store::connect::failure::Failure;

/// Reads the driver's error of one attempt. Of the server's own words none is kept.
pub(crate) fn of_attempt(fault: &Fault) -> Failure {
    match fault {
        Fault::Server(server) => of_server(server.code),
        Fault::Io(IoError::Io(error)) => of_io(error),
        Fault::Io(IoError::Tls(error)) => of_tls(error),
        Fault::Driver(DriverError::NoClientSslFlagFromServer) => Failure {
            advice: "turn ssl on in the server",
            other_encryption: true,
            ..Failure::unavailable("does not support TLS")
        },
        Fault::Driver(
            DriverError::UnknownAuthPlugin { .. }
            | DriverError::MysqlOldPasswordDisabled
            | DriverError::CleartextPluginDisabled,
        ) => Failure {
            kind: Kind::Config,
            is_final: true,
            advice: "use mysql_native_password, caching_sha2_password or ed25519",
            ..Failure::unavailable("asks for a way of logging in that is not supported here")
        },
        _ => Failure::unavailable("ended the connection"),
    }
}

fn of_server(code: u16) -> Failure {
    let said = |problem: &str| Failure {
        code: Some(code.to_string()),
        ..Failure::unavailable(problem.to_owned())
    };
    match code {
        1040 | 1203 | 1226 => Failure {
            kind: Kind::Overloaded,
            advice: "have fewer connections, or let the server take more",
            ..said("takes no more connections")
        },
        // A wrong password tried everywhere locks accounts.
        1045 | 1698 | 1862 | 4151 => Failure {
            kind: Kind::Config,
            is_final: true,
            advice: "check user, password and from where the user may connect",
            ..said("refused the user")
        },
        1044 | 1049 => Failure {
            kind: Kind::Config,
            advice: "check the name of the database, and that the user may see it",
            ..said("does not give the user this database")
        },
        3159 | 4162 => Failure {
            kind: Kind::Config,
            advice: "set ssl-mode=REQUIRED",
            ..said("wants an encrypted connection")
        },
        1130 => Failure {
            kind: Kind::Config,
            advice: "let the user connect from this host",
            ..said("takes no connections from this host")
        },
        1193 => Failure {
            kind: Kind::Config,
            advice: "turn wsrep_sync_wait off: the server has no Galera",
            ..said("does not know a setting")
        },
        1047 => said("does not belong to a working cluster"),
        _ => said("refused the connection"),
    }
}

fn of_io(error: &io::Error) -> Failure {
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return of_rustls(tls);
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            Failure::unavailable("cannot be reached: connection refused")
        }
        io::ErrorKind::UnexpectedEof => Failure::unavailable("hung up"),
        _ => Failure::unavailable(format!("cannot be reached: {error}")),
    }
}

fn of_tls(error: &TlsError) -> Failure {
    match error {
        TlsError::Tls(error) => of_rustls(error),
        error => Failure::unavailable(format!("failed to set up TLS: {error}")),
    }
}

fn of_rustls(error: &rustls::Error) -> Failure {
    use rustls::CertificateError as Bad;
    let advice = match error {
        rustls::Error::InvalidCertificate(Bad::UnknownIssuer) => {
            "ssl-ca has to hold the root that signed the server's certificate"
        }
        rustls::Error::InvalidCertificate(
            Bad::NotValidForName | Bad::NotValidForNameContext { .. },
        ) => "connect by a name that the server's certificate is for",
        _ => "",
    };
    Failure {
        advice,
        other_encryption: true,
        ..Failure::unavailable(format!("failed to set up TLS: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_password_is_not_tried_elsewhere() {
        let server = |code| {
            of_attempt(&Fault::Server(mysql_async::ServerError {
                code,
                message: "'app'@'host' (using password: YES)".into(),
                state: "28000".into(),
            }))
        };
        let refused = server(1045);
        assert!(refused.is_final && refused.kind == Kind::Config);
        assert!(!refused.problem.contains("app"));
        assert_eq!(server(1040).kind, Kind::Overloaded);
        assert!(!server(1049).is_final && !server(1047).is_final);
    }
}
