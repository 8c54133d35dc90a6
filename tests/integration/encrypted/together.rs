//! Requests that meet: encrypting anew under a new id loses no change of others.

use sqlbypass::{CookieChange, ManagerOptions, Outcome, Policy, SessionId, SessionManager};
use tokio::task::JoinSet;

use super::{SENTINEL, assert_hidden, begin, everywhere, manager, with, words};
use crate::life::place::Place;

everywhere! {
    a_new_id_keeps_what_was_written_meanwhile
    many_in_one_session
    many_sessions_at_once
}

/// A new id alone has nothing that a policy could refuse, and overwrites nothing under any.
async fn a_new_id_keeps_what_was_written_meanwhile(place: &Place) {
    let store = place.open().await;
    for policy in [Policy::Merge, Policy::LastWriteWins, Policy::Reject] {
        let manager = with(&store, ManagerOptions { policy, ..ManagerOptions::default() });
        let id = begin(&manager).await;
        let renewing = manager.session(Some(id.clone()));
        renewing.get::<i64>("n").await.unwrap();
        let other = manager.session(Some(id.clone()));
        other.insert("n", 7).unwrap();
        assert_eq!(other.commit().await.unwrap().outcome, Outcome::Saved);
        renewing.renew().unwrap();
        let commit = renewing.commit().await.unwrap();
        assert_eq!(commit.outcome, Outcome::Saved, "{policy:?}");
        let CookieChange::Set(new) = commit.cookie else { panic!("it has a new id") };
        let session = manager.session(Some(new));
        assert_eq!(session.get("n").await.unwrap(), Some(7), "{policy:?}");
        assert_eq!(session.get("words").await.unwrap(), Some(SENTINEL.to_owned()));
    }
}

/// Writers of different keys, and one that changes the id now and then.
async fn many_in_one_session(place: &Place) {
    let store = place.open().await;
    let manager = manager(&store);
    let mut id = begin(&manager).await;
    for round in 0..6 {
        let mut writers = JoinSet::new();
        for n in 0..16 {
            let session = manager.session(Some(id.clone()));
            let key = format!("{round}.{n}");
            session.get::<i64>(&key).await.unwrap();
            writers.spawn(async move {
                session.insert(key, n).unwrap();
                session.commit().await.unwrap().outcome
            });
        }
        let renewing = manager.session(Some(id.clone()));
        renewing.get::<i64>("n").await.unwrap();
        renewing.renew().unwrap();
        let renewed = renewing.commit().await.unwrap().cookie;
        let outcomes = writers.join_all().await;
        let CookieChange::Set(new) = renewed else { panic!("it has a new id") };
        let written = outcomes.iter().filter(|outcome| **outcome != Outcome::Gone).count();
        let map = manager.session(Some(new.clone())).to_map().await.unwrap();
        let kept = map.iter().filter(|(key, _)| key.starts_with(&format!("{round}."))).count();
        assert_eq!(kept, written, "what was acknowledged is there");
        id = new;
    }
    assert_eq!(words(&manager, &id).await.as_deref(), Some(SENTINEL));
}

async fn many_sessions_at_once(place: &Place) {
    let store = place.open().await;
    let manager = manager(&store);
    let mut requests = JoinSet::new();
    for n in 0..64 {
        let manager = manager.clone();
        requests.spawn(async move { (n, five_requests(&manager, n).await) });
    }
    for (n, id) in requests.join_all().await {
        assert_hidden(&store, &id).await;
        let session = manager.session(Some(id));
        assert_eq!(session.get("n").await.unwrap(), Some((n, 4)));
    }
}

async fn five_requests<S: sqlbypass::Store>(manager: &SessionManager<S>, n: usize) -> SessionId {
    let mut id = None;
    for round in 0..5 {
        let session = manager.session(id.clone());
        if round > 0 {
            assert_eq!(session.get("n").await.unwrap(), Some((n, round - 1)));
        }
        session.insert("n", (n, round)).unwrap();
        if round % 2 == 1 {
            session.renew().unwrap();
        }
        session.commit().await.unwrap();
        id = session.id().await.unwrap();
    }
    id.unwrap()
}
