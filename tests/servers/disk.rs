//! A disk that fails on request, for a server that is started with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use super::process::Folder;

/// What a database does to its log fails while that is wanted (`sick_disk.c`).
#[derive(Clone)]
pub(crate) struct SickDisk(Arc<Folder>);

/// What fails.
#[derive(Clone, Copy)]
pub(crate) enum Failing {
    /// Nothing gets to the disk for good (EIO).
    Syncs,
    /// The disk is full (ENOSPC).
    Writes,
}

impl SickDisk {
    /// A disk that is well so far.
    pub(crate) fn new() -> Self {
        let folder = Folder::new();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/sick_disk.c");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(folder.path().join("disk.so"));
        let status = cc.arg(source).arg("-ldl").status().expect("a C compiler");
        assert!(status.success(), "the shim does not compile");
        Self(Arc::new(folder))
    }

    pub(crate) fn fail(&self, what: Failing) {
        let letter = match what {
            Failing::Syncs => "s",
            Failing::Writes => "w",
        };
        // Renamed, so that it is never seen empty.
        let file = self.0.write("begun", letter);
        fs::rename(file, self.switch()).unwrap();
    }

    pub(crate) fn heal(&self) {
        fs::remove_file(self.switch()).unwrap();
    }

    /// The environment of the server.
    pub(super) fn environment(&self) -> [(&'static str, PathBuf); 2] {
        [("LD_PRELOAD", self.0.path().join("disk.so")), ("SICK_DISK", self.switch())]
    }

    fn switch(&self) -> PathBuf {
        self.0.path().join("fails")
    }
}
