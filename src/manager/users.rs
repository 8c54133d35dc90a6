//! Whose session it is, by its data.

use std::fmt;
use std::sync::Arc;

use crate::codec::Content;
use crate::error::Result;
use crate::record::Owner;
use crate::value::{Value, ValueRef};

type OfUser = dyn Fn(&Content<'_>) -> Result<Option<String>> + Send + Sync;

/// Which user a session is of: a function of what it holds.
///
/// With it a user's sessions can be listed and ended:
/// [`sessions_of`](crate::SessionManager::sessions_of) and what stands beside it. Where the table
/// has the column that [`Table::user_column`](crate::Table::user_column) names, commits that write
/// data write the user too; nothing else costs anything.
///
/// # Examples
///
/// ```
/// use sqlbypass::{ManagerOptions, Users};
///
/// let options = ManagerOptions { users: Some(Users::warden("user")), ..ManagerOptions::default() };
/// // A service that keeps `user_id` in its sessions:
/// let own = Users::key("user_id");
/// // One with several kinds of users:
/// let both = Users::new(|session| {
///     let admin = session.get("admin")?.and_then(|name| name.as_str());
///     let user = session.get("user")?.and_then(|name| name.as_str());
///     Ok(admin.map(|name| format!("admin {name}")).or(user.map(|name| format!("user {name}"))))
/// });
/// ```
#[derive(Clone)]
pub struct Users(Arc<OfUser>);

impl Users {
    /// A function of your own: `None` where nobody is signed in. It must depend on the session's
    /// content alone.
    ///
    /// Where it fails, and for a name of more than 255 bytes, the column stays empty, and the
    /// session is found by its data, as one is that Rails has written.
    pub fn new(
        user: impl Fn(&Content<'_>) -> Result<Option<String>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(user))
    }

    /// The value of a top-level key, a text or an integer.
    pub fn key(key: impl Into<String>) -> Self {
        let key = key.into();
        Self::new(move |content| {
            let value = content.get(&key)?.map(ValueRef::to_value).transpose()?;
            Ok(value.as_ref().and_then(name))
        })
    }

    /// The user of a session with this content.
    ///
    /// # Errors
    ///
    /// When the content cannot be read, or the function fails.
    pub fn of(&self, content: &Content<'_>) -> Result<Option<String>> {
        Ok((self.0)(content)?.filter(|user| !user.is_empty()))
    }

    /// What the column has to hold for it.
    pub(crate) fn owner(&self, content: &Content<'_>) -> Owner {
        self.of(content).map_or(Owner::Unknown, |user| Owner::of(user.as_deref()))
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Users(..)")
    }
}

/// A user's name as the column has it.
pub(crate) fn name(value: &Value) -> Option<String> {
    match value.as_i64() {
        Some(number) => Some(number.to_string()),
        None => value.as_str().map(str::to_owned),
    }
}
