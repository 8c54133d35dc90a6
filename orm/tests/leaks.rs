//! No id and no data in what sqlx, sea-orm and the store say at their loudest, in errors and in `Debug`.

#![cfg(feature = "sqlite")]

use std::error::Error as _;
use std::fmt::Debug;
use std::io::{self, Write};
use std::sync::Mutex;

use sea_orm::{ConnectOptions, ConnectionTrait as _, Database};
use sqlbypass::{
    CookieChange, Error, Guard, Insert, Json, Lookup, Maintenance as _, Save, Scan, SessionId,
    SessionManager, Store as _, Update,
};
use sqlbypass_orm::OrmStore;
use tracing_subscriber::fmt::format::FmtSpan;

const DATA: &str = "SENTINEL-of-the-data-5b7e";

static HEARD: Mutex<String> = Mutex::new(String::new());

struct Ear;

impl Write for Ear {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        heard(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn heard(text: &str) {
    HEARD.lock().unwrap().push_str(text);
}

fn told<T: Debug>(result: Result<T, Error>) {
    match result {
        Ok(answer) => heard(&format!("{answer:?} {answer:#?}\n")),
        Err(error) => {
            heard(&format!("{error} {error:?}\n"));
            let mut source = error.source();
            while let Some(cause) = source {
                heard(&format!("{cause} {cause:?}\n"));
                source = cause.source();
            }
        }
    }
}

async fn walk(store: &OrmStore) -> Vec<SessionId> {
    let ids: Vec<SessionId> = (0..3).map(|_| SessionId::generate().unwrap()).collect();
    for id in [&ids[0], &ids[1], &ids[0]] {
        told(store.save(&Save::Insert(Insert::new(id.private(), DATA))).await);
    }
    told(store.find(&Lookup::with_legacy(&ids[0])).await);
    told(store.find(&Lookup::with_legacy(&ids[2])).await);
    let stored = ids[0].private().into();
    for update in [
        Update { guard: Guard::Data(Some("other".into())), ..Update::new(stored) }.data(DATA),
        Update::new(stored).data(format!("{DATA} again")),
        Update::new(stored).rekey(ids[1].private()),
        Update::new(stored).data([DATA.as_bytes(), b"\xff"].concat()),
    ] {
        told(store.save(&Save::Update(update)).await);
    }
    told(store.scan(&Scan { with_data: true, ..Scan::new(9) }).await);
    told(store.destroy(&Lookup::with_legacy(&ids[0])).await);
    ids
}

#[tokio::test]
async fn sqlx_and_sea_orm_tell_no_secret() {
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_ansi(false)
        .with_writer(|| Ear)
        .finish();
    tracing_subscriber::util::SubscriberInitExt::try_init(subscriber).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("sessions.db").display());
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(true);
    let connection = Database::connect(options).await.unwrap();
    let store = OrmStore::new(connection.clone());
    store.create().await.unwrap();
    let mut ids = walk(&store).await;
    let manager = SessionManager::new(store.clone(), Json);
    let session = manager.session(None);
    session.insert("text", DATA).unwrap();
    let commit = session.commit().await.unwrap();
    let CookieChange::Set(id) = commit.cookie else { panic!("no id") };
    told(manager.session(Some(id.clone())).get::<u64>("text").await);
    ids.push(id);
    // What the database refuses in words of its own, and a table that is gone.
    connection
        .execute_unprepared(
            "CREATE TRIGGER refuses BEFORE UPDATE ON sessions BEGIN SELECT RAISE(ABORT, 'no'); END",
        )
        .await
        .unwrap();
    ids.extend(walk(&store).await);
    connection.execute_unprepared("DROP TABLE sessions").await.unwrap();
    ids.extend(walk(&store).await);

    let said = HEARD.lock().unwrap();
    assert!(said.contains("sqlx") && said.contains("UPDATE"), "the ears are deaf: {said}");
    let at = |word: &str| said.find(word).map(|at| &said[at.saturating_sub(200)..at]);
    assert_eq!(at(DATA), None);
    for id in ids {
        assert_eq!(at(id.as_str()), None);
        assert_eq!(at(id.private().as_str().trim_start_matches("2::")), None);
    }
}
