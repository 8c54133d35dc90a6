//! No id, no data and no password in logs, spans, metrics, `Debug`, errors, panics, or what the program
//! writes, whatever happens. A program of its own, since it hears everything that the process says:
//! every path of every store is walked with sentinels, and then they are looked for in what was heard.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

mod ears;
mod http;
mod life;
#[allow(dead_code)]
#[path = "../integration/admin/place.rs"]
mod place;
mod program;
#[path = "../support/random.rs"]
mod random;
mod refusals;
#[path = "../servers/mod.rs"]
mod servers;
mod tasks;

use std::fmt::Debug;
use std::time::Duration;

use sqlbypass::{AnyBuilder, Maintenance, MySqlStore, PostgresStore, SqliteStore, Store, Table};

use ears::{heard, installed, quiet_about_secrets, secret};
use place::Place;
use servers::PgBouncer;

/// Long enough for a busy machine, where nothing is to time out.
const PATIENT: Duration = Duration::from_secs(30);

/// Names that stand in URLs of the tests' own servers.
fn passwords() {
    secret("password", "p@ss");
    secret("password", "p%40ss");
}

fn table() -> Table {
    Table::default().user_column("user_id").unwrap()
}

fn builder(place: &Place) -> AnyBuilder {
    sqlbypass::AnyStore::url(&place.url).unwrap().table(table()).create(true).deadline(PATIENT)
}

/// Everything that a store can be asked, and everything that can go wrong, on a table of its own.
async fn walk<S>(place: &Place, store: S)
where
    S: Store + Maintenance + Clone + Debug + 'static,
{
    installed();
    passwords();
    heard(&format!("{store:?} {store:#?}"));
    life::all(&store).await;
    http::all(&store).await;
    tasks::all(&store).await;
    refusals::all(place, &store).await;
    quiet_about_secrets();
}

/// With lanes and without.
macro_rules! both {
    ($place:expr, $url:expr, $store:ident) => {
        for lanes in [true, false] {
            let Some(place) = $place else { return };
            let builder = $store::url(&$url(&place)).unwrap().table(table()).lanes(lanes);
            heard(&format!("{builder:?} {builder:#?}"));
            let store = builder.create(true).deadline(PATIENT).open().await.unwrap();
            walk(&place, store.clone()).await;
            store.close().await.unwrap();
            tasks::closed(&store).await;
            quiet_about_secrets();
        }
    };
}

fn url(place: &Place) -> String {
    place.url.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_tells_no_secret() {
    both!(Place::sqlite().await, url, SqliteStore);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_tells_no_secret() {
    both!(Place::postgres().await, url, PostgresStore);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_tells_no_secret() {
    both!(Place::mariadb().await, url, MySqlStore);
}

/// Behind a pooler the driver is asked by other calls, some of which log their parameters.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_behind_a_pooler_tells_no_secret() {
    let Some(place) = Place::postgres().await else { return };
    if !PgBouncer::available() {
        return;
    }
    let server = servers::Postgres::shared();
    let pooler = PgBouncer::start(server, 4);
    // A pooler takes no options: the table is named with its schema.
    let (_, schema) = place.url.rsplit_once("%3D").unwrap();
    let table = Table::new(format!("{schema}.sessions")).unwrap().user_column("user_id").unwrap();
    let url = server.url_through(pooler.port(), "postgres");
    let builder = PostgresStore::url(&url).unwrap().table(table).pgbouncer(true);
    heard(&format!("{builder:?}"));
    let store = builder.create(true).deadline(PATIENT).open().await.unwrap();
    walk(&place, store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connecting_tells_no_password() {
    installed();
    passwords();
    refusals::connecting().await;
    quiet_about_secrets();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_tells_no_secret() {
    for place in [Place::sqlite().await, Place::postgres().await, Place::mariadb().await] {
        let Some(place) = place else { continue };
        program::commands(&place).await;
        program::service(&place).await;
    }
}
