//! Operations that meet go out in batches: each has its own answer, the one that it has alone.

use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant};

use sqlbypass::{
    Guard, Insert, Lookup, Record, Result, Save, Saved, SessionId, StoredId, Timeouts, Update,
};

use super::{Shared, data, insert, new_id, update};

/// The table, seen from beside the store. Its data column takes a thousand characters, and does not
/// take `refused`.
pub(crate) trait Beside: Sync {
    /// The server's codes for data that are refused, and for a row that is locked.
    const CODES: [&'static str; 2];

    /// Locks the row, until it is [unlocked](Self::unlock).
    fn lock(&self, id: &SessionId) -> impl Future<Output = ()> + Send;

    fn unlock(&self) -> impl Future<Output = ()> + Send;
}

/// Runs them all at the same time; the answers in their order, and how long each took.
pub(crate) async fn together<T: Send + 'static>(
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

fn save<S: Shared>(store: &S, save: Save) -> impl Future<Output = Result<Saved>> + Send + use<S> {
    let store = store.clone();
    async move { store.save(&save).await }
}

fn destroy<S: Shared>(
    store: &S,
    lookup: Lookup,
) -> impl Future<Output = Result<bool>> + Send + use<S> {
    let store = store.clone();
    async move { store.destroy(&lookup).await }
}

/// A batch with one row that is locked, one that does not fit, one that has gone, one that another
/// has changed and one that the server refuses; then such batches that nothing refused ends before
/// the lock does, and that nothing ends at all.
pub(crate) async fn each_row_has_its_own_answer<S: Shared, B: Beside>(store: &S, beside: &B) {
    let ids: Vec<SessionId> = (0..60).map(|_| new_id()).collect();
    for id in &ids {
        insert(store, id, "before").await.unwrap();
    }
    store.destroy(&Lookup::new(&ids[13])).await.unwrap();
    let rounds = [(false, true), (true, true), (true, false), (false, false)];
    for (round, (locked, refuses)) in rounds.into_iter().enumerate() {
        let (was, now) = (format!("was {round}"), format!("now {round}"));
        for (at, id) in ids.iter().enumerate().filter(|(at, _)| *at != 13) {
            assert_eq!(update(store, id, was.clone()).await.unwrap(), Saved::Applied, "{at}");
        }
        if locked {
            beside.lock(&ids[23]).await;
        }
        let calls = ids.iter().enumerate().map(|(at, id)| {
            let was = if at == 17 { "other" } else { &was };
            let data = match at {
                11 if refuses => "refused".to_owned(),
                19 => "x".repeat(1_001),
                _ => now.clone(),
            };
            save(store, guarded(id, Some(was), data))
        });
        let answers = together(calls).await;
        let [refused, waited] = B::CODES;
        for (at, (answer, took)) in answers.iter().enumerate() {
            match (at, answer) {
                (11, Err(error)) if refuses => assert_eq!(error.code(), Some(refused), "{error}"),
                (13, Ok(answer)) => assert_eq!(*answer, Saved::Gone),
                (17, Ok(answer)) => assert_eq!(*answer, Saved::Conflict),
                (19, Err(error)) => assert!(error.is_overflow(), "{error}"),
                (23, Err(error)) if locked => assert_eq!(error.code(), Some(waited), "{error}"),
                (_, Ok(answer)) => {
                    assert_eq!(*answer, Saved::Applied, "{at}");
                    // Far less than the one that waits for the lock.
                    let waited = answers[23].1;
                    assert!(!locked || *took < waited / 2, "{at}: {took:?} of {waited:?}");
                }
                (_, Err(error)) => panic!("{at}: {error}"),
            }
        }
        if locked {
            beside.unlock().await;
        }
        for (at, id) in ids.iter().enumerate().filter(|(at, _)| *at != 13) {
            let is_old = match at {
                11 => refuses,
                23 => locked,
                at => [17, 19].contains(&at),
            };
            let expected = if is_old { &was } else { &now };
            assert_eq!(data(store, id).await.unwrap(), expected.as_bytes(), "{at}");
        }
    }
}

/// So many statements of each kind (inserts, finds, updates, destroys) as `sent` has counted by its
/// verb are far fewer than the 200 operations of that kind.
pub(crate) async fn what_meets_goes_out_together<S: Shared>(
    store: &S,
    mut sent: impl AsyncFnMut(&'static str) -> usize,
) {
    let ids: Vec<SessionId> = (0..200).map(|_| new_id()).collect();
    let inserts = ids.iter().map(|id| {
        let insert = Insert::new(id.private(), "one");
        save(store, Save::Insert(insert))
    });
    assert!(together(inserts).await.into_iter().all(|(saved, _)| saved.unwrap() == Saved::Applied));
    let (inserts, before) = (sent("INSERT").await, sent("SELECT").await);
    let finds = ids.iter().map(|id| {
        let (store, id) = (store.clone(), id.clone());
        async move { data(&store, &id).await.unwrap() }
    });
    assert!(together(finds).await.iter().all(|(data, _)| data == "one"));
    let finds = sent("SELECT").await - before;
    let updates = ids.iter().map(|id| save(store, guarded(id, Some("one"), "two".into())));
    assert!(together(updates).await.into_iter().all(|(saved, _)| saved.unwrap() == Saved::Applied));
    let updates = sent("UPDATE").await;
    let destroys = ids.iter().map(|id| destroy(store, Lookup::with_legacy(id)));
    assert!(together(destroys).await.into_iter().all(|(met, _)| met.unwrap()));
    let destroys = sent("DELETE").await;
    for count in [inserts, finds, updates, destroys] {
        assert!(count > 0 && count < 100, "{inserts} {finds} {updates} {destroys}");
    }
}

/// Ids that are taken are told one by one, and their neighbours are inserted; so with destroys.
pub(crate) async fn duplicates_and_missing_rows_are_told_one_by_one<S: Shared>(store: &S) {
    let ids: Vec<SessionId> = (0..60).map(|_| new_id()).collect();
    for id in ids.iter().step_by(3) {
        insert(store, id, "before").await.unwrap();
    }
    let inserts = ids.iter().map(|id| {
        let insert = Insert::new(id.private(), "new");
        save(store, Save::Insert(insert))
    });
    for (at, (saved, _)) in together(inserts).await.into_iter().enumerate() {
        let expected = if at % 3 == 0 { Saved::Duplicate } else { Saved::Applied };
        assert_eq!(saved.unwrap(), expected, "{at}");
    }
    assert_eq!(data(store, &ids[0]).await.unwrap(), "before");
    // A move onto a taken id fails its batch; the others are moved all the same.
    let new: Vec<SessionId> = ids.iter().map(|_| new_id()).collect();
    insert(store, &new[7], "taken").await.unwrap();
    let moves = ids.iter().zip(&new).map(|(id, new)| {
        save(store, Save::Update(Update::new(id.private().into()).rekey(new.private())))
    });
    for (at, (saved, _)) in together(moves).await.into_iter().enumerate() {
        let expected = if at == 7 { Saved::Duplicate } else { Saved::Applied };
        assert_eq!(saved.unwrap(), expected, "{at}");
    }
    let destroys = ids.iter().chain(&new).map(|id| destroy(store, Lookup::new(id)));
    for (at, (met, _)) in together(destroys).await.into_iter().enumerate() {
        assert_eq!(met.unwrap(), at == 7 || at >= 60, "{at}");
    }
}

/// What a find says of a row, but of a raw one beside it.
fn told(record: &Option<Record>) -> Option<(StoredId, Option<Vec<u8>>, bool)> {
    let has_times = |record: &Record| record.created_at.is_some() && record.updated_at.is_some();
    record.as_ref().map(|record| {
        let times = has_times(record);
        (record.id, record.data.as_ref().map(|data| data.to_vec()), times)
    })
}

fn has_twin(record: &Option<Record>) -> bool {
    record.as_ref().is_some_and(|record| record.legacy_twin)
}

/// How old a row is, or that its time is NULL.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Age {
    Minutes(u32),
    Unknown,
}

/// A row's id, its data and its age.
pub(crate) type Kind = (String, Option<&'static str>, Age);

/// Sessions whose private and raw rows are of all ages, or not there; and these rows.
pub(crate) fn rows_of_all_kinds() -> (Vec<SessionId>, Vec<Kind>) {
    let ids: Vec<SessionId> = (0..125).map(|_| new_id()).collect();
    let age = |which: usize| match which {
        1 => Some(Age::Minutes(0)),
        2 => Some(Age::Minutes(180)),
        3 => Some(Age::Unknown),
        4 => Some(Age::Minutes(30)),
        _ => None,
    };
    let mut rows = Vec::new();
    for (at, id) in ids.iter().enumerate() {
        let data = (at % 7 != 0).then_some("x");
        let forms =
            [(id.private().as_str().to_owned(), at % 5), (id.as_str().to_owned(), at / 5 % 5)];
        rows.extend(forms.into_iter().filter_map(|(id, which)| Some((id, data, age(which)?))));
    }
    (ids, rows)
}

/// In a batch each of these is found as it is by the other store, alone.
pub(crate) async fn finds_in_a_batch_find_what_they_find_alone<S: Shared>(
    store: &S,
    plain: &S,
    ids: &[SessionId],
) {
    let hour = Some(Duration::from_secs(3_600));
    for timeouts in [Timeouts::default(), Timeouts { idle: hour, lifetime: None }] {
        let lookups = ids
            .iter()
            .flat_map(|id| [Lookup::new(id), Lookup::with_legacy(id), Lookup::with_legacy(id)]);
        let lookups: Vec<_> = lookups.map(|lookup| lookup.timeouts(timeouts)).collect();
        let finds = lookups.iter().map(|lookup| {
            let (store, lookup) = (store.clone(), lookup.clone());
            async move { store.find(&lookup).await.unwrap() }
        });
        let found = together(finds).await;
        for ((lookup, (found, _)), at) in lookups.iter().zip(found).zip(0..) {
            let alone = plain.find(lookup).await.unwrap();
            assert!(told(&found) == told(&alone), "{at}: {found:?} {alone:?}");
            // A batch does not look for a raw row beside a private one: there may be one.
            assert!(has_twin(&found) || !has_twin(&alone), "{at}: {found:?} {alone:?}");
            assert!(!has_twin(&found) || lookup.legacy.is_some(), "{at}: {found:?}");
        }
    }
}

/// What is under way or waits when the store closes comes to its end; what comes later is refused.
pub(crate) async fn closing_drains<S: Shared>(
    store: &S,
    close: impl AsyncFnOnce() -> Result<()>,
) -> usize {
    let ids: Vec<SessionId> = (0..200).map(|_| new_id()).collect();
    let mut inserts: Vec<_> = ids
        .iter()
        .map(|id| {
            let insert = Insert::new(id.private(), "new");
            Box::pin(save(store, Save::Insert(insert)))
        })
        .collect();
    // All have begun when it closes.
    let mut answers: Vec<Option<Saved>> = vec![None; inserts.len()];
    let all = poll_fn(|cx| {
        for (insert, answer) in inserts.iter_mut().zip(&mut answers) {
            if answer.is_none()
                && let Poll::Ready(saved) = insert.as_mut().poll(cx)
            {
                *answer = Some(saved.unwrap());
            }
        }
        if answers.contains(&None) { Poll::Pending } else { Poll::Ready(()) }
    });
    let ((), closed) = tokio::join!(biased; all, close());
    closed.unwrap();
    assert!(answers.iter().all(|answer| *answer == Some(Saved::Applied)));
    assert!(store.find(&Lookup::new(&ids[0])).await.unwrap_err().is_unavailable());
    answers.len()
}
