//! Times and timeouts, on a table with `created_at` and `updated_at`.
//!
//! The clock is the database's: a case makes rows older and never waits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use super::support::{
    ONE, TWO, assert_rows, found, guard, holds, is_found, legacy, new_id, saved, seeded, stored,
    together, update_of,
};
use super::{Calls, Counting, Fixture};
use crate::codec::Json;
use crate::error::{Error, Result};
use crate::id::{SessionId, StoredId};
use crate::manager::{Late, ManagerOptions, SessionManager};
use crate::record::{Lookup, Record, Save, Saved, Timeouts, Update};
use crate::session::{CookieChange, Outcome};
use crate::store::Store;

const HOUR: Duration = Duration::from_secs(3_600);
/// Longer than a case takes and shorter than what it makes rows older by.
const MINUTE: Duration = Duration::from_secs(60);
const IDLE: Timeouts = Timeouts { idle: Some(MINUTE), lifetime: None };
const LIFETIME: Timeouts = Timeouts { idle: None, lifetime: Some(MINUTE) };

fn times(record: &Record) -> (SystemTime, SystemTime) {
    (record.created_at.expect("a creation time"), record.updated_at.expect("an update time"))
}

fn is_about(time: SystemTime, other: SystemTime) -> bool {
    let apart = time.duration_since(other).unwrap_or_else(|error| error.duration());
    apart < MINUTE
}

/// A session that is an hour old, and its record.
async fn an_hour_old<F: Fixture>(fixture: &F, store: &F::Store) -> (SessionId, Record) {
    let id = seeded(store, ONE).await;
    fixture.age(id.private().as_str(), HOUR).await;
    let record = found(store, &id).await;
    (id, record)
}

/// Both times are the clock's when the row was written.
pub async fn an_insert_begins_the_session_now<F: Fixture>() {
    let (_fixture, store) = F::open().await;
    let id = seeded(&store, ONE).await;
    let record = found(&store, &id).await;
    let (created, updated) = times(&record);
    let read = record.read_at.expect("the clock when the row was read");
    assert_eq!(created, updated);
    assert!(is_about(created, read));
    assert!(created <= read);
}

/// `created_at` stays.
pub async fn an_update_sets_updated_at_alone<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let (id, before) = an_hour_old(&fixture, &store).await;
    assert_eq!(saved(&store, update_of(before.id, TWO)).await, Saved::Applied);
    let after = found(&store, &id).await;
    assert_eq!(after.created_at, before.created_at);
    assert!(is_about(times(&after).1, after.read_at.unwrap()));
}

/// With `touch` off neither time changes: re-keying and converting are no use of a session.
pub async fn an_update_that_is_no_use_leaves_the_times<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let (_, before) = an_hour_old(&fixture, &store).await;
    let new = new_id();
    let update = Update { touch: false, ..update_of(before.id, TWO).rekey(new.private()) };
    assert_eq!(saved(&store, update).await, Saved::Applied);
    assert_eq!(times(&found(&store, &new).await), times(&before));
}

/// A session that begins anew is born now.
pub async fn a_restart_sets_created_at<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let (_, before) = an_hour_old(&fixture, &store).await;
    let new = new_id();
    let update = Update { restart: true, ..update_of(before.id, TWO).rekey(new.private()) };
    assert_eq!(saved(&store, update).await, Saved::Applied);
    let after = found(&store, &new).await;
    assert!(is_about(times(&after).0, after.read_at.unwrap()));
    assert!(is_about(times(&after).1, after.read_at.unwrap()));
}

/// A renewal does not lengthen the session's life.
pub async fn a_rekey_keeps_created_at<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let (_, before) = an_hour_old(&fixture, &store).await;
    let new = new_id();
    let update = Update::new(before.id).rekey(new.private());
    assert_eq!(saved(&store, update).await, Saved::Applied);
    let after = found(&store, &new).await;
    assert_eq!(after.created_at, before.created_at);
    assert!(is_about(times(&after).1, after.read_at.unwrap()));
}

/// A touch is not a change of the data and no new beginning.
pub async fn a_touch_sets_updated_at_alone<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let (id, before) = an_hour_old(&fixture, &store).await;
    assert!(store.touch(&before.id, Timeouts::default()).await.unwrap());
    let after = found(&store, &id).await;
    assert_eq!(after.created_at, before.created_at);
    assert!(is_about(times(&after).1, after.read_at.unwrap()));
    assert!(after.data == before.data);
}

/// Not found, gone for a save, false for a touch; still there for whoever asks without the
/// timeout, and removed by destroy.
async fn is_expired<F: Fixture>(fixture: &F, store: &F::Store, id: &SessionId, timeouts: Timeouts) {
    let lookup = Lookup::new(id).timeouts(timeouts);
    assert!(!is_found(store, &lookup).await);
    assert!(!store.touch(&stored(id), timeouts).await.unwrap());
    let update = Update { timeouts, ..update_of(stored(id), TWO) };
    let guarded = Update { guard: guard(Some(ONE.as_bytes())), ..update.clone() };
    let conflicting = Update { guard: guard(None), ..update.clone() };
    let renewal = update.clone().rekey(new_id().private());
    let secured = Update { data: None, touch: false, ..renewal.clone() };
    for update in [update, guarded, conflicting, renewal, secured] {
        assert_eq!(saved(store, update).await, Saved::Gone);
    }
    assert_rows(fixture, &[(id.private().as_str(), Some(ONE))]).await;
    assert!(is_found(store, &Lookup::new(id)).await);
    assert!(store.destroy(&lookup).await.unwrap());
    assert_rows(fixture, &[]).await;
}

/// A row not used for the idle timeout is gone; a younger one is served.
pub async fn an_idle_session_has_expired<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let (id, record) = an_hour_old(&fixture, &store).await;
    let longer = Timeouts { idle: Some(2 * HOUR), lifetime: Some(2 * HOUR) };
    assert!(is_found(&store, &Lookup::new(&id).timeouts(longer)).await);
    let same = Update { timeouts: longer, touch: false, ..update_of(record.id, ONE) };
    assert_eq!(saved(&store, same).await, Saved::Applied);
    is_expired(&fixture, &store, &id, IDLE).await;
}

/// A row past its lifetime is gone, however lately it was used.
pub async fn a_session_past_its_lifetime_has_expired<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let (id, record) = an_hour_old(&fixture, &store).await;
    assert!(store.touch(&record.id, Timeouts::default()).await.unwrap());
    assert!(is_found(&store, &Lookup::new(&id).timeouts(IDLE)).await);
    is_expired(&fixture, &store, &id, LIFETIME).await;
}

/// The timeouts hold for raw rows too.
pub async fn an_expired_legacy_row_is_not_found<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let id = new_id();
    fixture.put(id.as_str(), Some(ONE.as_bytes())).await;
    let lookup = Lookup::with_legacy(&id);
    assert!(is_found(&store, &lookup.clone().timeouts(IDLE)).await);
    fixture.age(id.as_str(), HOUR).await;
    for timeouts in [IDLE, LIFETIME] {
        assert!(!is_found(&store, &lookup.clone().timeouts(timeouts)).await);
        assert!(!store.touch(&legacy(&id), timeouts).await.unwrap());
    }
    assert!(store.destroy(&lookup.timeouts(IDLE)).await.unwrap());
}

/// The idle timeout slides; a save puts it off as a touch does.
pub async fn a_touch_puts_the_idle_timeout_off<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let id = seeded(&store, ONE).await;
    let text = id.private();
    let timeouts = Timeouts { idle: Some(HOUR), lifetime: None };
    for _ in 0..3 {
        fixture.age(text.as_str(), HOUR * 2 / 3).await;
        assert!(store.touch(&stored(&id), timeouts).await.unwrap());
        fixture.age(text.as_str(), HOUR * 2 / 3).await;
        let update = Update { timeouts, ..update_of(stored(&id), TWO) };
        assert_eq!(saved(&store, update).await, Saved::Applied);
    }
    assert!(is_found(&store, &Lookup::new(&id).timeouts(timeouts)).await);
}

/// A login is not cut short by what came before it.
pub async fn a_restart_begins_a_new_lifetime<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let (_, record) = an_hour_old(&fixture, &store).await;
    let new = new_id();
    let update = Update { restart: true, ..update_of(record.id, TWO).rekey(new.private()) };
    assert_eq!(saved(&store, update).await, Saved::Applied);
    assert!(is_found(&store, &Lookup::new(&new).timeouts(LIFETIME)).await);
}

fn managed<S: Store>(store: S, timeouts: Timeouts) -> SessionManager<Counting<S>> {
    let options = ManagerOptions { timeouts, touch_interval: MINUTE, ..ManagerOptions::default() };
    SessionManager::with_options(Counting::new(store), Json, options)
}

/// A loaded, unchanged session is touched when its last use is an interval ago, and else costs
/// its find alone; without an idle timeout it is never touched.
pub async fn an_idle_session_is_touched_once_per_interval<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let (id, _) = an_hour_old(&fixture, &store).await;
    let manager = managed(store, Timeouts { idle: Some(2 * HOUR), lifetime: None });
    for touch in [1, 0, 0] {
        let session = manager.session(Some(id.clone()));
        session.value("n").await.unwrap();
        assert_eq!(session.commit().await.unwrap().outcome, Outcome::Unchanged);
        assert_eq!(manager.store().take(), Calls { find: 1, touch, ..Calls::default() });
    }
    let (fixture, store) = F::open().await;
    let (id, _) = an_hour_old(&fixture, &store).await;
    let manager = managed(store, Timeouts { idle: None, lifetime: Some(2 * HOUR) });
    let session = manager.session(Some(id));
    session.value("n").await.unwrap();
    session.commit().await.unwrap();
    assert_eq!(manager.store().take(), Calls { find: 1, ..Calls::default() });
}

/// Of requests that meet in one process one touches for all.
pub async fn requests_that_meet_touch_once<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let (id, _) = an_hour_old(&fixture, &store).await;
    let manager = managed(store, Timeouts { idle: Some(2 * HOUR), lifetime: None });
    let sessions: Vec<_> = (0..32).map(|_| manager.session(Some(id.clone()))).collect();
    for session in &sessions {
        session.value("n").await.unwrap();
    }
    let commits = sessions.into_iter().map(|session| async move { session.commit().await });
    for commit in together(commits).await {
        assert_eq!(commit.unwrap().outcome, Outcome::Unchanged);
    }
    assert_eq!(manager.store().take(), Calls { find: 32, touch: 1, ..Calls::default() });
}

/// A store whose touches fail so often.
struct Untouchable<S>(S, AtomicU64);

impl<S: Store> Store for Untouchable<S> {
    async fn find(&self, lookup: &Lookup) -> Result<Option<Record>> {
        self.0.find(lookup).await
    }

    async fn save(&self, save: &Save) -> Result<Saved> {
        self.0.save(save).await
    }

    async fn destroy(&self, lookup: &Lookup) -> Result<bool> {
        self.0.destroy(lookup).await
    }

    async fn touch(&self, id: &StoredId, timeouts: Timeouts) -> Result<bool> {
        let left = self.1.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        match left {
            Ok(_) => Err(Error::unavailable("touching a session", "as asked")),
            Err(_) => self.0.touch(id, timeouts).await,
        }
    }
}

/// No read fails for a touch that did, and the next one touches: an active session does not expire.
pub async fn a_touch_that_failed_is_made_up_for<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let (id, before) = an_hour_old(&fixture, &store).await;
    let manager = managed(
        Untouchable(store, AtomicU64::new(2)),
        Timeouts { idle: Some(2 * HOUR), lifetime: None },
    );
    for touched in [false, false, true] {
        let session = manager.session(Some(id.clone()));
        assert_eq!(session.get("n").await.unwrap(), Some(1));
        assert_eq!(session.commit().await.unwrap().outcome, Outcome::Unchanged);
        let after = found(manager.store(), &id).await;
        assert_eq!(after.updated_at > before.updated_at, touched);
    }
}

/// A request with an expired id begins a new session; one whose session expires on its way
/// writes nothing.
pub async fn an_expired_session_is_never_carried_on<F: Fixture>() {
    for timeouts in [IDLE, LIFETIME] {
        let (fixture, store) = F::open().await;
        let id = seeded(&store, ONE).await;
        let manager = managed(store, timeouts);
        let [changed, renewed, read] = [(); 3].map(|()| manager.session(Some(id.clone())));
        for session in [&changed, &renewed, &read] {
            assert_eq!(session.get("n").await.unwrap(), Some(1));
        }
        fixture.age(id.private().as_str(), HOUR).await;
        changed.insert("n", 2).unwrap();
        renewed.renew().unwrap();
        for session in [&changed, &renewed] {
            assert_eq!(session.commit().await.unwrap().outcome, Outcome::Gone);
        }
        let late = manager.session(Some(id.clone()));
        assert!(late.is_empty().await.unwrap());
        late.insert("n", 3).unwrap();
        let commit = late.commit().await.unwrap();
        assert_eq!(commit.outcome, Outcome::Created);
        assert!(matches!(commit.cookie, CookieChange::Set(new) if new != id));
    }
}

/// Where late changes may begin a new session, it holds what the request itself wrote.
pub async fn a_session_that_expires_on_its_way_may_begin_anew<F: Fixture>() {
    for timeouts in [IDLE, LIFETIME] {
        let (fixture, store) = F::open().await;
        let id = seeded(&store, r#"{"value":{"user":7}}"#).await;
        let options = ManagerOptions { timeouts, late: Late::Begin, ..ManagerOptions::default() };
        let manager = SessionManager::with_options(store, Json, options);
        let session = manager.session(Some(id.clone()));
        assert_eq!(session.get("user").await.unwrap(), Some(7));
        fixture.age(id.private().as_str(), HOUR).await;
        session.insert("n", 1).unwrap();
        let commit = session.commit().await.unwrap();
        assert_eq!(commit.outcome, Outcome::Created);
        let CookieChange::Set(new) = commit.cookie else { panic!("no id") };
        assert!(holds::<F>(found(manager.store(), &new).await.data.as_ref(), ONE));
        assert!(!is_found(manager.store(), &Lookup::new(&id).timeouts(timeouts)).await);
    }
}

/// A timeout ends the grace of the id from before a rotation too.
pub async fn an_expired_session_has_no_grace<F: Fixture>() {
    for timeouts in [IDLE, LIFETIME] {
        let (fixture, store) = F::open().await;
        let id = seeded(&store, ONE).await;
        let rotation_grace = Some(MINUTE);
        let options = ManagerOptions { timeouts, rotation_grace, ..ManagerOptions::default() };
        let manager = SessionManager::with_options(store, Json, options);
        let session = manager.session(Some(id.clone()));
        session.rotate().unwrap();
        let CookieChange::Set(new) = session.commit().await.unwrap().cookie else {
            panic!("no id")
        };
        let read = async || manager.session(Some(id.clone())).get::<i64>("n").await.unwrap();
        assert_eq!(read().await, Some(1));
        fixture.age(new.private().as_str(), HOUR).await;
        assert_eq!(read().await, None);
    }
}

/// A raw row may hide behind a private one that has expired: what it holds is written nowhere.
pub async fn an_expired_session_is_not_replaced_by_a_raw_row<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let id = seeded(&store, ONE).await;
    fixture.age(id.private().as_str(), HOUR).await;
    fixture.put(id.as_str(), Some(TWO.as_bytes())).await;
    let manager = managed(store, IDLE);
    let session = manager.session(Some(id.clone()));
    assert_eq!(session.get::<i64>("n").await.unwrap(), None);
    session.renew().unwrap();
    assert_eq!(session.commit().await.unwrap().outcome, Outcome::Unchanged);
}
