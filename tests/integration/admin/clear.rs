//! Clear: everything goes, once somebody has said so.

use super::place::{Place, now, private, said};

crate::admin::everywhere!(everything_goes_when_it_is_said);

async fn everything_goes_when_it_is_said(place: Place) {
    place.store().await.close().await.unwrap();
    let now = now();
    let rows: Vec<_> = (0..1_200).map(|_| (private(), "x", &*now, &*now)).collect();
    place.put(&rows).await;
    let output = place.run("clear").await;
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("say --yes to delete every session"), "{}", said(&output));
    assert_eq!(place.json("clear --dry-run").await["deleted"], 1_200);
    assert_eq!(place.count("TRUE").await, 1_200);
    let output = place.run("clear --yes --batch 500").await;
    assert!(output.status.success());
    assert_eq!(said(&output), "deleted 1200 sessions\n");
    assert_eq!(place.count("TRUE").await, 0);
    assert_eq!(place.json("clear --yes").await["deleted"], 0);
}
