//! What `list --user`, `revoke` and `backfill` have in common: who a user is.

use clap::Args;
use sqlbypass::admin::UserOptions;
use sqlbypass::{AnyStore, Maintenance as _, Users};

use super::database::Database;
use super::output::{counted, warn};
use crate::failure::Failure;

/// The scope of Devise's that has no name of its own.
const SCOPE: &str = "user";

/// A word on rows that may be the user's; none where there are none.
pub(super) fn unreadable(count: u64) -> Option<String> {
    (count > 0).then(|| {
        format!(
            "{} cannot be read and may be the user's too: if encrypted, give the keys (--keys-file, \
             --keys-env); check --serializer, and see sqlbypass doctor",
            counted(count, "session")
        )
    })
}

/// Warns where the column that was named is not there.
pub(super) async fn look_for_column(database: &Database, store: &AnyStore) -> Result<(), Failure> {
    let table = database.table()?;
    if let Some(name) = table.user()
        && !store.inspect().await?.user
    {
        warn(&format!("the table has no column {name:?}: every row is read"));
    }
    Ok(())
}

/// How a user is known
#[derive(Args, Debug)]
pub(crate) struct UserKey {
    /// The key of a session's data that tells the user: a text, a number, or what Warden keeps. By
    /// default that of Devise, warden.user.user.key
    #[arg(long, value_name = "KEY")]
    user_key: Option<String>,
}

impl UserKey {
    /// The function that was asked for, if one was.
    pub(super) fn named(&self) -> Option<Users> {
        let key = self.user_key.as_deref()?;
        let scope = key.strip_prefix("warden.user.").and_then(|rest| rest.strip_suffix(".key"));
        Some(match scope {
            Some(scope) => Users::warden(scope),
            None => Users::key(key),
        })
    }

    pub(super) fn users(&self) -> Users {
        self.named().unwrap_or_else(|| Users::warden(SCOPE))
    }

    /// What finds the sessions of this user. One with a scope, as `list` tells it, may stand in no
    /// column, so every row is read.
    pub(super) fn options(
        &self,
        user: &str,
        database: &Database,
        scan: bool,
    ) -> Result<UserOptions, Failure> {
        if user.is_empty() {
            return Err(Failure::Usage("the user is empty: an unset variable? name one".into()));
        }
        let scoped = match self.user_key {
            None => user.split_once(':').map(|(scope, id)| scoped(scope, id)),
            Some(_) => None,
        };
        let scan = scan || scoped.is_some();
        let users = scoped.unwrap_or_else(|| self.users());
        Ok(UserOptions { scan, ..UserOptions::new(users, database.codec()?) })
    }
}

/// Finds this user of this scope as `SCOPE:ID`, and others by Devise's usual scope, whose ids may have
/// colons of their own.
fn scoped(scope: &str, id: &str) -> Users {
    let (of_scope, usual) = (Users::warden(scope), Users::warden(SCOPE));
    let (id, name) = (id.to_owned(), format!("{scope}:{id}"));
    Users::new(move |content| match of_scope.of(content)? {
        Some(found) if found == id => Ok(Some(name.clone())),
        _ => usual.of(content),
    })
}
