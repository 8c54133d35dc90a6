//! Whether a table holds sessions at all: its first rows tell, before a task changes any.

use super::upgrade::is_private;
use super::walk::patiently;
use crate::error::{Error, Result};
use crate::record::{Row, Scan};
use crate::store::Maintenance;

/// So many rows are looked at, however few a task takes at once.
pub(super) const FIRST: u32 = 100;
/// Generated ids are longer; Rails' have 32 characters.
const SHORTEST: usize = 16;

/// Refuses a table most of whose first ids nobody generates, for a task that has a way to say that they
/// may look like anything. An empty one passes.
pub(super) async fn check_ids<S: Maintenance>(store: &S, doing: &'static str) -> Result<()> {
    let way = "say that ids may have any shape (--any-shape; any_shape in the options)";
    check(store, doing, way).await
}

/// The same for a task that writes data: it finds sessions by their ids, and those that are not secured
/// only in Rails' shape.
pub(super) async fn check_own_ids<S: Maintenance>(store: &S, doing: &'static str) -> Result<()> {
    let way = "secure the ids first, if they are some (sqlbypass upgrade --any-shape)";
    check(store, doing, way).await
}

async fn check<S: Maintenance>(store: &S, doing: &'static str, way: &str) -> Result<()> {
    let rows = patiently!(store.scan(&Scan::new(FIRST)))?;
    let odd = rows.iter().filter(|row| !has_shape(row)).count();
    if odd * 2 <= rows.len() {
        return Ok(());
    }
    let problem = format!("{odd} of the first {} ids do not look like sessions'", rows.len());
    let advice = format!("name the table and its column of ids, or {way}; nothing was changed");
    Err(Error::config(doing, problem).advice(advice))
}

/// Whether a row's id may be one that was generated, by whatever application.
fn has_shape(row: &Row) -> bool {
    let id = row.stored_id.as_bytes();
    // Some frameworks put a prefix or their node's name to it, or write it as base64.
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_:.+/=".contains(byte);
    is_private(&row.stored_id)
        || id.len() >= SHORTEST
            && !row.stored_id.contains("://")
            && id.iter().all(is_word)
            && id.iter().any(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Owner, RowKey};

    #[test]
    fn ids_of_sessions_are_told_from_other_words() {
        let has_shape = |id: &str| {
            has_shape(&Row {
                key: RowKey::Int(1),
                stored_id: id.into(),
                size: 0,
                data: None,
                created_at: None,
                updated_at: None,
                owner: Owner::Unknown,
            })
        };
        for id in [
            "0123456789abcdef0123456789abcdef",
            "4b1f0a57-d1e9-41b6-86a1-f2d3e4f5a6b7",
            "sess:4b1f0a57d1e9b1b6c6a1",
            "4b1f0a57d1e9b1b6c6a1.node1",
            "a2tra2tra2tra2tra2tra2tra2s+/w==",
        ] {
            assert!(has_shape(id), "{id}");
        }
        for word in
            ["", "ada", "ada7@shop.example.org", "two words and 16", "https://shop.example/a1"]
        {
            assert!(!has_shape(word), "{word}");
        }
    }
}
