//! What the cases of a [`SessionManager`] share.

use super::support::seeded;
use super::{Counting, Fixture};
use crate::codec::Json;
use crate::id::SessionId;
use crate::manager::{ManagerOptions, Policy, SessionManager};
use crate::session::{Commit, CookieChange, Outcome, Session};

pub(super) type Managed<F> = SessionManager<Counting<<F as Fixture>::Store>>;

pub(super) async fn open<F: Fixture>() -> (F, Managed<F>) {
    open_with(Policy::Merge).await
}

pub(super) async fn open_with<F: Fixture>(policy: Policy) -> (F, Managed<F>) {
    open_as(ManagerOptions { policy, ..patient() }).await
}

pub(super) async fn open_as<F: Fixture>(options: ManagerOptions) -> (F, Managed<F>) {
    let (fixture, store) = F::open().await;
    (fixture, SessionManager::with_options(Counting::new(store), Json, options))
}

/// For 64 writers of one row, on a slow machine.
pub(super) fn patient() -> ManagerOptions {
    ManagerOptions { deadline: std::time::Duration::from_secs(30), ..ManagerOptions::default() }
}

/// A session in the table, its calls not counted.
pub(super) async fn session_of<F: Fixture>(
    manager: &Managed<F>,
    data: &str,
) -> (SessionId, Session) {
    let id = seeded(manager.store(), data).await;
    manager.store().take();
    (id.clone(), manager.session(Some(id)))
}

pub(super) async fn committed(session: &Session) -> Commit {
    session.commit().await.unwrap()
}

pub(super) fn new_cookie(commit: &Commit) -> SessionId {
    match &commit.cookie {
        CookieChange::Set(id) => id.clone(),
        CookieChange::Keep | CookieChange::Clear => panic!("the browser gets a new id"),
    }
}

pub(super) fn quiet(outcome: Outcome) -> Commit {
    Commit { outcome, cookie: CookieChange::Keep }
}
