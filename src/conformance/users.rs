//! The sessions of a user, on a [`Maintenance`](crate::Maintenance) store with or without the column
//! of users.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::MaintenanceFixture;
use super::managed::{new_cookie, patient};
use super::support::{ONE, assert_rows, is_found, new_id, races, saved, update_of};
use crate::admin::{Progress, Revoke, RowName, UserOptions, revoke, sessions_of};
use crate::codec::Json;
use crate::id::SessionId;
use crate::manager::{ManagerOptions, SessionManager, Users};
use crate::record::{Lookup, Row, Scan, Still};
use crate::session::{Outcome, Session};
use crate::store::Maintenance as _;

/// Enough that several batches have rows of a user.
const SESSIONS: usize = 7;
const ROUNDS: usize = 5;

type Managed<F> = SessionManager<Arc<<F as super::Fixture>::Store>>;

fn options() -> ManagerOptions {
    ManagerOptions { users: Some(Users::key("user")), ..patient() }
}

async fn open<F: MaintenanceFixture>() -> (F, Managed<F>) {
    let (fixture, store) = F::open().await;
    (fixture, SessionManager::with_options(Arc::new(store), Json, options()))
}

/// Signs in.
pub(super) async fn login<S: crate::Store>(manager: &SessionManager<S>, user: &str) -> SessionId {
    let session = manager.session(None);
    session.insert("user", user).unwrap();
    new_cookie(&session.commit().await.unwrap())
}

async fn logins<F: MaintenanceFixture>(manager: &Managed<F>, user: &str) -> Vec<SessionId> {
    let mut ids = Vec::new();
    for _ in 0..SESSIONS {
        ids.push(login(manager, user).await);
    }
    ids
}

/// As somebody writes a row who knows of no column.
async fn put<F: MaintenanceFixture>(fixture: &F, id: &str, user: &str) {
    let data = format!(r#"{{"value":{{"user":"{user}"}}}}"#);
    fixture.put(id, Some(data.as_bytes())).await;
}

async fn is_alive<F: MaintenanceFixture>(manager: &Managed<F>, id: &SessionId) -> bool {
    is_found(&**manager.store(), &Lookup::with_legacy(id)).await
}

async fn rows<F: MaintenanceFixture>(manager: &Managed<F>) -> Vec<Row> {
    let scan = Scan { with_data: true, ..Scan::new(1_000) };
    manager.store().scan(&scan).await.unwrap()
}

/// Looks at a few rows at a time.
fn in_batches(batch: u32) -> UserOptions {
    let mut options = UserOptions::new(Users::key("user"), Arc::new(Json));
    options.pace.batch = batch;
    options
}

fn watch(_: &Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Each once and nobody else's, whoever wrote it and whatever the size of a batch; also in a raw row,
/// and where nobody can read the data of a neighbour.
pub async fn the_sessions_of_a_user_are_listed<F: MaintenanceFixture>() {
    let (fixture, manager) = open::<F>().await;
    assert!(manager.sessions_of("ada").await.unwrap().is_empty());
    let mut ids: Vec<SessionId> = Vec::new();
    for at in 0..SESSIONS {
        ids.push(login(&manager, "ada").await);
        login(&manager, if at % 2 == 0 { "ada " } else { "ADA" }).await;
    }
    let (foreign, raw) = (new_id(), new_id());
    put(&fixture, foreign.private().as_str(), "ada").await;
    put(&fixture, raw.as_str(), "ada").await;
    put(&fixture, new_id().private().as_str(), "bob").await;
    fixture.put(new_id().private().as_str(), Some(br#""no session""#)).await;
    fixture.put(new_id().private().as_str(), None).await;
    for batch in [1, 2, 5, 1_000] {
        let store = &**manager.store();
        let found = sessions_of(store, "ada", &in_batches(batch), watch).await.unwrap();
        let names: HashSet<_> = found.sessions.iter().map(|session| session.row.clone()).collect();
        assert_eq!((found.sessions.len(), names.len()), (SESSIONS + 2, SESSIONS + 2));
        assert!(found.seen >= SESSIONS as u64 + 2);
        for session in &found.sessions {
            assert_eq!(session.get::<String>("user").unwrap().as_deref(), Some("ada"));
            assert!(session.size > 0);
            let told = format!("{session:?} {}", session.row);
            assert!(!told.contains("2::") && !told.contains(raw.as_str()));
        }
    }
    assert_eq!(manager.sessions_of("bob").await.unwrap().len(), 1);
    assert!(manager.sessions_of("").await.unwrap().is_empty());
    assert!(manager.sessions_of(&"x".repeat(300)).await.unwrap().is_empty());
    let current = manager.session(Some(ids.remove(0)));
    let mut marked = 0;
    for session in manager.sessions_of("ada").await.unwrap() {
        marked += usize::from(manager.is_current(&current, &session).await.unwrap());
    }
    assert_eq!(marked, 1);
}

/// By its row, and only with the name of its user.
pub async fn one_session_is_ended<F: MaintenanceFixture>() {
    let (_fixture, manager) = open::<F>().await;
    let ids = logins::<F>(&manager, "ada").await;
    login(&manager, "bob").await;
    let theirs = manager.sessions_of("bob").await.unwrap().remove(0);
    assert!(!manager.end_session("ada", &theirs.row).await.unwrap());
    assert!(!manager.end_session("ada", &"nonsense".into()).await.unwrap());
    let own = manager.sessions_of("ada").await.unwrap().remove(3);
    assert!(manager.end_session("ada", &own.row).await.unwrap());
    assert!(!manager.end_session("ada", &own.row).await.unwrap());
    assert_eq!(manager.sessions_of("ada").await.unwrap().len(), SESSIONS - 1);
    assert_eq!(manager.sessions_of("bob").await.unwrap().len(), 1);
    let mut dead = 0;
    for id in &ids {
        dead += usize::from(!is_alive::<F>(&manager, id).await);
    }
    assert_eq!(dead, 1);
}

/// The one that asks stays, whatever it does in the same request.
pub async fn all_other_sessions_are_ended<F: MaintenanceFixture>() {
    let (fixture, manager) = open::<F>().await;
    let mine = login(&manager, "ada").await;
    logins::<F>(&manager, "ada").await;
    let theirs = login(&manager, "bob").await;
    put(&fixture, new_id().as_str(), "ada").await;

    let anonymous = manager.session(None);
    assert_eq!(manager.end_other_sessions(&anonymous).await.unwrap(), 0);
    let changes_password = manager.session(Some(mine));
    changes_password.renew().unwrap();
    let ended = manager.end_other_sessions(&changes_password).await.unwrap();
    assert_eq!(ended, SESSIONS as u64 + 1);
    let mine = new_cookie(&changes_password.commit().await.unwrap());
    assert!(is_alive::<F>(&manager, &mine).await && is_alive::<F>(&manager, &theirs).await);

    let signs_in = manager.session(Some(mine.clone()));
    signs_in.reset().unwrap();
    signs_in.insert("user", "bob").unwrap();
    assert_eq!(manager.end_other_sessions(&signs_in).await.unwrap(), 1);
    let mine = new_cookie(&signs_in.commit().await.unwrap());
    let left = manager.sessions_of("bob").await.unwrap();
    assert!(left.len() == 1 && is_alive::<F>(&manager, &mine).await);
    assert!(manager.sessions_of("ada").await.unwrap().is_empty());
}

/// The row that is to stay is the user's own; where it is not, nothing ends.
pub async fn all_but_a_row_are_ended<F: MaintenanceFixture>() {
    let (fixture, manager) = open::<F>().await;
    logins::<F>(&manager, "ada").await;
    login(&manager, "bob").await;
    let (store, options) = (&**manager.store(), in_batches(2));
    let theirs = manager.sessions_of("bob").await.unwrap().remove(0).row;
    let own = manager.sessions_of("ada").await.unwrap().remove(3).row;
    for (kept, missing) in [(theirs, true), ("nonsense".into(), true), (own.clone(), false)] {
        let which = Revoke::Others(kept);
        let dry = UserOptions { dry_run: true, ..options.clone() };
        let revoked = if missing { 0 } else { SESSIONS as u64 - 1 };
        for options in [&dry, &options] {
            let report = revoke(store, "ada", &which, options, watch).await.unwrap();
            assert_eq!((report.revoked, report.missing), (revoked, missing));
        }
    }
    let left = manager.sessions_of("ada").await.unwrap();
    assert!(left.len() == 1 && left[0].row == own);
    assert_eq!(fixture.rows().await.len(), 2);
    let one = |row: &RowName| Revoke::One(row.clone());
    for missing in [false, true] {
        let report = revoke(store, "ada", &one(&own), &options, watch).await.unwrap();
        assert_eq!((report.revoked, report.missing), (u64::from(!missing), missing));
    }
}

/// And no others, in batches of any size.
pub async fn all_sessions_of_a_user_are_ended<F: MaintenanceFixture>() {
    let (fixture, manager) = open::<F>().await;
    let kept = login(&manager, "bob").await;
    for batch in [1, 3, 1_000] {
        logins::<F>(&manager, "ada").await;
        let raw = new_id();
        put(&fixture, raw.as_str(), "ada").await;
        let (store, options) = (&**manager.store(), in_batches(batch));
        let dry = UserOptions { dry_run: true, ..options.clone() };
        for (options, revoked) in [(&dry, SESSIONS + 1), (&options, SESSIONS + 1), (&options, 0)] {
            let report = revoke(store, "ada", &Revoke::All, options, watch).await.unwrap();
            assert_eq!(report.revoked, revoked as u64);
        }
        assert!(!is_alive::<F>(&manager, &raw).await && is_alive::<F>(&manager, &kept).await);
    }
    assert_eq!(fixture.rows().await.len(), 1);
}

/// Nothing ends that is not what it was read as.
pub async fn a_row_that_has_changed_is_not_ended<F: MaintenanceFixture>() {
    let (fixture, manager) = open::<F>().await;
    let store = &**manager.store();
    let [changed, renewed] = [login(&manager, "ada").await, login(&manager, "ada").await];
    let before = rows::<F>(&manager).await;
    saved(store, update_of(changed.private().into(), ONE)).await;
    let new = new_id().private();
    saved(store, crate::Update::new(renewed.private().into()).rekey(new)).await;
    assert_eq!(store.end(&before, Still::Unchanged).await.unwrap(), [false, false]);
    let is_named = |row: &Row| *row.stored_id == *changed.private().as_str();
    let expected: Vec<bool> = before.iter().map(is_named).collect();
    assert_eq!(store.end(&before, Still::Named).await.unwrap(), expected);
    assert!(store.end(&[], Still::Unchanged).await.unwrap().is_empty());
    let data = r#"{"value":{"user":"ada"}}"#;
    assert_rows(&fixture, &[(new.as_str(), Some(data))]).await;
    assert_eq!(store.end(&rows::<F>(&manager).await, Still::Unchanged).await.unwrap(), [true]);
    fixture.put(new.as_str(), None).await;
    assert_eq!(store.end(&rows::<F>(&manager).await, Still::Unchanged).await.unwrap(), [true]);
}

/// A row that has become another user's between the look and the end stays; one that was only saved
/// or renewed is looked at again and ends.
pub async fn a_row_that_has_become_anothers_stays<F: MaintenanceFixture>() {
    let (_fixture, manager) = open::<F>().await;
    let mine = login(&manager, "ada").await;
    let session = manager.session(Some(mine));
    session.reset().unwrap();
    session.insert("user", "bob").unwrap();
    let before = rows::<F>(&manager).await;
    let id = new_cookie(&session.commit().await.unwrap());
    let has_column = manager.store().inspect().await.unwrap().user;
    let still = if has_column { Still::Owned } else { Still::Unchanged };
    assert_eq!(manager.store().end(&before, still).await.unwrap(), [false]);
    assert_eq!(manager.end_sessions("ada").await.unwrap(), 0);
    assert!(is_alive::<F>(&manager, &id).await);
}

/// Works on its session until it has ended.
async fn works<S: crate::Store>(manager: SessionManager<S>, mut id: SessionId, renews: bool) {
    for round in 0.. {
        let session: Session = manager.session(Some(id.clone()));
        session.insert("round", round).unwrap();
        if renews {
            session.renew().unwrap();
        }
        let commit = session.commit().await.unwrap();
        match commit.outcome {
            Outcome::Saved | Outcome::Merged if renews => id = new_cookie(&commit),
            Outcome::Saved | Outcome::Merged => {}
            // The session has ended; a stale cookie begins one that is nobody's.
            _ => return,
        }
        tokio::task::yield_now().await;
    }
}

/// Also one that is saved or renewed all the time.
pub async fn sessions_in_use_are_ended<F: MaintenanceFixture>() {
    let (_fixture, manager) = open::<F>().await;
    for _ in 0..ROUNDS {
        let mut workers = Vec::new();
        for renews in [false, true] {
            let id = login(&manager, "ada").await;
            workers.push(tokio::spawn(works(manager.clone(), id, renews)));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        manager.end_sessions("ada").await.unwrap();
        for worker in workers {
            let ended = tokio::time::timeout(Duration::from_secs(60), worker).await;
            ended.expect("the session goes on").unwrap();
        }
        assert!(manager.sessions_of("ada").await.unwrap().is_empty());
    }
}

/// What was stored before the call has ended after it; what begins meanwhile ends with the next.
pub async fn logins_that_meet_the_end_are_before_or_after<F: MaintenanceFixture>() {
    let (fixture, manager) = open::<F>().await;
    for _ in 0..races(ROUNDS) {
        let called = Arc::new(AtomicBool::new(false));
        let sign_in = |_| {
            let (manager, called) = (manager.clone(), Arc::clone(&called));
            async move {
                let mut before = Vec::new();
                while !called.load(Ordering::SeqCst) {
                    let id = login(&manager, "ada").await;
                    if !called.load(Ordering::SeqCst) {
                        before.push(id);
                    }
                }
                login(&manager, "ada").await;
                before
            }
        };
        let signing_in: Vec<_> = (0..4).map(sign_in).map(tokio::spawn).collect();
        tokio::time::sleep(Duration::from_millis(10)).await;
        called.store(true, Ordering::SeqCst);
        manager.end_sessions("ada").await.unwrap();
        for signing_in in signing_in {
            for id in signing_in.await.unwrap() {
                assert!(!is_alive::<F>(&manager, &id).await, "a session of before is alive");
            }
        }
        manager.end_sessions("ada").await.unwrap();
        assert!(fixture.rows().await.is_empty());
    }
}

/// Without the function there is nobody to ask for.
pub async fn without_the_function_nobody_is_found<F: MaintenanceFixture>() {
    let (fixture, store) = F::open().await;
    let manager = SessionManager::with_options(store, Json, patient());
    put(&fixture, new_id().private().as_str(), "ada").await;
    assert!(manager.sessions_of("ada").await.unwrap_err().is_config());
    assert!(manager.end_sessions("ada").await.unwrap_err().is_config());
    assert_eq!(fixture.rows().await.len(), 1);
}
