//! What the cases share.

use std::future::Future;

use bytes::Bytes;

use super::{Fixture, RawRow};
use crate::id::{SessionId, StoredId};
use crate::record::{Guard, Insert, Lookup, Record, Save, Saved, Update};
use crate::store::Store;

/// Data that every column takes, also one of JSON.
pub(super) const ONE: &str = r#"{"value":{"n":1}}"#;
pub(super) const TWO: &str = r#"{"value":{"n":2}}"#;

pub(super) fn new_id() -> SessionId {
    SessionId::generate().unwrap()
}

pub(super) fn stored(id: &SessionId) -> StoredId {
    id.private().into()
}

pub(super) fn legacy(id: &SessionId) -> StoredId {
    id.legacy().unwrap().into()
}

pub(super) fn insert_of(id: &SessionId, data: &[u8]) -> Save {
    let data = Bytes::copy_from_slice(data);
    Save::Insert(Insert::new(id.private(), data))
}

/// An unguarded update of `id` to these data.
pub(super) fn update_of(id: StoredId, data: &str) -> Update {
    Update::new(id).data(data.to_owned())
}

pub(super) fn guard(data: Option<&[u8]>) -> Guard {
    Guard::Data(data.map(Bytes::copy_from_slice))
}

/// A session in the table.
pub(super) async fn seeded<S: Store>(store: &S, data: &str) -> SessionId {
    let id = new_id();
    assert_eq!(store.save(&insert_of(&id, data.as_bytes())).await.unwrap(), Saved::Applied);
    id
}

pub(super) async fn saved<S: Store>(store: &S, update: Update) -> Saved {
    store.save(&Save::Update(update)).await.unwrap()
}

/// The record, which has to be there.
pub(super) async fn found<S: Store>(store: &S, id: &SessionId) -> Record {
    store.find(&Lookup::new(id)).await.unwrap().expect("the row is there")
}

pub(super) async fn is_found<S: Store>(store: &S, lookup: &Lookup) -> bool {
    store.find(lookup).await.unwrap().is_some()
}

/// A race that is lost once in thousands is lost; `SQLBYPASS_RACES` asks for more of them.
pub(super) fn races(rounds: usize) -> usize {
    let asked = std::env::var("SQLBYPASS_RACES").ok();
    asked.map_or(rounds, |count| count.parse().expect("SQLBYPASS_RACES is a number"))
}

/// All rows, sorted by id.
pub(super) async fn rows<F: Fixture>(fixture: &F) -> Vec<RawRow> {
    let mut rows = fixture.rows().await;
    rows.sort();
    rows
}

/// Asserts that these are all the rows there are.
pub(super) async fn assert_rows<F: Fixture>(fixture: &F, expected: &[(&str, Option<&str>)]) {
    let row = |(id, data): &(&str, Option<&str>)| {
        ((*id).to_owned(), data.map(|data| F::stored_form(data).into_bytes()))
    };
    let mut expected: Vec<RawRow> = expected.iter().map(row).collect();
    expected.sort();
    let actual = rows(fixture).await;
    // Ids and data stay out of the message, as everywhere.
    assert!(actual == expected, "the table holds other rows: {} of them", actual.len());
}

/// Whether the column's data are these, in the form in which it gives them back.
pub(super) fn holds<F: Fixture>(data: Option<&Bytes>, expected: &str) -> bool {
    data.is_some_and(|data| data == F::stored_form(expected).as_bytes())
}

/// Runs all of these at the same time.
pub(super) async fn together<T: Send + 'static>(
    tasks: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let handles: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
    let mut results = Vec::with_capacity(handles.len());
    for handle in handles {
        results.push(handle.await.unwrap());
    }
    results
}

/// Texts that a lax collation takes for `id`.
pub(super) fn look_alikes(id: &str) -> Vec<String> {
    let fullwidth = |c: char| match c {
        '!'..='~' => char::from_u32(c as u32 + 0xFEE0).unwrap_or(c),
        other => other,
    };
    vec![
        swap_case(id),
        format!("{id} "),
        format!(" {id}"),
        format!("\u{1}{id}"),
        format!("{id}\u{200b}"),
        format!("{id}\u{301}"),
        id.chars().map(fullwidth).collect(),
        fullwidth(id.chars().next().unwrap()).to_string() + &id[1..],
    ]
}

/// Hex in the other case; an id without letters gets one more digit instead.
fn swap_case(id: &str) -> String {
    let swap =
        |c: char| if c.is_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
    let swapped: String = id.chars().map(swap).collect();
    if swapped == id { format!("{id}0") } else { swapped }
}
