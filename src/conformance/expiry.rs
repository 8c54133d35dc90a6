//! The optional column `expires_at`.

use std::time::Duration;

use super::Fixture;
use super::support::{ONE, TWO, assert_rows, is_found, new_id, saved, stored, update_of};
use crate::id::SessionId;
use crate::record::{Expiry, Insert, Lookup, Save, Saved, Timeouts, Update};
use crate::store::Store;

const HOUR: Duration = Duration::from_secs(3_600);

async fn expiring<S: Store>(store: &S, expires_in: Option<Duration>) -> SessionId {
    let id = new_id();
    let insert = Insert { expires_in, ..Insert::new(id.private(), ONE) };
    assert_eq!(store.save(&Save::Insert(insert)).await.unwrap(), Saved::Applied);
    id
}

/// Past its expiry a row is not found, gone for a save, false for a touch and removed by destroy;
/// one without an expiry lives on.
pub async fn a_row_lives_until_its_expiry<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let (mortal, immortal) = (expiring(&store, Some(HOUR)).await, expiring(&store, None).await);
    for id in [&mortal, &immortal] {
        fixture.age(id.private().as_str(), HOUR / 2).await;
        assert!(is_found(&store, &Lookup::new(id)).await);
        fixture.age(id.private().as_str(), HOUR).await;
    }
    assert!(is_found(&store, &Lookup::new(&immortal)).await);
    assert!(!is_found(&store, &Lookup::new(&mortal)).await);
    assert!(!store.touch(&stored(&mortal), Timeouts::default()).await.unwrap());
    assert_eq!(saved(&store, update_of(stored(&mortal), TWO)).await, Saved::Gone);
    let renewal = Update { expiry: Expiry::Never, ..Update::new(stored(&mortal)) };
    assert_eq!(saved(&store, renewal.rekey(new_id().private())).await, Saved::Gone);
    assert!(store.destroy(&Lookup::new(&mortal)).await.unwrap());
    assert_rows(&fixture, &[(immortal.private().as_str(), Some(ONE))]).await;
}

/// Neither an insert nor a new id takes the place of a row that has expired: both are `Duplicate`.
pub async fn an_expired_row_keeps_its_id<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let (expired, other) = (expiring(&store, Some(HOUR)).await, expiring(&store, None).await);
    fixture.age(expired.private().as_str(), 2 * HOUR).await;
    assert!(!is_found(&store, &Lookup::new(&expired)).await);
    let again = Save::Insert(Insert::new(expired.private(), TWO));
    assert_eq!(store.save(&again).await.unwrap(), Saved::Duplicate);
    let onto = update_of(stored(&other), TWO).rekey(expired.private());
    assert_eq!(saved(&store, onto).await, Saved::Duplicate);
    let rows = [(expired.private(), Some(ONE)), (other.private(), Some(ONE))];
    assert_rows(&fixture, &rows.each_ref().map(|(id, data)| (id.as_str(), *data))).await;
}

/// `Keep` leaves it, `After` sets it anew, `Never` takes it away.
pub async fn an_update_keeps_moves_or_ends_the_expiry<F: Fixture>() {
    let (fixture, store) = F::open().await;
    for (expiry, alive) in
        [(Expiry::Keep, false), (Expiry::After(2 * HOUR), true), (Expiry::Never, true)]
    {
        let id = expiring(&store, Some(HOUR)).await;
        let update = Update { expiry, ..update_of(stored(&id), TWO) };
        assert_eq!(saved(&store, update).await, Saved::Applied);
        fixture.age(id.private().as_str(), HOUR * 3 / 2).await;
        assert_eq!(is_found(&store, &Lookup::new(&id)).await, alive);
    }
}
