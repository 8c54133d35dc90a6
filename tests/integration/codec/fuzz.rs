//! The fuzz targets on stable: their seeds, and seeds that were changed a little.

use crate::random::Random;

#[allow(unreachable_pub)] // Public to the fuzz targets.
#[path = "../../../fuzz/src/base64.rs"]
mod base64;
#[cfg(feature = "encryption")]
#[allow(unreachable_pub)] // Public to the fuzz targets.
#[path = "../../../fuzz/src/encrypted.rs"]
mod encrypted;
#[allow(unreachable_pub)] // Public to the fuzz targets.
#[path = "../../../fuzz/src/json.rs"]
mod json;

fn replay(target: &str, run: fn(&[u8])) {
    let folder = format!("{}/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .expect("seeds are part of the sources")
        .map(|file| file.expect("a folder can be listed").path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{folder} has no seeds");
    let mut random = Random(5);
    for file in files {
        let seed = std::fs::read(file).expect("a seed can be read");
        run(&seed);
        for _ in 0..500 {
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

#[test]
fn base64_seeds() {
    replay("base64", base64::run);
}

#[test]
fn json_seeds() {
    replay("json", json::run);
}

#[cfg(feature = "encryption")]
#[test]
fn encrypted_seeds() {
    replay("encrypted", encrypted::run);
}
