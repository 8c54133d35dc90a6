//! List: which sessions there are, without their ids.

use std::sync::Arc;
use std::time::SystemTime;

use super::upgrade::is_secured;
use super::walk::{Ended, Pace, RowName, Walk, Watch, open, patiently};
use crate::codec::{Codec, Content, Document, Serializer};
use crate::error::Result;
use crate::manager::Users;
use crate::rails::WardenUser;
use crate::record::Row;
use crate::store::Maintenance;
use crate::value::ValueRef;

/// What [`list`] is to show.
#[derive(Clone, Debug)]
pub struct ListOptions {
    /// At most so many, those that were used last; 20 by default.
    pub limit: usize,
    /// How the data is written, for the user's name.
    pub serializer: Serializer,
    /// Reads the data in the serializer's place, for instance `Encrypted` with its keys; none by
    /// default.
    pub codec: Option<Arc<dyn Codec>>,
    /// Which user a session is of; by default whom Devise has logged in.
    pub users: Option<Users>,
    /// How to go over the table.
    pub pace: Pace,
}

impl Default for ListOptions {
    fn default() -> Self {
        let (serializer, pace) = (Serializer::Hybrid, Pace::default());
        Self { limit: 20, serializer, codec: None, users: None, pace }
    }
}

/// A session as people may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listed {
    /// Its row; never its id.
    pub row: RowName,
    /// When it began.
    pub created_at: Option<SystemTime>,
    /// When it was last saved or touched.
    pub updated_at: Option<SystemTime>,
    /// Bytes of its data.
    pub size: u64,
    /// Whether its id is stored as a digest.
    pub secured: bool,
    /// The user: by default whom Devise has logged in, the id, with the scope and a colon before it
    /// where that is not `user`.
    pub user: Option<String>,
    /// Whether nobody can tell the user: the data cannot be read, for instance because they are
    /// encrypted and the codec has no keys.
    pub unreadable: bool,
}

/// What [`list`] has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionList {
    /// The sessions, that which was used last before the others.
    pub sessions: Vec<Listed>,
    /// Rows looked at.
    pub seen: u64,
    /// Those of the sessions whose user nobody can tell, since their data cannot be read.
    pub unreadable: u64,
    /// Why it ended.
    pub ended: Ended,
}

/// The sessions that were used last, the latest first. It reads every row, and the data of those that
/// it shows.
///
/// # Errors
///
/// When the database fails.
pub async fn list<S: Maintenance>(
    store: &S,
    options: &ListOptions,
    watch: impl Watch,
) -> Result<SessionList> {
    let mut latest: Vec<(RowName, Row)> = Vec::new();
    let mut walk = Walk::start(store, &options.pace, false, watch).await?;
    while let Some(rows) = walk.next().await? {
        latest.extend(rows.into_iter().map(|row| (RowName::new(&row), row)));
        keep(&mut latest, options.limit);
    }
    let mut sessions = Vec::with_capacity(latest.len());
    for (row, found) in latest {
        let user = user_of(store, options, &found).await?;
        sessions.push(Listed {
            row,
            created_at: found.created_at,
            updated_at: found.updated_at,
            size: found.size,
            secured: is_secured(&found.stored_id),
            unreadable: user.is_err(),
            user: user.unwrap_or_default(),
        });
    }
    let unreadable = sessions.iter().filter(|session| session.unreadable).count() as u64;
    let (progress, ended) = walk.finish();
    Ok(SessionList { sessions, seen: progress.seen, unreadable, ended })
}

/// The user of a row; the inner error where it cannot be read.
async fn user_of<S: Maintenance>(
    store: &S,
    options: &ListOptions,
    row: &Row,
) -> Result<Result<Option<String>>> {
    let codec: &dyn Codec = options.codec.as_ref().map_or(&options.serializer, |codec| codec);
    let Some(row) = patiently!(store.row(&row.key))? else { return Ok(Ok(None)) };
    let document = open(codec, &row.stored_id, row.data);
    Ok(document.and_then(|document| options.user(&*document)))
}

/// Keeps the latest.
fn keep(rows: &mut Vec<(RowName, Row)>, limit: usize) {
    rows.sort_by_key(|(_, row)| std::cmp::Reverse(row.updated_at.or(row.created_at)));
    rows.truncate(limit);
}

impl ListOptions {
    fn user(&self, document: &dyn Document) -> Result<Option<String>> {
        match &self.users {
            Some(users) => users.of(&Content::stored(document)),
            None => of_devise(document),
        }
    }
}

/// Of the first scope that tells somebody.
fn of_devise(document: &dyn Document) -> Result<Option<String>> {
    for key in document.keys() {
        let scope = key.strip_prefix("warden.user.").and_then(|rest| rest.strip_suffix(".key"));
        let Some(scope) = scope else { continue };
        let value = document.get(key)?.map(ValueRef::to_value).transpose()?;
        let user = value.as_ref().and_then(WardenUser::from_session);
        if let Some(id) = user.and_then(|user| user.name()) {
            return Ok(Some(if scope == "user" { id } else { format!("{scope}:{id}") }));
        }
    }
    Ok(None)
}
