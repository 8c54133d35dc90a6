//! Connecting: several hosts, servers that are down or say no, sockets, ways of logging in.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;
use sqlbypass::{Error, MySqlBuilder, MySqlStore};

use super::{Place, RAILS, data, insert, new_id, start, update};
use crate::servers::proxy::Mode;
use crate::servers::{Deaf, MariaDb, Proxy};

/// Why it does not open.
async fn failure(builder: MySqlBuilder) -> Error {
    match builder.open().await {
        Ok(_) => panic!("it opened"),
        Err(error) => error,
    }
}

/// The URL of a database on several hosts of this machine, by their ports.
fn on_hosts<'s>(server: &'s MariaDb, ports: &[u16]) -> impl Fn(&str) -> String + 's {
    let hosts: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let hosts = hosts.join(",");
    move |name| server.url(name).replace(&format!("127.0.0.1:{}", server.port()), &hosts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_says_why_and_no_password() {
    if !MariaDb::available() {
        return;
    }
    let (server, place) = (MariaDb::shared(), Place::shared().await);
    let name = &place.database;
    place
        .run("CREATE USER IF NOT EXISTS full@'%' IDENTIFIED BY 'sentinel' WITH MAX_USER_CONNECTIONS 1")
        .await;
    place.run("GRANT ALL ON *.* TO full@'%'").await;
    let full = format!("mysql://full:sentinel@127.0.0.1:{}/{name}", server.port());
    let held = mysql_async::Conn::from_url(&full).await.unwrap();
    let at = |user: &str, port: u16, database: &str| {
        MySqlStore::url(&format!("mysql://{user}@127.0.0.1:{port}/{database}")).unwrap()
    };
    let app = "app:p%40ss%2Fw%3Ard%20%25";
    for (builder, code, words) in [
        (at("app:sentinel", server.port(), name), "1045", "refused the user"),
        (at("app", server.port(), name), "1045", "refused the user"),
        (at("nobody:sentinel", server.port(), name), "1045", "refused the user"),
        (at(app, server.port(), "absent"), "1049", "database"),
        (at("full:sentinel", server.port(), name), "1226", "no more connections"),
        (at(app, 1, name), "", "connection refused"),
    ] {
        let shown = format!("{builder:?}");
        let error = failure(builder).await;
        assert_eq!(error.code().unwrap_or_default(), code, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.is_overloaded(), code == "1226", "{error}");
        assert_eq!(error.is_unavailable(), words == "connection refused", "{error}");
        for text in [error.to_string(), format!("{error:?}"), shown] {
            assert!(!text.contains("sentinel") && !text.contains("p@ss"), "{text}");
            assert!(!text.contains("p%40ss"), "{text}");
        }
    }
    held.disconnect().await.unwrap();
    let error = failure(MySqlStore::url("mysql://app@nowhere.invalid/x").unwrap()).await;
    assert!(error.is_unavailable() && error.to_string().contains("has no address"), "{error}");
}

/// Each host that was tried is named, with its own reason.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_no_host_can_be_used_every_one_is_named() {
    if !MariaDb::available() {
        return;
    }
    let hole = Proxy::start(MariaDb::shared().port()).await;
    hole.set(Mode::Hole);
    let url = format!("mysql://app@127.0.0.1:1,127.0.0.1:{}/x", hole.port());
    let builder = MySqlStore::url(&url).unwrap().connect_deadline(Duration::from_millis(400));
    let error = failure(builder).await;
    assert!(error.is_unavailable(), "{error}");
    let text = error.to_string();
    for words in ["127.0.0.1:1 ", "connection refused", &hole.port().to_string(), "0.4 s"] {
        assert!(text.contains(words), "{text}");
    }
}

/// The operation's deadline is shorter than the host's: the host is found out all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mute_host_is_left_by_operations_of_short_deadlines() {
    if !MariaDb::available() {
        return;
    }
    let (server, place) = (MariaDb::shared(), Place::shared().await);
    let hole = Proxy::start(server.port()).await;
    hole.set(Mode::Hole);
    let builder = place.builder(on_hosts(server, &[hole.port(), server.port()])).lazy(true);
    let store = builder.deadline(Duration::from_millis(600)).open().await.unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    let id = new_id();
    while let Err(error) = insert(&store, &id, "one").await {
        assert!(!error.is_unknown_outcome() && Instant::now() < until, "{error}");
    }
    assert_eq!(data(&store, &id).await.unwrap(), "one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_order_uses_every_host() {
    if !MariaDb::available() {
        return;
    }
    let (server, place) = (MariaDb::shared(), Place::shared().await);
    let proxies = [Proxy::start(server.port()).await, Proxy::start(server.port()).await];
    let ports: Vec<u16> = proxies.iter().map(Proxy::port).collect();
    for _ in 0..40 {
        let builder = place.builder(on_hosts(server, &ports)).load_balance_hosts(true);
        builder.open().await.unwrap().close().await.unwrap();
    }
    assert!(proxies.iter().all(|proxy| proxy.connections() > 0), "40 throws of a coin");
}

/// The first host is down, drops packets, or takes connections and never answers: the next one is
/// used within one connect deadline, and the first is not asked again at every connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_host_is_used() {
    if !MariaDb::available() {
        return;
    }
    let (server, place) = (MariaDb::shared(), Place::shared().await);
    let hole = Proxy::start(server.port()).await;
    hole.set(Mode::Hole);
    let deaf = Deaf::start().await;
    for first in [1, deaf.port(), hole.port()] {
        let limit = Duration::from_secs(1);
        let begun = Instant::now();
        let builder = place.builder(on_hosts(server, &[first, server.port()]));
        let store = builder.connect_deadline(limit).open().await.unwrap();
        let id = new_id();
        insert(&store, &id, "one").await.unwrap();
        assert!(begun.elapsed() < limit + Duration::from_secs(2), "{:?}", begun.elapsed());
        let asked = hole.connections();
        let finds: Vec<_> = (0..16)
            .map(|_| {
                let (store, id) = (store.clone(), id.clone());
                tokio::spawn(async move { data(&store, &id).await })
            })
            .collect();
        for find in finds {
            assert_eq!(find.await.unwrap().unwrap(), "one");
        }
        assert_eq!(hole.connections(), asked, "each connection asked the dead host again");
    }
}

/// A host that dies under the store is left for the next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_dies_is_left() {
    if !MariaDb::available() {
        return;
    }
    let (server, place) = (MariaDb::shared(), Place::shared().await);
    let first = Proxy::start(server.port()).await;
    let builder = place.builder(on_hosts(server, &[first.port(), server.port()]));
    let builder = builder.connect_deadline(Duration::from_millis(400));
    let store = builder.deadline(Duration::from_secs(2)).open().await.unwrap();
    let id = new_id();
    insert(&store, &id, "before").await.unwrap();
    for dead in [Mode::Refuse, Mode::Hole] {
        first.set(dead.clone());
        if dead == Mode::Refuse {
            first.cut();
        }
        let begun = Instant::now();
        while let Err(error) = update(&store, &id, "after").await {
            assert!(!error.is_config() && begun.elapsed() < Duration::from_secs(15), "{error}");
        }
        for _ in 0..20 {
            assert_eq!(data(&store, &id).await.unwrap(), "after");
        }
        first.set(Mode::Pass);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lazy_store_opens_while_its_database_is_down() {
    if !MariaDb::available() {
        return;
    }
    let server = start(&[]);
    let name = server.create_schema().await;
    server.stop();
    let url = server.url(&name);
    assert!(MySqlStore::open(&url).await.unwrap_err().is_unavailable());
    let store = MySqlStore::url(&url).unwrap().create(true).lazy(true).open().await.unwrap();
    let id = new_id();
    assert!(insert(&store, &id, "one").await.unwrap_err().is_unavailable());
    server.restart();
    insert(&store, &id, "one").await.unwrap();
    assert_eq!(data(&store, &id).await.unwrap(), "one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_store_says_so() {
    if !MariaDb::available() {
        return;
    }
    let store = Place::shared().await.open().await;
    store.close().await.unwrap();
    let error = insert(&store, &new_id(), "late").await.unwrap_err();
    assert!(error.is_unavailable() && error.to_string().contains("closed"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_is_used_by_url_and_by_builder() {
    if !MariaDb::available() {
        return;
    }
    let (server, place) = (MariaDb::shared(), Place::shared().await);
    let socket = server.socket().display().to_string();
    let by_builder = MySqlStore::builder().host(&*socket).user(server.user());
    let by_builder = by_builder.password(server.password()).database(&*place.database);
    let id = new_id();
    let (by_url, by_builder) = (place.open().await, by_builder.open().await.unwrap());
    insert(&by_url, &id, "one").await.unwrap();
    assert_eq!(data(&by_builder, &id).await.unwrap(), "one");
    let over_sockets = format!(
        "SELECT COUNT(*) FROM information_schema.processlist
         WHERE db = '{}' AND host = 'localhost' AND id <> CONNECTION_ID()",
        place.database
    );
    assert_eq!(place.one(&over_sockets).await, 2);
    let absent = server.socket_url(&place.database).replace("socket", "absent");
    let absent = absent.replace("?absent=", "?socket=");
    let error = failure(MySqlStore::url(&absent).unwrap()).await;
    assert!(error.is_unavailable() && error.to_string().contains("absent cannot be"), "{error}");
}

/// MariaDB's own way of logging in without sending a password.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_of_ed25519_logs_in() {
    if !MariaDb::available() {
        return;
    }
    let server = start(&[]);
    let place = Place::on(&server, RAILS).await;
    let plugin = place.raw.lock().await.query_drop("INSTALL SONAME 'auth_ed25519'").await;
    plugin.expect("Debian's package mariadb-server has the plugin");
    let name = &place.database;
    place
        .run(&format!(
            "CREATE USER edward@'%' IDENTIFIED VIA ed25519 USING PASSWORD('p@ss/w:rd');
             GRANT ALL ON {name}.* TO edward@'%'"
        ))
        .await;
    let at = |password: &str| {
        let url = format!("mysql://edward:{password}@127.0.0.1:{}/{name}", server.port());
        MySqlStore::url(&url).unwrap()
    };
    let store = at("p%40ss%2Fw%3Ard").open().await.unwrap();
    let id = new_id();
    insert(&store, &id, "one").await.unwrap();
    assert_eq!(data(&store, &id).await.unwrap(), "one");
    let error = failure(at("wrong")).await;
    assert!(error.is_config() && error.code() == Some("1045"), "{error}");
}

/// What the store sets for its connections, whatever the server has: limits of the server's own,
/// and READ COMMITTED, under which writers of different rows do not wait for each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_have_settings_of_their_own() {
    if !MariaDb::available() {
        return;
    }
    let server = start(&["autocommit = 0", "character_set_client_handshake = off"]);
    let place = Place::on(&server, RAILS).await;
    // A trigger tells what holds where the statement runs.
    place
        .run(
            "CREATE TRIGGER tell BEFORE INSERT ON sessions FOR EACH ROW SET NEW.data = CONCAT_WS(' ',
               @@tx_isolation, @@autocommit + 0, @@character_set_client,
               @@innodb_lock_wait_timeout, @@max_statement_time)",
        )
        .await;
    let builder = place.builder(|name| server.socket_url(name)).deadline(Duration::from_secs(6));
    let store = builder.open().await.unwrap();
    let id = new_id();
    insert(&store, &id, "").await.unwrap();
    let told = String::from_utf8(data(&store, &id).await.unwrap().to_vec()).unwrap();
    let words: Vec<&str> = told.split(' ').collect();
    assert_eq!(words[..3], ["READ-COMMITTED", "1", "utf8mb4"], "{told}");
    let limits: Vec<f64> = words[3..].iter().map(|word| word.parse().unwrap()).collect();
    assert!(limits.iter().all(|limit| *limit > 0.0 && *limit <= 6.0), "{told}");
}
