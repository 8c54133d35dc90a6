//! What a request asks of its session beside its content: Rack's session options.

use super::{Action, Session, Stage, State, unchanged};
use crate::codec::Changes;
use crate::cookie::SessionOptions;
use crate::error::Result;

#[cfg(feature = "http")]
use super::{Commit, CookieChange, Loaded, Outcome};
#[cfg(feature = "http")]
use crate::cookie::CookieOptions;

impl Session {
    /// Changes what holds for this request's session and its cookie; what is not changed stays as
    /// the layer has it.
    ///
    /// Without the middleware only `drop` and `renew` have a meaning. The session is locked while
    /// `change` runs: it must not use the session.
    ///
    /// # Errors
    ///
    /// When the session was committed already.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sqlbypass::Session;
    /// # fn handler(session: Session) -> sqlbypass::Result<()> {
    /// // A health check neither reads nor writes, whatever runs on its way.
    /// session.configure(|options| options.skip = true)
    /// # }
    /// ```
    pub fn configure<T>(&self, change: impl FnOnce(&mut SessionOptions) -> T) -> Result<T> {
        let mut state = self.state();
        let options = state.open()?.options.get_or_insert_with(|| {
            let layer = self.0.layer.as_ref();
            Box::new(layer.map(|(cookie, _)| cookie.options.clone()).unwrap_or_default())
        });
        Ok(change(options))
    }

    /// Whether this request may keep a session: not over plain HTTP under `secure`, and not when it
    /// is skipped.
    ///
    /// # Errors
    ///
    /// When this request's own options do not go with the cookie's name.
    pub(crate) fn keeps(&self) -> Result<bool> {
        #[cfg(feature = "http")]
        if let Some((_, over_tls)) = &self.0.layer {
            return self.options(|cookie, options| {
                let may_send = !options.secure || cookie.assume_ssl || *over_tls;
                may_send && !options.skip
            });
        }
        // Without a layer there is no cookie that it depends on.
        Ok(true)
    }

    /// For a request that may keep no session: forgets every change, and ends the id if the handler
    /// asked for that. Says whether there is a commit to wait for.
    pub(crate) fn forget_changes(&self) -> bool {
        let mut state = self.state();
        if !matches!(state.stage, Stage::Open) {
            return true;
        }
        state.apply_options();
        state.changes = Changes::new();
        state.edits = false;
        state.action = match state.action {
            Action::Keep | Action::Rotate => {
                state.stage = Stage::Committed(unchanged());
                return false;
            }
            // The session goes on where another request has rotated it.
            Action::Renew | Action::EndId => Action::EndId,
            Action::Reset | Action::Destroy => Action::Destroy,
        };
        true
    }
}

impl State {
    /// Turns `drop` and `renew` into what they ask for.
    pub(super) fn apply_options(&mut self) {
        let Some(options) = &self.options else { return };
        if options.drop {
            self.action = Action::Destroy;
            self.forget();
        } else if options.renew && matches!(self.action, Action::Keep | Action::Rotate) {
            self.action = Action::Renew;
        }
    }
}

#[cfg(feature = "http")]
impl Session {
    /// The options that a request's own function has chosen.
    pub(crate) fn set_options(&self, options: SessionOptions) {
        self.state().options = Some(Box::new(options));
    }

    /// What holds for this request, given to `read`, and the cookie that it is for.
    ///
    /// # Errors
    ///
    /// When this request's own options do not go with the cookie's name.
    pub(crate) fn options<T>(
        &self,
        read: impl FnOnce(&CookieOptions, &SessionOptions) -> T,
    ) -> Result<T> {
        let state = self.state();
        let default;
        let cookie = match &self.0.layer {
            Some((cookie, _)) => cookie,
            // A session of a layer has its cookie; no other is asked.
            None => {
                default = CookieOptions::default();
                &default
            }
        };
        if let Some(own) = &state.options {
            cookie.check(own)?;
        }
        Ok(read(cookie, state.options.as_deref().unwrap_or(&cookie.options)))
    }

    /// What the handler has asked of its session.
    pub(crate) fn asked(&self) -> Asked {
        let mut state = self.state();
        state.apply_options();
        Asked {
            change: !state.changes.is_empty() || state.action != Action::Keep,
            new_id: match state.action {
                Action::Renew | Action::Rotate | Action::Reset => true,
                Action::Destroy => state.changes.sets_anything(),
                Action::Keep | Action::EndId => false,
            },
            own_commit: !matches!(state.stage, Stage::Open),
            loaded: state.id.is_some() && !matches!(state.loaded, Loaded::No),
            may_stay: state.id.is_some()
                && state.action == Action::Keep
                && !matches!(state.loaded, Loaded::Missing),
        }
    }

    /// As [`finish`](Self::finish), and gives the browser its id once more when the session holds
    /// something: for a cookie with an expiry.
    pub(crate) async fn finish_and_refresh(&self) -> Result<Commit> {
        // A refresh is no wish of the request: where the row cannot be read, the cookie keeps its
        // old expiry, and the commit tells of the fault if it matters.
        let holds_something = self.holds_something().await.unwrap_or(false);
        let commit = if self.close_if_quiet() { unchanged() } else { self.finish().await? };
        let stays = matches!(commit.outcome, Outcome::Unchanged | Outcome::Saved | Outcome::Merged);
        if !(holds_something && stays && commit.cookie == CookieChange::Keep) {
            return Ok(commit);
        }
        let id = self.state().id.clone();
        Ok(Commit { cookie: id.map_or(CookieChange::Keep, CookieChange::Set), ..commit })
    }

    /// Whether there is a row and anything is left in it.
    async fn holds_something(&self) -> Result<bool> {
        self.load().await?;
        let mut guard = self.state();
        let state = &mut *guard;
        if !matches!(state.loaded, Loaded::Row(_)) {
            return Ok(false);
        }
        if state.changes.sets_anything() {
            return Ok(true);
        }
        if state.changes.is_cleared() {
            return Ok(false);
        }
        state.document(&*self.0.backend)?;
        let State { document, changes, .. } = state;
        let is_left = |key: &&str| changes.get(key).is_none();
        Ok(document.as_deref().is_some_and(|document| document.keys().iter().any(is_left)))
    }
}

/// What a handler has asked of its session.
#[cfg(feature = "http")]
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    /// A change: it would be missed if it were dropped.
    pub(crate) change: bool,
    /// A renewal, or another session: nobody else has its id.
    pub(crate) new_id: bool,
    /// It has begun a commit itself, and answers by what it saw of it.
    pub(crate) own_commit: bool,
    /// The row was read.
    pub(crate) loaded: bool,
    /// The browser may keep its id: it is not known to be nobody's, and is not to change.
    pub(crate) may_stay: bool,
}
