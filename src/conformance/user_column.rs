//! The optional column of users.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::MaintenanceFixture;
use super::managed::{new_cookie, patient};
use super::support::{ONE, TWO, found, new_id, saved, seeded, stored, together, update_of};
use super::users::login;
use crate::admin::{BackfillOptions, Ended, Revoke, UserOptions, backfill, revoke, sessions_of};
use crate::codec::Json;
use crate::id::SessionId;
use crate::manager::{ManagerOptions, SessionManager, Users};
use crate::record::{Guard, Insert, Owner, Row, Save, Saved, Scan, Still, Timeouts, Update};
use crate::store::{Maintenance, Store};

fn manager<S: Store>(store: S) -> SessionManager<S> {
    let options = ManagerOptions { users: Some(Users::key("user")), ..patient() };
    SessionManager::with_options(store, Json, options)
}

async fn rows<S: Maintenance>(store: &S, owner: Option<Owner>) -> Vec<Row> {
    store.scan(&Scan { owner, with_data: true, ..Scan::new(1_000) }).await.unwrap()
}

async fn owner<S: Maintenance>(store: &S, id: &SessionId) -> Owner {
    let all = rows(store, None).await;
    let row = all.into_iter().find(|row| *row.stored_id == *id.private().as_str());
    row.expect("the row is there").owner
}

fn user(name: &str) -> Owner {
    Owner::of(Some(name))
}

/// The store says that the table has it.
pub async fn inspect_finds_the_column<F: MaintenanceFixture>() {
    let (_fixture, store) = F::open().await;
    assert!(store.inspect().await.unwrap().user);
}

/// An insert writes it, an update that writes data too, and none other unless it is told to.
pub async fn saves_write_or_keep_the_owner<F: MaintenanceFixture>() {
    let (_fixture, store) = F::open().await;
    for written in [user("ada"), user("Ä 💛 'x' \\"), user(&"x".repeat(255)), Owner::Nobody] {
        let id = new_id();
        let insert = Insert { owner: written.clone(), ..Insert::new(id.private(), ONE) };
        assert_eq!(store.save(&Save::Insert(insert)).await.unwrap(), Saved::Applied);
        assert!(owner(&store, &id).await == written);
        assert!(store.touch(&stored(&id), Timeouts::default()).await.unwrap());
        let moved = new_id();
        saved(&store, Update::new(stored(&id)).rekey(moved.private())).await;
        let kept = Update { owner: None, ..update_of(stored(&moved), TWO) };
        saved(&store, kept).await;
        assert!(owner(&store, &moved).await == written);
        let known = Update { owner: Some(user("bob")), ..update_of(stored(&moved), ONE) };
        saved(&store, known).await;
        assert!(owner(&store, &moved).await == user("bob"));
        saved(&store, update_of(stored(&moved), TWO)).await;
        assert!(owner(&store, &moved).await == Owner::Unknown);
    }
    let id = seeded(&store, ONE).await;
    assert!(owner(&store, &id).await == Owner::Unknown);
    let named = |guard| {
        let owner = Some(user("ada"));
        Update { owner, guard, touch: false, ..Update::new(stored(&id)) }
    };
    let other = Guard::Data(Some(TWO.into()));
    assert_eq!(saved(&store, named(other)).await, Saved::Conflict);
    assert!(owner(&store, &id).await == Owner::Unknown);
    let same = Guard::Data(found(&store, &id).await.data);
    assert_eq!(saved(&store, named(same)).await, Saved::Applied);
    assert!(owner(&store, &id).await == user("ada"));
}

/// Rows are read by it, byte for byte.
pub async fn scan_reads_the_rows_of_an_owner<F: MaintenanceFixture>() {
    let (_fixture, store) = F::open().await;
    let owners =
        [user("ada"), user("ADA"), user("ada "), user("adá"), Owner::Nobody, Owner::Unknown];
    for owner in owners.iter().cycle().take(3 * owners.len()) {
        let insert = Insert { owner: owner.clone(), ..Insert::new(new_id().private(), ONE) };
        store.save(&Save::Insert(insert)).await.unwrap();
    }
    for owner in &owners {
        let mut found = rows(&store, Some(owner.clone())).await;
        assert!(found.len() == 3 && found.iter().all(|row| row.owner == *owner));
        let last = found.pop().unwrap().key;
        let after = Some(found.remove(0).key);
        let scan = Scan { after, owner: Some(owner.clone()), ..Scan::new(1) };
        let next = store.scan(&scan).await.unwrap();
        assert_eq!(next.len(), 1);
        let scan = Scan { after: Some(last), ..scan };
        assert!(store.scan(&scan).await.unwrap().is_empty());
    }
}

/// Each save of a crowd writes its own.
pub async fn saves_that_meet_write_each_its_own<F: MaintenanceFixture>() {
    let (_fixture, store) = F::open().await;
    let manager = manager(Arc::new(store));
    let signs_in = |at: usize| {
        let manager = manager.clone();
        async move {
            let id = login(&manager, &format!("user {at}")).await;
            let session = manager.session(Some(id));
            session.insert("user", format!("other {at}")).unwrap();
            session.commit().await.unwrap();
        }
    };
    together((0..64).map(signs_in)).await;
    let store = &**manager.store();
    for at in 0..64 {
        assert!(rows(store, Some(user(&format!("user {at}")))).await.is_empty());
        assert_eq!(rows(store, Some(user(&format!("other {at}")))).await.len(), 1);
    }
}

/// A manager keeps it in step with the data, and where it knows no name, empties it.
pub async fn commits_keep_the_owner_in_step<F: MaintenanceFixture>() {
    let (_fixture, store) = F::open().await;
    let store = Arc::new(store);
    let manager = manager(Arc::clone(&store));
    let id = login(&manager, "ada").await;
    assert!(owner(&*store, &id).await == user("ada"));

    let cart = manager.session(Some(id.clone()));
    cart.insert("cart", 1).unwrap();
    cart.renew().unwrap();
    let id = new_cookie(&cart.commit().await.unwrap());
    assert!(owner(&*store, &id).await == user("ada"));

    let signs_out = manager.session(Some(id.clone()));
    signs_out.remove("user").unwrap();
    signs_out.commit().await.unwrap();
    assert!(owner(&*store, &id).await == Owner::Nobody);

    let long = manager.session(Some(id.clone()));
    long.insert("user", "x".repeat(256)).unwrap();
    long.commit().await.unwrap();
    assert!(owner(&*store, &id).await == Owner::Unknown);
    assert_eq!(manager.sessions_of(&"x".repeat(256)).await.unwrap().len(), 1);

    let signs_in = manager.session(Some(id));
    signs_in.reset().unwrap();
    signs_in.insert("user", 42).unwrap();
    let id = new_cookie(&signs_in.commit().await.unwrap());
    assert!(owner(&*store, &id).await == user("42"));

    // A service that was not told whose a session is.
    let other = SessionManager::with_options(Arc::clone(&store), Json, patient());
    let session = other.session(Some(id.clone()));
    session.insert("cart", 2).unwrap();
    session.commit().await.unwrap();
    assert!(owner(&*store, &id).await == Owner::Unknown);
    assert_eq!(manager.sessions_of("42").await.unwrap().len(), 1);
}

/// What the column names decides whether a row still ends.
pub async fn a_row_ends_while_it_is_the_users<F: MaintenanceFixture>() {
    let (_fixture, store) = F::open().await;
    let manager = manager(Arc::new(store));
    let store = &**manager.store();
    let ids = [login(&manager, "ada").await, login(&manager, "ada").await];
    let before = rows(store, Some(user("ada"))).await;
    let change = Update { owner: None, ..update_of(stored(&ids[0]), TWO) };
    saved(store, change).await;
    let leave = Update { owner: Some(user("ADA")), ..update_of(stored(&ids[1]), TWO) };
    saved(store, leave).await;
    let is_first = |row: &Row| *row.stored_id == *ids[0].private().as_str();
    let expected: Vec<bool> = before.iter().map(is_first).collect();
    assert_eq!(store.end(&before, Still::Owned).await.unwrap(), expected);
}

/// Data that name another user than the column: the data decide, and with `scan` all of them do. Data
/// that nobody can read leave the word to the column.
pub async fn the_data_decide_before_the_column<F: MaintenanceFixture>() {
    let (_fixture, store) = F::open().await;
    let data = |name: &str| format!(r#"{{"value":{{"user":"{name}"}}}}"#);
    for (owner, data) in [
        (user("ada"), data("ada")),
        (user("ada"), data("bob")),
        (user("bob"), data("ada")),
        (Owner::Unknown, data("ada")),
        (user("ada"), r#""no session""#.to_owned()),
    ] {
        let insert = Insert { owner, ..Insert::new(new_id().private(), data) };
        store.save(&Save::Insert(insert)).await.unwrap();
    }
    let mut options = UserOptions::new(Users::key("user"), Arc::new(Json));
    let watch = |_: &_| ControlFlow::Continue(());
    assert_eq!(sessions_of(&store, "ada", &options, watch).await.unwrap().sessions.len(), 3);
    options.scan = true;
    assert_eq!(sessions_of(&store, "ada", &options, watch).await.unwrap().sessions.len(), 4);
    options.scan = false;
    let report = revoke(&store, "ada", &Revoke::All, &options, watch).await.unwrap();
    assert_eq!(report.revoked, 3);
    options.scan = true;
    let report = revoke(&store, "ada", &Revoke::All, &options, watch).await.unwrap();
    assert_eq!(report.revoked, 1);
    assert_eq!(rows(&store, None).await.len(), 1);
}

/// What others left is filled in and what they made wrong put right, beside those who write; the
/// times stay.
pub async fn the_column_is_filled_from_the_data<F: MaintenanceFixture>() {
    let (fixture, store) = F::open().await;
    let manager = manager(Arc::new(store));
    let store = &**manager.store();
    let mut options = BackfillOptions::new(Users::key("user"), Arc::new(Json));
    options.pace.batch = 3;
    let data = |name: &str| format!(r#"{{"value":{{"user":"{name}"}}}}"#);
    for at in 0..8 {
        let id = new_id();
        let id =
            if at % 2 == 0 { id.private().as_str().to_owned() } else { id.as_str().to_owned() };
        fixture.put(&id, Some(data("ada").as_bytes())).await;
    }
    fixture.put(new_id().private().as_str(), None).await;
    fixture.put(new_id().private().as_str(), Some(br#""no session""#)).await;
    let stale = Insert { owner: user("ada"), ..Insert::new(new_id().private(), data("bob")) };
    store.save(&Save::Insert(stale)).await.unwrap();
    let times = |rows: Vec<Row>| rows.into_iter().map(|row| row.updated_at).collect::<Vec<_>>();
    let before = times(rows(store, None).await);

    let watch = |_: &_| ControlFlow::Continue(());
    let dry = BackfillOptions { dry_run: true, ..options.clone() };
    assert_eq!(backfill(store, &dry, watch).await.unwrap().filled, 9);
    assert_eq!(rows(store, Some(Owner::Unknown)).await.len(), 10);
    // Stopped after its first batch, and run again.
    let mut batches = 0;
    let stop = |_: &_| {
        batches += 1;
        if batches > 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let stopped = backfill(store, &options, stop).await.unwrap();
    assert!(stopped.ended == Ended::Stopped && stopped.filled <= 3);
    let report = backfill(store, &options, watch).await.unwrap();
    assert_eq!((stopped.filled + report.filled, report.unreadable), (9, 1));
    assert_eq!((report.busy, report.gone, report.ended), (0, 0, Ended::Done));
    assert_eq!(rows(store, Some(user("ada"))).await.len(), 9);
    assert_eq!(rows(store, Some(Owner::Nobody)).await.len(), 1);
    assert_eq!(backfill(store, &options, watch).await.unwrap().seen, 1);
    options.recheck = true;
    let report = backfill(store, &options, watch).await.unwrap();
    assert_eq!((report.filled, report.already, report.seen), (1, 9, 11));
    assert_eq!(rows(store, Some(user("bob"))).await.len(), 1);
    assert!(times(rows(store, None).await) == before);
}

/// Nobody's name gets into a row that has changed since it was read.
pub async fn a_backfill_writes_beside_live_traffic<F: MaintenanceFixture>() {
    let (_fixture, store) = F::open().await;
    let manager = manager(Arc::new(store));
    let plain = SessionManager::with_options(Arc::clone(manager.store()), Json, patient());
    let ids = [login(&plain, "ada").await, login(&plain, "ada").await];
    let changes = ids.clone().map(|id| {
        let manager = manager.clone();
        tokio::spawn(async move {
            for round in 0..40 {
                let session = manager.session(Some(id.clone()));
                session.insert("user", format!("user {round}")).unwrap();
                session.commit().await.unwrap();
            }
        })
    });
    let options = BackfillOptions {
        recheck: true,
        ..BackfillOptions::new(Users::key("user"), Arc::new(Json))
    };
    while !changes.iter().all(|task| task.is_finished()) {
        backfill(&**manager.store(), &options, |_: &_| ControlFlow::Continue(())).await.unwrap();
    }
    for task in changes {
        task.await.unwrap();
    }
    for id in &ids {
        assert!(owner(&**manager.store(), id).await == user("user 39"));
    }
}
