//! A store on SQLite and managers of each policy, against the model of the contract that the histories
//! are checked against: bytes say which operations meet, which of them are dropped after how many polls,
//! when another connection holds the lock on writing, and what others do to the rows meanwhile.

// Public to the tests of histories, which need more of it.
#[allow(dead_code)]
#[path = "../../tests/history/checker.rs"]
mod checker;
#[allow(dead_code)]
#[path = "../../tests/history/history.rs"]
mod history;
#[allow(dead_code)]
#[path = "../../tests/history/model.rs"]
mod model;
#[path = "rounds.rs"]
mod rounds;
#[path = "rows.rs"]
mod rows;

use std::cell::RefCell;

use checker::{check, is_linearizable};
use model::Model;
use rounds::Run;
use rows::Rows;
use sqlbypass::{SqliteStore, Synchronous};
use tokio::runtime::{Builder, Runtime};

/// What every run shares: making a database is slower than all that is done to it.
struct Rig {
    runtime: Runtime,
    store: SqliteStore,
    rows: Rows,
}

thread_local! {
    static RIG: RefCell<Rig> = RefCell::new(Rig::new());
}

impl Rig {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_time().build().expect("it is small");
        let memory = std::path::Path::new("/dev/shm");
        let folder =
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let folder = folder.expect("there is a place for files");
        let path = folder.path().join("sessions.db");
        let builder = SqliteStore::builder(&path).create(true).synchronous(Synchronous::Normal);
        let builder = builder.deadline(rounds::DEADLINE);
        let store = runtime.block_on(builder.open()).expect("it is new");
        Self { runtime, store, rows: Rows::open(&path, folder) }
    }
}

pub fn run(script: &[u8]) {
    RIG.with_borrow_mut(|rig| {
        let Rig { runtime, store, rows } = rig;
        rows.clear();
        let sessions = runtime.block_on(Run::new(script, store.clone(), rows).histories());
        for session in sessions {
            // A row may be inserted anew under its old id here, which the checker's rules leave out.
            if !is_linearizable(&session, Model { idle: None }) {
                let all: String = session.iter().map(|event| format!("  {event}\n")).collect();
                let reason = check(&session, Model { idle: None }).expect_err("the search says so");
                panic!("{reason}of\n{all}");
            }
        }
    });
}
