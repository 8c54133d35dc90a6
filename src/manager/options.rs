//! What a manager is told to do.

use std::time::Duration;

use super::merges::Merges;
use super::users::Users;
use crate::observe::{LogSalt, UnknownIds};
use crate::record::Timeouts;

/// What happens when somebody else has changed the row since it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// This request's own changes of top-level keys are applied to the fresh row, the default. Keys
    /// that it did not change survive; a key that it set to what it had been anyway counts as not
    /// changed. Of a key that both changed the later commit's value is, unless
    /// [`ManagerOptions::merges`] says otherwise.
    #[default]
    Merge,
    /// The row is overwritten, as Rails does: what the other wrote is lost. Where two meet on a row
    /// that still bears a raw id, the first one secures it, and the second one, who no longer finds it
    /// by what it read, merges as above.
    LastWriteWins,
    /// Nothing is written ([`Outcome::Conflict`](crate::Outcome::Conflict)).
    Reject,
}

/// What becomes of a change whose session was destroyed, renewed or has expired since it was read.
///
/// The old session is never revived, and nothing that was read from it is written anywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Late {
    /// It is dropped and the handler's answer stands, as in Rails: the outcome is
    /// [`Gone`](crate::Outcome::Gone).
    Drop,
    /// It is dropped, and the middleware answers an empty 409 instead of the handler: the default,
    /// since that answer may have called a success what was dropped. Tried again, the request begins
    /// a new session, as any stale cookie does.
    #[default]
    Refuse,
    /// A new session under a new id holds the keys that this request itself inserted, and nothing of
    /// before. A key that was inserted as it had been anyway is left out. Where nothing was inserted,
    /// or a value of the old session was changed in place ([`Session::update`](crate::Session::update)),
    /// the change is refused.
    ///
    /// Think before you choose this. What a handler reads from the old session, changes and inserts
    /// again is written by this request, for all that the manager can see: if that is what says who
    /// is signed in, a slow request signs in again whoever has just signed out. So insert that in a
    /// login alone. And the new cookie takes the place of the browser's: one that has meanwhile got
    /// another session, by a login or a renewal, loses it, while that session stays in the table
    /// until it expires.
    Begin,
}

/// Settings of a [`SessionManager`](crate::SessionManager).
#[derive(Clone, Debug)]
pub struct ManagerOptions {
    /// What happens on a concurrent change; [`Policy::Merge`] by default.
    pub policy: Policy,
    /// How [`Policy::Merge`] merges single keys that both changed; none by default.
    pub merges: Merges,
    /// What becomes of a change that comes after its session's end; [`Late::Refuse`] by default.
    pub late: Late,
    /// Whether rows of gem 1.x, stored under their raw id, are found and re-keyed: the gem's
    /// default, and ours. The opposite is its `secure_session_only`.
    pub legacy_fallback: bool,
    /// Idle timeout and lifetime, by the database's clock; none by default. With SQLite that clock is
    /// this machine's own. A request that never asks for the session does not count as a use of it.
    pub timeouts: Timeouts,
    /// With an idle timeout, an unchanged session that was loaded is touched at most this often, or
    /// twice per idle timeout if that is more often. A minute by default. Requests that meet in one
    /// process touch it once between them.
    pub touch_interval: Duration,
    /// How long requests that still bear the id from before a
    /// [`rotate`](crate::Session::rotate) read the session as it was then; off by default, and a
    /// minute at most.
    ///
    /// They come from a browser that sent several at once. They cannot change the session: that is
    /// answered as [`Late::Refuse`] and [`Late::Drop`] have it. What they read lies in this process's
    /// memory, 1,024 sessions and 8 MiB of data at most (the oldest go first), so another process
    /// knows nothing of it. Each such request costs one read more, which looks whether the session is
    /// still there under its new id: a logout, a [`renew`](crate::Session::renew), a
    /// [`reset`](crate::Session::reset) and a timeout end the grace wherever they happened, and a key
    /// that was removed since is not shown. A logout or reset under the old id ends the session, in
    /// whatever order it meets the rotation; a second rotation changes nothing.
    ///
    /// The risk: whoever has stolen the old id reads on for so long. A few seconds are enough.
    pub rotation_grace: Option<Duration>,
    /// The longest that a commit goes on merging; five seconds by default.
    pub deadline: Duration,
    /// Which user a session is of; nobody asks by default.
    pub users: Option<Users>,
    /// Where well-formed ids that find no session are reported, for whoever looks out for guesses;
    /// nowhere by default. Reports never wait: what finds the queue full is dropped and counted.
    pub unknown_ids: Option<UnknownIds>,
    /// The secret under which logs, and [`unknown_ids`](Self::unknown_ids), name sessions; random in
    /// each process by default.
    pub log_salt: LogSalt,
}

impl Default for ManagerOptions {
    fn default() -> Self {
        Self {
            policy: Policy::Merge,
            merges: Merges::new(),
            late: Late::Refuse,
            legacy_fallback: true,
            timeouts: Timeouts::default(),
            touch_interval: Duration::from_secs(60),
            rotation_grace: None,
            deadline: Duration::from_secs(5),
            users: None,
            unknown_ids: None,
            log_salt: LogSalt::default(),
        }
    }
}
