//! The fuzz targets on stable: their seeds, and seeds that were changed a little.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

macro_rules! targets {
    ($($(#[$only:meta])* $name:ident in $file:literal;)+) => {$(
        $(#[$only])*
        #[allow(unreachable_pub, reason = "public to the fuzz targets, which are another crate")]
        #[path = $file]
        mod $name;
    )+};
}

targets! {
    base64 in "../../fuzz/src/base64.rs";
    convert in "../../fuzz/src/convert.rs";
    #[cfg(feature = "http")]
    cookie in "../../fuzz/src/cookie.rs";
    #[cfg(feature = "encryption")]
    encrypted in "../../fuzz/src/encrypted.rs";
    json in "../../fuzz/src/json.rs";
    marshal in "../../fuzz/src/marshal.rs";
    #[cfg(feature = "encryption")]
    rails in "../../fuzz/src/rails.rs";
    #[cfg(feature = "sqlite")]
    store in "../../fuzz/src/store.rs";
    #[cfg(feature = "tower-sessions")]
    tower in "../../fuzz/src/tower.rs";
    #[cfg(all(feature = "sqlite", feature = "postgres", feature = "mysql"))]
    url in "../../fuzz/src/url.rs";
}
#[path = "../support/random.rs"]
mod random;

use random::Random;

/// Each seed, and so many that were made of it.
fn replay(target: &str, changes: usize, run: fn(&[u8])) {
    let folder = format!("{}/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .expect("seeds are part of the sources")
        .map(|file| file.expect("a folder can be listed").path())
        .collect();
    files.sort();
    assert!(files.len() >= 5, "{folder} has {} seeds", files.len());
    let mut random = Random(5);
    for file in files {
        let seed = std::fs::read(file).expect("a seed can be read");
        run(&seed);
        for _ in 0..changes {
            run(&changed(&seed, &mut random));
        }
    }
}

fn changed(seed: &[u8], random: &mut Random) -> Vec<u8> {
    let mut data = seed.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(data.len() + 1);
        match random.below(4) {
            0 => data.truncate(at),
            1 => data.insert(at, random.next() as u8),
            2 => data.extend_from_within(at..),
            _ => data.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << random.below(8)),
        }
    }
    data
}

macro_rules! replays {
    ($($(#[$only:meta])* $name:ident: $target:literal, $changes:literal, $run:expr;)+) => {$(
        $(#[$only])*
        #[test]
        fn $name() {
            replay($target, $changes, $run);
        }
    )+};
}

replays! {
    base64_seeds: "base64", 500, base64::run;
    convert_seeds: "convert", 500, convert::run;
    #[cfg(feature = "http")]
    cookie_seeds: "cookie", 500, cookie::run;
    #[cfg(feature = "encryption")]
    encrypted_seeds: "encrypted", 500, encrypted::run;
    json_seeds: "json", 500, json::run;
    marshal_read_seeds: "marshal_read", 50, marshal::read;
    marshal_splice_seeds: "marshal_splice", 50, marshal::splice;
    marshal_write_seeds: "marshal_write", 50, marshal::write;
    #[cfg(feature = "encryption")]
    rails_seeds: "rails", 500, rails::run;
    #[cfg(feature = "sqlite")]
    store_seeds: "store", 40, store::run;
    #[cfg(feature = "tower-sessions")]
    tower_seeds: "tower", 500, tower::run;
    #[cfg(all(feature = "sqlite", feature = "postgres", feature = "mysql"))]
    url_seeds: "url", 500, url::run;
}
