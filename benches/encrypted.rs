//! What encryption adds to opening a session and to writing one change of it.
//!
//! `cargo bench --features encryption --bench encrypted`; ids read `codec/encrypted/<what>/<size>`, and
//! the figure of the codec inside stands beside as `…/plain`.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sqlbypass::{Changes, Codec, Encrypted, Json, Key, Keys, SessionId};

const SIZES: [(&str, usize); 3] = [("600b", 600), ("4kb", 4096), ("32kb", 32 * 1024)];

fn encrypted(criterion: &mut Criterion) {
    let key = Key::parse("bench", &"6b".repeat(32)).expect("a key");
    let sealed: &dyn Codec = &Encrypted::new(Json, Keys::new(key));
    let id = SessionId::generate().expect("an id").private();
    for what in ["open", "write"] {
        let mut group = criterion.benchmark_group(format!("codec/encrypted/{what}"));
        for (size, len) in SIZES {
            let mut whole = Changes::new();
            whole.set("text", "x".repeat(len).into());
            whole.set("locale", "de".into());
            let mut change = Changes::new();
            change.set("locale", "en".into());
            group.throughput(Throughput::Bytes(len as u64));
            for (rival, codec) in [("", sealed), ("/plain", &Json as &dyn Codec)] {
                let empty = codec.open_row(&id, None).expect("empty");
                let stored: Bytes = empty.encode(&whole).expect("written");
                let open = || codec.open_row(&id, Some(black_box(&stored).clone())).expect("opens");
                let document = open();
                group.bench_function(format!("{size}{rival}"), |bencher| match what {
                    "open" => bencher.iter(|| open().get("locale").expect("read").is_some()),
                    _ => bencher.iter(|| document.encode(black_box(&change)).expect("written")),
                });
            }
        }
        group.finish();
    }
}

criterion_group!(benches, encrypted);
criterion_main!(benches);
