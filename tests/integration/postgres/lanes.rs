//! Operations that meet go out in batches: one statement for many.

use std::fmt::Write as _;
use std::time::Duration;

use sqlbypass::{PostgresStore, SessionId, Table};

use super::{AnyPlace, Place};
use crate::promises::lanes::{self, Age, Beside};
use crate::servers::{Options, Postgres};

impl Beside for Place {
    const CODES: [&'static str; 2] = ["23514", "55P03"];

    async fn lock(&self, id: &SessionId) {
        self.raw.batch_execute("BEGIN").await.unwrap();
        let sql = format!("UPDATE {} SET data = data WHERE session_id = $1", self.table());
        self.raw.execute(&sql, &[&id.private().as_str()]).await.unwrap();
    }

    async fn unlock(&self) {
        self.raw.batch_execute("ROLLBACK").await.unwrap();
    }
}

/// The statements in the server's log that hold this.
fn sent(server: &Postgres, part: &str) -> usize {
    let log = server.log();
    log.lines().filter(|line| line.contains("execute ") && line.contains(part)).count()
}

async fn logged() -> Postgres {
    let settings = vec!["log_statement = 'all'".into(), "log_min_messages = error".into()];
    Postgres::start(Options { settings, ..Options::default() })
}

/// The log has one line for a statement.
const RAILS: &str = crate::conformance::postgres::RAILS;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_row_of_a_batch_has_its_own_answer() {
    if !Postgres::available() {
        return;
    }
    let server = logged().await;
    let ddl = RAILS.replace("data text", "data varchar(1000) CHECK (data <> 'refused')");
    let place = Place::on(&server, &ddl).await;
    let builder = place.builder(&server.socket_url("postgres")).deadline(Duration::from_secs(6));
    lanes::each_row_has_its_own_answer(&builder.open().await.unwrap(), &place).await;
    assert!(sent(&server, "UPDATE") > 0, "{}", server.log());
    assert!(server.log().contains("WITH ORDINALITY AS change"), "there was no batch");
}

/// 200 operations of a kind at the same time are far fewer statements.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_meets_goes_out_together() {
    if !Postgres::available() {
        return;
    }
    let server = logged().await;
    let place = Place::on(&server, RAILS).await;
    let store = place.builder(&server.socket_url("postgres")).open().await.unwrap();
    lanes::what_meets_goes_out_together(&store, async |verb| sent(&server, verb)).await;
    assert_eq!(place.count().await, 0);
}

/// Ids that are taken are told one by one, and their neighbours are inserted; so with destroys.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duplicates_and_missing_rows_are_told_one_by_one() {
    if !Postgres::available() {
        return;
    }
    let place = Place::shared().await;
    lanes::duplicates_and_missing_rows_are_told_one_by_one(&place.open().await).await;
    assert_eq!(place.count().await, 0);
}

/// Rows that are private, raw, both or none, fresh or old: in a batch each is found as it is alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finds_in_a_batch_find_what_they_find_alone() {
    if !Postgres::available() {
        return;
    }
    let place = Place::shared().await;
    place.run("ALTER TABLE {table} ALTER updated_at DROP NOT NULL").await;
    let store = place.open().await;
    let (ids, rows) = lanes::rows_of_all_kinds();
    let mut sql = String::new();
    for (id, data, age) in rows {
        let data = data.map_or("NULL".to_owned(), |data| format!("'{data}'"));
        let age = match age {
            Age::Minutes(age) => format!("timezone('utc', now()) - interval '{age} minutes'"),
            Age::Unknown => "NULL".to_owned(),
        };
        let table = place.table();
        writeln!(
            sql,
            "INSERT INTO {table} (session_id, data, created_at, updated_at)
             VALUES ('{id}', {data}, now() - interval '1 day', {age});"
        )
        .unwrap();
    }
    place.run(&sql).await;
    let plain = AnyPlace::<false> { raw: place.raw, schema: place.schema }.open().await;
    lanes::finds_in_a_batch_find_what_they_find_alone(&store, &plain, &ids).await;
}

/// With lanes, without, and in a pool of the user's, which goes on to serve others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_drains() {
    if !Postgres::available() {
        return;
    }
    let place = Place::shared().await;
    let config = Postgres::shared().socket_url("postgres").parse().unwrap();
    let manager = deadpool_postgres::Manager::new(config, tokio_postgres::NoTls);
    let pool = deadpool_postgres::Pool::builder(manager).max_size(4).build().unwrap();
    let table = || Table::new(place.table()).unwrap();
    let users = PostgresStore::pool(pool.clone()).table(table()).open().await.unwrap();
    let url = Postgres::shared().socket_url("postgres");
    let plain = place.builder(&url).lanes(false).open().await.unwrap();
    let mut rows = 0;
    for store in [place.open().await, plain, users] {
        rows += lanes::closing_drains(&store, async || store.close().await).await;
    }
    assert_eq!(place.count().await, i64::try_from(rows).unwrap());
    pool.get().await.unwrap().query_one("SELECT 1", &[]).await.unwrap();
}
