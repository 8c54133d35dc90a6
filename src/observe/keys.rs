//! Keys of metrics, each made once: the facade's macros make one with its labels for each call, and
//! a key that stays also keeps its hash.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use ::metrics::{Counter, Histogram, Key, Label, Level, Metadata, with_recorder};

/// A metric's name, and the values of its labels. All are words of this crate, so there are few.
type Words = [&'static str; 4];
type Labels<'a> = &'a [(&'static str, &'static str)];

static KEYS: Mutex<Option<HashMap<Words, &'static Key>>> = Mutex::new(None);

thread_local! {
    /// What this thread has asked for before.
    static KNOWN: RefCell<HashMap<Words, &'static Key>> = RefCell::default();
}

static METADATA: Metadata<'static> = Metadata::new("sqlbypass", Level::INFO, Some("sqlbypass"));

pub(super) fn counter(name: &'static str, labels: Labels<'_>) -> Counter {
    let key = key(name, labels);
    with_recorder(|recorder| recorder.register_counter(key, &METADATA))
}

pub(super) fn histogram(name: &'static str, labels: Labels<'_>) -> Histogram {
    let key = key(name, labels);
    with_recorder(|recorder| recorder.register_histogram(key, &METADATA))
}

fn key(name: &'static str, labels: Labels<'_>) -> &'static Key {
    let mut words: Words = [name, "", "", ""];
    for (word, (_, value)) in words[1..].iter_mut().zip(labels) {
        *word = value;
    }
    let make = || {
        let labels = labels.iter().map(|(name, value)| Label::new(*name, *value));
        &*Box::leak(Box::new(Key::from_parts(name, labels.collect::<Vec<_>>())))
    };
    let shared = || {
        let mut keys = KEYS.lock().unwrap_or_else(PoisonError::into_inner);
        *keys.get_or_insert_default().entry(words).or_insert_with(make)
    };
    // A thread that ends has none any more, and still drops what tells of its end.
    let known = KNOWN.try_with(|known| *known.borrow_mut().entry(words).or_insert_with(shared));
    known.unwrap_or_else(|_| shared())
}
