//! Allocations of the codecs' hot paths: counts, not times, so that noise cannot fail them.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

use sqlbypass::internals::base64::{decode, encode};
use sqlbypass::{Changes, Codec, Json};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator as it came; the counter beside it allocates
// nothing, since the thread-local is const-initialised and needs no destructor.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` above with this layout.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations<T>(work: impl FnOnce() -> T) -> usize {
    let before = ALLOCATIONS.get();
    black_box(work());
    ALLOCATIONS.get() - before
}

const STORED: &str = concat!(
    r#"{"value":{"_csrf_token":"c0bXn0H5vJqv1M4Yq1rVtK2l3m4n5o6p7q8r9s0t1u8=","#,
    r#""warden.user.user.session":{"last_request_at":1700000000},"user_id":42,"locale":"de"}}"#
);

#[test]
fn a_lazy_get_of_json_allocates_twice() {
    let stored = bytes::Bytes::from(STORED);
    let opening = allocations(|| Json.open(Some(stored.clone())).unwrap());
    assert_eq!(opening, 2, "the document and its list of keys");
    let document = Json.open(Some(stored)).unwrap();
    let number = || document.get("user_id").unwrap().unwrap().deserialize::<i64>().unwrap();
    assert_eq!(allocations(number), 0);
    assert_eq!(allocations(|| document.get("nothing").unwrap().is_none()), 0);
}

#[test]
fn a_splice_of_json_allocates_twice() {
    let document = Json.open(Some(STORED.into())).unwrap();
    let mut changes = Changes::new();
    changes.set("locale", "en".into());
    let splicing = allocations(|| document.encode(&changes).unwrap());
    assert_eq!(splicing, 2, "the text and its owner");
}

#[test]
fn base64_takes_one_buffer() {
    let bytes = vec![7; 4096];
    assert_eq!(allocations(|| encode(&bytes)), 1);
    let text = encode(&bytes);
    assert_eq!(allocations(|| decode(&text)), 1);
}
