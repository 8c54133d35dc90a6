//! What is told of a session's life: what was loaded, what a commit did, and the events in it.

use std::pin::pin;

use super::Shared;
use crate::error::Result;
use crate::id::SessionId;
use crate::observe::{Life, Step, step};
use crate::session::{Action, Commit, CookieChange, Loaded, Outcome, Pending};
use crate::store::Store;

impl<S: Store> Shared<S> {
    /// Whom this manager tells.
    pub(super) fn life(&self) -> Life<'_> {
        Life { salt: &self.options.log_salt, unknown_ids: self.options.unknown_ids.as_ref() }
    }

    /// Looks for the session of an id that came with a request.
    pub(super) async fn load(&self, id: &SessionId) -> Result<Loaded> {
        let loaded = step(Step::Load, Loaded::name, pin!(self.find(id))).await?;
        if matches!(loaded, Loaded::Missing) {
            self.life().unknown(id);
        }
        Ok(loaded)
    }

    /// Writes what a request did to its session.
    pub(super) async fn commit(&self, pending: &mut Pending) -> Result<Commit> {
        let outcome = |commit: &Commit| commit.outcome.name();
        // What is told is told inside, where the span is.
        let work = pin!(async {
            let commit = self.committed(pending).await?;
            self.tell(pending.id.as_ref(), pending.action, &commit);
            Ok(commit)
        });
        step(Step::Commit, outcome, work).await
    }

    /// Tells what a commit meant for the session that had this id.
    fn tell(&self, id: Option<&SessionId>, action: Action, commit: &Commit) {
        let life = self.life();
        let (new, from) = match &commit.cookie {
            CookieChange::Set(new) => (Some(new), id),
            CookieChange::Keep | CookieChange::Clear => (None, None),
        };
        match (commit.outcome, action, new) {
            (Outcome::Created, _, Some(new)) => {
                // What was inserted after the end of a session begins another.
                if let (Action::Destroy, Some(id)) = (action, id) {
                    life.event("destroyed", id, None);
                }
                life.event("created", new, None);
            }
            (_, Action::Reset, Some(new)) => life.event("reset", new, from),
            (_, Action::Renew, Some(new)) => life.event("renewed", new, from),
            (_, Action::Rotate, Some(new)) => life.event("rotated", new, from),
            (outcome, _, _) => {
                let Some(id) = id else { return };
                match outcome {
                    Outcome::Destroyed => life.event("destroyed", id, None),
                    Outcome::Gone => life.event("late", id, None),
                    Outcome::Conflict => life.event("conflict", id, None),
                    _ => {}
                }
            }
        }
    }
}
