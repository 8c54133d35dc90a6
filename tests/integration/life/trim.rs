//! Rails' own trim beside idle timeout, lifetime and touch: it takes what has expired and leaves what
//! is used.

use std::time::Duration;

use sqlbypass::{
    CookieChange, Json, Late, ManagerOptions, Outcome, SessionId, SessionManager, Store, Timeouts,
};

use super::everywhere;
use super::place::{Place, ago};
use super::rails::Trim;

const DAY: Duration = Duration::from_secs(86_400);
/// As the gem has it by default.
const THRESHOLD: Duration = Duration::from_secs(30 * 86_400);

everywhere! {
    a_trim_keeps_active_sessions_and_takes_idle_ones
    what_has_expired_is_not_found_whether_or_not_it_was_trimmed
    a_trimmed_session_is_not_revived
}

fn options(idle: Option<Duration>, lifetime: Option<Duration>) -> ManagerOptions {
    ManagerOptions { timeouts: Timeouts { idle, lifetime }, ..ManagerOptions::default() }
}

async fn begun<S: Store>(manager: &SessionManager<S>) -> SessionId {
    let session = manager.session(None);
    session.insert("n", 1).unwrap();
    let CookieChange::Set(id) = session.commit().await.unwrap().cookie else { panic!("no id") };
    id
}

async fn reads<S: Store>(manager: &SessionManager<S>, id: &SessionId) -> Option<i64> {
    let session = manager.session(Some(id.clone()));
    let n = session.get("n").await.unwrap();
    session.commit().await.unwrap();
    n
}

/// Two sessions, neither changed for 29 days and a half. One is read: the touch moves its
/// `updated_at`, and the next day's trim by use keeps it. Without an idle timeout reading leaves no
/// trace, as with Rails, and the trim takes it. One by age takes it in any case.
async fn a_trim_keeps_active_sessions_and_takes_idle_ones(place: &Place) {
    let mut rails = place.rails().await;
    let (last_used, tomorrow) = (THRESHOLD - DAY / 2, || ago(THRESHOLD - DAY));
    for (idle, kept) in [(Some(THRESHOLD), true), (None, false)] {
        let manager = SessionManager::with_options(place.open().await, Json, options(idle, None));
        let (read, unread) = (begun(&manager).await, begun(&manager).await);
        for id in [&read, &unread] {
            place.age(&mut rails, id, last_used, last_used).await;
        }
        assert_eq!(reads(&manager, &read).await, Some(1));
        assert_eq!(rails.trim(Trim::Use, &tomorrow()).await, if kept { 1 } else { 2 });
        assert_eq!(reads(&manager, &read).await, kept.then_some(1));
        assert_eq!(reads(&manager, &unread).await, None);
        assert_eq!(rails.trim(Trim::UseAndAge, &tomorrow()).await, u64::from(kept));
    }
}

/// The lifetime counts from `created_at`, as the trim does, so what the trim takes for its age had
/// expired before, however much it was used; a renewal does not lengthen it and a login begins anew.
async fn what_has_expired_is_not_found_whether_or_not_it_was_trimmed(place: &Place) {
    let mut rails = place.rails().await;
    let limits = options(Some(DAY), Some(THRESHOLD));
    let manager = SessionManager::with_options(place.open().await, Json, limits);
    let minute = Duration::from_secs(60);
    let [young, idle, old, renewed, reset] = [
        begun(&manager).await,
        begun(&manager).await,
        begun(&manager).await,
        begun(&manager).await,
        begun(&manager).await,
    ];
    place.age(&mut rails, &young, DAY * 3, DAY - minute).await;
    place.age(&mut rails, &idle, DAY * 3, DAY + minute).await;
    place.age(&mut rails, &old, THRESHOLD + minute, minute).await;
    let nearly = THRESHOLD - minute;
    let mut moved = Vec::new();
    for (id, how) in [
        (&renewed, sqlbypass::Session::renew as fn(&sqlbypass::Session) -> _),
        (&reset, sqlbypass::Session::reset),
    ] {
        place.age(&mut rails, id, nearly, minute).await;
        let session = manager.session(Some(id.clone()));
        how(&session).unwrap();
        session.insert("n", 1).unwrap();
        let CookieChange::Set(new) = session.commit().await.unwrap().cookie else {
            panic!("no id")
        };
        moved.push(new);
    }
    for trimmed in [false, true] {
        assert_eq!(reads(&manager, &young).await, Some(1));
        for id in [&idle, &old] {
            assert_eq!(reads(&manager, id).await, None);
        }
        if !trimmed {
            // By age alone: the idle one stands for the trim until its threshold.
            assert_eq!(rails.trim(Trim::UseAndAge, &ago(THRESHOLD)).await, 1);
        }
    }
    // Ten minutes later the renewed one is too old for both, the one of the login is not.
    assert_eq!(rails.trim(Trim::UseAndAge, &ago(THRESHOLD - minute * 10)).await, 1);
    assert_eq!(reads(&manager, &moved[0]).await, None);
    assert_eq!(reads(&manager, &moved[1]).await, Some(1));
}

/// A request whose session is trimmed on its way is late, as after a logout.
async fn a_trimmed_session_is_not_revived(place: &Place) {
    let mut rails = place.rails().await;
    for late in [Late::Drop, Late::Refuse, Late::Begin] {
        let options = ManagerOptions { late, ..options(Some(THRESHOLD * 2), None) };
        let manager = SessionManager::with_options(place.open().await, Json, options);
        let id = begun(&manager).await;
        let [written, read] = [(); 2].map(|()| manager.session(Some(id.clone())));
        place.age(&mut rails, &id, DAY * 40, DAY * 40).await;
        for session in [&written, &read] {
            assert_eq!(session.get("n").await.unwrap(), Some(1));
        }
        assert_eq!(rails.trim(Trim::UseAndAge, &ago(THRESHOLD)).await, 1);
        written.insert("m", 2).unwrap();
        let commit = written.commit().await.unwrap();
        let expected = if late == Late::Begin { Outcome::Created } else { Outcome::Gone };
        assert_eq!(commit.outcome, expected);
        // The touch of one that was only read finds no row and makes none.
        assert_eq!(read.commit().await.unwrap().outcome, Outcome::Gone);
        assert_eq!(rails.read(id.private().as_str()).await, None);
    }
}
