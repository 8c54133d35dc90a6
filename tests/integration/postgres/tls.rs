//! Encryption, and who is who, by libpq's modes.

use std::path::PathBuf;
use std::process::Command;

use sqlbypass::{ChannelBinding, Error, PostgresBuilder, PostgresStore, SslMode};
use tempfile::TempDir;

use super::{Place, data, insert, new_id};
use crate::servers::{Certificates, Options, Postgres};

/// Whether it connects; the row of the table is there then.
async fn connects(builder: PostgresBuilder) -> Result<(), Error> {
    let store = builder.create(true).open().await?;
    let id = new_id();
    insert(&store, &id, "one").await?;
    assert_eq!(data(&store, &id).await.unwrap(), "one");
    store.close().await
}

async fn refused(builder: PostgresBuilder) -> Error {
    let shown = format!("{builder:?}");
    match connects(builder).await {
        Ok(()) => panic!("it connected: {shown}"),
        Err(error) => error,
    }
}

/// Whether a connection is encrypted, as the server sees it.
async fn is_encrypted(server: &Postgres, builder: PostgresBuilder) -> Result<bool, Error> {
    const NAME: &str = "is_encrypted";
    let store = builder.application_name(NAME).create(true).open().await?;
    let sql = "SELECT bool_and(ssl.ssl) FROM pg_stat_ssl AS ssl
               JOIN pg_stat_activity AS activity USING (pid) WHERE application_name = $1";
    let raw = server.connect("postgres").await;
    let encrypted = raw.query_one(sql, &[&NAME]).await.unwrap().get(0);
    store.close().await?;
    Ok(encrypted)
}

fn start(certificates: &Certificates, rules: &'static str) -> Postgres {
    let tls = Some(certificates.clone());
    Postgres::start(Options { tls, rules, ..Options::default() })
}

fn at(server: &Postgres) -> PostgresBuilder {
    PostgresStore::url(&server.url("postgres")).unwrap()
}

/// By a name instead of the address.
fn named(server: &Postgres) -> PostgresBuilder {
    PostgresStore::url(&server.url("postgres").replace("127.0.0.1", "localhost")).unwrap()
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

    fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        command.args(arguments.split(' ')).current_dir(self.0.path());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_mode_encrypts_as_libpq_does() {
    if !Postgres::available() {
        return;
    }
    // A server that takes both, and encryption only over one of its addresses' databases.
    let server = start(Certificates::good(), "host all all 127.0.0.1/32 scram-sha-256");
    for (mode, expected) in [
        (SslMode::Disable, false),
        (SslMode::Allow, false),
        (SslMode::Prefer, true),
        (SslMode::Require, true),
    ] {
        let encrypted = is_encrypted(&server, at(&server).ssl_mode(mode)).await.unwrap();
        assert_eq!(encrypted, expected, "{mode:?}");
    }
    assert!(is_encrypted(&server, at(&server)).await.unwrap(), "by default");
    let socket = PostgresStore::url(&server.socket_url("postgres")).unwrap();
    let socket = socket.ssl_mode(SslMode::VerifyFull);
    assert!(!is_encrypted(&server, socket).await.unwrap(), "sockets are plain");

    let server = start(Certificates::good(), "");
    assert!(is_encrypted(&server, at(&server).ssl_mode(SslMode::Allow)).await.unwrap());
    let error = refused(at(&server).ssl_mode(SslMode::Disable)).await;
    assert!(error.is_config() && error.code() == Some("28000"), "{error}");

    let server =
        start(Certificates::good(), "hostnossl all all all scram-sha-256\nhost all all all reject");
    assert!(!is_encrypted(&server, at(&server).ssl_mode(SslMode::Prefer)).await.unwrap());
    assert!(refused(at(&server).ssl_mode(SslMode::Require)).await.is_config());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_another_root_or_name_is_refused() {
    if !Postgres::available() {
        return;
    }
    let files = Files::new();
    let (good, other) = (Certificates::good(), Certificates::misnamed());
    let root = files.write("root.crt", &good.authority);
    let other_root = files.write("other.crt", &other.authority);
    let (server, misnamed) = (start(good, ""), start(other, ""));
    for mode in [SslMode::Require, SslMode::VerifyCa, SslMode::VerifyFull] {
        connects(at(&server).ssl_mode(mode).ssl_root_cert(&root)).await.unwrap();
        connects(named(&server).ssl_mode(mode).ssl_root_cert(&root)).await.unwrap();
        let error = refused(at(&server).ssl_mode(mode).ssl_root_cert(&other_root)).await;
        assert!(error.is_unavailable() && error.to_string().contains("sslrootcert"), "{error}");
    }
    // The system's roots have not signed it.
    let error = refused(at(&server).ssl_mode(SslMode::VerifyFull)).await;
    assert!(error.is_unavailable() || error.is_config(), "{error}");

    let to_other = |mode| at(&misnamed).ssl_mode(mode).ssl_root_cert(&other_root);
    connects(to_other(SslMode::VerifyCa)).await.unwrap();
    let error = refused(to_other(SslMode::VerifyFull)).await;
    assert!(error.is_unavailable(), "{error}");
    assert!(error.to_string().contains("connect by a name"), "{error}");

    // By URL, and bound to the channel.
    let url = format!(
        "{}?sslmode=verify-full&sslrootcert={}&channel_binding=require",
        server.url("postgres"),
        root.display()
    );
    assert!(is_encrypted(&server, PostgresStore::url(&url).unwrap()).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_tls_is_refused_where_it_is_asked_for() {
    if !Postgres::available() {
        return;
    }
    let files = Files::new();
    let root = files.write("root.crt", &Certificates::good().authority);
    let place = Place::shared().await;
    let to = || place.builder(&Postgres::shared().url("postgres"));
    for mode in [SslMode::Require, SslMode::VerifyCa, SslMode::VerifyFull] {
        let error = refused(to().ssl_mode(mode).ssl_root_cert(&root)).await;
        assert!(error.is_unavailable() && error.to_string().contains("TLS"), "{error}");
    }
    for mode in [SslMode::Disable, SslMode::Allow, SslMode::Prefer] {
        connects(to().ssl_mode(mode)).await.unwrap();
    }
    let error = refused(to().channel_binding(ChannelBinding::Require)).await;
    assert!(error.is_config() && error.to_string().contains("channel binding"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_certificate_stands_for_a_password() {
    if !Postgres::available() {
        return;
    }
    let (files, good) = (Files::new(), Certificates::good());
    let server = start(good, "");
    let (cert, key) = (files.write("crt", &good.client), files.write("key", &good.client_key));
    let other_key = files.write("other.key", &good.server_key);
    let root = files.write("root.crt", &good.authority);
    files.openssl("ec -in key -out sec1.key");
    let raw = server.connect("postgres").await;
    raw.batch_execute("CREATE ROLE certified LOGIN; GRANT ALL ON SCHEMA public TO certified")
        .await
        .unwrap();
    let to = || {
        let builder = PostgresStore::builder().host("127.0.0.1").port(server.port());
        let builder = builder.user("certified").database("postgres");
        builder.ssl_mode(SslMode::VerifyFull).ssl_root_cert(&root)
    };
    connects(to().ssl_client_cert(&cert, &key)).await.unwrap();
    connects(to().ssl_client_cert(&cert, files.0.path().join("sec1.key"))).await.unwrap();
    assert!(refused(to()).await.is_config());
    let missing = files.0.path().join("missing");
    for (cert, key, words) in [
        (&cert, &other_key, "cannot be used"),
        (&cert, &missing, "No such file"),
        (&key, &key, "holds none"),
        (&cert, &cert, "holds none"),
    ] {
        let error = refused(to().ssl_client_cert(cert, key)).await;
        assert!(error.is_config() && error.to_string().contains(words), "{error}");
    }
}

/// What many databases have: it is its own root.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_self_signed_certificate_is_trusted_when_it_is_the_root() {
    if !Postgres::available() {
        return;
    }
    let (files, own) = (Files::new(), Certificates::self_signed());
    let root = files.write("own.crt", &own.authority);
    let server = start(own, "");
    connects(at(&server).ssl_mode(SslMode::VerifyCa).ssl_root_cert(&root)).await.unwrap();
    let full = named(&server).ssl_mode(SslMode::VerifyFull).ssl_root_cert(&root);
    connects(full).await.unwrap();
    let bound = at(&server).ssl_mode(SslMode::Require).channel_binding(ChannelBinding::Require);
    connects(bound).await.unwrap();
    let error = refused(at(&server).ssl_mode(SslMode::VerifyFull).ssl_root_cert(&root)).await;
    assert!(error.to_string().contains("connect by a name"), "{error}");
    let other_root = files.write("other.crt", &Certificates::good().authority);
    let error = refused(at(&server).ssl_mode(SslMode::VerifyCa).ssl_root_cert(other_root)).await;
    assert!(error.is_unavailable(), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_version_1_is_enough_where_none_is_checked() {
    if !Postgres::available() {
        return;
    }
    let (files, old) = (Files::new(), Certificates::version_1());
    let root = files.write("root.crt", &old.authority);
    let server = start(old, "");
    let bound = at(&server).ssl_mode(SslMode::Require).channel_binding(ChannelBinding::Require);
    connects(bound).await.unwrap();
    let error = refused(at(&server).ssl_mode(SslMode::VerifyCa).ssl_root_cert(root)).await;
    assert!(error.is_unavailable() && error.to_string().contains("version 1"), "{error}");
}
