//! The servers that the tests start do what the tests believe of them.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;
use tokio_postgres::NoTls;

use crate::servers::proxy::Mode;
use crate::servers::{
    Certificates, Cluster, MariaDb, Options, PgBouncer, Postgres, Proxy, mariadb,
};

const SHORT: Duration = Duration::from_millis(300);

async fn one(client: &tokio_postgres::Client) -> i32 {
    client.query_one("SELECT 1", &[]).await.unwrap().get(0)
}

async fn through(server: &Postgres, port: u16) -> tokio_postgres::Client {
    let url = server.url_through(port, "postgres");
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_pauses_dies_and_comes_back() {
    if !Postgres::available() {
        return;
    }
    let server = Postgres::start(Options::default());
    let client = server.connect("postgres").await;
    client.batch_execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)").await.unwrap();
    server.pause();
    assert!(tokio::time::timeout(SHORT, one(&client)).await.is_err());
    server.resume();
    assert_eq!(one(&client).await, 1);
    client.batch_execute("CHECKPOINT").await.unwrap();
    server.kill();
    assert!(client.query_one("SELECT 1", &[]).await.is_err());
    assert!(server.try_connect("postgres").await.is_err());
    server.restart();
    let client = server.connect("postgres").await;
    let kept: i64 = client.query_one("SELECT count(*) FROM kept", &[]).await.unwrap().get(0);
    assert_eq!(kept, 1);
    server.stop();
    server.restart();
    assert_eq!(one(&server.connect("postgres").await).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_confirms_commits_and_takes_over() {
    if !Postgres::available() {
        return;
    }
    let cluster = Cluster::start();
    let primary = cluster.primary.connect("postgres").await;
    primary.batch_execute("CREATE TABLE t (n int); INSERT INTO t VALUES (7)").await.unwrap();
    let standby = cluster.standby.connect("postgres").await;
    assert!(standby.batch_execute("INSERT INTO t VALUES (8)").await.is_err());
    cluster.primary.kill();
    cluster.standby.promote();
    let n: i32 = standby.query_one("SELECT n FROM t", &[]).await.unwrap().get(0);
    assert_eq!(n, 7);
    standby
        .batch_execute("SET synchronous_commit = local; INSERT INTO t VALUES (8)")
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_lends_a_connection_for_a_transaction() {
    if !Postgres::available() || !PgBouncer::available() {
        return;
    }
    let server = Postgres::shared();
    let pooler = PgBouncer::start(server, 1);
    let (a, b) = (through(server, pooler.port()).await, through(server, pooler.port()).await);
    let backend = "SELECT pg_backend_pid()";
    let of = async |client: &tokio_postgres::Client| -> i32 {
        let rows = client.simple_query(backend).await.unwrap();
        let row = rows.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
            _ => None,
        });
        row.unwrap()
    };
    assert_eq!(of(&a).await, of(&b).await);
    pooler.pause();
    assert!(tokio::time::timeout(SHORT, a.simple_query("SELECT 1")).await.is_err());
    pooler.resume();
    b.simple_query("SELECT 1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_misbehaves_on_demand() {
    if !Postgres::available() {
        return;
    }
    let server = Postgres::shared();
    let proxy = Proxy::start(server.port()).await;
    let client = through(server, proxy.port()).await;
    assert_eq!(one(&client).await, 1);
    assert!(proxy.connections() == 1 && proxy.bytes() > 0);

    proxy.set(Mode::Delay(SHORT));
    let begun = Instant::now();
    assert_eq!(one(&client).await, 1);
    assert!(begun.elapsed() >= 2 * SHORT);

    proxy.set(Mode::Rate(2_000));
    let begun = Instant::now();
    client.simple_query("SELECT repeat('x', 1000)").await.unwrap();
    assert!(begun.elapsed() >= SHORT);

    for mode in [Mode::Hole, Mode::Mute] {
        proxy.set(mode);
        assert!(tokio::time::timeout(SHORT, one(&client)).await.is_err());
        proxy.set(Mode::Pass);
        assert_eq!(one(&client).await, 1);
    }

    proxy.set(Mode::MuteAfter(b"pg_notify"));
    assert_eq!(one(&client).await, 1);
    let schema = server.create_schema().await;
    let beside = server.connect("postgres").await;
    let table = format!("CREATE TABLE {schema}.t AS SELECT 'pg_notify'");
    assert!(tokio::time::timeout(SHORT, client.batch_execute(&table)).await.is_err());
    // The server did it, and nobody was told.
    beside.query_one(&format!("SELECT * FROM {schema}.t"), &[]).await.unwrap();
    proxy.set(Mode::Pass);

    proxy.cut();
    assert!(client.query_one("SELECT 1", &[]).await.is_err());
    proxy.set(Mode::Refuse);
    let url = server.url_through(proxy.port(), "postgres");
    assert!(tokio_postgres::connect(&url, NoTls).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_certificates_takes_tls_alone() {
    if !Postgres::available() {
        return;
    }
    let tls = Some(Certificates::good().clone());
    let server = Postgres::start(Options { tls, ..Options::default() });
    let refused = tokio_postgres::connect(&server.url("postgres"), NoTls).await;
    assert!(refused.is_err());
    let client = server.connect("postgres").await;
    let on: String = client.query_one("SHOW ssl", &[]).await.unwrap().get(0);
    assert_eq!(on, "on");
}

async fn ask(client: &mut Conn) -> Option<u32> {
    let asked = tokio::time::timeout(SHORT, client.query_first("SELECT 1")).await;
    asked.ok().map(|answer| answer.unwrap().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_pauses_dies_and_comes_back() {
    if !MariaDb::available() {
        return;
    }
    let server = MariaDb::start(mariadb::Options::default());
    let database = server.create_schema().await;
    let mut client = server.connect(&database).await;
    client.query_drop("CREATE TABLE kept (n int)").await.unwrap();
    client.query_drop("INSERT INTO kept VALUES (1)").await.unwrap();
    server.pause();
    let asked = tokio::time::timeout(SHORT, client.query_drop("SELECT 1"));
    assert!(asked.await.is_err());
    server.resume();
    let mut client = server.connect(&database).await;
    server.kill();
    assert!(client.query_drop("SELECT 1").await.is_err());
    assert!(server.try_connect("").await.is_err());
    server.restart();
    let mut client = server.connect(&database).await;
    assert_eq!(client.query_first("SELECT n FROM kept").await.unwrap(), Some(1));
    server.stop();
    server.restart();
    assert_eq!(ask(&mut server.connect(&database).await).await, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_answers_through_a_proxy_or_not_at_all() {
    if !MariaDb::available() {
        return;
    }
    let server = MariaDb::shared();
    let proxy = Proxy::start(server.port()).await;
    let mut client = Conn::new(server.tcp_opts(proxy.port())).await.unwrap();
    assert_eq!(ask(&mut client).await, Some(1));
    assert!(proxy.connections() == 1 && proxy.bytes() > 0);
    let database = server.create_schema().await;
    proxy.set(Mode::MuteAfter(b"a muted word"));
    let table = format!("CREATE TABLE {database}.t AS SELECT 'a muted word'");
    assert!(tokio::time::timeout(SHORT, client.query_drop(table)).await.is_err());
    // The server did it, and nobody was told.
    let mut beside = server.connect(&database).await;
    let told: Option<String> = beside.query_first("SELECT * FROM t").await.unwrap();
    assert_eq!(told.unwrap(), "a muted word");
    proxy.set(Mode::Hole);
    let opened = Conn::new(server.tcp_opts(proxy.port()));
    assert!(tokio::time::timeout(SHORT, opened).await.is_err());
    proxy.set(Mode::Refuse);
    assert!(Conn::new(server.tcp_opts(proxy.port())).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_with_certificates_takes_tls_alone() {
    if !MariaDb::available() {
        return;
    }
    let tls = Some(Certificates::good().clone());
    let server = MariaDb::start(mariadb::Options { tls, ..mariadb::Options::default() });
    assert!(Conn::new(server.tcp_opts(server.port())).await.is_err());
    // Sockets are taken to be safe.
    let mut client = server.connect("").await;
    let on: Option<String> = client.query_first("SELECT @@have_ssl").await.unwrap();
    assert_eq!(on.unwrap(), "YES");
}

/// What the test below starts and kills: it only has a server.
#[tokio::test]
async fn only_has_a_server() {
    let Some(file) = std::env::var_os("SQLBYPASS_TEST_PID_FILE") else { return };
    let server = Postgres::start(Options::default());
    std::fs::write(file, server.pid().to_string()).unwrap();
    tokio::time::sleep(Duration::from_secs(600)).await;
}

#[tokio::test]
async fn tests_that_are_killed_leave_no_server_behind() {
    if !Postgres::available() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let mut tests = Command::new(std::env::current_exe().unwrap());
    tests.args(["--exact", "harness::only_has_a_server"]).env("SQLBYPASS_TEST_PID_FILE", &file);
    let mut tests = tests.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    let pid = loop {
        match std::fs::read_to_string(&file) {
            Ok(pid) if !pid.is_empty() => break pid,
            _ => assert!(Instant::now() < until, "the server did not start"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let server = Path::new("/proc").join(pid);
    assert!(server.exists());
    tests.kill().unwrap();
    tests.wait().unwrap();
    while server.join("status").exists() {
        assert!(Instant::now() < until, "the server is still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
