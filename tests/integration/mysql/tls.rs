//! Encryption, and who is who, by the modes of MySQL's clients.

use std::path::PathBuf;

use sqlbypass::{Error, MySqlStore};
use tempfile::TempDir;

use super::{Place, RAILS, data, insert, new_id};
use crate::servers::mariadb::Options;
use crate::servers::{Certificates, MariaDb};

/// Whether it connects by a URL; a row is written and read then.
async fn connects(url: &str) -> Result<(), Error> {
    let store = MySqlStore::open(url).await?;
    let id = new_id();
    insert(&store, &id, "one").await?;
    assert_eq!(data(&store, &id).await.unwrap(), "one");
    store.close().await
}

async fn refused(url: &str) -> Error {
    match connects(url).await {
        Ok(()) => panic!("it connected: {}", url.split('?').nth(1).unwrap_or_default()),
        Err(error) => error,
    }
}

async fn start(certificates: &Certificates, settings: &[&str]) -> (MariaDb, Place) {
    let settings = settings.iter().map(|line| (*line).to_owned()).collect();
    let tls = Some(certificates.clone());
    let server = MariaDb::start(Options { tls, settings, ..Options::default() });
    let place = Place::on(&server, RAILS).await;
    (server, place)
}

/// Certificates and keys in files.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

const MODES: [&str; 5] = ["DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_mode_encrypts_as_the_clients_do() {
    if !MariaDb::available() {
        return;
    }
    let files = Files::new();
    let good = Certificates::good();
    let root = files.write("root.crt", &good.authority);
    // It takes both, and one of its users nothing but TLS.
    let (server, place) = start(good, &["require_secure_transport = off"]).await;
    let name = &place.database;
    place
        .run(&format!(
            "CREATE USER hidden@'%' IDENTIFIED BY 'plain' REQUIRE SSL;
             GRANT ALL ON {name}.* TO hidden@'%'"
        ))
        .await;
    let hidden = format!("mysql://hidden:plain@127.0.0.1:{}/{name}", server.port());
    for mode in MODES {
        let ca = if mode.starts_with("VERIFY") {
            format!("&ssl-ca={}", root.display())
        } else {
            String::new()
        };
        let parameters = format!("?ssl-mode={mode}{ca}");
        connects(&format!("{}{parameters}", server.url(name))).await.unwrap();
        let encrypted = connects(&format!("{hidden}{parameters}")).await;
        match encrypted {
            Ok(()) => assert_ne!(mode, "DISABLED"),
            Err(error) => assert!(mode == "DISABLED" && error.is_config(), "{mode}: {error}"),
        }
    }
    connects(&hidden).await.expect("encrypted where the server can, by default");
    connects(&format!(
        "{}&ssl-mode=VERIFY_IDENTITY&ssl-ca={}",
        server.socket_url(name),
        root.display()
    ))
    .await
    .expect("sockets are plain");

    let (server, place) = start(good, &[]).await;
    connects(&server.url(&place.database)).await.unwrap();
    let error = refused(&format!("{}?ssl-mode=DISABLED", server.url(&place.database))).await;
    assert!(error.is_config(), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_another_root_or_name_is_refused() {
    if !MariaDb::available() {
        return;
    }
    let files = Files::new();
    let (good, other) = (Certificates::good(), Certificates::misnamed());
    let root = files.write("root.crt", &good.authority);
    let other_root = files.write("other.crt", &other.authority);
    let (server, place) = start(good, &[]).await;
    let to = |mode: &str, root: &PathBuf| {
        format!("{}?ssl-mode={mode}&ssl-ca={}", server.url(&place.database), root.display())
    };
    for mode in ["REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"] {
        connects(&to(mode, &root)).await.unwrap();
        connects(&to(mode, &root).replace("127.0.0.1", "localhost")).await.unwrap();
        let error = refused(&to(mode, &other_root)).await;
        assert!(error.is_unavailable() && error.to_string().contains("ssl-ca"), "{error}");
    }
    // No root that the world trusts has signed it.
    let error = refused(&format!("{}?ssl-mode=VERIFY_IDENTITY", server.url(&place.database))).await;
    assert!(error.is_unavailable() || error.is_config(), "{error}");

    let (misnamed, place) = start(other, &[]).await;
    let to = |mode: &str| {
        format!("{}?ssl-mode={mode}&ssl-ca={}", misnamed.url(&place.database), other_root.display())
    };
    connects(&to("VERIFY_CA")).await.unwrap();
    let error = refused(&to("VERIFY_IDENTITY")).await;
    assert!(error.is_unavailable() && error.to_string().contains("name"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_tls_is_refused_where_it_is_asked_for() {
    if !MariaDb::available() {
        return;
    }
    let files = Files::new();
    let root = files.write("root.crt", &Certificates::good().authority);
    let (server, place) = (MariaDb::shared(), Place::shared().await);
    let url = server.url(&place.database);
    for mode in ["REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"] {
        let error = refused(&format!("{url}?ssl-mode={mode}&ssl-ca={}", root.display())).await;
        assert!(error.is_unavailable() && error.to_string().contains("TLS"), "{error}");
    }
    for mode in ["DISABLED", "PREFERRED"] {
        connects(&format!("{url}?ssl-mode={mode}")).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_certificate_says_who_connects() {
    if !MariaDb::available() {
        return;
    }
    let (files, good) = (Files::new(), Certificates::good());
    let (server, place) = start(good, &[]).await;
    let name = &place.database;
    place
        .run(&format!(
            "CREATE USER certified@'%' REQUIRE SUBJECT '/CN=certified';
             GRANT ALL ON {name}.* TO certified@'%'"
        ))
        .await;
    let (cert, key) = (files.write("crt", &good.client), files.write("key", &good.client_key));
    let other_key = files.write("other.key", &good.server_key);
    let server_cert = files.write("server.crt", &good.server);
    let root = files.write("root.crt", &good.authority);
    let base = format!(
        "mysql://certified@127.0.0.1:{}/{name}?ssl-mode=VERIFY_IDENTITY&ssl-ca={}",
        server.port(),
        root.display()
    );
    let with = |cert: &PathBuf, key: &PathBuf| {
        format!("{base}&ssl-cert={}&ssl-key={}", cert.display(), key.display())
    };
    connects(&with(&cert, &key)).await.unwrap();
    assert!(refused(&base).await.is_config(), "without a certificate");
    assert!(refused(&with(&server_cert, &other_key)).await.is_config(), "another's certificate");
    let missing = files.0.path().join("missing");
    for (cert, key) in [(&cert, &other_key), (&cert, &missing), (&key, &key), (&cert, &cert)] {
        let error = refused(&with(cert, key)).await;
        assert!(error.is_config(), "{error}");
    }
}
