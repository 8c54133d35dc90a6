//! No id and no session data in `Debug`, `Display` or a chain of sources, whatever goes wrong.

use std::error::Error as _;
use std::fmt::Debug;

use http::{Request, Response};
use sqlbypass::{
    Changes, Codec, Commit, CommitFailure, CookieChange, CookieOptions, Error, Expiry, Guard,
    Insert, Json, Lookup, Maintenance, Map, Null, Outcome, Row, RowKey, Save, Scan, Session,
    SessionId, SessionLayer, SessionManager, SqliteStore, Store, Update, Value, ValueRef,
};
use tower::Layer;

use super::{Place, insert, new_id, update};

/// In data as a key and as a value.
const SENTINEL: &str = "SENTINEL";

/// What was printed.
#[derive(Default)]
struct Printed(String);

impl Printed {
    fn debug(&mut self, value: &dyn Debug) {
        self.0 += &format!("{value:?}\n{value:#?}\n");
    }

    fn error(&mut self, error: &Error) {
        self.debug(error);
        self.0 += &format!("{error}\n");
        let mut source = error.source();
        while let Some(cause) = source {
            self.0 += &format!("{cause} {cause:?}\n");
            source = cause.source();
        }
    }

    fn assert_clean(&self, ids: &[&SessionId]) {
        assert!(self.0.len() > 100, "nothing was printed");
        let at = |text: &str| self.0.find(text).map(|at| &self.0[at.saturating_sub(80)..at]);
        assert_eq!(at(SENTINEL), None);
        // Bytes as `Debug` of a slice would show them.
        let listed = SENTINEL.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", ");
        assert_eq!(at(&listed), None);
        for id in ids {
            assert_eq!(at(id.as_str()), None);
            assert_eq!(at(&id.private().as_str()[3..]), None);
        }
    }
}

fn secret_map() -> Map {
    let nested: Map = [(SENTINEL, Value::from(SENTINEL))].into_iter().collect();
    [(SENTINEL, Value::from(nested))].into_iter().collect()
}

#[tokio::test]
async fn values_and_records_print_nothing_of_a_session() {
    let mut printed = Printed::default();
    let id = new_id();
    let data = format!(r#"{{"value":{{"{SENTINEL}":"{SENTINEL}"}}}}"#);
    printed.debug(&(&id, id.private(), id.legacy()));
    printed.debug(&(Lookup::with_legacy(&id), sqlbypass::StoredId::from(id.private())));
    let insert_one = Insert::new(id.private(), data.clone());
    let guard = Guard::Data(Some(data.clone().into()));
    let change =
        Update { guard: guard.clone(), expiry: Expiry::Never, ..Update::new(id.private().into()) };
    let change = change.data(data.clone()).rekey(id.private());
    printed.debug(&(&insert_one, &change, guard));
    printed.debug(&(Save::Insert(insert_one), Save::Update(change)));
    let key = RowKey::Text(id.as_str().into());
    printed.debug(&Scan { after: Some(key), with_data: true, ..Scan::new(1) });
    let map = secret_map();
    let value = Value::from(map.clone());
    printed.debug(&(ValueRef::owned(&value), &value, Value::from(SENTINEL), &map));
    let mut changes = Changes::new();
    changes.set(SENTINEL, value);
    printed.debug(&changes);
    let cookie = CookieChange::Set(id.clone());
    printed.debug(&(Commit { outcome: Outcome::Created, cookie: cookie.clone() }, cookie));

    let store = SqliteStore::builder(":memory:").create(true).open().await.unwrap();
    insert(&store, &id, data).await.unwrap();
    printed.debug(&store.find(&Lookup::new(&id)).await.unwrap().unwrap());
    let scan = Scan { with_data: true, ..Scan::new(9) };
    let rows: Vec<Row> = store.scan(&scan).await.unwrap();
    printed.debug(&rows);
    printed.debug(&store);
    printed.assert_clean(&[&id]);
}

#[tokio::test]
async fn sessions_and_middleware_print_nothing_of_a_session() {
    let mut printed = Printed::default();
    let id = new_id();
    let store = SqliteStore::builder(":memory:").create(true).open().await.unwrap();
    let data = format!(r#"{{"value":{{"{SENTINEL}":"{SENTINEL}"}}}}"#);
    insert(&store, &id, data).await.unwrap();
    let manager = SessionManager::new(store, Json);
    let session = manager.session(Some(id.clone()));
    session.value(SENTINEL).await.unwrap().unwrap();
    session.insert(SENTINEL, 1).unwrap();
    printed.debug(&(&session, &manager, session.info().await.unwrap()));
    printed.debug(&session.to_map().await.unwrap());
    let layer = SessionLayer::new(manager).report(true).cookie(CookieOptions::default()).unwrap();
    printed.debug(&layer);
    let inner = tower::service_fn(|request: Request<()>| async move {
        request.extensions().get::<Session>().unwrap().renew()?;
        Ok::<_, Error>(Response::new(String::new()))
    });
    let mut service = layer.layer(inner);
    let request = Request::builder().header("cookie", format!("_session_id={}", id.as_str()));
    let future = tower::Service::call(&mut service, request.body(()).unwrap());
    printed.debug(&future);
    let response = future.await.unwrap();
    let text = response.headers()["set-cookie"].to_str().unwrap();
    let renewed = text.split(['=', ';']).nth(1).unwrap();
    let renewed = SessionId::parse(renewed.as_bytes()).unwrap();
    // The header is marked, so that a trace of headers does not show it either.
    printed.debug(&response);
    printed.assert_clean(&[&id, &renewed]);
}

/// Data that each codec stumbles over, the sentinel on either side.
fn broken() -> impl Iterator<Item = String> {
    let texts = [
        SENTINEL.to_owned(),
        format!(r#"{{"value":{{"{SENTINEL}":"{SENTINEL}"#),
        format!(r#"{{"value":"{SENTINEL}"}}"#),
        format!(r#"["{SENTINEL}"]"#),
        format!(r#"{{"value":{{"{SENTINEL}":{SENTINEL}}}}}"#),
        format!("{{\"value\":{{\"{SENTINEL}\":\"\u{1}{SENTINEL}\"}}}}"),
    ];
    texts.into_iter()
}

#[tokio::test]
async fn errors_of_codecs_and_values_print_nothing_of_a_session() {
    let mut printed = Printed::default();
    let codecs: [&dyn Codec; 2] = [&Json, &Null];
    for text in broken() {
        let failed = codecs.map(|codec| codec.open(Some(text.clone().into())).err());
        assert!(failed.iter().any(Option::is_some), "{text}");
        failed.iter().flatten().for_each(|error| printed.error(error));
    }
    let mut invalid = format!(r#"{{"value":{{"a":"{SENTINEL}"#).into_bytes();
    invalid.push(0xff);
    printed.error(&Json.open(Some(invalid.into())).err().unwrap());

    let value = Value::from(secret_map());
    printed.error(&value.deserialize::<Vec<u8>>().unwrap_err());
    printed.error(&Value::from(SENTINEL).deserialize::<u32>().unwrap_err());
    let odd_keys = std::collections::BTreeMap::from([(vec![1_u8], SENTINEL)]);
    printed.error(&Value::from_serialize(&odd_keys).unwrap_err());

    let store = SqliteStore::builder(":memory:").create(true).open().await.unwrap();
    let id = new_id();
    insert(&store, &id, format!(r#"{{"value":{{"a":"{SENTINEL}"}}}}"#)).await.unwrap();
    let session = SessionManager::new(store, Json).session(Some(id.clone()));
    printed.error(&session.get::<u32>("a").await.unwrap_err());
    printed.error(&session.insert("session_id", SENTINEL).unwrap_err());
    printed.assert_clean(&[&id]);
}

/// Constraints and triggers whose messages SQLite would pass on.
#[tokio::test]
async fn errors_of_the_database_print_nothing_of_a_session() {
    let place = Place::with(
        "CREATE TABLE sessions (session_id varchar PRIMARY KEY,
            data text CHECK (data NOT LIKE '%refused%'));
        CREATE TRIGGER told BEFORE UPDATE ON sessions WHEN NEW.data LIKE '%raise%'
        BEGIN SELECT RAISE(ABORT, 'SENTINEL'); END;",
    );
    let mut printed = Printed::default();
    let store = place.open().await;
    let id = new_id();
    insert(&store, &id, "one").await.unwrap();
    let refused = insert(&store, &new_id(), format!("{SENTINEL} refused")).await.unwrap_err();
    let raised = update(&store, &id, format!("{SENTINEL} raise")).await.unwrap_err();
    for error in [refused, raised] {
        assert!(error.code().is_some());
        printed.error(&error);
        printed.debug(&CommitFailure(std::sync::Arc::new(error)));
    }
    place.raw().execute_batch("ALTER TABLE sessions RENAME COLUMN data TO payload").unwrap();
    printed.error(&update(&store, &id, SENTINEL).await.unwrap_err());
    store.close().await.unwrap();
    printed.error(&update(&store, &id, SENTINEL).await.unwrap_err());
    printed.assert_clean(&[&id]);
}
