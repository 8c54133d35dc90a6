//! Our stores under `tower-sessions`' own middleware, with a client that keeps cookies as browsers do.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Path;
use axum::routing::get;
use cookie::{Cookie, CookieJar};
use http::{Request, StatusCode};
use sqlbypass::{
    Json, Lookup, Maintenance, Marshal, Scan, SessionId, SqliteStore, Store, Table, TowerSessions,
};
use tower::ServiceExt;
use tower_sessions::session::{Id, Record};
use tower_sessions::session_store::Error as TowerError;
use tower_sessions::{Expiry, Session, SessionManagerLayer, SessionStore};

const FORTNIGHT: time::Duration = time::Duration::days(14);

async fn store() -> SqliteStore {
    SqliteStore::builder(":memory:").create(true).open().await.unwrap()
}

fn record(expires_in: time::Duration) -> Record {
    let data = [("n".to_owned(), serde_json::json!({"deep": [1, 2.5, null, "ü"]}))];
    let expiry_date = time::OffsetDateTime::now_utc() + expires_in;
    Record { id: Id::default(), data: data.into_iter().collect(), expiry_date }
}

/// The public id of this record's cookie.
fn public(id: &Id) -> SessionId {
    SessionId::parse(id.to_string().as_bytes()).unwrap()
}

async fn rows(store: &impl Maintenance) -> usize {
    let scan = Scan::new(100);
    store.scan(&scan).await.unwrap().len()
}

struct Browser {
    router: Router,
    jar: CookieJar,
}

impl Browser {
    fn new(store: &TowerSessions<SqliteStore>, expiry: Expiry) -> Self {
        let layer = SessionManagerLayer::new(store.clone()).with_expiry(expiry);
        let router = Router::new().route("/{action}", get(act)).layer(layer);
        Self { router, jar: CookieJar::new() }
    }

    /// Another window with the same cookies, whose answers this one does not see.
    fn fork(&self) -> Self {
        Self { router: self.router.clone(), jar: self.jar.clone() }
    }

    async fn get(&mut self, action: &str) -> (StatusCode, String) {
        let cookies: Vec<String> =
            self.jar.iter().map(|cookie| cookie.stripped().to_string()).collect();
        let request = Request::builder().uri(format!("/{action}"));
        let request = request.header("cookie", cookies.join("; ")).body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        for value in response.headers().get_all("set-cookie") {
            let cookie = Cookie::parse(value.to_str().unwrap().to_owned()).unwrap();
            match cookie.max_age() {
                Some(age) if !age.is_positive() => self.jar.force_remove(cookie.name()),
                _ => self.jar.add(cookie),
            }
        }
        let status = response.status();
        let body = to_bytes(response.into_body(), 1_000).await.unwrap();
        (status, String::from_utf8(body.into()).unwrap())
    }

    fn id(&self) -> Option<String> {
        self.jar.iter().next().map(|cookie| cookie.value().to_owned())
    }
}

async fn act(Path(action): Path<String>, session: Session) -> String {
    let count: u64 = session.get("count").await.unwrap().unwrap_or(0);
    match action.as_str() {
        "count" => session.insert("count", count + 1).await.unwrap(),
        "login" => session.cycle_id().await.unwrap(),
        "logout" => session.flush().await.unwrap(),
        "slow" => {
            // Meanwhile somebody logs out.
            tokio::time::sleep(Duration::from_millis(300)).await;
            session.insert("count", count + 1).await.unwrap();
        }
        _ => {}
    }
    count.to_string()
}

#[tokio::test]
async fn a_browser_counts_logs_in_and_logs_out() {
    let store = TowerSessions::new(store().await, Json);
    let mut browser = Browser::new(&store, Expiry::OnInactivity(time::Duration::hours(1)));
    for expected in ["0", "1", "2"] {
        assert_eq!(browser.get("count").await, (StatusCode::OK, expected.into()));
    }
    let before = browser.id().unwrap();
    browser.get("login").await;
    assert_ne!(browser.id().unwrap(), before);
    assert_eq!(browser.get("count").await.1, "3", "the data went along");
    assert_eq!(rows(store.store()).await, 1, "the old id has no row");
    browser.get("logout").await;
    assert_eq!(browser.id(), None);
    assert_eq!(rows(store.store()).await, 0);
    assert_eq!(browser.get("read").await.1, "0");
    assert_eq!(rows(store.store()).await, 0, "a read makes no row");
}

#[tokio::test]
async fn a_save_after_a_logout_revives_nothing() {
    let store = TowerSessions::new(store().await, Json);
    let mut browser = Browser::new(&store, Expiry::OnSessionEnd);
    browser.get("count").await;
    let mut slow = browser.fork();
    let (late, _) = tokio::join!(slow.get("slow"), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        browser.get("logout").await
    });
    assert_eq!(late.0, StatusCode::INTERNAL_SERVER_ERROR, "no success for what was dropped");
    assert_eq!(rows(store.store()).await, 0);
}

#[tokio::test]
async fn an_id_that_is_taken_is_not_written_over() {
    let store = TowerSessions::new(store().await, Json);
    let mut first = record(FORTNIGHT);
    store.create(&mut first).await.unwrap();
    let mut second = record(FORTNIGHT);
    second.id = first.id;
    second.data.insert("n".into(), 2.into());
    store.create(&mut second).await.unwrap();
    assert_ne!(second.id, first.id);
    assert_eq!(store.load(&first.id).await.unwrap().unwrap().data, first.data);
    assert_eq!(store.load(&second.id).await.unwrap().unwrap().data, second.data);
}

#[tokio::test]
async fn a_record_reads_back_as_it_was() {
    for store in
        [TowerSessions::new(store().await, Json), TowerSessions::new(store().await, Marshal)]
    {
        let mut record = record(FORTNIGHT);
        store.create(&mut record).await.unwrap();
        record.data.insert("more".into(), "text".into());
        store.save(&record).await.unwrap();
        let found = store.load(&record.id).await.unwrap().unwrap();
        assert_eq!((found.id, &found.data), (record.id, &record.data));
        let off = (found.expiry_date - record.expiry_date).abs();
        assert!(off < time::Duration::milliseconds(1), "{off}");
    }
}

#[tokio::test]
async fn the_expiry_ends_a_session_without_and_with_a_column() {
    for column in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sessions.db");
        let plain = SqliteStore::builder(&path).create(true).open().await.unwrap();
        plain.close().await.unwrap();
        if column {
            let beside = rusqlite::Connection::open(&path).unwrap();
            beside.execute_batch("ALTER TABLE sessions ADD expires_at datetime(6)").unwrap();
        }
        let plain = SqliteStore::builder(&path).open().await.unwrap();
        let store = TowerSessions::new(plain.clone(), Json);
        let mut lasting = record(FORTNIGHT);
        let mut short = record(time::Duration::seconds(2));
        store.create(&mut lasting).await.unwrap();
        store.create(&mut short).await.unwrap();
        assert!(store.load(&short.id).await.unwrap().is_some());
        tokio::time::sleep(Duration::from_millis(2_200)).await;
        assert!(store.load(&short.id).await.unwrap().is_none());
        assert!(store.load(&lasting.id).await.unwrap().is_some());
        // With the column the database itself does not find it any more, nor does a save.
        let row = plain.find(&Lookup::new(&public(&short.id))).await.unwrap();
        assert_eq!(row.is_none(), column);
        if column {
            assert!(matches!(store.save(&short).await, Err(TowerError::Backend(_))));
        }
    }
}

#[tokio::test]
async fn what_others_wrote_is_read_and_what_cannot_be_read_is_an_error() {
    let plain = store().await;
    let store = TowerSessions::new(plain.clone(), Json);
    for (data, readable) in [(r#"{"value":{"user":7}}"#, true), ("no json", false)] {
        let id = Id::default();
        let insert = sqlbypass::Insert::new(public(&id).private(), data);
        plain.save(&sqlbypass::Save::Insert(insert)).await.unwrap();
        match store.load(&id).await {
            Ok(found) => assert!(readable && found.unwrap().data["user"] == 7),
            Err(error) => assert!(!readable && matches!(error, TowerError::Decode(_))),
        }
    }
}

#[tokio::test]
async fn no_id_shows() {
    let missing = Table::new("elsewhere").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.db");
    let plain = SqliteStore::builder(path).create(true).table(missing).open().await.unwrap();
    let store = TowerSessions::new(plain.clone(), Json);
    plain.close().await.unwrap();
    let record = record(FORTNIGHT);
    let error = store.save(&record).await.unwrap_err();
    let public = record.id.to_string();
    let private = self::public(&record.id).private().as_str().to_owned();
    for text in [format!("{error} {error:?}"), format!("{store:?}")] {
        assert!(!text.contains(&public) && !text.contains(&private), "{text}");
    }
}
