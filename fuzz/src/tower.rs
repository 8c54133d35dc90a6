//! Rows as records of `tower-sessions`: whatever stands there, and what was written there.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use sqlbypass::{
    Codec, Json, Lookup, Marshal, Record, Result, Save, Saved, Store, StoredId, Timeouts,
    TowerSessions,
};
use tower_sessions_core::SessionStore;
use tower_sessions_core::session::Id;

/// A store of one row, whose id does not matter.
#[derive(Default)]
struct Row(Arc<Mutex<Option<Bytes>>>);

pub fn run(data: &[u8]) {
    read(data, Json);
    read(data, Marshal);
}

fn read(data: &[u8], codec: impl Codec) {
    let row = Row(Arc::new(Mutex::new(Some(Bytes::copy_from_slice(data)))));
    let sessions = TowerSessions::new(row, codec);
    let id = Id(7);
    let Ok(Some(record)) = at_once(sessions.load(&id)) else { return };
    if at_once(sessions.save(&record)).is_err() {
        return;
    }
    let again = at_once(sessions.load(&id)).expect("it was written");
    let again = again.expect("it has not expired since");
    // A nil is not written, and neither is a number beyond a float's range.
    let is_kept = |value: &serde_json::Value| !value.is_null();
    let kept = record.data.iter().filter(|(_, value)| is_kept(value));
    assert!(kept.clone().count() == again.data.len(), "keys came or went");
    assert!(kept.clone().all(|(key, value)| again.data.get(key) == Some(value)), "its data differ");
    let micros = |time: time::OffsetDateTime| time.unix_timestamp_nanos() / 1_000;
    assert_eq!(micros(again.expiry_date), micros(record.expiry_date));
}

fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("there is nothing to wait for"),
    }
}

impl Store for Row {
    async fn find(&self, lookup: &Lookup) -> Result<Option<Record>> {
        let data = self.0.lock().expect("nobody panics").clone();
        Ok(Some(Record::new(lookup.private.into(), data)))
    }

    async fn save(&self, save: &Save) -> Result<Saved> {
        let Save::Update(update) = save else { panic!("the row is there") };
        (*self.0.lock().expect("nobody panics")).clone_from(&update.data);
        Ok(Saved::Applied)
    }

    async fn destroy(&self, _: &Lookup) -> Result<bool> {
        Ok(false)
    }

    async fn touch(&self, _: &StoredId, _: Timeouts) -> Result<bool> {
        Ok(false)
    }
}
