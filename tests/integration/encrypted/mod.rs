//! Encrypted sessions, on every database.

mod columns;
mod life;
mod refused;
mod ruby;
mod together;

use sqlbypass::{
    AnyStore, Encrypted, Json, Key, Keys, Lookup, ManagerOptions, SessionId, SessionManager,
    Store as _, Update,
};

/// Each case on each database, on a table of its own.
macro_rules! everywhere {
    ($($case:ident)+) => {
        everywhere! { @on sqlite $($case)+ }
        everywhere! { @on postgres $($case)+ }
        everywhere! { @on mariadb $($case)+ }
    };
    (@on $database:ident $($case:ident)+) => {
        mod $database {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                if let Some(place) = crate::life::place::Place::$database().await {
                    super::$case(&place).await;
                }
            }
        )+}
    };
}
use everywhere;

/// What the data column never shows.
const SENTINEL: &str = "sentinel words";

fn keys() -> Keys {
    Keys::new(Key::new("k1", [7; 32]).unwrap())
}

fn codec() -> Encrypted<Json> {
    Encrypted::new(Json, keys())
}

fn manager(store: &AnyStore) -> SessionManager<AnyStore> {
    SessionManager::new(store.clone(), codec())
}

fn with(store: &AnyStore, options: ManagerOptions) -> SessionManager<AnyStore> {
    SessionManager::with_options(store.clone(), codec(), options)
}

/// A new session that holds the sentinel.
async fn begin(manager: &SessionManager<AnyStore>) -> SessionId {
    let session = manager.session(None);
    session.insert("words", SENTINEL).unwrap();
    session.commit().await.unwrap();
    session.id().await.unwrap().unwrap()
}

async fn words(manager: &SessionManager<AnyStore>, id: &SessionId) -> Option<String> {
    manager.session(Some(id.clone())).get("words").await.unwrap()
}

/// What the row holds.
async fn stored(store: &AnyStore, id: &SessionId) -> Option<String> {
    let record = store.find(&Lookup::with_legacy(id)).await.unwrap()?;
    Some(String::from_utf8(record.data.unwrap().to_vec()).unwrap())
}

async fn assert_hidden(store: &AnyStore, id: &SessionId) {
    let stored = stored(store, id).await.unwrap();
    assert!(stored.starts_with("sbe1.k1.") && !stored.contains("sentinel"), "{stored}");
}

/// Writes into the row, as who can write the table does.
async fn put(store: &AnyStore, id: &SessionId, data: &str) {
    let update = Update::new(id.private().into()).data(data.to_owned());
    store.save(&sqlbypass::Save::Update(update)).await.unwrap();
}
