//! Operations that meet go out in batches: each has its own answer, the one that it has alone.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use sqlbypass::{
    Guard, Insert, Lookup, PostgresStore, Record, Result, Save, Saved, SessionId, Store, StoredId,
    Timeouts, Update,
};

use super::{AnyPlace, Place, data, insert, new_id, update};
use crate::servers::{Options, Postgres};

/// Runs them all at the same time; the answers in their order, and how long each took.
async fn together<T: Send + 'static>(
    calls: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<(T, Duration)> {
    let begun = Instant::now();
    let timed = |call| async move { (call.await, begun.elapsed()) };
    let calls: Vec<_> = calls.into_iter().map(|call| tokio::spawn(timed(call))).collect();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.unwrap());
    }
    answers
}

fn guarded(id: &SessionId, was: Option<&str>, data: String) -> Save {
    let was = was.map(|was| was.to_owned().into());
    Save::Update(Update { guard: Guard::Data(was), ..Update::new(id.private().into()).data(data) })
}

fn save(store: &PostgresStore, save: Save) -> impl Future<Output = Result<Saved>> + use<> {
    let store = store.clone();
    async move { store.save(&save).await }
}

/// Somebody else locks the row, until it is rolled back.
async fn lock(place: &Place, id: &SessionId) {
    place.raw.batch_execute("BEGIN").await.unwrap();
    let sql = format!("UPDATE {} SET data = data WHERE session_id = $1", place.table());
    place.raw.execute(&sql, &[&id.private().as_str()]).await.unwrap();
}

/// The statements in the server's log that hold this.
fn sent(server: &Postgres, part: &str) -> usize {
    let log = server.log();
    log.lines().filter(|line| line.contains("execute ") && line.contains(part)).count()
}

async fn logged() -> Postgres {
    let settings = vec!["log_statement = 'all'".into(), "log_min_messages = error".into()];
    Postgres::start(Options { settings, ..Options::default() })
}

/// The log has one line for a statement.
const RAILS: &str = crate::conformance::postgres::RAILS;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_row_of_a_batch_has_its_own_answer() {
    if !Postgres::available() {
        return;
    }
    let server = logged().await;
    let ddl = RAILS.replace("data text", "data varchar(1000) CHECK (data <> 'refused')");
    let place = Place::on(&server, &ddl).await;
    let builder = place.builder(&server.socket_url("postgres")).deadline(Duration::from_secs(6));
    let store = builder.open().await.unwrap();
    let ids: Vec<SessionId> = (0..60).map(|_| new_id()).collect();
    for id in &ids {
        insert(&store, id, "before").await.unwrap();
    }
    store.destroy(&Lookup::new(&ids[13])).await.unwrap();
    for round in 0..2 {
        let (locked, was, now) = (round == 1, format!("was {round}"), format!("now {round}"));
        for (at, id) in ids.iter().enumerate().filter(|(at, _)| *at != 13) {
            assert_eq!(update(&store, id, &was).await.unwrap(), Saved::Applied, "{at}");
        }
        if locked {
            lock(&place, &ids[23]).await;
        }
        let calls = ids.iter().enumerate().map(|(at, id)| {
            let was = if at == 17 { "other" } else { &was };
            let data = match at {
                11 => "refused".to_owned(),
                19 => "x".repeat(1_001),
                _ => now.clone(),
            };
            save(&store, guarded(id, Some(was), data))
        });
        let answers = together(calls).await;
        for (at, (answer, took)) in answers.iter().enumerate() {
            match (at, answer) {
                (11, Err(error)) => assert_eq!(error.code(), Some("23514"), "{error}"),
                (13, Ok(answer)) => assert_eq!(*answer, Saved::Gone),
                (17, Ok(answer)) => assert_eq!(*answer, Saved::Conflict),
                (19, Err(error)) => assert!(error.is_overflow(), "{error}"),
                (23, Err(error)) if locked => assert_eq!(error.code(), Some("55P03"), "{error}"),
                (_, Ok(answer)) => {
                    assert_eq!(*answer, Saved::Applied, "{at}");
                    assert!(!locked || *took < answers[23].1, "{at} waited for the lock");
                }
                (_, Err(error)) => panic!("{at}: {error}"),
            }
        }
        if locked {
            place.raw.batch_execute("ROLLBACK").await.unwrap();
        }
        for (at, id) in ids.iter().enumerate().filter(|(at, _)| *at != 13) {
            let is_old = [11, 17, 19].contains(&at) || (locked && at == 23);
            assert_eq!(data(&store, id).await.unwrap(), if is_old { &was } else { &now }[..]);
        }
    }
    assert!(sent(&server, "UPDATE") > 0, "{}", server.log());
    assert!(server.log().contains("WITH ORDINALITY AS change"), "there was no batch");
}

/// 200 operations of a kind at the same time are far fewer statements.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_meets_goes_out_together() {
    if !Postgres::available() {
        return;
    }
    let server = logged().await;
    let place = Place::on(&server, RAILS).await;
    let store = place.builder(&server.socket_url("postgres")).open().await.unwrap();
    let ids: Vec<SessionId> = (0..200).map(|_| new_id()).collect();
    let inserts = ids.iter().map(|id| {
        let (store, id) = (store.clone(), id.clone());
        async move { insert(&store, &id, "one").await.unwrap() }
    });
    assert!(together(inserts).await.iter().all(|(saved, _)| *saved == Saved::Applied));
    let (inserts, before) = (sent(&server, "INSERT"), sent(&server, "SELECT"));
    let finds = ids.iter().map(|id| {
        let (store, id) = (store.clone(), id.clone());
        async move { data(&store, &id).await.unwrap() }
    });
    assert!(together(finds).await.iter().all(|(data, _)| data == "one"));
    let finds = sent(&server, "SELECT") - before;
    let updates = ids.iter().map(|id| save(&store, guarded(id, Some("one"), "two".into())));
    assert!(together(updates).await.into_iter().all(|(saved, _)| saved.unwrap() == Saved::Applied));
    let updates = sent(&server, "UPDATE");
    let destroys = ids.iter().map(|id| {
        let (store, id) = (store.clone(), id.clone());
        async move { store.destroy(&Lookup::with_legacy(&id)).await.unwrap() }
    });
    assert!(together(destroys).await.iter().all(|(met, _)| *met));
    let destroys = sent(&server, "DELETE");
    assert_eq!(place.count().await, 0);
    for count in [inserts, finds, updates, destroys] {
        assert!(count > 0 && count < 100, "{inserts} {finds} {updates} {destroys}");
    }
}

/// Ids that are taken are told one by one, and their neighbours are inserted; so with destroys.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duplicates_and_missing_rows_are_told_one_by_one() {
    if !Postgres::available() {
        return;
    }
    let place = Place::shared().await;
    let store = place.open().await;
    let ids: Vec<SessionId> = (0..60).map(|_| new_id()).collect();
    for id in ids.iter().step_by(3) {
        insert(&store, id, "before").await.unwrap();
    }
    let inserts = ids.iter().map(|id| {
        let insert = Insert { id: id.private(), data: "new".into(), expires_in: None };
        save(&store, Save::Insert(insert))
    });
    for (at, (saved, _)) in together(inserts).await.into_iter().enumerate() {
        let expected = if at % 3 == 0 { Saved::Duplicate } else { Saved::Applied };
        assert_eq!(saved.unwrap(), expected, "{at}");
    }
    assert_eq!(data(&store, &ids[0]).await.unwrap(), "before");
    // A move onto a taken id fails its batch; the others are moved all the same.
    let new: Vec<SessionId> = ids.iter().map(|_| new_id()).collect();
    insert(&store, &new[7], "taken").await.unwrap();
    let moves = ids.iter().zip(&new).map(|(id, new)| {
        save(&store, Save::Update(Update::new(id.private().into()).rekey(new.private())))
    });
    for (at, (saved, _)) in together(moves).await.into_iter().enumerate() {
        let expected = if at == 7 { Saved::Duplicate } else { Saved::Applied };
        assert_eq!(saved.unwrap(), expected, "{at}");
    }
    let destroys = ids.iter().chain(&new).map(|id| {
        let (store, id) = (store.clone(), id.clone());
        async move { store.destroy(&Lookup::new(&id)).await.unwrap() }
    });
    for (at, (met, _)) in together(destroys).await.into_iter().enumerate() {
        assert_eq!(met, at == 7 || at >= 60, "{at}");
    }
    assert_eq!(place.count().await, 0);
}

/// What a find says of a row.
fn told(record: Option<Record>) -> Option<(StoredId, Option<Vec<u8>>, bool, bool)> {
    let has_times = |record: &Record| record.created_at.is_some() && record.updated_at.is_some();
    record.map(|record| {
        let times = has_times(&record);
        (record.id, record.data.map(|data| data.to_vec()), record.legacy_twin, times)
    })
}

/// Rows that are private, raw, both or none, fresh or old: in a batch each is found as it is alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finds_in_a_batch_find_what_they_find_alone() {
    if !Postgres::available() {
        return;
    }
    let place = Place::shared().await;
    place.run("ALTER TABLE {table} ALTER updated_at DROP NOT NULL").await;
    let store = place.open().await;
    let ids: Vec<SessionId> = (0..125).map(|_| new_id()).collect();
    let mut sql = String::new();
    let age = |which: usize| match which {
        1 => Some("timezone('utc', now())"),
        2 => Some("timezone('utc', now()) - interval '3 hours'"),
        3 => Some("NULL"),
        4 => Some("timezone('utc', now()) - interval '30 minutes'"),
        _ => None,
    };
    for (at, id) in ids.iter().enumerate() {
        let (private, raw) = (id.private(), id.as_str());
        let data = if at % 7 == 0 { "NULL" } else { "'x'" };
        for (id, age) in [(private.as_str(), age(at % 5)), (raw, age(at / 5 % 5))] {
            let Some(age) = age else { continue };
            let table = place.table();
            writeln!(
                sql,
                "INSERT INTO {table} (session_id, data, created_at, updated_at)
                 VALUES ('{id}', {data}, now() - interval '1 day', {age});"
            )
            .unwrap();
        }
    }
    place.run(&sql).await;
    let plain = AnyPlace::<false> { raw: place.raw, schema: place.schema }.open().await;
    let hour = Some(Duration::from_secs(3_600));
    for timeouts in [Timeouts::default(), Timeouts { idle: hour, lifetime: None }] {
        let lookups = ids
            .iter()
            .flat_map(|id| [Lookup::new(id), Lookup::with_legacy(id), Lookup::with_legacy(id)]);
        let lookups: Vec<_> = lookups.map(|lookup| lookup.timeouts(timeouts)).collect();
        let finds = lookups.iter().map(|lookup| {
            let (store, lookup) = (store.clone(), lookup.clone());
            async move { told(store.find(&lookup).await.unwrap()) }
        });
        let found = together(finds).await;
        for ((lookup, (found, _)), at) in lookups.iter().zip(found).zip(0..) {
            let alone = told(plain.find(lookup).await.unwrap());
            assert!(found == alone, "{at}: {found:?} {alone:?}");
        }
    }
}

/// What waits when the store closes has its answer; what comes later is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_drains() {
    if !Postgres::available() {
        return;
    }
    let place = Place::shared().await;
    let store = place.open().await;
    let ids: Vec<SessionId> = (0..200).map(|_| new_id()).collect();
    let inserts: Vec<_> = ids
        .iter()
        .map(|id| {
            let insert = Insert { id: id.private(), data: "new".into(), expires_in: None };
            Box::pin(save(&store, Save::Insert(insert)))
        })
        .collect();
    let all = tokio::spawn(together(inserts));
    tokio::time::sleep(Duration::from_millis(1)).await;
    store.close().await.unwrap();
    let answers = all.await.unwrap();
    let refused = answers.iter().filter(|(answer, _)| answer.is_err()).count();
    for (answer, _) in &answers {
        match answer {
            Ok(saved) => assert_eq!(*saved, Saved::Applied),
            Err(error) => assert!(error.is_unavailable(), "{error}"),
        }
    }
    assert_eq!(place.count().await, i64::try_from(answers.len() - refused).unwrap());
    assert!(store.find(&Lookup::new(&ids[0])).await.unwrap_err().is_unavailable());
}
