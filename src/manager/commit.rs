//! Commits: what a request did to its session becomes one statement, or as many as a conflict takes.

use std::time::Instant;

use bytes::Bytes;

use super::merges::own;
use super::{Late, Policy, Shared};
use crate::codec::{Changes, Codec, Content, Document};
use crate::error::{Error, Kind, Result};
use crate::id::{PrivateId, SessionId, StoredId};
use crate::record::{Expiry, Guard, Insert, Lookup, Owner, Record, Save, Saved, Update};
use crate::session::{Action, Commit, CookieChange, Loaded, Outcome, Pending};
use crate::store::Store;

/// New ids tried when the table already has one: with 128 random bits the second is one too many.
const ID_TRIES: usize = 3;

/// A row that was found, and the public id that found it.
struct Found<'a> {
    id: &'a SessionId,
    record: Record,
    document: Option<Box<dyn Document>>,
}

/// What a request wants of the row that it has found.
struct Wanted<'a> {
    changes: &'a Changes,
    action: Action,
    /// Whether a value of the old session was changed in place.
    edits: bool,
}

/// The row as it is now, and this request's changes as they go in there.
enum Fresh<'a> {
    Same(Found<'a>, Changes),
    /// Somebody else has changed it.
    Changed(Found<'a>, Changes),
    /// This request's changes do not go in there.
    Conflict,
    Gone,
}

impl<S: Store> Shared<S> {
    /// By reference, as all that is below: what a future is given has a place in it, and what it
    /// moves elsewhere has two.
    pub(super) async fn committed(&self, pending: &mut Pending) -> Result<Commit> {
        let Pending { id, loaded, document, changes, action, edits } = pending;
        let (id, changes, action) = (id.as_ref(), &*changes, *action);
        if action == Action::EndId {
            return self.end_id(id).await;
        }
        if action == Action::Destroy {
            let ended = self.destroy(id, loaded).await?;
            // What was inserted since then is a new session.
            if !changes.sets_anything() {
                return Ok(ended);
            }
            return self.create(changes).await.map_err(|fault| {
                Error::unknown_outcome(
                    "saving a session",
                    "the old one was ended, the new one failed",
                )
                .caused_by(fault)
            });
        }
        if let (Loaded::No, Some(id)) = (&*loaded, id) {
            *loaded = Box::pin(self.load(id)).await?;
        }
        let Some(id) = id else {
            return self.create(changes).await;
        };
        let (record, successor) = match std::mem::replace(loaded, Loaded::Missing) {
            Loaded::No | Loaded::Missing => return self.create(changes).await,
            Loaded::Row(record) => (record, None),
            Loaded::Snapshot { record, successor } => (record, Some(successor)),
        };
        let mut found = Found { id, record, document: document.take() };
        let wanted = Wanted { changes, action, edits: *edits };
        match (successor, action) {
            // What is rare has no room in the future of each commit.
            (Some(successor), _) => Box::pin(self.beside(&mut found, successor, &wanted)).await,
            (None, Action::Reset) => Box::pin(self.reset(&found, changes)).await,
            (None, _) => self.update(&mut found, &wanted).await,
        }
    }

    /// What becomes of a request that reads a session from before its rotation: it changes nothing
    /// and begins no session beside the one that goes on, but it can end that one.
    async fn beside(
        &self,
        found: &mut Found<'_>,
        successor: PrivateId,
        wanted: &Wanted<'_>,
    ) -> Result<Commit> {
        if wanted.action == Action::Reset {
            found.record.id = successor.into();
            return self.reset(found, wanted.changes).await;
        }
        let unchanged = wanted.only_rotates() && self.changes_nothing(found, wanted.changes)?;
        Ok(kept(if unchanged { Outcome::Unchanged } else { Outcome::Gone }))
    }

    /// Ends the session under this id and under those that it has become. The id itself goes first:
    /// a rotation is known before its row moves, so where there is no row to remove, it is known by
    /// now where the row has gone.
    async fn destroy(&self, id: Option<&SessionId>, loaded: &Loaded) -> Result<Commit> {
        let Some(id) = id else {
            return Ok(kept(Outcome::Unchanged));
        };
        let lookup = self.lookup(id);
        self.store.destroy(&lookup).await?;
        let mut successors = self.successors(&lookup.private);
        // It was known when it was read; its time may have passed since then.
        if let Loaded::Snapshot { successor, .. } = loaded
            && !successors.contains(successor)
        {
            successors.push(*successor);
        }
        while let Some(id) = successors.pop() {
            self.store.destroy(&self.successor(id)).await?;
            successors.extend(self.successors(&id));
        }
        self.end_grace(&lookup.private);
        Ok(Commit { outcome: Outcome::Destroyed, cookie: CookieChange::Clear })
    }

    /// Ends the id alone: what it became by a rotation goes on.
    async fn end_id(&self, id: Option<&SessionId>) -> Result<Commit> {
        let Some(id) = id else {
            return Ok(kept(Outcome::Unchanged));
        };
        let lookup = self.lookup(id);
        self.store.destroy(&lookup).await?;
        self.end_grace(&lookup.private);
        Ok(Commit { outcome: Outcome::Destroyed, cookie: CookieChange::Clear })
    }

    /// Nobody reads on who bears this id, or one that it had before.
    fn end_grace(&self, id: &PrivateId) {
        if let Some(grace) = &self.grace {
            grace.end(id);
        }
    }

    /// A new row for what was inserted, if anything was.
    async fn create(&self, changes: &Changes) -> Result<Commit> {
        if !changes.sets_anything() {
            return Ok(kept(Outcome::Unchanged));
        }
        let owner = self.owner(None, changes);
        for _ in 0..ID_TRIES {
            let id = SessionId::generate()?;
            let row = id.private();
            let data = self.codec.open(None)?.encode_row(&row, changes)?;
            let insert = Insert { owner: owner.clone(), ..Insert::new(row, data) };
            match self.store.save(&Save::Insert(insert)).await? {
                Saved::Duplicate => {}
                Saved::Applied => {
                    return Ok(Commit { outcome: Outcome::Created, cookie: CookieChange::Set(id) });
                }
                Saved::Gone | Saved::Conflict => {
                    return Err(breach("an INSERT answered otherwise"));
                }
            }
        }
        Err(taken())
    }

    /// The row moves to a new id with what was inserted since and nothing of before. A row that is
    /// gone does not stand in a login's way: there is a new one then.
    async fn reset(&self, found: &Found<'_>, changes: &Changes) -> Result<Commit> {
        let owner = self.owner(None, changes);
        for _ in 0..ID_TRIES {
            let id = SessionId::generate()?;
            let row = id.private();
            let data = self.codec.open(None)?.encode_row(&row, changes)?;
            let move_from = |stored| {
                let (expiry, owner) = (Expiry::Never, Some(owner.clone()));
                let update = Update { restart: true, expiry, owner, ..Update::new(stored) };
                Save::Update(update.data(data.clone()).rekey(row))
            };
            self.bury_twin(found, &id).await?;
            let mut outcome = Outcome::Saved;
            let mut saved = self.save_anywhere(found, move_from).await?;
            if saved == Saved::Gone {
                let insert = Insert { owner: owner.clone(), ..Insert::new(row, data) };
                outcome = Outcome::Created;
                saved = self.store.save(&Save::Insert(insert)).await?;
            }
            match saved {
                Saved::Duplicate => {}
                Saved::Applied => {
                    self.end_grace(&found.id.private());
                    if let StoredId::Private(successor) = &found.record.id {
                        self.end_grace(successor);
                    }
                    return Ok(Commit { outcome, cookie: CookieChange::Set(id) });
                }
                Saved::Gone | Saved::Conflict => return Err(breach("no guard was asked for")),
            }
        }
        Err(taken())
    }

    /// Writes the row under the id that was read or, where it is gone, under those that it may have
    /// become: a legacy row the private one, a rotated one its successor.
    async fn save_anywhere(
        &self,
        found: &Found<'_>,
        save: impl Fn(StoredId) -> Save,
    ) -> Result<Saved> {
        let (read, own) = (found.record.id, StoredId::Private(found.id.private()));
        let mut ids = vec![own];
        if read != own {
            ids.push(read);
        }
        while let Some(id) = ids.pop() {
            let saved = self.store.save(&save(id)).await?;
            if saved != Saved::Gone {
                return Ok(saved);
            }
            if let StoredId::Private(id) = id {
                ids.extend(self.successors(&id).into_iter().map(StoredId::Private));
            }
        }
        Ok(Saved::Gone)
    }

    /// Removes the raw row that the old id would still find after its private row has moved to
    /// `new_id`. Before the move, so that a failure in between leaves the session as it was.
    async fn bury_twin(&self, found: &Found<'_>, new_id: &SessionId) -> Result<()> {
        if found.record.legacy_twin {
            // Nothing is stored under the new id yet: only the raw row goes.
            let raw = Lookup { private: new_id.private(), ..self.lookup(found.id) };
            self.store.destroy(&raw).await?;
        }
        Ok(())
    }

    /// Writes the changes to the row that was found; gives it a new id where that is wanted.
    async fn update<'a>(&self, base: &mut Found<'a>, wanted: &Wanted<'_>) -> Result<Commit> {
        let begun = Instant::now();
        let mut outcome = Outcome::Saved;
        let mut tries = ID_TRIES;
        let id = base.id;
        // What others have written since, and this request's changes as they go in there.
        let mut fresh: Option<Box<(Found<'a>, Changes)>> = None;
        loop {
            let (found, changes) = match fresh.as_deref_mut() {
                Some((found, changes)) => (found, &*changes),
                None => (&mut *base, wanted.changes),
            };
            let renewed = wanted.renews().then(SessionId::generate).transpose()?;
            let Some(update) = self.plan(found, changes, renewed.as_ref())? else {
                if outcome == Outcome::Merged && !wanted.changes.is_empty() {
                    return Ok(kept(Outcome::Merged));
                }
                return self.unchanged(found).await;
            };
            let save = Save::Update(update);
            let saved = match self.write(found, wanted.action, renewed.as_ref(), &save).await {
                // Securing a legacy row is no wish of the request: a later one does it.
                Err(_) if changes.is_empty() && renewed.is_none() => {
                    return Ok(kept(Outcome::Unchanged));
                }
                saved => saved?,
            };
            let is_legacy = found.record.id.is_legacy();
            match saved {
                Saved::Applied => {
                    if changes.is_cleared() {
                        self.end_grace(&id.private());
                    }
                    let cookie = renewed.map_or(CookieChange::Keep, CookieChange::Set);
                    return Ok(Commit { outcome, cookie });
                }
                Saved::Duplicate if renewed.is_some() && tries > 1 => tries -= 1,
                Saved::Duplicate if renewed.is_some() => return Err(taken()),
                Saved::Duplicate if !is_legacy => return Err(breach("no new id was asked for")),
                // A private row of the same id, which was not found: it is the session, and it has
                // expired.
                Saved::Duplicate => return Box::pin(self.late(base, wanted)).await,
                Saved::Gone if !is_legacy => return Box::pin(self.late(base, wanted)).await,
                Saved::Conflict if self.rejects(changes) => {
                    return Ok(kept(Outcome::Conflict));
                }
                Saved::Conflict | Saved::Gone if begun.elapsed() >= self.options.deadline => {
                    return Err(contended());
                }
                // A raw row that is gone may have been secured by another request.
                Saved::Conflict | Saved::Gone => {
                    let seen = found.record.data.clone();
                    match Box::pin(self.fresh(base, seen, wanted.changes)).await? {
                        Fresh::Same(same, changes) => fresh = Some(Box::new((same, changes))),
                        Fresh::Changed(changed, changes) => {
                            outcome = wanted.merged();
                            fresh = Some(Box::new((changed, changes)));
                        }
                        Fresh::Conflict => return Ok(kept(Outcome::Conflict)),
                        Fresh::Gone => return Box::pin(self.late(base, wanted)).await,
                    }
                }
            }
        }
    }

    /// Whether a change of others refuses these; without any there is nothing to refuse, and a new
    /// id alone goes on with what the row holds now.
    fn rejects(&self, changes: &Changes) -> bool {
        self.options.policy == Policy::Reject && !changes.is_empty()
    }

    /// Reads the row again, and puts this request's changes into it.
    async fn fresh<'a>(
        &self,
        base: &mut Found<'a>,
        seen: Option<Bytes>,
        changes: &Changes,
    ) -> Result<Fresh<'a>> {
        let id = base.id;
        let Some(record) = self.store.find(&self.lookup(id)).await? else {
            return Ok(Fresh::Gone);
        };
        let is_same = record.data == seen;
        if !is_same && self.rejects(changes) {
            return Ok(Fresh::Conflict);
        }
        let mut found = Found { id, record, document: None };
        let Some(changes) = self.merge(base, &mut found, changes)? else {
            return Ok(Fresh::Conflict);
        };
        Ok(if is_same { Fresh::Same(found, changes) } else { Fresh::Changed(found, changes) })
    }

    /// Sends the UPDATE.
    async fn write(
        &self,
        found: &Found<'_>,
        action: Action,
        renewed: Option<&SessionId>,
        save: &Save,
    ) -> Result<Saved> {
        match renewed {
            None => self.store.save(save).await,
            Some(id) => Box::pin(self.rename(found, action, id, save)).await,
        }
    }

    /// Sends the UPDATE that changes the id, with what has to be done before and after it.
    async fn rename(
        &self,
        found: &Found<'_>,
        action: Action,
        new_id: &SessionId,
        save: &Save,
    ) -> Result<Saved> {
        self.bury_twin(found, new_id).await?;
        let (old, new) = (found.id.private(), new_id.private());
        let grace = self.grace.as_ref();
        if let Some(grace) = grace.filter(|_| action == Action::Rotate) {
            // Before the row moves, so that no request finds neither.
            grace.keep(old, new, &found.record);
        }
        let saved = self.store.save(save).await?;
        match grace {
            Some(grace) if saved != Saved::Applied => grace.forget(&old, &new),
            Some(grace) if action == Action::Rotate => grace.moved(&old, new),
            // Rights may have changed.
            Some(grace) => grace.end(&old),
            None => {}
        }
        Ok(saved)
    }

    /// This request's changes as they go into the fresh row; `None` is a conflict.
    fn merge(
        &self,
        base: &mut Found<'_>,
        fresh: &mut Found<'_>,
        changes: &Changes,
    ) -> Result<Option<Changes>> {
        if changes.is_cleared() || self.options.policy != Policy::Merge {
            return Ok(Some(changes.clone()));
        }
        let (base, fresh) = (base.document(&*self.codec)?, fresh.document(&*self.codec)?);
        self.options.merges.rebase(changes, base, fresh)
    }

    /// The row is not there any more: whatever happened to it, it is not brought back.
    async fn late(&self, base: &mut Found<'_>, wanted: &Wanted<'_>) -> Result<Commit> {
        // Whoever only wanted another id misses nothing: this one is dead already.
        if wanted.action == Action::Rotate && self.changes_nothing(base, wanted.changes)? {
            return Ok(kept(Outcome::Unchanged));
        }
        let begins = self.options.late == Late::Begin && !wanted.edits;
        if !begins || !wanted.changes.sets_anything() {
            return Ok(kept(Outcome::Gone));
        }
        let own = match base.document(&*self.codec) {
            Ok(document) => own(wanted.changes, document)?,
            // Nothing of before could be read, so nothing of it can be written again.
            Err(fault) if fault.is_decode() => wanted.changes.clone(),
            Err(fault) => return Err(fault),
        };
        if !own.sets_anything() {
            return Ok(kept(Outcome::Gone));
        }
        self.create(&own).await
    }

    /// The one UPDATE that is needed, if any: for changed content, a new id, or a legacy row.
    fn plan(
        &self,
        found: &mut Found<'_>,
        changes: &Changes,
        renewed: Option<&SessionId>,
    ) -> Result<Option<Update>> {
        let stored = found.record.id;
        let secured = || stored.is_legacy().then(|| found.id.private());
        let new_id = renewed.map(SessionId::private).or_else(secured);
        let row = new_id.unwrap_or_else(|| stored.private());
        let mut data = self.changed_data(found, changes, &row)?;
        // What is good in the old row alone is written anew. Securing a legacy row is no move.
        let moves = renewed.is_some() && self.codec.is_bound();
        if data.is_none() && moves && found.record.data.is_some() {
            data = Some(found.document(&*self.codec)?.encode_row(&row, changes)?);
        }
        if data.is_none() && new_id.is_none() {
            return Ok(None);
        }
        let overwrites = self.options.policy == Policy::LastWriteWins && !changes.is_empty();
        let guarded = data.is_some() && !changes.is_cleared() && !overwrites;
        Ok(Some(Update {
            guard: if guarded { Guard::Data(found.record.data.clone()) } else { Guard::Off },
            owner: data.is_some().then(|| self.owner(found.document.as_deref(), changes)),
            // Re-keying a legacy row is no use of the session.
            touch: data.is_some() || renewed.is_some(),
            data,
            new_id,
            restart: false,
            expiry: Expiry::Keep,
            timeouts: self.options.timeouts,
            id: stored,
        }))
    }

    /// Whose the session is with these changes in it.
    fn owner(&self, document: Option<&dyn Document>, changes: &Changes) -> Owner {
        let content = Content::changed(document, changes);
        self.options.users.as_ref().map_or(Owner::Unknown, |users| users.owner(&content))
    }

    /// The data with the changes in it, for this row, or `None` if they change nothing.
    fn changed_data(
        &self,
        found: &mut Found<'_>,
        changes: &Changes,
        row: &PrivateId,
    ) -> Result<Option<Bytes>> {
        if changes.is_empty() {
            return Ok(None);
        }
        // What replaces everything need not be able to read what it replaces.
        let document = match found.document(&*self.codec) {
            Err(fault) if changes.is_cleared() && fault.is_decode() => {
                return self.codec.open(None)?.encode_row(row, changes).map(Some);
            }
            opened => opened?,
        };
        let altered = match changes.alter(document) {
            Err(fault) if changes.is_cleared() && fault.is_decode() => true,
            altered => altered?,
        };
        if altered { document.encode_row(row, changes).map(Some) } else { Ok(None) }
    }

    fn changes_nothing(&self, found: &mut Found<'_>, changes: &Changes) -> Result<bool> {
        let row = found.record.id.private();
        self.changed_data(found, changes, &row).map(|data| data.is_none())
    }

    /// A loaded, unchanged session costs no SQL, but a touch now and then under an idle timeout.
    async fn unchanged(&self, found: &Found<'_>) -> Result<Commit> {
        let record = &found.record;
        let interval = self.touch_interval().filter(|_| self.is_touch_due(record));
        let claim = interval.and_then(|interval| self.touches.claim(record.id, interval));
        if let Some(claim) = claim {
            match Box::pin(self.store.touch(&record.id, self.options.timeouts)).await {
                Ok(true) => claim.keep(),
                Ok(false) => return Ok(kept(Outcome::Gone)),
                // A read is not to fail for a touch: a later request touches again.
                Err(_) => {}
            }
        }
        Ok(kept(Outcome::Unchanged))
    }
}

impl Wanted<'_> {
    /// Nothing but a new id, if even that, beside its changes: no wish that could be missed.
    fn only_rotates(&self) -> bool {
        matches!(self.action, Action::Keep | Action::Rotate)
    }

    /// What it is called when others have changed the row: of a new id alone nothing was merged.
    fn merged(&self) -> Outcome {
        if self.changes.is_empty() { Outcome::Saved } else { Outcome::Merged }
    }

    fn renews(&self) -> bool {
        matches!(self.action, Action::Renew | Action::Rotate)
    }
}

impl Found<'_> {
    fn document(&mut self, codec: &dyn Codec) -> Result<&dyn Document> {
        let document = match self.document.take() {
            Some(document) => document,
            None => codec.open_row(&self.record.id.private(), self.record.data.clone())?,
        };
        Ok(&**self.document.insert(document))
    }
}

fn kept(outcome: Outcome) -> Commit {
    Commit { outcome, cookie: CookieChange::Keep }
}

fn taken() -> Error {
    Error::new(Kind::Database, "saving a session", "its new id is in the table already")
}

fn contended() -> Error {
    Error::new(Kind::Conflict, "merging a session", "others changed it until the deadline")
        .advice("try the request again; nothing of it was written")
}

fn breach(problem: &'static str) -> Error {
    Error::new(Kind::Database, "saving a session", problem)
        .advice("the store breaks the contract: run the conformance suite")
}
