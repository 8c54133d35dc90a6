//! Tables that do not fit, and tables that change while the store is open.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlbypass::{Error, Lookup, PostgresStore, Saved, SessionId, Store, Timeouts};

use super::{Place, data, insert, new_id, update};
use crate::servers::Postgres;

const GEM: &str = "
    CREATE TABLE {schema}.sessions (id serial PRIMARY KEY, session_id varchar(255), data text);
    CREATE UNIQUE INDEX index_sessions ON {schema}.sessions (session_id);";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_does_not_fit_is_told_at_open() {
    if !Postgres::available() {
        return;
    }
    let cases = [
        ("CREATE TABLE {schema}.other (id integer)", "no table"),
        ("CREATE TABLE {schema}.sessions (id integer, data text)", "no column \"session_id\""),
        ("CREATE TABLE {schema}.sessions (id integer, session_id varchar)", "no column \"data\""),
    ];
    for (ddl, problem) in cases {
        let place = Place::on(Postgres::shared(), ddl).await;
        let url = Postgres::shared().socket_url("postgres");
        let error = place.builder(&url).open().await.unwrap_err();
        assert!(error.is_schema(), "{error}");
        assert!(error.to_string().contains(problem), "{error}");
    }
}

/// Every operation once, on a row that is there.
async fn works(store: &PostgresStore, id: &SessionId) {
    assert!(data(store, id).await.is_some());
    assert_eq!(update(store, id, "changed").await.unwrap(), Saved::Applied);
    assert_eq!(data(store, id).await.unwrap(), "changed");
    assert!(store.touch(&id.private().into(), Timeouts::default()).await.unwrap());
    let other = new_id();
    assert_eq!(insert(store, &other, "new").await.unwrap(), Saved::Applied);
    assert_eq!(insert(store, &other, "new").await.unwrap(), Saved::Duplicate);
    assert!(store.destroy(&Lookup::new(&other)).await.unwrap());
}

/// Opens the store, uses it, changes the table, and uses it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_the_table_cost_one_retry() {
    if !Postgres::available() {
        return;
    }
    let rails = crate::conformance::postgres::RAILS;
    let times = "ALTER TABLE {table}
        ADD created_at timestamp NOT NULL DEFAULT timezone('utc', now()),
        ADD updated_at timestamp NOT NULL DEFAULT timezone('utc', now())";
    let filled = "ALTER TABLE {table}
        ADD created_at timestamp, ADD updated_at timestamp;
        UPDATE {table} SET created_at = now(), updated_at = now();
        ALTER TABLE {table} ALTER created_at SET NOT NULL, ALTER updated_at SET NOT NULL";
    let cases = [
        (rails, "ALTER TABLE {table} DROP created_at, DROP updated_at"),
        (rails, "ALTER TABLE {table} DROP updated_at"),
        (rails, "ALTER TABLE {table} ALTER data TYPE bytea USING convert_to(data, 'UTF8')"),
        (rails, "ALTER TABLE {table} ALTER updated_at TYPE timestamptz"),
        (rails, "ALTER TABLE {table} ALTER session_id TYPE text"),
        (rails, "ALTER TABLE {table} ADD expires_at timestamp"),
        (rails, "ALTER TABLE {table} DROP id"),
        (rails, "DROP INDEX {schema}.index_sessions_on_updated_at"),
        (GEM, times),
        (GEM, filled),
    ];
    for (before, change) in cases {
        for pooled in [false, true] {
            let place = Place::on(Postgres::shared(), before).await;
            let url = Postgres::shared().socket_url("postgres");
            let store = place.builder(&url).pgbouncer(pooled).open().await.unwrap();
            let id = new_id();
            insert(&store, &id, "one").await.unwrap();
            works(&store, &id).await;
            place.run(&change.replace("{schema}", &place.schema)).await;
            works(&store, &id).await;
        }
    }
}

/// A column made wider, narrower, or added, where no statement fails that would tell.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_that_is_moved_is_noticed() {
    if !Postgres::available() {
        return;
    }
    let ddl = "CREATE TABLE {schema}.sessions (session_id varchar UNIQUE, data varchar(10))";
    for pooled in [false, true] {
        let place = Place::on(Postgres::shared(), ddl).await;
        let url = Postgres::shared().socket_url("postgres");
        let store = place.builder(&url).pgbouncer(pooled).open().await.unwrap();
        let id = new_id();
        insert(&store, &id, "0123456789").await.unwrap();
        let long = "0123456789a";
        assert!(update(&store, &id, long).await.unwrap_err().is_overflow());
        place.run("ALTER TABLE {table} ALTER data TYPE varchar(20)").await;
        // What was known when it was refused may be out of date; the next one looks.
        drop(update(&store, &id, long).await);
        assert_eq!(update(&store, &id, long).await.unwrap(), Saved::Applied);
        place.run("ALTER TABLE {table} ALTER data TYPE varchar(11)").await;
        let error = update(&store, &id, "0123456789ab").await.unwrap_err();
        assert_eq!(error.overflow_sizes(), Some((11, 12)), "{error}");

        let hour = Some(Duration::from_secs(3_600));
        let lookup = Lookup::new(&id).timeouts(Timeouts { idle: hour, lifetime: None });
        assert!(store.find(&lookup).await.unwrap_err().is_config());
        place
            .run("ALTER TABLE {table} ADD updated_at timestamp DEFAULT timezone('utc', now())")
            .await;
        drop(store.find(&lookup).await);
        assert!(store.find(&lookup).await.unwrap().is_some());
    }
}

/// Tasks that write and read, each in a session of its own.
struct Load {
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<u64>>,
}

impl Load {
    /// `is_allowed` says which errors may come while the table is changed.
    async fn start(store: &PostgresStore, is_allowed: fn(&Error) -> bool) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = Vec::new();
        for _ in 0..8 {
            let (id, store, stop) = (new_id(), store.clone(), Arc::clone(&stop));
            insert(&store, &id, "0").await.unwrap();
            tasks.push(tokio::spawn(async move {
                let mut n = 0;
                while !stop.load(Ordering::Relaxed) {
                    n += 1;
                    match update(&store, &id, &n.to_string()).await {
                        Ok(saved) => assert_eq!(saved, Saved::Applied),
                        Err(error) => assert!(is_allowed(&error), "{error}"),
                    }
                    match store.find(&Lookup::new(&id)).await {
                        Ok(found) => assert!(found.is_some()),
                        Err(error) => assert!(is_allowed(&error), "{error}"),
                    }
                }
                // What the last change leaves is as good as what was there before.
                assert_eq!(update(&store, &id, "end").await.unwrap(), Saved::Applied);
                assert_eq!(data(&store, &id).await.unwrap(), "end");
                n
            }));
        }
        Self { stop, tasks }
    }

    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            assert!(task.await.unwrap() > 0);
        }
    }
}

/// A migration in the middle of traffic: nobody gets an error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_is_altered_under_load() {
    if !Postgres::available() {
        return;
    }
    for pooled in [false, true] {
        let place = Place::shared().await;
        let url = Postgres::shared().socket_url("postgres");
        let store = place.builder(&url).pgbouncer(pooled).open().await.unwrap();
        let load = Load::start(&store, |_| false).await;
        for change in [
            "ALTER TABLE {table} DROP updated_at",
            "ALTER TABLE {table} ADD updated_at timestamp NOT NULL DEFAULT timezone('utc', now())",
            "ALTER TABLE {table} ALTER session_id TYPE text",
            "ALTER TABLE {table} ALTER data TYPE varchar",
            "ALTER TABLE {table} ADD note text",
            // Another table takes its place in one transaction.
            "BEGIN; ALTER TABLE {table} RENAME TO old;
             CREATE TABLE {table} (LIKE {schema}.old INCLUDING ALL);
             INSERT INTO {table} SELECT * FROM {schema}.old;
             ALTER SEQUENCE {schema}.sessions_id_seq OWNED BY {table}.id;
             DROP TABLE {schema}.old; COMMIT",
            "ALTER TABLE {table} ALTER data TYPE bytea USING convert_to(data, 'UTF8')",
            "ALTER TABLE {table} DROP created_at",
        ] {
            tokio::time::sleep(Duration::from_millis(100)).await;
            place.run(&change.replace("{schema}", &place.schema)).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        load.end().await;
    }
}

/// While the table has another name the error says that it is missing; afterwards all is well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_is_renamed_and_renamed_back_under_load() {
    if !Postgres::available() {
        return;
    }
    for pooled in [false, true] {
        let place = Place::shared().await;
        let url = Postgres::shared().socket_url("postgres");
        let store = place.builder(&url).pgbouncer(pooled).open().await.unwrap();
        let load = Load::start(&store, Error::is_schema).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        for _ in 0..3 {
            place.run("ALTER TABLE {table} RENAME TO away").await;
            let error = update(&store, &new_id(), "late").await.unwrap_err();
            assert!(error.is_schema() && error.to_string().contains("no table"), "{error}");
            let back = format!("ALTER TABLE {}.away RENAME TO sessions", place.schema);
            place.raw.batch_execute(&back).await.unwrap();
            assert_eq!(update(&store, &new_id(), "late").await.unwrap(), Saved::Gone);
        }
        load.end().await;
    }
}

/// The server forgets what was prepared.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_that_are_forgotten_are_prepared_again() {
    if !Postgres::available() {
        return;
    }
    let place = Place::shared().await;
    let url = Postgres::shared().socket_url("postgres");
    let config: tokio_postgres::Config = url.parse().unwrap();
    let manager = deadpool_postgres::Manager::new(config, tokio_postgres::NoTls);
    let pool = deadpool_postgres::Pool::builder(manager).max_size(1).build().unwrap();
    let table = sqlbypass::Table::new(place.table()).unwrap();
    let store = PostgresStore::pool(pool.clone()).table(table).open().await.unwrap();
    let id = new_id();
    insert(&store, &id, "one").await.unwrap();
    works(&store, &id).await;
    for forget in ["DEALLOCATE ALL", "DISCARD PLANS", "DISCARD ALL"] {
        pool.get().await.unwrap().batch_execute(forget).await.unwrap();
        works(&store, &id).await;
    }
}

/// The same while others use the connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_are_forgotten_under_load() {
    if !Postgres::available() {
        return;
    }
    let place = Place::shared().await;
    let config: tokio_postgres::Config = Postgres::shared().socket_url("postgres").parse().unwrap();
    let manager = deadpool_postgres::Manager::new(config, tokio_postgres::NoTls);
    let pool = deadpool_postgres::Pool::builder(manager).max_size(3).build().unwrap();
    let table = sqlbypass::Table::new(place.table()).unwrap();
    let store = PostgresStore::pool(pool.clone()).table(table).open().await.unwrap();
    let load = Load::start(&store, |_| false).await;
    for _ in 0..100 {
        let connection = pool.get().await.unwrap();
        connection.batch_execute("DISCARD ALL").await.unwrap();
        drop(connection);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    load.end().await;
}
