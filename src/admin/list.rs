//! List: which sessions there are, without their ids.

use std::sync::Arc;
use std::time::SystemTime;

use super::upgrade::is_secured;
use super::walk::{Pace, RowName, Walk, Watch, open, patiently};
use crate::codec::{Codec, Content, Document, Serializer};
use crate::error::Result;
use crate::id::StoredId;
use crate::manager::Users;
use crate::rails::WardenUser;
use crate::record::{Lookup, Row};
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
) -> Result<Vec<Listed>> {
    let mut latest: Vec<(RowName, Row)> = Vec::new();
    let mut walk = Walk::start(store, &options.pace, false, watch).await?;
    while let Some(rows) = walk.next().await? {
        latest.extend(rows.into_iter().map(|row| (RowName::new(&row), row)));
        keep(&mut latest, options.limit);
    }
    let codec: &dyn Codec = options.codec.as_ref().map_or(&options.serializer, |codec| codec);
    let mut listed = Vec::with_capacity(latest.len());
    for (row, found) in latest {
        let record = match StoredId::parse(found.stored_id.as_bytes()).and_then(Lookup::stored) {
            Some(lookup) => patiently!(store.find(&lookup))?,
            None => None,
        };
        // What cannot be decoded has no user that could be told.
        let user = record.and_then(|record| open(codec, record.id.as_str(), record.data).ok());
        listed.push(Listed {
            row,
            created_at: found.created_at,
            updated_at: found.updated_at,
            size: found.size,
            secured: is_secured(&found.stored_id),
            user: user.and_then(|document| options.user(&*document)),
        });
    }
    Ok(listed)
}

/// Keeps the latest.
fn keep(rows: &mut Vec<(RowName, Row)>, limit: usize) {
    rows.sort_by_key(|(_, row)| std::cmp::Reverse(row.updated_at.or(row.created_at)));
    rows.truncate(limit);
}

impl ListOptions {
    fn user(&self, document: &dyn Document) -> Option<String> {
        match &self.users {
            Some(users) => users.of(&Content::stored(document)).ok()?,
            None => of_devise(document),
        }
    }
}

fn of_devise(document: &dyn Document) -> Option<String> {
    document.keys().into_iter().find_map(|key| {
        let scope = key.strip_prefix("warden.user.")?.strip_suffix(".key")?;
        let value = document.get(key).ok()?.map(ValueRef::to_value)?.ok()?;
        let id = WardenUser::from_session(&value)?.name()?;
        Some(if scope == "user" { id } else { format!("{scope}:{id}") })
    })
}
