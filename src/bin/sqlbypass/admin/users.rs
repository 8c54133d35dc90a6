//! What `list --user`, `revoke` and `backfill` have in common: who a user is.

use clap::Args;
use sqlbypass::Users;
use sqlbypass::admin::UserOptions;

use super::database::Database;
use super::output::counted;
use crate::failure::Failure;

/// A word on rows that may be the user's; none where there are none.
pub(super) fn unreadable(count: u64) -> Option<String> {
    (count > 0).then(|| {
        format!(
            "{} cannot be read and may be the user's: check --serializer and the keys, and see \
             sqlbypass doctor",
            counted(count, "session")
        )
    })
}

/// How a user is known
#[derive(Args, Debug)]
pub(crate) struct UserKey {
    /// The key of a session's data that tells the user: a text, a number, or what Warden keeps
    #[arg(long, value_name = "KEY", default_value = "warden.user.user.key")]
    user_key: String,
}

impl UserKey {
    pub(super) fn users(&self) -> Users {
        let scope = self.user_key.strip_prefix("warden.user.");
        match scope.and_then(|rest| rest.strip_suffix(".key")) {
            Some(scope) => Users::warden(scope),
            None => Users::key(&*self.user_key),
        }
    }

    pub(super) fn options(&self, database: &Database, scan: bool) -> Result<UserOptions, Failure> {
        let own = UserOptions::new(self.users(), database.codec()?);
        Ok(UserOptions { scan, ..own })
    }
}
