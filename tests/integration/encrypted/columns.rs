//! Every kind of data column holds an envelope, and gives back what it was made of.

use std::ops::ControlFlow;

use sqlbypass::admin::{EncryptOptions, encrypt};
use sqlbypass::{AnyStore, Encrypted, Json, Recrypt, SessionManager};

use super::{SENTINEL, begin, keys, stored, words};
use crate::life::place::Place;

async fn recrypt(store: &AnyStore, to: Recrypt, in_json: bool) {
    let options = EncryptOptions { in_json, ..EncryptOptions::new(to, keys()) };
    let report = encrypt(store, &options, |_| ControlFlow::Continue(())).await.unwrap();
    assert_eq!((report.converted, report.refused), (1, 0));
}

async fn in_a_column(place: &Place, change: &str) {
    if !change.is_empty() {
        place.rails().await.execute(&change.replace("{table}", &place.table), &[]).await;
    }
    let store = place.open().await;
    let in_json = change.contains("json");
    // MariaDB's json is longtext with a check.
    let told = in_json && place.url.starts_with("mysql");
    let codec = Encrypted::new(Json, keys()).in_json(in_json);
    let manager = SessionManager::new(store.clone(), codec);
    let id = begin(&manager).await;
    let session = manager.session(Some(id));
    session.insert("n", 1).unwrap();
    session.renew().unwrap();
    session.commit().await.unwrap();
    let id = session.id().await.unwrap().unwrap();
    assert_eq!(words(&manager, &id).await.as_deref(), Some(SENTINEL));
    let head = if in_json { "\"sbe1.k1." } else { "sbe1.k1." };
    assert!(stored(&store, &id).await.unwrap().starts_with(head), "{change}");
    recrypt(&store, Recrypt::Decrypt, told).await;
    let plain = SessionManager::new(store.clone(), Json);
    assert_eq!(words(&plain, &id).await.as_deref(), Some(SENTINEL));
    recrypt(&store, Recrypt::Encrypt, told).await;
    assert!(stored(&store, &id).await.unwrap().starts_with(head), "{change}");
    assert_eq!(words(&manager, &id).await.as_deref(), Some(SENTINEL));
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite() {
    in_a_column(&Place::sqlite().await.unwrap(), "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres() {
    for change in [
        "",
        "ALTER TABLE {table} ALTER COLUMN data TYPE bytea USING convert_to(data, 'UTF8')",
        "ALTER TABLE {table} ALTER COLUMN data TYPE json USING to_json(data)",
        "ALTER TABLE {table} ALTER COLUMN data TYPE jsonb USING to_jsonb(data)",
    ] {
        let Some(place) = Place::postgres().await else { return };
        in_a_column(&place, change).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_mariadb() {
    for change in [
        "",
        "ALTER TABLE {table} MODIFY data blob",
        "ALTER TABLE {table} MODIFY data json",
        "ALTER TABLE {table} MODIFY data longtext",
    ] {
        let Some(place) = Place::mariadb().await else { return };
        in_a_column(&place, change).await;
    }
}
