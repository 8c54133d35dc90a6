//! A store that writes down the statements that it is asked for.

use std::sync::{Arc, Mutex};

use sqlbypass::{Guard, Lookup, Record, Result, Save, Saved, Store, StoredId, Timeouts, Update};

/// Wraps a store; clones share what was written down.
pub(super) struct Recording<S>(Arc<Inner<S>>);

struct Inner<S> {
    store: S,
    statements: Mutex<Vec<String>>,
}

impl<S> Clone for Recording<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> Recording<S> {
    pub(super) fn new(store: S) -> Self {
        Self(Arc::new(Inner { store, statements: Mutex::default() }))
    }

    pub(super) fn store(&self) -> &S {
        &self.0.store
    }

    /// The statements since the last time this was asked, without ids and data.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.statements.lock().unwrap())
    }

    fn note(&self, statement: impl Into<String>) {
        self.0.statements.lock().unwrap().push(statement.into());
    }
}

impl<S: Store> Store for Recording<S> {
    async fn find(&self, lookup: &Lookup) -> Result<Option<Record>> {
        self.note(under("find", lookup));
        self.0.store.find(lookup).await
    }

    async fn save(&self, save: &Save) -> Result<Saved> {
        self.note(match save {
            Save::Insert(_) => "insert".to_owned(),
            Save::Update(update) => update_of(update),
        });
        self.0.store.save(save).await
    }

    async fn destroy(&self, lookup: &Lookup) -> Result<bool> {
        self.note(under("delete", lookup));
        self.0.store.destroy(lookup).await
    }

    async fn touch(&self, id: &StoredId, timeouts: Timeouts) -> Result<bool> {
        self.note("touch");
        self.0.store.touch(id, timeouts).await
    }
}

/// `+raw` where the raw id is asked for too.
fn under(verb: &str, lookup: &Lookup) -> String {
    let raw = if lookup.legacy.is_some() { "+raw" } else { "" };
    format!("{verb}{raw}")
}

/// The columns that it sets: `created` stands for a session that begins anew, `touched` for one
/// that was used; and `if same` for a guard.
fn update_of(update: &Update) -> String {
    let columns = [
        (update.new_id.is_some(), " id"),
        (update.data.is_some(), " data"),
        (update.restart, " created"),
        (update.touch, " touched"),
        (!matches!(update.guard, Guard::Off), " if same"),
    ];
    let set: String = columns.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect();
    format!("update{set}")
}
