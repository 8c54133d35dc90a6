//! What is promised of statements: how few there are, that the index serves, that nothing is shown.

use std::time::Duration;

use sqlbypass::conformance::Counting;
use sqlbypass::{Json, Maintenance, PostgresStore, SessionManager, Store, Table};

use super::{Place, data, insert, new_id, update};
use crate::servers::{Options, Postgres};

/// The server's own log of what it was sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_are_as_few_as_promised() {
    if !Postgres::available() {
        return;
    }
    let settings = vec!["log_statement = 'all'".into(), "log_line_prefix = '%a '".into()];
    let server = Postgres::start(Options { settings, ..Options::default() });
    let place = Place::on(&server, crate::conformance::postgres::RAILS).await;
    let url = format!("{}?application_name=counted", server.socket_url("postgres"));
    let store = place.builder(&url).max_connections(1).open().await.unwrap();
    let manager = SessionManager::new(Counting::new(store), Json);
    let mut seen = 0;
    let mut verbs = || {
        let log = server.log();
        let all: Vec<String> = log
            .lines()
            .filter_map(|line| line.strip_prefix("counted LOG:  execute ")?.split(": ").nth(1))
            .filter_map(|sql| sql.split_whitespace().next().map(str::to_owned))
            .collect();
        let new = all[seen..].to_vec();
        seen = all.len();
        new
    };
    verbs();
    let created = manager.session(None);
    created.insert("n", 1).unwrap();
    let commit = created.commit().await.unwrap();
    let sqlbypass::CookieChange::Set(id) = commit.cookie else { panic!("no cookie") };
    assert_eq!(verbs(), ["INSERT"]);
    let changed = manager.session(Some(id.clone()));
    changed.insert("n", 2).unwrap();
    changed.commit().await.unwrap();
    assert_eq!(verbs(), ["SELECT", "UPDATE"]);
    let read = manager.session(Some(id.clone()));
    assert_eq!(read.get("n").await.unwrap(), Some(2));
    read.commit().await.unwrap();
    assert_eq!(verbs(), ["SELECT"]);
    manager.session(Some(id.clone())).commit().await.unwrap();
    assert!(verbs().is_empty(), "an untouched session");
    let ended = manager.session(Some(id));
    ended.destroy().unwrap();
    ended.commit().await.unwrap();
    assert_eq!(verbs(), ["DELETE"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_ids_nor_data_nor_passwords_are_shown() {
    if !Postgres::available() {
        return;
    }
    let server = Postgres::shared();
    let place = Place::shared().await;
    let store = place.open().await;
    let id = new_id();
    insert(&store, &id, "sentinel data").await.unwrap();
    place
        .run("ALTER TABLE {table} ADD CONSTRAINT sentinel CHECK (data <> 'sentinel refused')")
        .await;
    let error = update(&store, &id, "sentinel refused").await.unwrap_err();
    assert_eq!(error.code(), Some("23514"));
    let url = server.socket_url("postgres");
    let builder = PostgresStore::url(&url).unwrap();
    let wrong = url.replace("p%40ss", "sentinel");
    let refused = PostgresStore::open(&wrong).await.unwrap_err();
    let mut texts = vec![format!("{store:?}{builder:?}")];
    for error in [&error, &refused] {
        texts.push(format!("{error}{error:?}"));
        let mut source = std::error::Error::source(error);
        while let Some(inner) = source {
            texts.push(format!("{inner}{inner:?}"));
            source = inner.source();
        }
    }
    for text in texts {
        for word in ["sentinel", "p@ss", "p%40ss", id.as_str(), id.private().as_str()] {
            assert!(!text.contains(word), "{text}");
        }
    }
}

/// The unique index serves every statement of the hot path, the search for a raw id included.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_index_serves() {
    if !Postgres::available() {
        return;
    }
    let place = Place::shared().await;
    place
        .run(
            "INSERT INTO {table} (session_id, data, created_at, updated_at)
             SELECT '2::' || md5(n::text) || md5((n + 1)::text), 'x', now(), now()
             FROM generate_series(1, 20000) AS n; ANALYZE {table}",
        )
        .await;
    let store = place.open().await;
    let scans = async || -> i64 {
        let sql = "SELECT seq_scan FROM pg_stat_user_tables WHERE relid = to_regclass($1)";
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        place.raw.query_one(sql, &[&place.table()]).await.unwrap().get(0)
    };
    let before = scans().await;
    let hour = Some(Duration::from_secs(3_600));
    let timeouts = sqlbypass::Timeouts { idle: hour, lifetime: hour };
    for _ in 0..10 {
        let id = new_id();
        let lookup = sqlbypass::Lookup::with_legacy(&id).timeouts(timeouts);
        assert!(store.find(&lookup).await.unwrap().is_none());
        update(&store, &id, "x").await.unwrap();
        store.touch(&id.private().into(), timeouts).await.unwrap();
        store.destroy(&lookup).await.unwrap();
    }
    drop(store);
    assert_eq!(scans().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_that_do_not_fit_are_refused_before_they_are_sent() {
    if !Postgres::available() {
        return;
    }
    let ddl = "CREATE TABLE {schema}.sessions (session_id varchar UNIQUE, data varchar(10))";
    let place = Place::on(Postgres::shared(), ddl).await;
    let store = place.open().await;
    let id = new_id();
    insert(&store, &id, "0123456789").await.unwrap();
    // The column counts characters.
    update(&store, &id, "ééééééééé9").await.unwrap();
    let error = update(&store, &id, "01234567890").await.unwrap_err();
    assert!(error.is_overflow(), "{error}");
    assert_eq!(error.overflow_sizes(), Some((10, 11)));
    let error = insert(&store, &new_id(), "ééééééééééé").await.unwrap_err();
    assert!(error.is_overflow() && error.to_string().contains("11 characters"), "{error}");
    assert_eq!(error.overflow_sizes(), Some((10, 11)));
    // Nothing was sent: the server would have said so, and the row is as it was.
    assert_eq!(error.code(), None);
    assert_eq!(data(&store, &id).await.unwrap(), "ééééééééé9");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn create_makes_the_table_that_rails_makes() {
    if !Postgres::available() {
        return;
    }
    let place = Place::shared().await;
    let made = format!("{}.made", place.schema);
    let url = Postgres::shared().socket_url("postgres");
    let builder = || PostgresStore::url(&url).unwrap().table(Table::new(&*made).unwrap());
    assert!(builder().open().await.unwrap_err().is_schema());
    // Several services may start at the same time.
    let opened = (0..8).map(|_| tokio::spawn(builder().create(true).open()));
    for store in opened.collect::<Vec<_>>() {
        store.await.unwrap().unwrap();
    }
    let store = builder().open().await.unwrap();
    assert!(!store.create().await.unwrap());
    let columns = async |table: &str| -> Vec<(String, String, bool)> {
        let sql = "SELECT attname::text, format_type(atttypid, atttypmod), attnotnull
                   FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 ORDER BY 1";
        let rows = place.raw.query(sql, &[&table]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
    };
    assert_eq!(columns(&made).await, columns(&place.table()).await);
    let schema = store.inspect().await.unwrap();
    assert!(schema.unique_id && !schema.collated_id);
    assert_eq!(schema.primary_key.as_deref(), Some("id"));
}
