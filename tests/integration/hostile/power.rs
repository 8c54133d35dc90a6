//! The power fails, and only what was synced is left for certain.
//!
//! A process saves on a disk that remembers each write and each sync. Then the power fails at many
//! moments of that, each several times with other luck for what was not synced, and the database
//! that is left is opened and compared with what had been acknowledged by then.
//! `SQLBYPASS_CUTS` says at how many moments, `SQLBYPASS_SEED` which.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rusqlite::Connection;
use sqlbypass::{Lookup, Saved, SqliteStore, Store, Synchronous};

use super::recording::{Disk, Event, Luck, read};
use super::{insert, new_id, update};
use crate::random::Random;
use crate::servers::disk::compile;

const WRITERS: usize = 8;
/// Until the WAL has been carried back several times.
const ROUNDS: u64 = 60;
const FILE: &str = "sessions.db";
/// The process writes down here what it is about to do and what it was told.
const TOLD: &str = "told";

/// Another text for each number, of some pages.
fn text(number: u64) -> String {
    format!("{number}:{}", "x".repeat(8_000 + usize::try_from(number * 997 % 20_000).unwrap()))
}

/// What the process that is started below does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_saves() {
    let Ok(how) = std::env::var("SQLBYPASS_TEST_POWER") else { return };
    let folder = std::env::var("POWER_CUT_FOLDER").unwrap();
    let folder = Path::new(&folder);
    let synchronous = if how.contains("full") { Synchronous::Full } else { Synchronous::Normal };
    let builder = SqliteStore::builder(folder.join(FILE)).synchronous(synchronous);
    let builder = builder.lanes(!how.contains("plain"));
    let told = std::fs::File::options().create(true).append(true).open(folder.join(TOLD)).unwrap();
    let told = Arc::new(told);
    // Twice: a store that is closed carries the WAL back and removes it.
    for _ in 0..2 {
        let store = builder.clone().create(true).open().await.unwrap();
        let save = |_| tokio::spawn(saves(store.clone(), Arc::clone(&told)));
        for task in (0..WRITERS).map(save).collect::<Vec<_>>() {
            task.await.unwrap();
        }
        store.close().await.unwrap();
    }
}

async fn saves(store: SqliteStore, told: Arc<std::fs::File>) {
    let tell = |line: String| (&*told).write_all(line.as_bytes()).unwrap();
    let mut id = new_id();
    let mut holds = 0;
    for round in 0..ROUNDS {
        let private = id.private();
        let key = private.as_str();
        if holds == 0 {
            assert_eq!(insert(&store, &id, text(1)).await.unwrap(), Saved::Applied);
            holds = 1;
            tell(format!("{key} 1\n"));
        } else if round % 10 == 9 {
            tell(format!("{key} going\n"));
            assert!(store.destroy(&Lookup::new(&id)).await.unwrap());
            tell(format!("{key} gone\n"));
            (id, holds) = (new_id(), 0);
        } else {
            holds += 1;
            assert_eq!(update(&store, &id, text(holds)).await.unwrap(), Saved::Applied);
            tell(format!("{key} {holds}\n"));
        }
    }
}

/// Runs that process on a disk that remembers.
fn record(how: &str) -> Vec<Event> {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().canonicalize().unwrap();
    let (library, notes, files) = (at.join("recorder.so"), at.join("notes"), at.join("files"));
    compile("recorder.c", &library);
    std::fs::create_dir(&files).unwrap();
    let mut tests = Command::new(std::env::current_exe().unwrap());
    tests.args(["--exact", "hostile::power::only_saves"]);
    tests.env("SQLBYPASS_TEST_POWER", how).env("LD_PRELOAD", library);
    tests.env("POWER_CUT_FOLDER", files).env("POWER_CUT_LOG", &notes);
    let status = tests.stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "the process that saves failed");
    read(&notes)
}

/// What was acknowledged of a session.
#[derive(Clone, Copy, PartialEq)]
enum Known {
    Holds(u64),
    Going,
    Gone,
}

/// What power cuts did.
#[derive(Debug, Default)]
struct Found {
    cuts: u64,
    corrupt: u64,
    /// Cuts that lost something acknowledged, and the most that one lost.
    lossy: u64,
    most: u64,
    /// Cuts after which a session that was gone is there.
    revived: u64,
}

/// The cut at so many moments, each with five lucks.
fn cut(events: &[Event], lies: bool) -> Found {
    let number = |name: &str, default| {
        std::env::var(name).map_or(default, |text| text.parse::<u64>().expect("a number"))
    };
    let seed = number("SQLBYPASS_SEED", u64::from(std::process::id()));
    println!("SQLBYPASS_SEED={seed}");
    let mut random = Random(seed);
    let mut moments = vec![false; events.len()];
    for _ in 0..number("SQLBYPASS_CUTS", 60) {
        moments[random.below(events.len())] = true;
    }
    let (mut disk, mut known, mut found) = (Disk::new(lies), HashMap::new(), Found::default());
    let mut told = 0;
    for (event, is_moment) in events.iter().zip(moments) {
        match event {
            Event::Create { file, name } if name == TOLD => told = *file,
            Event::Write { file, data, .. } if *file == told => learn(&mut known, data),
            event => disk.apply(event),
        }
        if is_moment {
            let mixed = [(); 3].map(|()| Luck::Mixed(random.next()));
            for luck in [Luck::AllLost, Luck::AllKept].into_iter().chain(mixed) {
                look(&disk, luck, &known, &mut found);
            }
        }
    }
    println!("{found:?}");
    found
}

fn learn(known: &mut HashMap<String, Known>, line: &[u8]) {
    let line = std::str::from_utf8(line).unwrap();
    let (key, what) = line.trim_end().split_once(' ').unwrap();
    let what = match what {
        "going" => Known::Going,
        "gone" => Known::Gone,
        number => Known::Holds(number.parse().unwrap()),
    };
    known.insert(key.to_owned(), what);
}

/// Opens what is left, and compares.
fn look(disk: &Disk, luck: Luck, known: &HashMap<String, Known>, found: &mut Found) {
    let folder = tempfile::tempdir().unwrap();
    disk.restore(folder.path(), luck);
    found.cuts += 1;
    let Ok(rows) = rows(&folder.path().join(FILE)) else {
        found.corrupt += 1;
        return;
    };
    let mut lost = 0;
    for (key, known) in known {
        let holds = rows.get(key).map(|data| {
            let number = data.split(':').next().unwrap().parse().unwrap();
            assert!(*data == text(number), "a session is torn");
            number
        });
        match (known, holds) {
            // The next one may have been written and not yet acknowledged.
            (Known::Holds(told), Some(holds)) if holds == *told || holds == told + 1 => {}
            (Known::Holds(told), Some(holds)) => {
                assert!(holds < *told, "nobody wrote that yet");
                lost += told - holds;
            }
            (Known::Holds(told), None) => lost += told,
            (Known::Gone, Some(_)) => found.revived += 1,
            (Known::Gone, None) | (Known::Going, _) => {}
        }
    }
    found.lossy += u64::from(lost > 0);
    found.most = found.most.max(lost);
}

/// All sessions of a database that is whole; none where it was not yet made.
fn rows(path: &Path) -> rusqlite::Result<HashMap<String, String>> {
    let raw = Connection::open(path)?;
    raw.execute_batch("PRAGMA synchronous = OFF")?;
    let check: String = raw.query_row("PRAGMA integrity_check", (), |row| row.get(0))?;
    if check != "ok" {
        return Err(rusqlite::Error::InvalidQuery);
    }
    let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'sessions'";
    if raw.query_row(tables, (), |row| row.get::<_, i64>(0))? == 0 {
        return Ok(HashMap::new());
    }
    let mut all = raw.prepare("SELECT session_id, data FROM sessions")?;
    let rows = all.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

#[test]
fn a_power_cut_loses_nothing_acknowledged() {
    for how in ["full", "full plain"] {
        let found = cut(&record(how), false);
        assert_eq!((found.corrupt, found.lossy, found.revived), (0, 0, 0), "{how}: {found:?}");
    }
}

/// And the loss is seen, which shows that the test above would see one.
#[test]
fn a_power_cut_without_full_synchronisation_takes_back_the_last_saves() {
    for how in ["normal", "normal plain"] {
        let found = cut(&record(how), false);
        assert_eq!(found.corrupt, 0, "{how}: {found:?}");
        assert!(found.lossy > 0, "{how}: {found:?}");
    }
}

/// A disk that says it has synced and has not loses sessions, and whole databases.
#[test]
fn a_disk_that_lies_is_noticed() {
    let found = cut(&record("full"), true);
    assert!(found.lossy > 0 && found.corrupt > 0, "{found:?}");
}
