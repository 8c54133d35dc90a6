//! Parallel requests that still bear the id from before a rotation, on any table, with the `json`
//! codec.

use std::sync::Arc;
use std::time::Duration;

use super::managed::{Managed, committed, new_cookie, open, open_as, patient, quiet, session_of};
use super::support::{ONE, TWO, assert_rows, rows};
use super::{Calls, Fixture};
use crate::codec::Json;
use crate::id::SessionId;
use crate::manager::{Late, ManagerOptions, SessionManager};
use crate::record::Lookup;
use crate::session::{Commit, CookieChange, Outcome, Session};
use crate::store::Store;
use crate::value::Value;

/// Longer than a case takes.
const GRACE: Option<Duration> = Some(Duration::from_secs(60));

async fn graceful<F: Fixture>() -> (F, Managed<F>) {
    open_as(ManagerOptions { rotation_grace: GRACE, ..patient() }).await
}

/// Gives the session another id; says which.
async fn moved<S: Store>(
    manager: &SessionManager<S>,
    id: &SessionId,
    how: fn(&Session) -> crate::Result<()>,
) -> SessionId {
    let session = manager.session(Some(id.clone()));
    how(&session).unwrap();
    new_cookie(&committed(&session).await)
}

/// A session with `{"n":1}`, whose id was rotated: the old id and the new one.
async fn rotated<F: Fixture>(manager: &Managed<F>) -> (SessionId, SessionId) {
    let (old, _) = session_of::<F>(manager, ONE).await;
    let new = moved(manager, &old, Session::rotate).await;
    manager.store().take();
    (old, new)
}

/// What is read under `n` by a request that bears this id.
async fn n<S: Store>(manager: &SessionManager<S>, id: &SessionId) -> Option<i64> {
    manager.session(Some(id.clone())).get("n").await.unwrap()
}

/// Nothing is read by a request that bears this id, as with any unknown one.
async fn is_dead<S: Store>(manager: &SessionManager<S>, id: &SessionId) -> bool {
    let session = manager.session(Some(id.clone()));
    let empty = session.to_map().await.unwrap().is_empty();
    empty && session.id().await.unwrap().is_none() && !session.is_snapshot().await.unwrap()
}

async fn ends<S: Store>(manager: &SessionManager<S>, id: &SessionId) -> Commit {
    let session = manager.session(Some(id.clone()));
    session.destroy().unwrap();
    committed(&session).await
}

/// It is off by default; a rotation is then a renewal.
pub async fn without_a_grace_the_old_id_is_dead<F: Fixture>() {
    let (fixture, manager) = open::<F>().await;
    let (old, new) = rotated::<F>(&manager).await;
    assert!(is_dead(&manager, &old).await);
    assert_eq!(manager.store().take(), Calls { find: 1, ..Calls::default() });
    assert_rows(&fixture, &[(new.private().as_str(), Some(ONE))]).await;
}

/// What the session held before the request that rotated it, at one read more; the session goes on
/// under the new id.
pub async fn a_parallel_request_reads_what_was_before<F: Fixture>() {
    let (fixture, manager) = graceful::<F>().await;
    let (old, rotating) = session_of::<F>(&manager, ONE).await;
    rotating.insert("n", 2).unwrap();
    rotating.rotate().unwrap();
    let new = new_cookie(&committed(&rotating).await);
    assert_eq!(manager.store().take(), Calls { find: 1, save: 1, ..Calls::default() });
    let parallel = manager.session(Some(old.clone()));
    assert!(parallel.is_snapshot().await.unwrap());
    assert_eq!(parallel.get("n").await.unwrap(), Some(1));
    assert!(parallel.id().await.unwrap() == Some(old));
    assert!(parallel.info().await.unwrap().is_some());
    assert_eq!(committed(&parallel).await, quiet(Outcome::Unchanged));
    assert_eq!(manager.store().take(), Calls { find: 2, ..Calls::default() });
    let next = manager.session(Some(new.clone()));
    assert_eq!((next.get("n").await.unwrap(), next.is_snapshot().await.unwrap()), (Some(2), false));
    assert_rows(&fixture, &[(new.private().as_str(), Some(TWO))]).await;
}

/// Neither the snapshot nor the session, and no other session begins beside it, whatever becomes of
/// late changes; the browser's cookie stays.
pub async fn what_was_before_cannot_be_changed<F: Fixture>() {
    let steps: [fn(&Session) -> crate::Result<()>; 5] = [
        |session| session.insert("m", 3),
        |session| session.remove("n"),
        |session| session.insert("n", 3).and_then(|()| session.rotate()),
        Session::clear,
        Session::renew,
    ];
    for late in [Late::Drop, Late::Refuse, Late::Begin] {
        let options = ManagerOptions { rotation_grace: GRACE, late, ..patient() };
        let (fixture, manager) = open_as::<F>(options).await;
        let (old, new) = rotated::<F>(&manager).await;
        for step in steps {
            let parallel = manager.session(Some(old.clone()));
            step(&parallel).unwrap();
            assert_eq!(committed(&parallel).await, quiet(Outcome::Gone));
            assert_eq!(manager.store().take(), Calls { find: 2, ..Calls::default() });
        }
        // It has another id already, which is all that this one wanted.
        for rotates in [false, true] {
            let equal = manager.session(Some(old.clone()));
            equal.insert("n", 1).unwrap();
            if rotates {
                equal.rotate().unwrap();
            }
            assert_eq!(committed(&equal).await, quiet(Outcome::Unchanged));
        }
        assert_eq!(n(&manager, &old).await, Some(1));
        assert_rows(&fixture, &[(new.private().as_str(), Some(ONE))]).await;
    }
}

/// Session fixation: who knows the id from before a login reads nothing with it, neither what the
/// login wrote nor what was there before.
pub async fn a_login_has_no_grace<F: Fixture>() {
    let (fixture, manager) = graceful::<F>().await;
    let logins: [fn(&Session) -> crate::Result<()>; 3] = [
        Session::renew,
        Session::reset,
        // Whichever is said first, rights change.
        |session| session.rotate().and_then(|()| session.renew()).and_then(|()| session.rotate()),
    ];
    for login in logins {
        let (fixed, victim) = session_of::<F>(&manager, ONE).await;
        assert_eq!(n(&manager, &fixed).await, Some(1));
        login(&victim).unwrap();
        victim.insert("user", 7).unwrap();
        let new = new_cookie(&committed(&victim).await);
        assert!(is_dead(&manager, &fixed).await);
        let attack = manager.session(Some(fixed.clone()));
        attack.insert("user", 1).unwrap();
        let begun = new_cookie(&committed(&attack).await);
        assert!(begun != fixed && begun != new);
        for id in [begun, new] {
            assert!(manager.store().destroy(&Lookup::new(&id)).await.unwrap());
        }
        assert!(rows(&fixture).await.is_empty());
    }
}

/// Nor does an id from before an earlier rotation reach over a login.
pub async fn a_login_ends_the_grace_of_before<F: Fixture>() {
    let (_fixture, manager) = graceful::<F>().await;
    for login in [Session::renew, Session::reset] {
        let (first, second) = rotated::<F>(&manager).await;
        let third = moved(&manager, &second, Session::rotate).await;
        let fourth = moved(&manager, &third, login).await;
        for id in [first, second, third] {
            assert!(is_dead(&manager, &id).await);
        }
        assert!(!is_dead(&manager, &fourth).await);
    }
}

/// Wherever it happens: in this process, in another one, or by a task that removes the row.
pub async fn a_logout_ends_the_grace<F: Fixture>() {
    let (_fixture, manager) = graceful::<F>().await;
    for elsewhere in [false, true] {
        let (old, new) = rotated::<F>(&manager).await;
        assert_eq!(n(&manager, &old).await, Some(1));
        if elsewhere {
            assert!(manager.store().destroy(&Lookup::new(&new)).await.unwrap());
        } else {
            assert_eq!(ends(&manager, &new).await.outcome, Outcome::Destroyed);
        }
        assert!(is_dead(&manager, &old).await && is_dead(&manager, &new).await);
    }
}

/// Whoever signs out means the session, not its id.
pub async fn a_logout_under_the_old_id_ends_the_session<F: Fixture>() {
    let (fixture, manager) = graceful::<F>().await;
    let (old, new) = rotated::<F>(&manager).await;
    let expected = Commit { outcome: Outcome::Destroyed, cookie: CookieChange::Clear };
    assert_eq!(ends(&manager, &old).await, expected);
    assert!(rows(&fixture).await.is_empty());
    assert!(is_dead(&manager, &old).await && is_dead(&manager, &new).await);
}

/// Also when the grace has passed since the request has read the session.
pub async fn a_slow_logout_under_the_old_id_ends_the_session<F: Fixture>() {
    let rotation_grace = Some(Duration::from_millis(300));
    let (fixture, manager) = open_as::<F>(ManagerOptions { rotation_grace, ..patient() }).await;
    let slow = loop {
        let (old, new) = rotated::<F>(&manager).await;
        let session = manager.session(Some(old));
        if session.is_snapshot().await.unwrap() {
            break session;
        }
        ends(&manager, &new).await;
    };
    tokio::time::sleep(Duration::from_millis(350)).await;
    slow.destroy().unwrap();
    assert_eq!(committed(&slow).await.outcome, Outcome::Destroyed);
    assert!(rows(&fixture).await.is_empty());
}

/// A login in a parallel request ends the session as it would under the new id.
pub async fn a_reset_under_the_old_id_ends_the_session<F: Fixture>() {
    let (fixture, manager) = graceful::<F>().await;
    for read in [false, true] {
        let (old, new) = rotated::<F>(&manager).await;
        let login = manager.session(Some(old.clone()));
        if read {
            assert_eq!(login.get("n").await.unwrap(), Some(1));
        }
        login.reset().unwrap();
        login.insert("n", 2).unwrap();
        let fresh = new_cookie(&committed(&login).await);
        assert_rows(&fixture, &[(fresh.private().as_str(), Some(TWO))]).await;
        assert!(is_dead(&manager, &old).await && is_dead(&manager, &new).await);
        manager.store().destroy(&Lookup::new(&fresh)).await.unwrap();
    }
}

/// Signing out of Warden's scopes removes keys and keeps the row; another process may do it.
pub async fn keys_removed_since_are_not_shown<F: Fixture>() {
    let (_fixture, manager) = graceful::<F>().await;
    let (old, _) = session_of::<F>(&manager, r#"{"value":{"n":1,"user":7,"m":[1]}}"#).await;
    let new = moved(&manager, &old, Session::rotate).await;
    let shown = async || manager.session(Some(old.clone())).to_map().await.unwrap();
    assert_eq!(shown().await.len(), 3);
    let here = manager.session(Some(new.clone()));
    here.remove("user").unwrap();
    here.insert("n", 9).unwrap();
    here.insert("later", 1).unwrap();
    committed(&here).await;
    let map = shown().await;
    assert_eq!(map.iter().map(|(key, _)| key).collect::<Vec<_>>().len(), 2);
    assert_eq!(map.get("n").and_then(Value::as_i64), Some(1));
    assert!(map.get("m").is_some());
    let all = manager.session(Some(new));
    all.clear().unwrap();
    committed(&all).await;
    assert!(shown().await.is_empty());
}

/// Signing out of all of Warden's scopes ends the grace; who signs out under the old id means the
/// session all the same.
pub async fn a_logout_reaches_a_session_whose_grace_has_ended<F: Fixture>() {
    let (fixture, manager) = graceful::<F>().await;
    let (old, new) = rotated::<F>(&manager).await;
    let all = manager.session(Some(new.clone()));
    all.clear().unwrap();
    all.insert("n", 2).unwrap();
    committed(&all).await;
    assert!(is_dead(&manager, &old).await && !is_dead(&manager, &new).await);
    assert_eq!(ends(&manager, &old).await.outcome, Outcome::Destroyed);
    assert!(rows(&fixture).await.is_empty());
}

/// After its time nothing is left of it.
pub async fn the_grace_ends_by_itself<F: Fixture>() {
    let rotation_grace = Some(Duration::from_millis(1));
    let (_fixture, manager) = open_as::<F>(ManagerOptions { rotation_grace, ..patient() }).await;
    let (old, new) = rotated::<F>(&manager).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(is_dead(&manager, &old).await && !is_dead(&manager, &new).await);
}

/// Each id reads what was there when it ended.
pub async fn earlier_ids_follow_a_rotation<F: Fixture>() {
    let (_fixture, manager) = graceful::<F>().await;
    let (first, second) = rotated::<F>(&manager).await;
    let change = |session: &Session| session.insert("n", 2).and_then(|()| session.rotate());
    let third = moved(&manager, &second, change).await;
    let fourth = moved(&manager, &third, Session::rotate).await;
    let mut read = Vec::new();
    for id in [&first, &second, &third, &fourth] {
        read.push(n(&manager, id).await);
    }
    assert_eq!(read, [Some(1), Some(1), Some(2), Some(2)]);
    ends(&manager, &fourth).await;
    for id in [first, second, third] {
        assert!(is_dead(&manager, &id).await);
    }
}

/// It lies in the memory of the process that rotated; another one's logout and login end it.
pub async fn only_one_process_has_the_grace<F: Fixture>() {
    let (_fixture, store) = F::open().await;
    let store = Arc::new(store);
    let options = ManagerOptions { rotation_grace: GRACE, ..patient() };
    let [here, there] =
        [(); 2].map(|()| SessionManager::with_options(Arc::clone(&store), Json, options.clone()));
    for end in [Session::destroy, Session::renew, Session::reset, Session::rotate] {
        let begun = here.session(None);
        begun.insert("n", 1).unwrap();
        let old = new_cookie(&committed(&begun).await);
        let new = moved(&here, &old, Session::rotate).await;
        assert_eq!((n(&here, &old).await, n(&there, &old).await), (Some(1), None));
        let other = there.session(Some(new));
        end(&other).unwrap();
        committed(&other).await;
        assert!(is_dead(&here, &old).await);
    }
}

/// A rotation of a session that was gone gives nobody anything to read.
pub async fn a_rotation_that_fails_leaves_no_grace<F: Fixture>() {
    let (fixture, manager) = graceful::<F>().await;
    let (old, rotating) = session_of::<F>(&manager, ONE).await;
    assert_eq!(rotating.get("n").await.unwrap(), Some(1));
    ends(&manager, &old).await;
    rotating.rotate().unwrap();
    // Nobody misses another id for what is dead.
    assert_eq!(committed(&rotating).await, quiet(Outcome::Unchanged));
    assert!(is_dead(&manager, &old).await && rows(&fixture).await.is_empty());
}
