//! The same from a request handler, by its manager.

use std::sync::Arc;

use super::users::{Revoke, UserOptions, UserSession, end_where, revoke, sessions_of, unwatched};
use super::walk::RowName;
use crate::error::{Error, Result};
use crate::manager::SessionManager;
use crate::record::Row;
use crate::session::Session;
use crate::store::Maintenance;

const DOING: &str = "looking for a user's sessions";

/// The sessions of a user. What of them has ended after which call is told at
/// [`admin::revoke`](revoke); a row that this manager's codec cannot read, and that no column says
/// anything about, is nobody's here, as no request of this manager's can use it. Without the column
/// of users each of these calls reads the whole table.
///
/// # Examples
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use sqlbypass::{Json, ManagerOptions, Session, SessionManager, SqliteStore, Table, Users};
///
/// let table = Table::default().user_column("user_id")?;
/// let store = SqliteStore::builder(":memory:").table(table).create(true).open().await?;
/// let options = ManagerOptions { users: Some(Users::key("user")), ..ManagerOptions::default() };
/// let manager = SessionManager::with_options(store, Json, options);
///
/// let login = manager.session(None);
/// login.insert("user", "ada")?;
/// login.commit().await?;
///
/// // In the handler that changes a password:
/// # let session = manager.session(None);
/// # session.insert("user", "ada")?;
/// session.renew()?;
/// let ended = manager.end_other_sessions(&session).await?;
/// assert_eq!(ended, 1);
/// # Ok::<(), sqlbypass::Error>(())
/// # }).unwrap();
/// ```
impl<S: Maintenance> SessionManager<S> {
    /// The sessions of a user, that which was used last before the others, without their ids.
    ///
    /// # Errors
    ///
    /// When the database fails, or the manager was not told whose a session is
    /// ([`users`](crate::ManagerOptions::users)).
    pub async fn sessions_of(&self, user: &str) -> Result<Vec<UserSession>> {
        let found = sessions_of(self.store(), user, &self.user_options()?, unwatched).await?;
        Ok(found.sessions)
    }

    /// Whether a session of [`sessions_of`](Self::sessions_of) is this one, so that a page can mark
    /// it. Its row may have got another id meanwhile.
    ///
    /// # Errors
    ///
    /// When the session cannot be read.
    pub async fn is_current(&self, session: &Session, other: &UserSession) -> Result<bool> {
        Ok(self.stored_ids(session).await?.iter().any(|id| other.has_id(id)))
    }

    /// Ends the session of this row, if it is this user's; says whether it did.
    ///
    /// # Errors
    ///
    /// As for [`sessions_of`](Self::sessions_of); then it may have ended.
    pub async fn end_session(&self, user: &str, row: &RowName) -> Result<bool> {
        let which = Revoke::One(row.clone());
        let report = revoke(self.store(), user, &which, &self.user_options()?, unwatched).await?;
        Ok(report.revoked > 0)
    }

    /// Ends all sessions of a user; says how many there were.
    ///
    /// # Errors
    ///
    /// As for [`sessions_of`](Self::sessions_of); then some may have ended.
    pub async fn end_sessions(&self, user: &str) -> Result<u64> {
        let options = self.user_options()?;
        Ok(revoke(self.store(), user, &Revoke::All, &options, unwatched).await?.revoked)
    }

    /// Ends all sessions of the user who is signed in in this one, but for this one itself; says how
    /// many there were. None where nobody is signed in.
    ///
    /// Whether the session is committed or not, was renewed or began in this request: what it holds
    /// now says who the user is. One whose id another process rotates at this moment may end too.
    ///
    /// # Errors
    ///
    /// As for [`sessions_of`](Self::sessions_of); then some may have ended.
    pub async fn end_other_sessions(&self, session: &Session) -> Result<u64> {
        let options = self.user_options()?;
        let user = session.content(|content| options.users.of(content)).await?;
        let Some(user) = user else { return Ok(0) };
        let own = self.stored_ids(session).await?;
        let ends = |row: &Row| !own.iter().any(|id| id.as_str() == &*row.stored_id);
        let (_, report) = end_where(self.store(), &user, ends, &options, unwatched).await?;
        Ok(report.revoked)
    }

    fn user_options(&self) -> Result<UserOptions> {
        let Some(users) = self.options().users.clone() else {
            let problem = "nobody has said which user a session is of";
            return Err(Error::config(DOING, problem).advice("set ManagerOptions::users"));
        };
        Ok(UserOptions::new(users, Arc::clone(self.codec())))
    }
}
