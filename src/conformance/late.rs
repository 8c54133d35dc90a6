//! Changes that come after their session's end, on any table, with the `json` codec.

use super::Fixture;
use super::managed::{Managed, committed, new_cookie, open_as, patient, quiet, session_of};
use super::support::{assert_rows, is_found, races, rows, together};
use crate::id::SessionId;
use crate::manager::{Late, ManagerOptions, Policy};
use crate::record::Lookup;
use crate::session::{Commit, CookieChange, Outcome, Session};
use crate::store::Store;
use crate::value::Value;

const WRITERS: usize = 4;
const BEFORE: &str = r#"{"value":{"n":1,"user":7,"cart":[1]}}"#;
const POLICIES: [Policy; 3] = [Policy::Merge, Policy::LastWriteWins, Policy::Reject];

async fn open<F: Fixture>(policy: Policy, late: Late) -> (F, Managed<F>) {
    open_as(ManagerOptions { policy, late, ..patient() }).await
}

/// A request that has read a session which another then destroyed or renewed.
async fn late<F: Fixture>(manager: &Managed<F>, end: fn(&Session) -> crate::Result<()>) -> Session {
    let (id, late) = session_of::<F>(manager, BEFORE).await;
    assert_eq!(late.get("n").await.unwrap(), Some(1));
    let other = manager.session(Some(id));
    end(&other).unwrap();
    committed(&other).await;
    late
}

/// A session that was destroyed before.
async fn ended<F: Fixture>(manager: &Managed<F>) -> Session {
    late::<F>(manager, Session::destroy).await
}

/// Neither under the old id nor under another, whatever the policy of concurrent changes.
pub async fn a_late_change_writes_nothing_unless_it_may_begin_anew<F: Fixture>() {
    for (policy, how) in POLICIES.into_iter().flat_map(|p| [(p, Late::Drop), (p, Late::Refuse)]) {
        let (fixture, manager) = open::<F>(policy, how).await;
        let late = ended::<F>(&manager).await;
        late.insert("m", 3).unwrap();
        assert_eq!(committed(&late).await, quiet(Outcome::Gone));
        assert!(rows(&fixture).await.is_empty());
    }
    assert_eq!(ManagerOptions::default().late, Late::Refuse);
}

/// It holds what the request inserted, under a new id; a session that was renewed stays as it is.
pub async fn a_late_change_may_begin_a_new_session<F: Fixture>() {
    for policy in POLICIES {
        let (fixture, manager) = open::<F>(policy, Late::Begin).await;
        for (end, left) in [(Session::destroy as fn(&Session) -> _, 0), (Session::renew, 1)] {
            let late = late::<F>(&manager, end).await;
            let old = late.id().await.unwrap().unwrap();
            late.insert("m", 3).unwrap();
            late.remove("n").unwrap();
            let commit = committed(&late).await;
            assert_eq!(commit.outcome, Outcome::Created);
            let new = new_cookie(&commit);
            assert!(new != old && !is_found(manager.store(), &Lookup::with_legacy(&old)).await);
            let map = manager.session(Some(new.clone())).to_map().await.unwrap();
            assert_eq!(map, [("m", 3)].into_iter().collect());
            let mut rows = rows(&fixture).await;
            rows.retain(|(id, _)| *id != new.private().as_str());
            assert_eq!(rows.len(), left);
            let before = F::stored_form(BEFORE).into_bytes();
            assert!(rows.iter().all(|(_, data)| data.as_ref() == Some(&before)));
            manager.store().destroy(&Lookup::new(&new)).await.unwrap();
        }
    }
}

/// A key that the request inserted as it had been anyway is not what it wrote: who was signed out is
/// not signed in again by a handler that writes its user back.
pub async fn a_new_session_holds_nothing_of_before<F: Fixture>() {
    let (fixture, manager) = open::<F>(Policy::Merge, Late::Begin).await;
    for clears in [false, true] {
        let late = ended::<F>(&manager).await;
        if clears {
            late.clear().unwrap();
        }
        late.insert("user", 7).unwrap();
        late.insert("m", 3).unwrap();
        let new = new_cookie(&committed(&late).await);
        let expected = r#"{"value":{"m":3}}"#;
        assert_rows(&fixture, &[(new.private().as_str(), Some(expected))]).await;
        manager.store().destroy(&Lookup::new(&new)).await.unwrap();
    }
}

/// Removals, a clear, a renewal and what was there before need the old session; so does a value that
/// was changed in place, since it holds what was in there.
pub async fn what_cannot_begin_anew_is_refused<F: Fixture>() {
    let (fixture, manager) = open::<F>(Policy::Merge, Late::Begin).await;
    let steps: [fn(&Session) -> crate::Result<()>; 4] = [
        |session| session.remove("n"),
        Session::clear,
        Session::renew,
        |session| session.insert("user", 7).and_then(|()| session.remove("n")),
    ];
    for step in steps {
        let late = ended::<F>(&manager).await;
        step(&late).unwrap();
        assert_eq!(committed(&late).await, quiet(Outcome::Gone));
    }
    let late = ended::<F>(&manager).await;
    late.insert("m", 3).unwrap();
    let push = |cart: &mut Value| *cart = Value::Array(vec![1.into(), 2.into()]);
    late.update("cart", push).await.unwrap();
    assert_eq!(committed(&late).await, quiet(Outcome::Gone));
    assert!(rows(&fixture).await.is_empty());
    // A value that began with this request has nothing of before.
    let late = ended::<F>(&manager).await;
    late.update("basket", push).await.unwrap();
    assert_eq!(committed(&late).await.outcome, Outcome::Created);
}

/// A login that renews: whoever signs in while the old session ends is signed in, with nothing of it.
pub async fn a_late_login_may_begin_a_new_session<F: Fixture>() {
    let (fixture, manager) = open::<F>(Policy::Merge, Late::Begin).await;
    let login = ended::<F>(&manager).await;
    login.renew().unwrap();
    login.insert("user", 8).unwrap();
    let new = new_cookie(&committed(&login).await);
    let expected = r#"{"value":{"user":8}}"#;
    assert_rows(&fixture, &[(new.private().as_str(), Some(expected))]).await;
}

/// Writers of one session each, of a key of their own, while `end` ends it; what each got.
async fn race<F: Fixture>(
    manager: &Managed<F>,
    round: usize,
    end: fn(&Session) -> crate::Result<()>,
) -> (SessionId, Commit, Vec<Commit>) {
    let (id, ending) = session_of::<F>(manager, BEFORE).await;
    let writers: Vec<Session> = (0..WRITERS).map(|_| manager.session(Some(id.clone()))).collect();
    for (at, writer) in writers.iter().enumerate() {
        // Those that read only at their commit may come to a session that is not there any more.
        if at + 1 < WRITERS {
            assert_eq!(writer.get("n").await.unwrap(), Some(1));
        }
        writer.insert(format!("k{at}"), at).unwrap();
    }
    end(&ending).unwrap();
    let mut sessions = writers;
    sessions.insert(round % (WRITERS + 1), ending);
    let mut commits =
        together(sessions.into_iter().map(|session| async move { committed(&session).await }))
            .await;
    let ending = commits.remove(round % (WRITERS + 1));
    (id, ending, commits)
}

/// The ids that writers got, and that each holds that writer's key alone.
async fn begun<F: Fixture>(manager: &Managed<F>, commits: &[Commit]) -> Vec<SessionId> {
    let mut begun = Vec::new();
    for (at, commit) in commits.iter().enumerate() {
        if let CookieChange::Set(new) = &commit.cookie {
            assert_eq!(commit.outcome, Outcome::Created);
            let map = manager.session(Some(new.clone())).to_map().await.unwrap();
            assert_eq!(map, [(format!("k{at}"), at as i64)].into_iter().collect());
            begun.push(new.clone());
        }
    }
    begun
}

/// A logout against writers, under each policy: the old id is dead, and a row is left only where a
/// writer began anew, with that writer's key alone.
pub async fn late_writers_revive_nothing<F: Fixture>() {
    for how in [Late::Drop, Late::Refuse, Late::Begin] {
        let (fixture, manager) = open::<F>(Policy::Merge, how).await;
        for round in 0..races(30) {
            let (id, logout, commits) = race::<F>(&manager, round, Session::destroy).await;
            assert_eq!(logout.outcome, Outcome::Destroyed);
            assert!(!is_found(manager.store(), &Lookup::with_legacy(&id)).await);
            let begun = begun::<F>(&manager, &commits).await;
            // One that had not read yet bears a stale cookie and begins anew, as any does.
            assert!(how == Late::Begin || begun.len() <= 1);
            assert_eq!(rows(&fixture).await.len(), begun.len());
            for new in begun {
                assert!(manager.store().destroy(&Lookup::new(&new)).await.unwrap());
            }
        }
    }
}

/// A renewal against writers: each key is in the renewed session, or its writer was told that it is
/// not, and never under the old id.
pub async fn late_writers_follow_no_renewal<F: Fixture>() {
    for how in [Late::Drop, Late::Refuse, Late::Begin] {
        let (fixture, manager) = open::<F>(Policy::Merge, how).await;
        for round in 0..races(30) {
            let (id, renewal, commits) = race::<F>(&manager, round, Session::renew).await;
            assert!(!is_found(manager.store(), &Lookup::with_legacy(&id)).await);
            let renewed = new_cookie(&renewal);
            let map = manager.session(Some(renewed.clone())).to_map().await.unwrap();
            assert_eq!(map.get("n").and_then(Value::as_i64), Some(1));
            for (at, commit) in commits.iter().enumerate() {
                let written = matches!(commit.outcome, Outcome::Saved | Outcome::Merged);
                assert_eq!(map.get(&format!("k{at}")).is_some(), written);
                assert!(written || matches!(commit.outcome, Outcome::Gone | Outcome::Created));
            }
            let mut left = begun::<F>(&manager, &commits).await;
            left.push(renewed);
            assert_eq!(rows(&fixture).await.len(), left.len());
            for new in left {
                assert!(manager.store().destroy(&Lookup::new(&new)).await.unwrap());
            }
        }
    }
}
