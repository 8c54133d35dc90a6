//! Tables that do not fit, and tables that change while the store is open.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlbypass::{Lookup, PostgresStore, Saved, SessionId, Store, Timeouts};

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
        let stop = Arc::new(AtomicBool::new(false));
        let workers: Vec<_> = (0..8)
            .map(|_| {
                let (store, stop) = (store.clone(), Arc::clone(&stop));
                tokio::spawn(async move {
                    let id = new_id();
                    insert(&store, &id, "0").await.unwrap();
                    let mut n = 0;
                    while !stop.load(Ordering::Relaxed) {
                        n += 1;
                        let text = n.to_string();
                        assert_eq!(update(&store, &id, &text).await.unwrap(), Saved::Applied);
                        assert_eq!(data(&store, &id).await.unwrap(), text);
                    }
                    n
                })
            })
            .collect();
        for change in [
            "ALTER TABLE {table} DROP updated_at",
            "ALTER TABLE {table} ADD updated_at timestamp NOT NULL DEFAULT timezone('utc', now())",
            "ALTER TABLE {table} ALTER session_id TYPE text",
            "ALTER TABLE {table} ALTER data TYPE varchar",
            "ALTER TABLE {table} ADD note text",
            "ALTER TABLE {table} DROP created_at",
        ] {
            tokio::time::sleep(Duration::from_millis(100)).await;
            place.run(change).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        stop.store(true, Ordering::Relaxed);
        for worker in workers {
            assert!(worker.await.unwrap() > 0);
        }
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
    pool.get().await.unwrap().batch_execute("DEALLOCATE ALL").await.unwrap();
    works(&store, &id).await;
}
