//! Servers that do not answer, and those that answer again.

use std::time::{Duration, Instant};

use sqlbypass::{Error, Lookup, SessionId, Store, StoredId, Timeouts};

use super::{data, insert, new_id, update};

pub(crate) const DEADLINE: Duration = Duration::from_millis(800);
/// What a machine that is busy with other tests may need on top of a deadline.
pub(crate) const SLACK: Duration = Duration::from_secs(3);

/// Runs it and checks that it ends by its deadline.
pub(crate) async fn in_time<T>(work: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let result = work.await;
    let took = begun.elapsed();
    assert!(took < DEADLINE + SLACK, "it took {took:?}");
    result
}

/// Every operation ends in an error of this kind; `true` is passed for those that write.
pub(crate) async fn all_end(
    store: &impl Store,
    id: &SessionId,
    is_right: impl Fn(&Error, bool) -> bool,
) {
    let check = |error: Error, writes| {
        assert!(is_right(&error, writes), "{error}");
    };
    check(in_time(store.find(&Lookup::new(id))).await.unwrap_err(), false);
    check(in_time(update(store, id, "late")).await.unwrap_err(), true);
    check(in_time(insert(store, &new_id(), "late")).await.unwrap_err(), true);
    check(in_time(store.destroy(&Lookup::new(&new_id()))).await.unwrap_err(), true);
    let stored = StoredId::from(id.private());
    let touched = store.touch(&stored, Timeouts::default());
    check(in_time(touched).await.unwrap_err(), true);
}

/// Each answers again, and the connections are whole.
pub(crate) async fn recovers(store: &impl Store, id: &SessionId) {
    let until = Instant::now() + Duration::from_secs(20);
    while let Err(error) = update(store, id, "after").await {
        assert!(Instant::now() < until, "{error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for _ in 0..20 {
        assert_eq!(data(store, id).await.unwrap(), "after");
    }
}
