//! The statements that were prepared on one connection.

use std::sync::Arc;

use mysql_async::Statement;

use crate::sql::Flags;
use crate::store::statements::{Name, Statements};

/// More than a service uses; the server has a limit of its own for all connections together.
const MOST: usize = 128;

/// Which statement: its variant, and for how many keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Which {
    pub(crate) name: Name,
    pub(crate) flags: Flags,
    pub(crate) keys: usize,
}

/// A connection's statements. A few dozen at most, so that looking one up is a short walk.
#[derive(Default)]
pub(crate) struct Prepared {
    /// Whose statements they are: another look at the table makes others.
    of: Option<Arc<Statements>>,
    known: Vec<(Which, Statement)>,
}

impl Prepared {
    pub(crate) fn get(&self, of: &Arc<Statements>, which: Which) -> Option<Statement> {
        if !self.of.as_ref().is_some_and(|known| Arc::ptr_eq(known, of)) {
            return None;
        }
        let found = self.known.iter().find(|(known, _)| *known == which);
        found.map(|(_, statement)| statement.clone())
    }

    /// Keeps a statement; answers those that have to be closed for it.
    pub(crate) fn put(
        &mut self,
        of: &Arc<Statements>,
        which: Which,
        statement: Statement,
    ) -> Vec<Statement> {
        let mut old = Vec::new();
        if !self.of.as_ref().is_some_and(|known| Arc::ptr_eq(known, of)) {
            old = self.clear();
            self.of = Some(Arc::clone(of));
        } else if self.known.len() >= MOST {
            old.push(self.known.remove(0).1);
        }
        self.known.push((which, statement));
        old
    }

    /// Forgets all; answers them to be closed.
    pub(crate) fn clear(&mut self) -> Vec<Statement> {
        self.of = None;
        self.known.drain(..).map(|(_, statement)| statement).collect()
    }
}
