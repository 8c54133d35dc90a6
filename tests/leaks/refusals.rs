//! What servers say no to, in words that quote what they were given; and servers that are not there.

use std::fmt::Debug;
use std::time::Duration;

use sqlbypass::{
    AnyStore, Json, Maintenance, MySqlStore, PostgresStore, Save, SessionManager, Store, Update,
};

use super::ears::{heard, new_id, secret, secret_id, told};
use super::life::DATA;
use super::place::Place;
use super::servers::{MariaDb, Postgres};
use super::tasks::{broken, json, put};

pub(crate) async fn all<S>(place: &Place, store: &S)
where
    S: Store + Maintenance + Clone + Debug + 'static,
{
    let scheme = place.url.split(':').next().unwrap();
    undecodable(store).await;
    // More than any column of 64 KiB takes, and more than a packet.
    put(store, &new_id(), format!("{DATA}{}", "x".repeat(80 << 10))).await;
    put(store, &new_id(), format!("{DATA}{}", "x".repeat(20 << 20))).await;
    put(store, &new_id(), [DATA.as_bytes(), b"\0\xff\xfe"].concat()).await;

    let id = new_id();
    put(store, &id, json()).await;
    let change = async || {
        let save = Update::new(id.private().into()).data(format!("{DATA} refused"));
        told(store.save(&Save::Update(save)).await);
        put(store, &new_id(), format!("{DATA} refused")).await;
    };
    let row = "ALTER TABLE sessions ADD CONSTRAINT refuses CHECK (data NOT LIKE '%refused%')";
    match scheme {
        "sqlite" => {
            let raise = "BEGIN SELECT RAISE(ABORT, 'no'); END";
            let when = "ON sessions WHEN NEW.data LIKE '%refused%'";
            place.sql(&format!("CREATE TRIGGER one BEFORE UPDATE {when} {raise}")).await;
            place.sql(&format!("CREATE TRIGGER two BEFORE INSERT {when} {raise}")).await;
        }
        _ => place.sql(row).await,
    }
    change().await;

    // Somebody holds the row until the deadline.
    let begin = if scheme == "sqlite" { "BEGIN IMMEDIATE" } else { "BEGIN" };
    place.sql(begin).await;
    place.sql("UPDATE sessions SET created_at = created_at").await;
    let soon = async |work: std::pin::Pin<&mut (dyn Future<Output = ()> + Send)>| {
        // The caller leaves before there is an answer.
        let _ = tokio::time::timeout(Duration::from_millis(300), work).await;
    };
    soon(
        Box::pin(async {
            let save = Save::Update(Update::new(id.private().into()).data(json()));
            told(store.save(&save).await);
        })
        .as_mut(),
    )
    .await;
    let hasty = super::builder(place).create(false).deadline(Duration::from_millis(500));
    if let Some(hasty) = told(hasty.open().await) {
        let save = Save::Update(Update::new(id.private().into()).data(json()));
        told(hasty.save(&save).await);
        told(hasty.destroy(&sqlbypass::Lookup::new(&id)).await);
        told(hasty.close().await);
    }
    place.sql("ROLLBACK").await;

    place.sql("ALTER TABLE sessions RENAME COLUMN data TO payload").await;
    change().await;
    told(store.find(&sqlbypass::Lookup::with_legacy(&id)).await);
    place.sql("DROP TABLE sessions").await;
    change().await;
    told(store.find(&sqlbypass::Lookup::with_legacy(&id)).await);
    told(store.inspect().await);
    told(builder_of(place).open().await);
}

fn builder_of(place: &Place) -> sqlbypass::AnyBuilder {
    super::builder(place).create(false)
}

async fn undecodable<S: Store + Clone + Debug + 'static>(store: &S) {
    let manager = SessionManager::new(store.clone(), Json);
    let marshal = SessionManager::new(store.clone(), sqlbypass::Marshal);
    for data in broken() {
        let id = new_id();
        put(store, &id, data).await;
        for session in [manager.session(Some(id.clone())), marshal.session(Some(id.clone()))] {
            told(session.get::<String>("text").await);
            session.insert("text", DATA).unwrap();
            told(session.commit().await);
            heard(&format!("{session:?}"));
        }
    }
}

/// Wrong passwords, servers that are not there, URLs that are wrong.
pub(crate) async fn connecting() {
    let wrong = "SENTINEL-of-the-password-77aa";
    secret("password", wrong);
    let mut urls = vec![
        format!("postgres://app:{wrong}@127.0.0.1:1/x"),
        format!("mysql://app:{wrong}@127.0.0.1:1/x"),
        format!("postgres://app:{wrong}@127.0.0.1:1,127.0.0.1:2/x?connect_timeout=1"),
        format!("postgres://app:{wrong}@127.0.0.1:port/x"),
        format!("mysql://app:{wrong}@127.0.0.1:port/x"),
        format!("postgres://app@127.0.0.1:1/x?password={wrong}"),
        format!("mysql://app:{wrong}@127.0.0.1:1/x?nonsense=1"),
        format!("postgres://app:{wrong}@127.0.0.1:1/x?nonsense=1"),
        format!("sqlite:///nowhere/{wrong}?mode=none"),
        format!("oracle://app:{wrong}@127.0.0.1/x"),
        format!("postgres://app:{wrong}%ff@[::1/x"),
    ];
    if Postgres::available() {
        let url = Postgres::shared().socket_url("postgres");
        urls.push(url.replace("p%40ss", wrong));
        told(PostgresStore::open(&urls[urls.len() - 1]).await);
        // One login that succeeds, for what drivers say then.
        told(PostgresStore::url(&url).unwrap().lazy(true).open().await);
    }
    if MariaDb::available() {
        let url = MariaDb::shared().socket_url("mysql");
        urls.push(url.replace("p%40ss", wrong));
        told(MySqlStore::open(&urls[urls.len() - 1]).await);
        told(MySqlStore::url(&url).unwrap().lazy(true).open().await);
    }
    for url in urls {
        let Some(builder) = told(AnyStore::url(&url)) else { continue };
        let builder = builder.deadline(Duration::from_secs(5));
        told(builder.clone().open().await);
        if let Some(store) = told(builder.lazy(true).open().await) {
            let id = new_id();
            secret_id(&id);
            put(&store, &id, json()).await;
            heard(&format!("{store:?} {store:#?}"));
        }
    }
    // Something of each database, so that the ears are known to have been open.
    let store = AnyStore::url("sqlite::memory:").unwrap().create(true).open().await.unwrap();
    let session = SessionManager::new(store, Json).session(Some(new_id()));
    told(session.get::<u64>("n").await);
}
