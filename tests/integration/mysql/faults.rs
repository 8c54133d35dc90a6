//! Servers that stop, die, answer late or not at all.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;
use sqlbypass::{Save, Saved, Store, Update};

use super::{Place, RAILS, data, insert, new_id, start, update};
use crate::promises::deadlines::{DEADLINE, SLACK, all_end, in_time, recovers};
use crate::promises::is_not_sent_again;
use crate::promises::load::{drop_a_thousand_futures, some_are_refused};
use crate::servers::proxy::Mode;
use crate::servers::{MariaDb, Proxy};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_server_costs_a_deadline() {
    if !MariaDb::available() {
        return;
    }
    let server = start(&[]);
    let place = Place::on(&server, RAILS).await;
    let store = place.builder(|name| server.url(name)).deadline(DEADLINE).open().await.unwrap();
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

/// Packets vanish: nothing is refused, nothing answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_black_hole_costs_a_deadline() {
    if !MariaDb::available() {
        return;
    }
    let (server, place) = (MariaDb::shared(), Place::shared().await);
    let proxy = Proxy::start(server.port()).await;
    let url = |name: &str| server.url_through(proxy.port(), name);
    let store = place.builder(url).deadline(DEADLINE).open().await.unwrap();
    let id = new_id();
    insert(&store, &id, "before").await.unwrap();
    proxy.set(Mode::Hole);
    all_end(&store, &id, |error, writes| {
        (writes && error.is_unknown_outcome()) || error.is_timeout() || error.is_unavailable()
    })
    .await;
    proxy.set(Mode::Pass);
    recovers(&store, &id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_is_unavailable_until_it_is_back() {
    if !MariaDb::available() {
        return;
    }
    let server = start(&[]);
    let place = Place::on(&server, RAILS).await;
    let store = place.builder(|name| server.url(name)).deadline(DEADLINE).open().await.unwrap();
    let id = new_id();
    insert(&store, &id, "before").await.unwrap();
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

/// A restart between two requests is not noticed, nor that the server ends idle connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_ended_while_idle_are_not_noticed() {
    if !MariaDb::available() {
        return;
    }
    let server = start(&["wait_timeout = 1"]);
    let place = Place::on(&server, RAILS).await;
    let store = place.builder(|name| server.url(name)).open().await.unwrap();
    let id = new_id();
    insert(&store, &id, "before").await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(update(&store, &id, "after").await.unwrap(), Saved::Applied);
    server.stop();
    server.restart();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(update(&store, &id, "restarted").await.unwrap(), Saved::Applied);
    assert_eq!(data(&store, &id).await.unwrap(), "restarted");
}

/// The server commits and its answer never comes: nobody is told of a success or of a failure.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_lost_is_an_unknown_outcome() {
    if !MariaDb::available() {
        return;
    }
    let (server, place) = (MariaDb::shared(), Place::shared().await);
    let proxy = Proxy::start(server.port()).await;
    let url = |name: &str| server.url_through(proxy.port(), name);
    let store = place.builder(url).deadline(DEADLINE).open().await.unwrap();
    let id = new_id();
    insert(&store, &id, "before").await.unwrap();
    update(&store, &id, "prepared").await.unwrap();
    proxy.set(Mode::MuteAfter(b"the change"));
    let error = in_time(update(&store, &id, "the change")).await.unwrap_err();
    assert!(error.is_unknown_outcome(), "{error}");
    // Cut while it is on its way: the same.
    let cut = tokio::join!(update(&store, &id, "the change"), async {
        tokio::time::sleep(DEADLINE / 4).await;
        proxy.cut();
    });
    let error = cut.0.unwrap_err();
    assert!(error.is_unknown_outcome(), "{error}");
    let late = new_id();
    let error = in_time(insert(&store, &late, "the change")).await.unwrap_err();
    assert!(error.is_unknown_outcome(), "{error}");
    is_not_sent_again(&store, &proxy, &id).await;
    // Whoever asks again learns what became of it, and may write it once more.
    assert_eq!(data(&store, &id).await.unwrap(), "the change");
    assert_eq!(update(&store, &id, "the change").await.unwrap(), Saved::Applied);
    assert_eq!(insert(&store, &late, "the change").await.unwrap(), Saved::Duplicate);
}

/// A find is asked again when its connection was lost: it changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_find_outlives_its_connection() {
    if !MariaDb::available() {
        return;
    }
    let (server, place) = (MariaDb::shared(), Place::shared().await);
    let proxy = Proxy::start(server.port()).await;
    let url = |name: &str| server.url_through(proxy.port(), name);
    let store = place.builder(url).open().await.unwrap();
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
    if !MariaDb::available() {
        return;
    }
    let place = Place::shared().await;
    let store = place.open().await;
    drop_a_thousand_futures(&store).await;
    let open = format!(
        "SELECT COUNT(*) FROM information_schema.innodb_trx AS trx
         JOIN information_schema.processlist AS process ON process.id = trx.trx_mysql_thread_id
         WHERE process.db = '{}'",
        place.database
    );
    let all = format!(
        "SELECT COUNT(*) FROM information_schema.processlist
         WHERE db = '{}' AND id <> CONNECTION_ID()",
        place.database
    );
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let (open, all) = (place.one(&open).await, place.one(&all).await);
        if open == 0 && all <= 4 {
            break;
        }
        assert!(Instant::now() < until, "{open} transactions open, {all} connections");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A row that somebody else has locked costs its writer a deadline, and others nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_row_costs_its_own_writers() {
    if !MariaDb::available() {
        return;
    }
    let place = Place::shared().await;
    let url = |name: &str| MariaDb::shared().socket_url(name);
    let store = place.builder(url).deadline(2 * DEADLINE).open().await.unwrap();
    let (locked, free) = (new_id(), new_id());
    for id in [&locked, &free] {
        insert(&store, id, "before").await.unwrap();
    }
    place.run("BEGIN").await;
    let lock = "SELECT 1 FROM sessions WHERE session_id = ? FOR UPDATE";
    let private = locked.private();
    assert_eq!(place.rows::<i64>(lock, (private.as_str(),)).await, [1]);
    let (late, other, read) = tokio::join!(
        in_time(update(&store, &locked, "late")),
        tokio::time::timeout(DEADLINE, update(&store, &free, "after")),
        tokio::time::timeout(DEADLINE, data(&store, &locked)),
    );
    let error = late.unwrap_err();
    assert!(error.is_timeout() && error.code() == Some("1205"), "{error}");
    assert_eq!(other.unwrap().unwrap(), Saved::Applied);
    assert_eq!(read.unwrap().unwrap(), "before", "a reader waits for nobody");
    place.run("ROLLBACK").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    // Nothing of the late one is done behind anybody's back.
    assert_eq!(data(&store, &locked).await.unwrap(), "before");
}

/// Two transactions that wait for each other: the server ends the store's, which tries again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_victim_of_a_deadlock_tries_again() {
    if !MariaDb::available() {
        return;
    }
    let server = start(&[]);
    let place = Place::on(&server, RAILS).await;
    let store = place.builder(|name| server.socket_url(name)).open().await.unwrap();
    let id = new_id();
    insert(&store, &id, "before").await.unwrap();
    // An update locks the session's row and then the other table's.
    place
        .run(
            "CREATE TABLE other (n int NOT NULL PRIMARY KEY, at int);
             INSERT INTO other SELECT seq, 0 FROM seq_1_to_1000;
             CREATE TRIGGER meets BEFORE UPDATE ON sessions FOR EACH ROW
               UPDATE other SET at = at + 1 WHERE n = 1",
        )
        .await;
    // The server ends the one that has written less.
    place.run("BEGIN; UPDATE other SET at = 7").await;
    let (saved, ()) = tokio::join!(update(&store, &id, "after"), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let lock = "SELECT 1 FROM sessions WHERE session_id = ? FOR UPDATE";
        assert_eq!(place.rows::<i64>(lock, (id.private().as_str(),)).await, [1]);
        place.run("ROLLBACK").await;
    });
    assert_eq!(saved.unwrap(), Saved::Applied);
    let deadlocks = "SELECT CAST(variable_value AS signed) FROM information_schema.global_status
                     WHERE variable_name = 'innodb_deadlocks'";
    assert_eq!(place.one(deadlocks).await, 1);
    assert_eq!(place.one("SELECT at FROM other WHERE n = 1").await, 1);
    assert_eq!(data(&store, &id).await.unwrap(), "after");
}

/// A server that takes no writes any more is left for the next one; with nowhere else to go the
/// error says why, and sessions can still be read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_writes_is_left() {
    if !MariaDb::available() {
        return;
    }
    let servers = [start(&[]), start(&[])];
    let [first, second] = &servers;
    let place = Place::on(first, RAILS).await;
    place.user("plain").await;
    let mut beside = second.connect("").await;
    for sql in [
        format!("CREATE DATABASE {}", place.database),
        format!("USE {}", place.database),
        RAILS.replace("{id}", ""),
        "CREATE USER plain@'%' IDENTIFIED BY 'plain'".into(),
        format!("GRANT ALL ON {}.* TO plain@'%'", place.database),
    ] {
        beside.query_drop(sql).await.unwrap();
    }
    let to = |hosts: String| move |name: &str| format!("mysql://plain:plain@{hosts}/{name}");
    let one = format!("127.0.0.1:{}", first.port());
    let both = format!("{one},127.0.0.1:{}", second.port());
    let alone = place.builder(to(one)).deadline(DEADLINE).open().await.unwrap();
    let store = place.builder(to(both)).open().await.unwrap();
    let id = new_id();
    insert(&store, &id, "before").await.unwrap();
    assert_eq!(data(&alone, &id).await.unwrap(), "before");

    place.run("SET GLOBAL read_only = 1").await;
    let error = in_time(update(&alone, &id, "late")).await.unwrap_err();
    assert!(error.is_read_only() && error.code() == Some("1290"), "{error}");
    assert_eq!(data(&alone, &id).await.unwrap(), "before");

    let until = Instant::now() + DEADLINE + SLACK;
    let moved = new_id();
    while let Err(error) = insert(&store, &moved, "moved").await {
        assert!(error.is_read_only() && Instant::now() < until, "{error}");
    }
    for n in 0..20 {
        assert_eq!(update(&store, &moved, n.to_string()).await.unwrap(), Saved::Applied);
    }
    let count = "SELECT COUNT(*) FROM sessions";
    assert_eq!(beside.query_first::<i64, _>(count).await.unwrap(), Some(1));
    assert_eq!(place.count().await, 1);
    place.run("SET GLOBAL read_only = 0").await;
    recovers(&alone, &id).await;
}

/// More than the server has connections for, and more than may wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_is_told_to_come_back() {
    if !MariaDb::available() {
        return;
    }
    let server = start(&["max_connections = 10"]);
    let place = Place::on(&server, RAILS).await;
    place.user("plain").await;
    let url = |name: &str| format!("mysql://plain:plain@127.0.0.1:{}/{name}", server.port());
    let store = place.builder(url).max_connections(64).deadline(4 * DEADLINE).open().await.unwrap();
    let id = new_id();
    insert(&store, &id, "kept").await.unwrap();
    some_are_refused(&store, &id, 64).await;
    recovers(&store, &id).await;
    // Refused by others' connections, at the start too.
    let mut others = Vec::new();
    while let Ok(conn) = mysql_async::Conn::from_url(url(&place.database)).await {
        others.push(conn);
    }
    // A connection that was just refused or closed may still have counted.
    let mut opened = Vec::new();
    let error = loop {
        match place.builder(url).open().await {
            Ok(store) => opened.push(store),
            Err(error) => break error,
        }
    };
    assert!(error.is_overloaded() && error.code() == Some("1040"), "{error}");
    drop((others, opened));

    store.close().await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let queued = place.builder(url).max_connections(1).queue(2).open().await.unwrap();
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
