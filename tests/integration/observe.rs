//! What metrics and the hook for guesses tell, and that they tell no id.

use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use mysql_async::prelude::Queryable as _;
use sqlbypass::{
    CookieChange, Json, ManagerOptions, MySqlStore, PostgresStore, Saved, SessionId,
    SessionManager, SqliteStore, UnknownIds,
};

use crate::promises::{Shared, data, insert, new_id, update};
use crate::servers::{MariaDb, Postgres};

/// A login, a visit, a guess and a logout.
async fn life_of_a_session() -> Vec<SessionId> {
    let store = SqliteStore::builder(":memory:").create(true).open().await.unwrap();
    let (unknown_ids, mut guesses) = UnknownIds::channel(8);
    let options = ManagerOptions { unknown_ids: Some(unknown_ids), ..ManagerOptions::default() };
    let manager = SessionManager::with_options(store, Json, options);
    let session = manager.session(None);
    session.insert("text", "sentinel of the data").unwrap();
    let CookieChange::Set(id) = session.commit().await.unwrap().cookie else { panic!("no id") };
    let session = manager.session(Some(id.clone()));
    assert!(session.get::<String>("text").await.unwrap().is_some());
    session.insert("n", 1).unwrap();
    session.commit().await.unwrap();
    let guessed = SessionId::generate().unwrap();
    assert!(manager.session(Some(guessed.clone())).get::<u64>("n").await.unwrap().is_none());
    assert_eq!(guesses.recv().await.unwrap().hash, manager.id_hash(&guessed));
    let session = manager.session(Some(id.clone()));
    session.destroy().unwrap();
    session.commit().await.unwrap();
    vec![id, guessed]
}

#[test]
fn metrics_tell_what_became_of_each_operation_and_no_id() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ids = metrics::with_local_recorder(&recorder, || runtime.block_on(life_of_a_session()));
    let text = handle.render();
    for (operation, outcome, count) in [
        ("find", "found", 1),
        ("find", "missing", 1),
        ("save", "applied", 2),
        ("destroy", "applied", 1),
    ] {
        let line = format!(
            "sqlbypass_operations_total{{database=\"sqlite\",operation=\"{operation}\",outcome=\"{outcome}\"}} {count}\n"
        );
        assert!(text.contains(&line), "{line}{text}");
    }
    for line in [
        "sqlbypass_session_events_total{event=\"created\"} 1\n",
        "sqlbypass_session_events_total{event=\"destroyed\"} 1\n",
        "sqlbypass_unknown_ids_total 1\n",
        "sqlbypass_data_bytes_count{database=\"sqlite\",direction=\"read\"} 1\n",
        "sqlbypass_data_bytes_count{database=\"sqlite\",direction=\"written\"} 2\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
    for id in ids {
        assert!(!text.contains(id.as_str()) && !text.contains(id.private().as_str()), "{text}");
    }
    assert!(!text.contains("sentinel"), "{text}");
}

/// The names in the docs are those in the code.
#[test]
fn the_docs_list_every_metric() {
    let names = |text: &str, before: &str| -> Vec<String> {
        let mut names: Vec<String> = text
            .split(before)
            .skip(1)
            .map(|rest| rest.split(|c: char| c != '_' && !c.is_ascii_lowercase()).next().unwrap())
            .map(|name| format!("sqlbypass{name}"))
            .collect();
        names.sort();
        names
    };
    let code = names(include_str!("../../src/observe/metrics.rs"), "\"sqlbypass");
    assert!(code.len() > 10, "{code:?}");
    assert_eq!(names(include_str!("../../docs/observability.md"), "| `sqlbypass"), code);
}

/// A server, and a connection that can keep others from the table's rows.
enum Locker {
    Postgres(tokio_postgres::Client),
    MariaDb(mysql_async::Conn),
}

impl Locker {
    async fn run(&mut self, sql: &str) {
        match self {
            Self::Postgres(client) => client.batch_execute(sql).await.unwrap(),
            Self::MariaDb(client) => client.query_drop(sql).await.unwrap(),
        }
    }
}

/// Finds that meet in batches; then, with one connection, a find that waits while a save has it.
async fn crowd_and_queue<S: Shared>(open: impl AsyncFn(u8, bool) -> S, mut locker: Locker) {
    let store = open(2, true).await;
    // Each with an id of its own: no id is in a batch twice.
    let ids: Vec<SessionId> = (0..FINDS).map(|_| new_id()).collect();
    for id in &ids {
        insert(&store, id, "six by").await.unwrap();
    }
    let finds = ids.iter().map(|id| (store.clone(), id.clone()));
    let finds: Vec<_> = finds
        .map(|(store, id)| tokio::spawn(async move { data(&store, &id).await.unwrap() }))
        .collect();
    for find in finds {
        assert_eq!(find.await.unwrap(), "six by");
    }
    assert!(data(&store, &new_id()).await.is_none());
    drop(store);

    let store = open(1, false).await;
    locker.run("BEGIN").await;
    locker.run("SELECT * FROM sessions FOR UPDATE").await;
    let (saved, found, ()) = tokio::join!(
        update(&store, &ids[0], "blocked"),
        async {
            tokio::time::sleep(HELD / 10).await;
            data(&store, &ids[0]).await
        },
        async {
            tokio::time::sleep(HELD).await;
            locker.run("COMMIT").await;
        },
    );
    assert_eq!((saved.unwrap(), found.unwrap()), (Saved::Applied, "blocked".into()));
    drop(store);
}

const FINDS: usize = 100;
const HELD: Duration = Duration::from_millis(400);

/// What a sample of a rendered page says.
fn sample(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name}\n{text}")).trim().parse().unwrap()
}

/// The metrics of a server's store after a crowd and a queue.
fn check_metrics(system: &str, work: impl Future<Output = ()>) {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&recorder, || runtime.block_on(work));
    let text = handle.render();
    let of = |name: &str, labels: &str| {
        sample(&text, &format!("sqlbypass_{name}{{database=\"{system}\"{labels}}}"))
    };
    // No find is in two batches, and most are in one with others; those of two connections are few.
    let finds = of("batch_operations_sum", ",kind=\"find\"");
    let batches = of("batch_operations_count", ",kind=\"find\"");
    let found = of("operations_total", ",operation=\"find\",outcome=\"found\"");
    assert_eq!(found, FINDS as f64 + 1.0);
    assert!(finds <= found + 1.0 && finds >= found / 2.0, "{finds} of {found} finds in batches");
    assert!(batches <= finds / 4.0, "{finds} finds in {batches} batches");
    // The find that came after a tenth of the time waited for the rest of it.
    let waits = of("pool_wait_seconds_sum", "");
    assert!(waits >= HELD.as_secs_f64() * 0.8 && waits < 60.0, "{waits} s\n{text}");
    assert_eq!(of("operations_total", ",operation=\"find\",outcome=\"missing\""), 1.0);
    assert_eq!(of("operations_total", ",operation=\"save\",outcome=\"applied\""), found);
    let bytes = ("six by".len() * FINDS + "blocked".len()) as f64;
    assert_eq!(of("data_bytes_sum", ",direction=\"read\""), bytes);
    assert_eq!(of("data_bytes_sum", ",direction=\"written\""), bytes);
    assert!(of("connect_duration_seconds_count", ",outcome=\"made\"") >= 2.0);
}

#[test]
fn postgres_tells_of_batches_waits_and_bytes() {
    if !Postgres::available() {
        return;
    }
    check_metrics("postgresql", async {
        let server = Postgres::shared();
        let schema = server.create_schema().await;
        let client = server.connect("postgres").await;
        client.batch_execute(&format!("SET search_path = {schema}")).await.unwrap();
        let url = format!("{}?options=-csearch_path%3D{schema}", server.socket_url("postgres"));
        let open = async |connections: u8, lanes| {
            let builder = PostgresStore::url(&url).unwrap().max_connections(connections.into());
            builder.create(true).lanes(lanes).open().await.unwrap()
        };
        crowd_and_queue(open, Locker::Postgres(client)).await;
    });
}

#[test]
fn mariadb_tells_of_batches_waits_and_bytes() {
    if !MariaDb::available() {
        return;
    }
    check_metrics("mysql", async {
        let server = MariaDb::shared();
        let database = server.create_schema().await;
        let client = server.connect(&database).await;
        let url = server.socket_url(&database);
        let open = async |connections: u8, lanes| {
            let builder = MySqlStore::url(&url).unwrap().max_connections(connections.into());
            builder.create(true).lanes(lanes).open().await.unwrap()
        };
        crowd_and_queue(open, Locker::MariaDb(client)).await;
    });
}
