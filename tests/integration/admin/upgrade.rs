//! Upgrade: raw ids become private ones, and every cookie stays good.

use std::time::Duration;

use sqlbypass::{Lookup, SessionId, Store};

use super::place::{OLD, Place, anywhere, killed, now, private, raw, said};
use crate::promises::{data, update};

crate::admin::everywhere!(
    raw_ids_become_private_and_the_rest_stays,
    it_may_be_killed_and_run_again,
    live_traffic_goes_on,
);

async fn raw_ids_become_private_and_the_rest_stays(place: Place) {
    place.store().await.close().await.unwrap();
    let now = now();
    let odd = "an id of no shape";
    let twin = raw();
    let hidden = SessionId::parse(twin.as_bytes()).unwrap().private().as_str().to_owned();
    let ids: Vec<String> = (0..1_050).map(|_| raw()).collect();
    let mut rows: Vec<_> = ids.iter().map(|id| (id.clone(), "raw", OLD, &*now)).collect();
    let stay = [String::new(), "2::abc".into(), "1::".into(), private(), twin.clone(), hidden];
    rows.extend(stay.iter().map(|id| (id.clone(), "stays", OLD, &*now)));
    rows.push((odd.into(), "odd", OLD, OLD));
    place.put(&rows).await;
    let before = place.column("SELECT updated_at FROM sessions").await;

    let planned = place.json("upgrade --dry-run").await;
    assert_eq!((&planned["upgraded"], &planned["duplicates"]), (&1_051.into(), &1.into()));
    assert_eq!(place.count("session_id = 'an id of no shape'").await, 1);
    let report = place.json("upgrade --batch 400").await;
    assert_eq!(report["seen"], 1_057);
    assert_eq!(report["upgraded"], 1_051);
    assert_eq!((&report["unusable"], &report["duplicates"]), (&1.into(), &1.into()));

    let store = place.store().await;
    for id in ids.iter().map(String::as_str).chain([odd]) {
        let id = SessionId::parse(id.as_bytes()).unwrap();
        assert!(data(&store, &id).await.is_some());
    }
    let mut stayed = place.column("SELECT session_id FROM sessions WHERE data = 'stays'").await;
    let mut stay = stay.to_vec();
    stay.sort();
    stayed.sort();
    assert_eq!(stayed, stay);
    assert_eq!(place.column("SELECT updated_at FROM sessions").await, before);
    let again = place.run("upgrade").await;
    let said = said(&again);
    assert!(said.contains("secured 0 of 1057 sessions"), "{said}");
    assert!(ids.iter().all(|id| !said.contains(id.as_str())) && !said.contains(&twin));
}

async fn it_may_be_killed_and_run_again(place: Place) {
    place.store().await.close().await.unwrap();
    let now = now();
    let ids: Vec<String> = (0..600).map(|_| raw()).collect();
    let rows: Vec<_> = ids.iter().map(|id| (id.clone(), "x", &*now, &*now)).collect();
    place.put(&rows).await;
    let secured = "session_id LIKE '2::%'";
    let some = anywhere(25..450);
    let task = "upgrade --batch 25 --pause 30";
    let child = place.start(task, secured, |rows| rows >= some).await;
    let done = killed(child, async || place.count(secured).await).await;
    assert!(done < 600, "it was too late to kill it");
    assert_eq!(place.json("upgrade").await["upgraded"], 600 - done);
    assert_eq!(place.count(secured).await, 600);
    let store = place.store().await;
    for id in &ids {
        assert!(data(&store, &SessionId::parse(id.as_bytes()).unwrap()).await.is_some());
    }
}

/// Services with and without the legacy fallback find and save what they should.
async fn live_traffic_goes_on(place: Place) {
    let store = place.store().await;
    let now = now();
    let ids: Vec<String> = (0..800).map(|_| raw()).collect();
    let rows: Vec<_> = ids.iter().map(|id| (id.clone(), "0", &*now, &*now)).collect();
    place.put(&rows).await;
    let id = SessionId::parse(ids[799].as_bytes()).unwrap();
    let traffic = tokio::spawn(async move {
        for round in 1_u32.. {
            // As a request does: found under either id, saved under the one that it was found by.
            let record = store.find(&Lookup::with_legacy(&id)).await.unwrap().unwrap();
            let save = sqlbypass::Update::new(record.id).rekey(id.private());
            let save = sqlbypass::Save::Update(save.data(round.to_string()));
            let saved = store.save(&save).await.unwrap();
            assert!(matches!(saved, sqlbypass::Saved::Applied | sqlbypass::Saved::Gone));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let report = place.json("upgrade --batch 100 --pause 2").await;
    assert!(!traffic.is_finished(), "a service met an error");
    traffic.abort();
    let sum = report["upgraded"].as_u64().unwrap() + report["overtaken"].as_u64().unwrap();
    assert!((799..=800).contains(&sum), "{report}");
    assert_eq!(place.count("session_id LIKE '2::%'").await, 800);
    let store = place.store().await;
    let last = SessionId::parse(ids[799].as_bytes()).unwrap();
    update(&store, &last, "after").await.unwrap();
    assert_eq!(data(&store, &last).await.unwrap(), "after");
}
