//! Certificates for servers and clients, made by the `openssl` program.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use super::process::run;

/// A server's key and certificate, and the authority that signed them; the texts of PEM files.
#[derive(Clone)]
pub(crate) struct Certificates {
    pub(crate) authority: String,
    pub(crate) server: String,
    pub(crate) server_key: String,
    /// For the user `certified`.
    pub(crate) client: String,
    pub(crate) client_key: String,
}

impl Certificates {
    /// For a server at 127.0.0.1 and localhost.
    pub(crate) fn good() -> &'static Self {
        static MADE: OnceLock<Certificates> = OnceLock::new();
        MADE.get_or_init(|| make("IP:127.0.0.1,DNS:localhost"))
    }

    /// One that signs itself, as PostgreSQL's manual makes it: its common name is its only name.
    pub(crate) fn self_signed() -> &'static Self {
        static MADE: OnceLock<Certificates> = OnceLock::new();
        MADE.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let (key, certificate) = (folder.path().join("key"), folder.path().join("crt"));
            authority("/CN=localhost", &key, &certificate);
            let server = fs::read_to_string(certificate).unwrap();
            let server_key = fs::read_to_string(key).unwrap();
            let good = Self::good();
            Certificates { authority: server.clone(), server, server_key, ..good.clone() }
        })
    }

    /// Of X.509's version 1, as `openssl x509 -req` makes them without a file of extensions.
    pub(crate) fn version_1() -> &'static Self {
        static MADE: OnceLock<Certificates> = OnceLock::new();
        MADE.get_or_init(|| make(""))
    }

    /// For a server of another name.
    pub(crate) fn misnamed() -> &'static Self {
        static MADE: OnceLock<Certificates> = OnceLock::new();
        MADE.get_or_init(|| make("DNS:elsewhere.example"))
    }
}

fn make(names: &str) -> Certificates {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    authority(&format!("/CN=authority for {names}"), &at("ca.key"), &at("ca.crt"));
    for (name, subject, extensions) in [
        ("server", "/CN=localhost", format!("subjectAltName={names}")),
        ("client", "/CN=certified", "extendedKeyUsage=clientAuth".to_owned()),
    ] {
        let request = at(&format!("{name}.csr"));
        let settings = at(&format!("{name}.ext"));
        fs::write(&settings, format!("basicConstraints=CA:FALSE\n{extensions}\n")).unwrap();
        let mut ask = openssl(&["req", "-new", "-nodes", "-subj", subject]);
        ask.args(NEW_KEY).arg("-keyout").arg(at(&format!("{name}.key"))).arg("-out").arg(&request);
        run(&mut ask);
        let mut sign = openssl(&["x509", "-req", "-days", "30", "-CAcreateserial"]);
        sign.arg("-CA").arg(at("ca.crt")).arg("-CAkey").arg(at("ca.key")).arg("-in").arg(&request);
        if !names.is_empty() {
            sign.arg("-extfile").arg(&settings);
        }
        run(sign.arg("-out").arg(at(&format!("{name}.crt"))));
    }
    let read = |name: &str| fs::read_to_string(at(name)).unwrap();
    Certificates {
        authority: read("ca.crt"),
        server: read("server.crt"),
        server_key: read("server.key"),
        client: read("client.crt"),
        client_key: read("client.key"),
    }
}

const NEW_KEY: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];

fn authority(subject: &str, key: &Path, certificate: &Path) {
    let mut make = openssl(&["req", "-x509", "-new", "-nodes", "-days", "30", "-subj", subject]);
    make.args(NEW_KEY);
    run(make.arg("-keyout").arg(key).arg("-out").arg(certificate));
}

fn openssl(arguments: &[&str]) -> Command {
    let mut command = Command::new("openssl");
    command.args(arguments);
    command
}
