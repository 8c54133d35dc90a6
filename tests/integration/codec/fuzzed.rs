//! The fuzz targets on their seed corpora, without a fuzzer.

#[allow(unreachable_pub, reason = "the fuzz targets are another crate")]
#[path = "../../../fuzz/src/marshal.rs"]
mod marshal;

use std::path::Path;

fn replay(target: &str, body: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut seeds = 0;
    for entry in std::fs::read_dir(corpus).unwrap() {
        body(&std::fs::read(entry.unwrap().path()).unwrap());
        seeds += 1;
    }
    assert!(seeds > 10, "{target} has {seeds} seeds");
}

#[test]
fn marshal_read_replays() {
    replay("marshal_read", marshal::read);
}

#[test]
fn marshal_write_replays() {
    replay("marshal_write", marshal::write);
}

#[test]
fn marshal_splice_replays() {
    replay("marshal_splice", marshal::splice);
}
