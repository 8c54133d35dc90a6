//! The column of users: whether it is there, and whether it tells what the data tell.

use super::{DoctorOptions, Findings, Severity, counted};
use crate::codec::{Content, Document};
use crate::record::{Owner, Row};
use crate::table::{Facts, Schema};

/// Whether the table has the column and an index on it.
pub(super) fn look(column: &str, schema: &Schema, facts: &Facts, found: &mut Findings) {
    if !schema.user {
        found.warning(
            format!("the table has no {column}: a user's sessions are found by reading every row"),
            format!(
                "sqlbypass create --add-user-column --user-column {column} --print, and then \
                 sqlbypass backfill --user-column {column}"
            ),
        );
    } else if facts.is_indexed(column) == Some(false) {
        found.warning(
            format!("{column} has no index: a user's sessions are found by reading every row"),
            format!(
                "make the index that sqlbypass create --add-user-column --user-column {column} \
                 --print shows"
            ),
        );
    }
}

/// What the column says of rows beside what their data say.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// The column says nothing.
    unfilled: u64,
    /// The column names a user.
    named: u64,
    /// The data name a user.
    told: u64,
    /// The data name another user than the column does, or one where it names nobody.
    contradicting: u64,
    /// The column names a user and the data nobody, who is passed by all the same: the data decide.
    lingering: u64,
    /// Of these the column says that the session is nobody's.
    denied: u64,
}

impl Tally {
    pub(super) fn add(&mut self, options: &DoctorOptions, row: &Row, document: &dyn Document) {
        self.named += u64::from(row.owner.user().is_some());
        let Some(users) = &options.users else {
            self.unfilled += u64::from(row.owner == Owner::Unknown);
            return;
        };
        let told = users.owner(&Content::stored(document));
        self.told += u64::from(told.user().is_some());
        match (&row.owner, told) {
            // A name that the column cannot hold is looked up in the data.
            (_, Owner::Unknown) => {}
            (Owner::Unknown, _) => self.unfilled += 1,
            (Owner::User(_), Owner::Nobody) => self.lingering += 1,
            (owner, told) if *owner != told => {
                self.contradicting += 1;
                self.denied += u64::from(*owner == Owner::Nobody);
            }
            _ => {}
        }
    }

    pub(super) fn tell(&self, column: &str, found: &mut Findings) {
        if self.unfilled > 0 {
            found.note(
                format!(
                    "{column} says nothing of {}: whenever a user's sessions are looked for, they are \
                     read",
                    counted(self.unfilled, "row", "rows")
                ),
                format!("sqlbypass backfill --user-column {column}"),
            );
        }
        // Where no data name anybody, all that the column names are lingering.
        if self.contradicting == 0 && (self.told > 0 || self.lingering == 0) {
            return;
        }
        let rows = counted(self.contradicting.max(self.lingering), "row", "rows");
        let again = format!(
            "sqlbypass backfill --recheck --user-column {column}, with the --user-key that was given here"
        );
        // What none of the data bear out is more likely asked for wrongly than stored wrongly, and a
        // backfill by a wrong key would empty the column.
        let (severity, what, cure) = if self.told == 0 {
            (
                Severity::Warning,
                format!("{column} names users of {rows}, and the data of no row name one"),
                "name the --user-key by which the services tell a session's user".to_owned(),
            )
        } else if self.named == 0 && self.denied == self.contradicting {
            (
                Severity::Wrong,
                format!(
                    "{column} names nobody in any row, though the data of {rows} name a user: by the \
                     column no session is found, and it was filled by another key"
                ),
                again,
            )
        } else {
            (
                Severity::Wrong,
                format!(
                    "{column} says another user of {rows} than their data: revoke and list pass them by"
                ),
                again,
            )
        };
        found.add(severity, what, cure);
    }
}
