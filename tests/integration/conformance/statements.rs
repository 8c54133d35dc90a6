//! What really reaches SQLite: its own trace of the statements, on readers and writer.

use std::sync::{Arc, Mutex};

use rusqlite::trace::{TraceEvent, TraceEventCodes};
use rusqlite::{Connection, OpenFlags};
use sqlbypass::{CookieChange, Json, Session, SessionId, SessionManager, SqliteStore};

/// The verbs of the statements since the last look.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn note(&self, event: &TraceEvent<'_>) {
        if let TraceEvent::Stmt(_, sql) = event {
            let verb = sql.split_whitespace().next().unwrap_or_default().to_owned();
            self.0.lock().unwrap().push(verb);
        }
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

async fn commit(session: &Session) -> Option<SessionId> {
    match session.commit().await.unwrap().cookie {
        CookieChange::Set(id) => Some(id),
        CookieChange::Keep | CookieChange::Clear => None,
    }
}

#[tokio::test]
async fn statements_are_as_few_as_promised() {
    let trace = Seen::default();
    let hook = trace.clone();
    let seen = || trace.take();
    let connect = move || {
        let mut connection =
            Connection::open_with_flags("file:/statements?vfs=memdb", OpenFlags::default())?;
        let hook = hook.clone();
        let note = move |event: TraceEvent<'_>| hook.note(&event);
        connection.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(note))?;
        Ok(connection)
    };
    let store = SqliteStore::factory(connect).create(true).readers(1).open().await.unwrap();
    let manager = SessionManager::new(store, Json);
    let session = |id: &SessionId| manager.session(Some(id.clone()));
    assert!(!seen().is_empty(), "the trace works");

    let created = manager.session(None);
    created.insert("n", 1).unwrap();
    let id = commit(&created).await.unwrap();
    assert_eq!(seen(), ["INSERT"]);

    let changed = session(&id);
    changed.insert("n", 2).unwrap();
    commit(&changed).await;
    assert_eq!(seen(), ["SELECT", "UPDATE"]);

    commit(&session(&id)).await;
    assert!(seen().is_empty(), "an untouched session");

    let unchanged = session(&id);
    assert_eq!(unchanged.get("n").await.unwrap(), Some(2));
    unchanged.insert("n", 2).unwrap();
    commit(&unchanged).await;
    assert_eq!(seen(), ["SELECT"]);

    let renewed = session(&id);
    renewed.renew().unwrap();
    let id = commit(&renewed).await.unwrap();
    assert_eq!(seen(), ["SELECT", "UPDATE"]);

    let reset = session(&id);
    reset.reset().unwrap();
    let id = commit(&reset).await.unwrap();
    assert_eq!(seen(), ["SELECT", "UPDATE"]);

    let stale = session(&SessionId::generate().unwrap());
    assert!(stale.is_empty().await.unwrap());
    commit(&stale).await;
    assert_eq!(seen(), ["SELECT"]);

    let ended = session(&id);
    ended.destroy().unwrap();
    commit(&ended).await;
    assert_eq!(seen(), ["DELETE"]);
}
