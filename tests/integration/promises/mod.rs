//! What is promised on every server alike: generic over the store, one instance per database.

pub(crate) mod deadlines;
mod everywhere;
pub(crate) mod lanes;
pub(crate) mod load;
pub(crate) mod races;
pub(crate) mod secrets;

use bytes::Bytes;
use sqlbypass::{Insert, Lookup, Result, Save, Saved, SessionId, Store, Timeouts, Update};

use crate::servers::Proxy;
use crate::servers::proxy::Mode;

/// A store that tasks share.
pub(crate) trait Shared: Store + Clone + 'static {}

impl<S: Store + Clone + 'static> Shared for S {}

pub(crate) fn new_id() -> SessionId {
    SessionId::generate().unwrap()
}

pub(crate) async fn insert(
    store: &impl Store,
    id: &SessionId,
    data: impl Into<Bytes>,
) -> Result<Saved> {
    let insert = Insert::new(id.private(), data);
    store.save(&Save::Insert(insert)).await
}

pub(crate) async fn update(
    store: &impl Store,
    id: &SessionId,
    data: impl Into<Bytes>,
) -> Result<Saved> {
    let update = Update::new(id.private().into()).data(data);
    store.save(&Save::Update(update)).await
}

pub(crate) async fn data(store: &impl Store, id: &SessionId) -> Option<Bytes> {
    store.find(&Lookup::new(id)).await.unwrap().and_then(|record| record.data)
}

/// The answer to a write is lost, its connection cut, and all is well at once: who sent it again would be
/// told how that went.
pub(crate) async fn is_not_sent_again<S: Store>(store: &S, proxy: &Proxy, id: &SessionId) {
    let new = new_id();
    for is_new in [false, true] {
        proxy.set(Mode::MuteAfter(b"the change"));
        let save = async {
            match is_new {
                false => update(store, id, "the change").await,
                true => insert(store, &new, "the change").await,
            }
        };
        let (saved, ()) = tokio::join!(save, proxy.heal_when_muted());
        let error = saved.unwrap_err();
        assert!(error.is_unknown_outcome(), "{error}");
    }
    assert_eq!(insert(store, &new, "the change").await.unwrap(), Saved::Duplicate);
}

/// Every operation once, on a row that is there.
pub(crate) async fn works(store: &impl Store, id: &SessionId) {
    assert!(data(store, id).await.is_some());
    assert_eq!(update(store, id, "changed").await.unwrap(), Saved::Applied);
    assert_eq!(data(store, id).await.unwrap(), "changed");
    assert!(store.touch(&id.private().into(), Timeouts::default()).await.unwrap());
    let other = new_id();
    assert_eq!(insert(store, &other, "new").await.unwrap(), Saved::Applied);
    assert_eq!(insert(store, &other, "new").await.unwrap(), Saved::Duplicate);
    assert!(store.destroy(&Lookup::new(&other)).await.unwrap());
}
