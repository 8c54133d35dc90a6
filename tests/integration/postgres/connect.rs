//! Connecting: several hosts, servers that are down or say no, poolers.

use std::time::{Duration, Instant};

use sqlbypass::{Error, PostgresBuilder, PostgresStore, Store, TargetSessionAttrs};

use super::pooler::is_clean;
use super::{Place, data, insert, new_id, update};
use crate::conformance::postgres::RAILS;
use crate::servers::proxy::Mode;
use crate::servers::{Cluster, Deaf, Options, PgBouncer, Postgres, Proxy};

/// Why it does not open.
async fn failure(builder: PostgresBuilder) -> Error {
    match builder.open().await {
        Ok(_) => panic!("it opened"),
        Err(error) => error,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_says_why_and_no_password() {
    if !Postgres::available() {
        return;
    }
    let server = Postgres::shared();
    let place = Place::shared().await;
    place.run("CREATE ROLE full LOGIN PASSWORD 'sentinel' CONNECTION LIMIT 0").await;
    let at = |user: &str, port: u16, database: &str| {
        place.builder(&format!("postgres://{user}@127.0.0.1:{port}/{database}"))
    };
    let app = "app:p%40ss%2Fw%3Ard%20%25";
    let none = at("app", server.port(), "postgres");
    for (builder, code, words) in [
        (at("app:sentinel", server.port(), "postgres"), "28P01", "refused the connection"),
        (none, "", "password missing"),
        (at(app, server.port(), "absent"), "3D000", "refused the connection"),
        (at("full:sentinel", server.port(), "postgres"), "53300", "takes no more connections"),
        (at(app, 1, "postgres"), "", "connection refused"),
    ] {
        let shown = format!("{builder:?}");
        let error = failure(builder).await;
        assert_eq!(error.code().unwrap_or_default(), code, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.is_overloaded(), code == "53300", "{error}");
        assert_eq!(error.is_unavailable(), words == "connection refused", "{error}");
        for text in [error.to_string(), format!("{error:?}"), shown] {
            assert!(!text.contains("sentinel") && !text.contains("p@ss"), "{text}");
            assert!(!text.contains("p%40ss"), "{text}");
        }
    }
    let error = failure(PostgresStore::url("postgres://app@nowhere.invalid/x").unwrap()).await;
    assert!(error.is_unavailable() && error.to_string().contains("has no address"), "{error}");
}

/// By address, name, socket or list, as a URL or in pairs, with every parameter.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_to_name_a_server_leads_there() {
    if !Postgres::available() {
        return;
    }
    let (server, place) = (Postgres::shared(), Place::shared().await);
    let (port, folder) = (server.port(), server.socket_folder().display());
    let login = "app:p%40ss%2Fw%3Ard%20%25";
    let in_url = "dbname=postgres&user=app&password=p%40ss%2Fw%3Ard%20%25";
    let pairs = r"dbname=postgres user=app password='p@ss/w:rd %'";
    let all = "application_name=all&options=-c%20work_mem%3D1MB&connect_timeout=2&keepalives=1\
        &keepalives_idle=5&keepalives_interval=5&keepalives_count=3&tcp_user_timeout=2000\
        &sslmode=prefer&channel_binding=prefer&target_session_attrs=read-write&gssencmode=prefer\
        &load_balance_hosts=random&client_encoding=utf8&pool_max=2&pgbouncer=false";
    for url in [
        server.url("postgres"),
        server.socket_url("postgres"),
        // The name may have an address on which nobody listens.
        format!("postgresql://{login}@localhost:{port}/postgres"),
        format!("postgres://{login}@/postgres?host={folder}&port={port}"),
        format!("postgres://?host={folder}&port={port}&{in_url}"),
        format!("postgres://{login}@name.invalid:{port}/postgres?hostaddr=127.0.0.1"),
        format!("postgres://{login}@[::1]:1,127.0.0.1:{port}/postgres"),
        format!("postgres://{login}@127.0.0.1:{port}/postgres?{all}"),
        format!("host={folder} port={port} {pairs}"),
        format!("host=127.0.0.1,{folder} port=1,{port} {pairs}"),
    ] {
        let store = place.builder(&url).open().await.map_err(|error| format!("{url}: {error}"));
        let (store, id) = (store.unwrap(), new_id());
        insert(&store, &id, "one").await.unwrap();
        assert_eq!(data(&store, &id).await.unwrap(), "one");
    }
}

/// Each host that was tried is named, with its own reason.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_no_host_can_be_used_every_one_is_named() {
    if !Postgres::available() {
        return;
    }
    let hole = Proxy::start(Postgres::shared().port()).await;
    hole.set(Mode::Hole);
    let silent = hole.port();
    let url = format!("postgres://app@127.0.0.1:1,127.0.0.1:{silent}/postgres");
    let builder = PostgresStore::url(&url).unwrap();
    let error = failure(builder.connect_deadline(Duration::from_millis(400))).await;
    let expected = format!(
        "none of 2 hosts can be used: 127.0.0.1:1 cannot be reached: connection refused; \
         127.0.0.1:{silent} did not answer within 0.4 s"
    );
    assert!(error.is_unavailable() && error.to_string().contains(&expected), "{error}");
}

/// The operation's deadline is shorter than the host's: the host is found out all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mute_host_is_left_by_operations_of_short_deadlines() {
    if !Postgres::available() {
        return;
    }
    let server = Postgres::shared();
    let place = Place::shared().await;
    let hole = Proxy::start(server.port()).await;
    hole.set(Mode::Hole);
    let second = format!("127.0.0.1:{}", server.port());
    let hosts = format!("127.0.0.1:{},{second}", hole.port());
    let url = server.url("postgres").replace(&second, &hosts);
    let builder = place.builder(&url).lazy(true).deadline(Duration::from_secs(1));
    let store = builder.connect_deadline(Duration::from_secs(60)).open().await.unwrap();
    let error = insert(&store, &new_id(), "one").await.unwrap_err();
    assert!(error.is_unavailable() && !error.is_unknown_outcome(), "{error}");
    let id = new_id();
    insert(&store, &id, "two").await.unwrap();
    assert_eq!(data(&store, &id).await.unwrap(), "two");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_order_uses_every_host() {
    if !Postgres::available() {
        return;
    }
    let (server, place) = (Postgres::shared(), Place::shared().await);
    let proxies = [Proxy::start(server.port()).await, Proxy::start(server.port()).await];
    let hosts = proxies.iter().map(|proxy| format!("127.0.0.1:{}", proxy.port()));
    let hosts = hosts.collect::<Vec<_>>().join(",");
    let url = server.url("postgres").replace(&format!("127.0.0.1:{}", server.port()), &hosts);
    for _ in 0..40 {
        let store = place.builder(&format!("{url}?load_balance_hosts=random")).open().await;
        store.unwrap().close().await.unwrap();
    }
    assert!(proxies.iter().all(|proxy| proxy.connections() > 0), "40 throws of a coin");
}

/// The first host is down, drops packets, or takes connections and never answers: the next one is
/// used within one connect deadline, and the first is not asked again at every connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_host_is_used() {
    if !Postgres::available() {
        return;
    }
    let server = Postgres::shared();
    let place = Place::shared().await;
    let hole = Proxy::start(server.port()).await;
    hole.set(Mode::Hole);
    let deaf = Deaf::start().await;
    for first in [1, deaf.port(), hole.port()] {
        let hosts = format!("127.0.0.1:{first},127.0.0.1:{}", server.port());
        let url = server.url("postgres").replace(&format!("127.0.0.1:{}", server.port()), &hosts);
        let limit = Duration::from_millis(500);
        let begun = Instant::now();
        let store = place.builder(&url).connect_deadline(limit).open().await.unwrap();
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
        assert_eq!(hole.connections(), asked, "another connection asked the dead host");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_that_is_wanted_is_found() {
    if !Postgres::available() {
        return;
    }
    use TargetSessionAttrs::{Any, PreferStandby, Primary, ReadOnly, ReadWrite, Standby};

    let cluster = Cluster::start();
    let place = Place::on(&cluster.primary, RAILS).await;
    let (primary, standby) = (cluster.primary.port(), cluster.standby.port());
    for (wanted, expected) in [
        (Any, standby),
        (ReadWrite, primary),
        (Primary, primary),
        (ReadOnly, standby),
        (Standby, standby),
        (PreferStandby, standby),
    ] {
        let url = cluster.primary.url_through(standby, "postgres");
        let hosts = format!("127.0.0.1:{standby},127.0.0.1:{primary}");
        let url = url.replace(&format!("127.0.0.1:{standby}"), &hosts);
        let store = place.builder(&url).target_session_attrs(wanted).open().await.unwrap();
        let result = update(&store, &new_id(), "x").await;
        let took_writes = result.is_ok();
        assert_eq!(took_writes, expected == primary, "{wanted:?}");
    }
    // None is as wanted: the error names both.
    let url = cluster.primary.url_through(standby, "postgres");
    let error = place.builder(&url).target_session_attrs(Primary).open().await.unwrap_err();
    assert!(error.is_unavailable() && error.to_string().contains("standby"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lazy_store_opens_while_its_database_is_down() {
    if !Postgres::available() {
        return;
    }
    let server = Postgres::start(Options::default());
    server.stop();
    let url = server.url("postgres");
    assert!(PostgresStore::open(&url).await.unwrap_err().is_unavailable());
    let store = PostgresStore::url(&url).unwrap().create(true).lazy(true).open().await.unwrap();
    let id = new_id();
    assert!(insert(&store, &id, "one").await.unwrap_err().is_unavailable());
    server.restart();
    insert(&store, &id, "one").await.unwrap();
    assert_eq!(data(&store, &id).await.unwrap(), "one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_is_found_out() {
    if !Postgres::available() || !PgBouncer::available() {
        return;
    }
    let server = Postgres::shared();
    let place = Place::shared().await;
    let pooler = PgBouncer::start(server, 1);
    // Nobody has said that there is one; two clients share its one connection.
    let url = server.url_through(pooler.port(), "postgres");
    let (a, b) =
        (place.builder(&url).open().await.unwrap(), place.builder(&url).open().await.unwrap());
    for _ in 0..20 {
        for store in [&a, &b] {
            let id = new_id();
            insert(store, &id, "one").await.unwrap();
            update(store, &id, "two").await.unwrap();
            assert_eq!(data(store, &id).await.unwrap(), "two");
        }
    }
    // Names that differ, as those of one process do, would serve here all the same.
    is_clean(&url).await;
}

/// After `close` the store says that it is closed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_store_says_so() {
    if !Postgres::available() {
        return;
    }
    let store = Place::shared().await.open().await;
    store.close().await.unwrap();
    let error = insert(&store, &new_id(), "late").await.unwrap_err();
    assert!(error.is_unavailable() && error.to_string().contains("closed"), "{error}");
}

/// One that lets options of the start through to nobody, and one that refuses them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_is_found_out_by_what_becomes_of_the_options() {
    if !Postgres::available() || !PgBouncer::available() {
        return;
    }
    let server = Postgres::shared();
    let place = Place::shared().await;
    let pooler = PgBouncer::start_with(server, 1, "ignore_startup_parameters = options");
    let url = server.url_through(pooler.port(), "postgres");
    let (a, b) =
        (place.builder(&url).open().await.unwrap(), place.builder(&url).open().await.unwrap());
    for store in [&a, &b, &a, &b] {
        let id = new_id();
        insert(store, &id, "one").await.unwrap();
        assert_eq!(data(store, &id).await.unwrap(), "one");
    }
    let strict = PgBouncer::start(server, 1);
    let url = server.url_through(strict.port(), "postgres");
    let error = failure(place.builder(&format!("{url}?options=-c%20work_mem%3D1MB"))).await;
    assert!(error.is_config() && error.to_string().contains("startup parameter"), "{error}");
}

/// A pool of the user's: its settings stand, and the deadline holds all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_of_the_users_serves() {
    if !Postgres::available() {
        return;
    }
    let place = Place::shared().await;
    let config: tokio_postgres::Config = Postgres::shared().socket_url("postgres").parse().unwrap();
    let manager = deadpool_postgres::Manager::new(config, tokio_postgres::NoTls);
    let pool = deadpool_postgres::Pool::builder(manager).max_size(1).build().unwrap();
    let table = sqlbypass::Table::new(place.table()).unwrap();
    let builder = PostgresStore::pool(pool.clone()).table(table);
    let store = builder.deadline(Duration::from_secs(1)).open().await.unwrap();
    let id = new_id();
    insert(&store, &id, "one").await.unwrap();
    let held = pool.get().await.unwrap();
    let error = update(&store, &id, "two").await.unwrap_err();
    assert!(error.is_timeout() && !error.is_unknown_outcome(), "{error}");
    drop(held);
    assert_eq!(data(&store, &id).await.unwrap(), "one");
    assert!(store.destroy(&sqlbypass::Lookup::new(&id)).await.unwrap());
}

/// What the server is told at the start of a connection: its own limits, which options overrule.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_has_limits_of_its_own() {
    if !Postgres::available() {
        return;
    }
    let (server, place) = (Postgres::shared(), Place::shared().await);
    let name = format!("limits_{}", place.schema);
    let url = format!("{}?application_name={name}", server.socket_url("postgres"));
    // A trigger tells what holds where the statement runs.
    place
        .run(
            "CREATE FUNCTION {table}_tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
               NEW.data := current_setting('statement_timeout') || ' '
                 || current_setting('lock_timeout') || ' ' || current_setting('application_name');
               RETURN NEW; END $$;
             CREATE TRIGGER tell BEFORE INSERT ON {table} FOR EACH ROW
               EXECUTE FUNCTION {table}_tell();",
        )
        .await;
    let told = async |builder: PostgresBuilder| {
        let store = builder.open().await.unwrap();
        let id = new_id();
        insert(&store, &id, "").await.unwrap();
        String::from_utf8(data(&store, &id).await.unwrap().to_vec()).unwrap()
    };
    assert_eq!(told(place.builder(&url)).await, format!("5s 2500ms {name}"));
    let chosen = place.builder(&url).options("-c lock_timeout=7s");
    assert_eq!(told(chosen).await, format!("5s 7s {name}"));
    // Behind a pooler they hold for the transaction alone.
    let pooled = told(place.builder(&url).pgbouncer(true)).await;
    let mut words = pooled.split(' ');
    let limit = words.next().unwrap();
    assert!(limit.ends_with("ms") || limit.ends_with('s'), "{pooled}");
    assert_ne!(limit, "0");
}
