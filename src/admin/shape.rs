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

/// Refuses a table most of whose first ids nobody generates. An empty one passes.
pub(super) async fn check_ids<S: Maintenance>(store: &S, doing: &'static str) -> Result<()> {
    let rows = patiently!(store.scan(&Scan::new(FIRST)))?;
    let odd = rows.iter().filter(|row| !has_shape(row)).count();
    if odd * 2 <= rows.len() {
        return Ok(());
    }
    let problem = format!("{odd} of the first {} ids do not look like sessions'", rows.len());
    Err(Error::config(doing, problem).advice(
        "name the table and its column of ids, or say that ids may have any shape (--any-shape; \
         any_shape in the options); nothing was changed",
    ))
}

/// Whether a row's id may be one that was generated, by whatever application.
fn has_shape(row: &Row) -> bool {
    let id = row.stored_id.as_bytes();
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    is_private(&row.stored_id)
        || id.len() >= SHORTEST && id.iter().all(is_word) && id.iter().any(u8::is_ascii_digit)
}
