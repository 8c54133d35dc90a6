//! A disk that fails on request, for a server that is started with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use super::process::Folder;

/// What a database does to its files fails while that is wanted (`sick_disk.c`).
#[derive(Clone)]
pub(crate) struct SickDisk(Arc<Folder>);

/// What fails.
#[derive(Clone, Copy)]
pub(crate) enum Failing {
    /// Nothing gets to the disk for good (EIO).
    Syncs,
    /// The disk is full, for the log too (ENOSPC).
    Writes,
    /// The disk is full, and the log has its room already: no file of data grows (ENOSPC).
    Growth,
}

impl SickDisk {
    /// A disk that is well so far.
    pub(crate) fn new() -> Self {
        let folder = Folder::new();
        compile("sick_disk.c", &folder.path().join("disk.so"));
        Self(Arc::new(folder))
    }

    pub(crate) fn fail(&self, what: Failing) {
        let letter = match what {
            Failing::Syncs => "s",
            Failing::Writes => "w",
            Failing::Growth => "g",
        };
        // Renamed, so that it is never seen empty.
        let file = self.0.write("begun", letter);
        fs::rename(file, self.switch()).unwrap();
    }

    pub(crate) fn heal(&self) {
        fs::remove_file(self.switch()).unwrap();
    }

    /// The environment of the server.
    pub(crate) fn environment(&self) -> [(&'static str, PathBuf); 2] {
        [("LD_PRELOAD", self.0.path().join("disk.so")), ("SICK_DISK", self.switch())]
    }

    fn switch(&self) -> PathBuf {
        self.0.path().join("fails")
    }
}

/// A library that is loaded before libc, of a source beside this file.
pub(crate) fn compile(source: &str, library: &Path) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers").join(source);
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(library).arg(source).arg("-ldl");
    assert!(cc.status().expect("a C compiler").success(), "the library does not compile");
}
