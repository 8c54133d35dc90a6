//! Servers that stop, die, answer late or not at all.

use std::time::{Duration, Instant};

use sqlbypass::{
    Error, Lookup, PostgresStore, Save, Saved, SessionId, Store, StoredId, Timeouts, Update,
};

use super::{Place, data, insert, new_id, update};
use crate::conformance::postgres::RAILS;
use crate::promises::is_not_sent_again;
use crate::promises::load::drop_a_thousand_futures;
use crate::servers::proxy::Mode;
use crate::servers::{Options, Postgres, Proxy};

const DEADLINE: Duration = Duration::from_millis(800);
/// What a machine that is busy with other tests may need on top of a deadline.
const SLACK: Duration = Duration::from_secs(3);

/// Runs it and checks that it ends by its deadline.
async fn in_time<T>(work: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let result = work.await;
    let took = begun.elapsed();
    assert!(took < DEADLINE + SLACK, "it took {took:?}");
    result
}

/// Every operation ends in an error of this kind.
async fn all_end(store: &PostgresStore, id: &SessionId, is_right: impl Fn(&Error, bool) -> bool) {
    let check = |error: Error, writes| {
        assert!(is_right(&error, writes), "{error}");
    };
    check(in_time(store.find(&Lookup::new(id))).await.unwrap_err(), false);
    check(in_time(update(store, id, "late")).await.unwrap_err(), true);
    check(in_time(insert(store, &new_id(), "late")).await.unwrap_err(), true);
    check(in_time(store.destroy(&Lookup::new(&new_id()))).await.unwrap_err(), true);
    let stored = StoredId::from(id.private());
    let touched = store.touch(&stored, Timeouts::default());
    check(in_time(touched).await.unwrap_err(), true);
}

/// Each answers again, and the connections are whole.
async fn recovers(store: &PostgresStore, id: &SessionId) {
    let until = Instant::now() + Duration::from_secs(20);
    while let Err(error) = update(store, id, "after").await {
        assert!(Instant::now() < until, "{error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for _ in 0..20 {
        assert_eq!(data(store, id).await.unwrap(), "after");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_server_costs_a_deadline() {
    if !Postgres::available() {
        return;
    }
    let server = Postgres::start(Options::default());
    let place = Place::on(&server, RAILS).await;
    let builder = place.builder(&server.url("postgres")).deadline(DEADLINE);
    let store = builder.open().await.unwrap();
    let id = new_id();
    insert(&store, &id, "before").await.unwrap();
    server.pause();
    // What was sent may still be done when the server goes on.
    all_end(&store, &id, |error, writes| {
        // Once its connection is taken, no other can be made.
        (writes && error.is_unknown_outcome()) || error.is_timeout() || error.is_unavailable()
    })
    .await;
    server.resume();
    recovers(&store, &id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_is_unavailable_until_it_is_back() {
    if !Postgres::available() {
        return;
    }
    let server = Postgres::start(Options::default());
    let place = Place::on(&server, RAILS).await;
    let store = place.builder(&server.url("postgres")).deadline(DEADLINE).open().await.unwrap();
    let id = new_id();
    insert(&store, &id, "before").await.unwrap();
    place.raw.batch_execute("CHECKPOINT").await.unwrap();
    server.kill();
    all_end(&store, &id, |error, _| {
        error.is_unavailable() || error.is_unknown_outcome() || error.is_timeout()
    })
    .await;
    // By now it is known that nothing can be sent.
    assert!(update(&store, &id, "late").await.unwrap_err().is_unavailable());
    server.restart();
    recovers(&store, &id).await;
}

/// A restart between two requests is not noticed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_while_idle_is_not_noticed() {
    if !Postgres::available() {
        return;
    }
    let server = Postgres::start(Options::default());
    let place = Place::on(&server, RAILS).await;
    let store = place.builder(&server.url("postgres")).open().await.unwrap();
    let id = new_id();
    insert(&store, &id, "before").await.unwrap();
    server.stop();
    server.restart();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(update(&store, &id, "after").await.unwrap(), Saved::Applied);
    assert_eq!(data(&store, &id).await.unwrap(), "after");
}

/// The server commits and its answer never comes: nobody is told of a success or of a failure.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_lost_is_an_unknown_outcome() {
    if !Postgres::available() {
        return;
    }
    let server = Postgres::shared();
    let place = Place::shared().await;
    let proxy = Proxy::start(server.port()).await;
    let url = server.url_through(proxy.port(), "postgres");
    for pooled in [false, true] {
        let store = place.builder(&url).deadline(DEADLINE).pgbouncer(pooled).open().await.unwrap();
        let id = new_id();
        insert(&store, &id, "before").await.unwrap();
        update(&store, &id, "prepared").await.unwrap();
        proxy.set(Mode::MuteAfter(b"the change"));
        let error = in_time(update(&store, &id, "the change")).await.unwrap_err();
        assert!(error.is_unknown_outcome(), "{error}");
        // Cut while it is on its way, on a connection that is there: the same.
        assert!(data(&store, &id).await.is_some());
        let cut = tokio::join!(update(&store, &id, "the change"), async {
            tokio::time::sleep(DEADLINE / 4).await;
            proxy.cut();
        });
        assert!(cut.0.unwrap_err().is_unknown_outcome());
        is_not_sent_again(&store, &proxy, &id).await;
        // Whoever asks again learns what became of it, and may write it once more.
        assert_eq!(data(&store, &id).await.unwrap(), "the change");
        assert_eq!(update(&store, &id, "the change").await.unwrap(), Saved::Applied);
    }
}

/// A find is asked again when its connection was lost: it changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_find_outlives_its_connection() {
    if !Postgres::available() {
        return;
    }
    let server = Postgres::shared();
    let place = Place::shared().await;
    let proxy = Proxy::start(server.port()).await;
    let url = server.url_through(proxy.port(), "postgres");
    let store = place.builder(&url).open().await.unwrap();
    let id = new_id();
    insert(&store, &id, "kept").await.unwrap();
    for _ in 0..20 {
        proxy.cut();
        assert_eq!(data(&store, &id).await.unwrap(), "kept");
    }
}

/// With 1,000 futures dropped half-way the pool is whole, no transaction is open, and the next call
/// is as fast as ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_futures_cost_nobody_anything() {
    if !Postgres::available() {
        return;
    }
    let server = Postgres::shared();
    for (pooled, lanes) in [(false, true), (false, false), (true, false)] {
        let place = Place::shared().await;
        let name = format!("dropped {pooled} {lanes}");
        let url = format!(
            "{}?application_name={}",
            server.socket_url("postgres"),
            name.replace(' ', "%20")
        );
        let store = place.builder(&url).pgbouncer(pooled).lanes(lanes).open().await.unwrap();
        drop_a_thousand_futures(&store).await;
        let state = "SELECT count(*) FILTER (WHERE state LIKE 'idle in transaction%'), count(*) \
                     FROM pg_stat_activity WHERE application_name = $1";
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let row = place.raw.query_one(state, &[&name]).await.unwrap();
            let (open, all): (i64, i64) = (row.get(0), row.get(1));
            if open == 0 && all <= 4 {
                break;
            }
            assert!(Instant::now() < until, "{open} transactions open, {all} connections");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        if !lanes {
            all_connections_are_there(&place, &store, &name).await;
        }
    }
}

/// All four of a pool are given out at the same time.
async fn all_connections_are_there(place: &Place, store: &PostgresStore, name: &str) {
    let ids = [(); 4].map(|()| new_id());
    for id in &ids {
        insert(store, id, "before").await.unwrap();
    }
    let lock = format!("BEGIN; LOCK TABLE {} IN EXCLUSIVE MODE", place.table());
    place.raw.batch_execute(&lock).await.unwrap();
    let updates = ids.map(|id| {
        let store = store.clone();
        tokio::spawn(async move { update(&store, &id, "after").await })
    });
    let waiting = "SELECT count(*) FROM pg_stat_activity
                   WHERE application_name = $1 AND wait_event_type = 'Lock'";
    let until = Instant::now() + Duration::from_secs(4);
    loop {
        let count: i64 = place.raw.query_one(waiting, &[&name]).await.unwrap().get(0);
        if count == 4 {
            break;
        }
        assert!(Instant::now() < until, "only {count} connections are left of four");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    place.raw.batch_execute("COMMIT").await.unwrap();
    for update in updates {
        assert_eq!(update.await.unwrap().unwrap(), Saved::Applied);
    }
}

/// A row that somebody else has locked costs its writer a deadline, and others nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_row_costs_its_own_writers() {
    if !Postgres::available() {
        return;
    }
    for pooled in [false, true] {
        let place = Place::shared().await;
        let url = Postgres::shared().socket_url("postgres");
        let store = place.builder(&url).deadline(DEADLINE).pgbouncer(pooled).open().await.unwrap();
        let (locked, free) = (new_id(), new_id());
        for id in [&locked, &free] {
            insert(&store, id, "before").await.unwrap();
        }
        let (private, table) = (locked.private(), place.table());
        place.raw.batch_execute("BEGIN").await.unwrap();
        let lock = format!("UPDATE {table} SET data = data WHERE session_id = $1");
        place.raw.execute(&lock, &[&private.as_str()]).await.unwrap();
        let (late, other) = tokio::join!(
            in_time(update(&store, &locked, "late")),
            tokio::time::timeout(DEADLINE, update(&store, &free, "after")),
        );
        let error = late.unwrap_err();
        assert!(error.is_timeout(), "{error}");
        assert_eq!(error.code(), Some("55P03"));
        assert_eq!(other.unwrap().unwrap(), Saved::Applied);
        place.raw.batch_execute("ROLLBACK").await.unwrap();
        // Nothing of the late one is done behind anybody's back.
        assert_eq!(data(&store, &locked).await.unwrap(), "before");
    }
}

/// A server that takes no writes any more is left; with nowhere else to go the error says why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_writes_says_so() {
    if !Postgres::available() {
        return;
    }
    let place = Place::shared().await;
    let store = place.open().await;
    let id = new_id();
    insert(&store, &id, "before").await.unwrap();
    let url = format!(
        "{}?options=-c%20default_transaction_read_only%3Don",
        Postgres::shared().socket_url("postgres")
    );
    let reader = place.builder(&url).open().await.unwrap();
    let error = update(&reader, &id, "late").await.unwrap_err();
    assert!(error.is_read_only(), "{error}");
    assert_eq!(error.code(), Some("25006"));
    assert_eq!(data(&reader, &id).await.unwrap(), "before");
}

/// More than the server has connections for, and more than may wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_is_told_to_come_back() {
    if !Postgres::available() {
        return;
    }
    let settings = vec!["max_connections = 16".into(), "superuser_reserved_connections = 8".into()];
    let server = Postgres::start(Options { settings, ..Options::default() });
    let place = Place::on(&server, RAILS).await;
    place.raw.batch_execute(
        "CREATE ROLE plain LOGIN PASSWORD 'pw'; GRANT ALL ON ALL TABLES IN SCHEMA public TO plain"
    ).await.unwrap();
    place.run("GRANT ALL ON {table} TO plain").await;
    let schema = &place.schema;
    let grant = format!(
        "GRANT USAGE ON SCHEMA {schema} TO plain; GRANT ALL ON ALL SEQUENCES IN SCHEMA {schema} TO plain"
    );
    place.run(&grant).await;
    let url = format!("postgres://plain:pw@127.0.0.1:{}/postgres", server.port());
    let store = place.builder(&url).max_connections(64).open().await.unwrap();
    let id = new_id();
    insert(&store, &id, "kept").await.unwrap();
    let finds = (0..64).map(|_| {
        let (store, id) = (store.clone(), id.clone());
        tokio::spawn(async move { store.find(&Lookup::new(&id)).await })
    });
    let mut refused = 0;
    for find in finds.collect::<Vec<_>>() {
        if let Err(error) = find.await.unwrap() {
            assert!(error.is_overloaded(), "{error}");
            refused += 1;
        }
    }
    assert!(refused > 0, "64 connections to a server of 8");
    assert_eq!(data(&store, &id).await.unwrap(), "kept");

    store.close().await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let queued = place.builder(&url).max_connections(1).queue(2).open().await.unwrap();
    let updates = (0..64).map(|_| {
        let (store, id) = (queued.clone(), id.clone());
        tokio::spawn(async move {
            store.save(&Save::Update(Update::new(id.private().into()).data("new"))).await
        })
    });
    let mut refused = 0;
    for update in updates.collect::<Vec<_>>() {
        match update.await.unwrap() {
            Ok(saved) => assert_eq!(saved, Saved::Applied),
            Err(error) => {
                assert!(error.is_overloaded(), "{error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 0, "64 updates through a queue of 2");
}
