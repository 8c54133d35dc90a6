//! What a process did to the files of a folder (`tests/servers/recorder.c`), and what a power cut
//! would have left of them.

use std::collections::HashMap;
use std::path::Path;

use crate::random::Random;

/// What the disk sees in one piece.
const SECTOR: usize = 512;

/// One step of the process.
pub(super) enum Event {
    Create { file: u64, name: String },
    Unlink { name: String },
    Write { file: u64, at: usize, data: Vec<u8> },
    Cut { file: u64, length: usize },
    Begin { file: u64, sync: u64 },
    Synced { file: u64, sync: u64 },
}

/// Reads what the recorder noted.
pub(super) fn read(notes: &Path) -> Vec<Event> {
    let bytes = std::fs::read(notes).unwrap();
    let (mut rest, mut events) = (&bytes[..], Vec::new());
    while let Some((head, after)) = rest.split_at_checked(32) {
        let number = |at: usize| u64::from_ne_bytes(head[at..at + 8].try_into().unwrap());
        let (file, at, length) = (number(8), number(16), usize::try_from(number(24)).unwrap());
        let data = after[..length].to_vec();
        let name = || String::from_utf8(data.clone()).unwrap();
        events.push(match head[..8].trim_ascii_end().split(|byte| *byte == 0).next().unwrap() {
            b"create" => Event::Create { file, name: name() },
            b"unlink" => Event::Unlink { name: name() },
            b"write" => Event::Write { file, at: usize::try_from(at).unwrap(), data },
            b"cut" => Event::Cut { file, length: usize::try_from(at).unwrap() },
            b"begin" => Event::Begin { file, sync: at },
            b"synced" => Event::Synced { file, sync: at },
            other => panic!("{other:?}"),
        });
        rest = &after[length..];
    }
    assert!(rest.is_empty(), "the last note is torn");
    events
}

/// A change that is not yet on the disk.
enum Change {
    Write { at: usize, data: Vec<u8> },
    Cut { length: usize },
}

#[derive(Default)]
struct File {
    durable: Vec<u8>,
    pending: Vec<Change>,
}

/// What the disk holds for certain, and what it may hold.
pub(super) struct Disk {
    files: HashMap<u64, File>,
    /// Which file stands under a name for certain.
    names: HashMap<String, u64>,
    /// Changes of names since the folder was synced.
    renamed: Vec<(String, Option<u64>)>,
    /// How many changes were there when a sync began.
    begun: HashMap<u64, usize>,
    /// A disk that says it has synced and has not.
    lies: bool,
}

/// What becomes of the changes that were not synced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Luck {
    AllLost,
    AllKept,
    /// Each is lost, kept, or torn between sectors, by this seed; the order does not matter.
    Mixed(u64),
}

impl Disk {
    pub(super) fn new(lies: bool) -> Self {
        Self {
            files: HashMap::new(),
            names: HashMap::new(),
            renamed: Vec::new(),
            begun: HashMap::new(),
            lies,
        }
    }

    pub(super) fn apply(&mut self, event: &Event) {
        match event {
            Event::Create { file, name } => {
                // The number may have been that of a file that is gone.
                self.files.insert(*file, File::default());
                self.renamed.push((name.clone(), Some(*file)));
            }
            Event::Unlink { name } => self.renamed.push((name.clone(), None)),
            Event::Write { file, at, data } => {
                self.change(*file, Change::Write { at: *at, data: data.clone() });
            }
            Event::Cut { file, length } => self.change(*file, Change::Cut { length: *length }),
            Event::Begin { file, sync } => {
                let changes = match self.files.get(file) {
                    Some(file) => file.pending.len(),
                    None => self.renamed.len(),
                };
                self.begun.insert(*sync, changes);
            }
            Event::Synced { file, sync } => self.synced(*file, *sync),
        }
    }

    fn change(&mut self, file: u64, change: Change) {
        self.files.entry(file).or_default().pending.push(change);
    }

    fn synced(&mut self, file: u64, sync: u64) {
        let changes = self.begun.remove(&sync).unwrap();
        if self.lies {
            return;
        }
        match self.files.get_mut(&file) {
            // Two syncs may have been under way together.
            Some(file) => {
                let changes = changes.min(file.pending.len());
                for change in file.pending.drain(..changes) {
                    change.make(&mut file.durable, |_| true);
                }
            }
            None => {
                let changes = changes.min(self.renamed.len());
                for (name, file) in self.renamed.drain(..changes) {
                    rename(&mut self.names, name, file);
                }
            }
        }
    }

    /// Makes the files in this folder, as they are after the cut.
    pub(super) fn restore(&self, folder: &Path, luck: Luck) {
        let mut random = match luck {
            Luck::Mixed(seed) => Random(seed),
            Luck::AllLost | Luck::AllKept => Random(0),
        };
        let mut keep = |of: usize| match luck {
            Luck::AllLost => false,
            Luck::AllKept => true,
            Luck::Mixed(_) => random.below(of) > 0,
        };
        let mut names = self.names.clone();
        for (name, file) in &self.renamed {
            if keep(2) {
                rename(&mut names, name.clone(), *file);
            }
        }
        for (name, number) in names {
            let Some(file) = self.files.get(&number) else { continue };
            let mut content = file.durable.clone();
            for change in &file.pending {
                // A third is lost, a third is whole, a third is torn.
                if keep(3) {
                    let torn = !keep(2);
                    change.make(&mut content, |_| !torn || keep(2));
                }
            }
            std::fs::write(folder.join(name), content).unwrap();
        }
    }
}

fn rename(names: &mut HashMap<String, u64>, name: String, file: Option<u64>) {
    match file {
        Some(file) => names.insert(name, file),
        None => names.remove(&name),
    };
}

impl Change {
    /// Makes those sectors of it that are kept.
    fn make(&self, content: &mut Vec<u8>, mut keep: impl FnMut(usize) -> bool) {
        match self {
            Self::Cut { length } => content.resize(*length, 0),
            Self::Write { at, data } => {
                let (mut from, end) = (*at, at + data.len());
                while from < end {
                    let to = end.min((from / SECTOR + 1) * SECTOR);
                    if keep(from / SECTOR) {
                        if content.len() < to {
                            content.resize(to, 0);
                        }
                        content[from..to].copy_from_slice(&data[from - at..to - at]);
                    }
                    from = to;
                }
            }
        }
    }
}
