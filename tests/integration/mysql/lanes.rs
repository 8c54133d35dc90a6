//! Operations that meet go out in batches: finds as one statement, changes as one transaction.

use std::fmt::Write as _;
use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use sqlbypass::{Guard, Insert, MySqlStore, Result, Save, Saved, SessionId, Store, Update};

use super::proxies::failed;
use super::{Place, RAILS, data, insert, new_id, start, update};
use crate::promises::lanes::{self, Age, Beside, together};
use crate::servers::proxy::{Answer, Mode};
use crate::servers::{MariaDb, Proxy};

impl Beside for Place {
    const CODES: [&'static str; 2] = ["4025", "1205"];

    async fn lock(&self, id: &SessionId) {
        let mut raw = self.raw.lock().await;
        raw.query_drop("BEGIN").await.unwrap();
        let sql = "SELECT 1 FROM sessions WHERE session_id = ? FOR UPDATE";
        raw.exec_drop(sql, (id.private().as_str(),)).await.unwrap();
    }

    async fn unlock(&self) {
        self.raw.lock().await.query_drop("ROLLBACK").await.unwrap();
    }
}

/// What the server was sent, as its own log has it.
const LOGGED: &[&str] = &["log_output = TABLE", "general_log = 1"];

impl Place {
    /// The commands of this kind with statements that hold this.
    async fn sent(&self, command: &str, part: &str) -> usize {
        let sql = format!(
            "SELECT COUNT(*) FROM mysql.general_log WHERE command_type = '{command}'
             AND argument LIKE '{part}%' AND argument NOT LIKE '%general_log%'"
        );
        usize::try_from(self.one(&sql).await).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_row_of_a_batch_has_its_own_answer() {
    if !MariaDb::available() {
        return;
    }
    let server = start(LOGGED);
    let ddl = RAILS.replace("data text", "data varchar(1000) CHECK (data <> 'refused')");
    let place = Place::on(&server, &ddl).await;
    let builder = place.builder(|name| server.socket_url(name)).deadline(Duration::from_secs(6));
    lanes::each_row_has_its_own_answer(&builder.open().await.unwrap(), &place).await;
    assert!(place.sent("Query", "ROLLBACK").await > 0, "there was no batch");
}

/// 200 operations of a kind at the same time are far fewer statements, or transactions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_meets_goes_out_together() {
    if !MariaDb::available() {
        return;
    }
    let server = start(LOGGED);
    let place = Place::on(&server, RAILS).await;
    let store = place.builder(|name| server.socket_url(name)).open().await.unwrap();
    let place = &place;
    let mut commits = 0;
    lanes::what_meets_goes_out_together(&store, async |verb| match verb {
        "SELECT" => place.sent("Execute", verb).await,
        // What went in transactions since the last look counts once for each of them; the rest are
        // single statements, far more than which none of the former would be.
        _ => {
            let before = std::mem::replace(&mut commits, place.sent("Query", "COMMIT").await);
            commits - before
        }
    })
    .await;
    assert_eq!(place.count().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duplicates_and_missing_rows_are_told_one_by_one() {
    if !MariaDb::available() {
        return;
    }
    let place = Place::shared().await;
    lanes::duplicates_and_missing_rows_are_told_one_by_one(&place.open().await).await;
    assert_eq!(place.count().await, 0);
}

/// Rows that are private, raw, both or none, fresh or old: in a batch each is found as it is alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finds_in_a_batch_find_what_they_find_alone() {
    if !MariaDb::available() {
        return;
    }
    let place = Place::shared().await;
    place.run("ALTER TABLE sessions MODIFY updated_at datetime(6)").await;
    let store = place.open().await;
    let (ids, rows) = lanes::rows_of_all_kinds();
    let mut sql = String::new();
    for (id, data, age) in rows {
        let data = data.map_or("NULL".to_owned(), |data| format!("'{data}'"));
        let age = match age {
            Age::Minutes(age) => format!("UTC_TIMESTAMP(6) - INTERVAL {age} MINUTE"),
            Age::Unknown => "NULL".to_owned(),
        };
        writeln!(
            sql,
            "INSERT INTO sessions (session_id, data, created_at, updated_at)
             VALUES ('{id}', {data}, UTC_TIMESTAMP(6) - INTERVAL 1 DAY, {age});"
        )
        .unwrap();
    }
    place.run(&sql).await;
    let url = |name: &str| MariaDb::shared().socket_url(name);
    let plain = place.builder(url).lanes(false).open().await.unwrap();
    lanes::finds_in_a_batch_find_what_they_find_alone(&store, &plain, &ids).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_drains() {
    if !MariaDb::available() {
        return;
    }
    let place = Place::shared().await;
    let url = |name: &str| MariaDb::shared().socket_url(name);
    let plain = place.builder(url).lanes(false).open().await.unwrap();
    let mut rows = 0;
    for store in [place.open().await, plain] {
        rows += lanes::closing_drains(&store, async || store.close().await).await;
    }
    assert_eq!(place.count().await, i64::try_from(rows).unwrap());
}

/// 60 inserts that meet.
async fn insert_all(store: &MySqlStore, ids: &[SessionId]) -> Vec<Result<Saved>> {
    let inserts = ids.iter().map(|id| {
        let (store, id) = (store.clone(), id.private());
        let insert = Insert::new(id, "new");
        async move { store.save(&Save::Insert(insert)).await }
    });
    together(inserts).await.into_iter().map(|(saved, _)| saved).collect()
}

/// An engine without transactions keeps what a batch has written before it failed: there are none, and
/// each change has its own answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_rolled_back_goes_singly() {
    if !MariaDb::available() {
        return;
    }
    let server = start(LOGGED);
    let place = Place::on(&server, &format!("{RAILS} ENGINE = MyISAM")).await;
    let store = place.builder(|name| server.socket_url(name)).open().await.unwrap();
    let ids: Vec<SessionId> = (0..60).map(|_| new_id()).collect();
    insert(&store, &ids[59], "before").await.unwrap();
    for (at, saved) in insert_all(&store, &ids).await.into_iter().enumerate() {
        let expected = if at == 59 { Saved::Duplicate } else { Saved::Applied };
        assert_eq!(saved.unwrap(), expected, "{at}");
    }
    assert_eq!(place.count().await, 60);
    assert_eq!(place.sent("Query", "COMMIT").await + place.sent("Query", "ROLLBACK").await, 0);
}

/// The table is given another engine while the store is open. A batch that could not be rolled back is
/// an unknown outcome, and nothing of it is sent again; then there are none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_is_changed_is_noticed() {
    if !MariaDb::available() {
        return;
    }
    let place = Place::shared().await;
    let store = place.open().await;
    let ids: Vec<SessionId> = (0..60).map(|_| new_id()).collect();
    insert(&store, &ids[59], "before").await.unwrap();
    place.run("ALTER TABLE sessions ENGINE = MyISAM").await;
    let (mut applied, mut unknown) = (0, 0);
    for (at, saved) in insert_all(&store, &ids).await.into_iter().enumerate() {
        match saved {
            Ok(saved) => {
                assert_eq!(saved == Saved::Duplicate, at == 59, "{at}");
                applied += i64::from(saved == Saved::Applied);
            }
            Err(error) => {
                assert!(error.is_unknown_outcome(), "{error}");
                unknown += 1;
            }
        }
    }
    let rows = place.count().await - 1;
    assert!(rows >= applied && rows <= applied + unknown, "{rows} {applied} {unknown}");
    let others: Vec<SessionId> = (0..60).map(|_| new_id()).collect();
    for saved in insert_all(&store, &others).await {
        assert_eq!(saved.unwrap(), Saved::Applied);
    }
}

/// The last statement of a batch meets an id that is taken: that ends neither the transaction nor the
/// batch.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_id_at_the_end_costs_no_batch() {
    if !MariaDb::available() {
        return;
    }
    let server = start(LOGGED);
    let place = Place::on(&server, RAILS).await;
    let store = place.builder(|name| server.socket_url(name)).open().await.unwrap();
    let mut ids: Vec<SessionId> = (0..60).map(|_| new_id()).collect();
    // In a batch they go in this order.
    ids.sort_unstable_by_key(SessionId::private);
    insert(&store, &ids[59], "before").await.unwrap();
    for (at, saved) in insert_all(&store, &ids).await.into_iter().enumerate() {
        let expected = if at == 59 { Saved::Duplicate } else { Saved::Applied };
        assert_eq!(saved.unwrap(), expected, "{at}");
    }
    assert!(place.sent("Query", "COMMIT").await > 0, "there was no batch");
    // One for the command that does not tell which id is taken, none after the statements that do.
    assert!(place.sent("Query", "ROLLBACK").await <= 1, "a batch was thrown away");
}

/// The protocol's command for many.
const BULK: u8 = 0xFA;

/// On MariaDB a batch of changes of one kind is one command.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_one_command() {
    if !MariaDb::available() {
        return;
    }
    let (server, place) = (MariaDb::shared(), Place::shared().await);
    let proxy = Proxy::start(server.port()).await;
    let url = |name: &str| server.url_through(proxy.port(), name);
    let store = place.builder(url).open().await.unwrap();
    let ids: Vec<SessionId> = (0..60).map(|_| new_id()).collect();
    proxy.take_turns();
    for saved in insert_all(&store, &ids).await {
        assert_eq!(saved.unwrap(), Saved::Applied);
    }
    let updates = ids.iter().map(|id| {
        let (store, id) = (store.clone(), id.clone());
        async move { update(&store, &id, "changed").await.unwrap() }
    });
    for (saved, _) in together(updates).await {
        assert_eq!(saved, Saved::Applied);
    }
    let sent: Vec<u8> = proxy.take_turns().into_iter().map(|head| head[4]).collect();
    let bulk = sent.iter().filter(|command| **command == BULK).count();
    assert!(bulk >= 2, "no batch of inserts or none of updates: {sent:x?}");
    assert!(sent.len() < ids.len(), "{sent:x?}");
}

/// The server does not end a batch's transaction: what it holds must not become part of another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_that_fails_commits_nothing() {
    if !MariaDb::available() {
        return;
    }
    let (server, place) = (MariaDb::shared(), Place::shared().await);
    let proxy = Proxy::start(server.port()).await;
    let url = |name: &str| server.url_through(proxy.port(), name);
    let store = place.builder(url).open().await.unwrap();
    let ids: Vec<SessionId> = (0..60).map(|_| new_id()).collect();
    for id in &ids {
        insert(&store, id, "before").await.unwrap();
    }
    // One of them has changed, so that the whole batch has to be rolled back.
    update(&store, &ids[30], "other").await.unwrap();
    let ping = b"\x01\0\0\0\x0e".to_vec();
    let refused = Answer { to: b"ROLLBACK".to_vec(), instead: Some(ping), with: failed(1105) };
    for mode in [Mode::Answer(refused), Mode::CutAt(b"ROLLBACK")] {
        for id in ids.iter().filter(|id| **id != ids[30]) {
            update(&store, id, "before").await.unwrap();
        }
        proxy.set(mode);
        let updates = ids.iter().map(|id| {
            let update = Update::new(id.private().into()).data("after");
            let update = Update { guard: Guard::Data(Some("before".into())), ..update };
            let (store, update) = (store.clone(), Save::Update(update));
            async move { store.save(&update).await.unwrap() }
        });
        for (at, (saved, _)) in together(updates).await.into_iter().enumerate() {
            let expected = if at == 30 { Saved::Conflict } else { Saved::Applied };
            assert_eq!(saved, expected, "{at}");
        }
        proxy.set(Mode::Pass);
        for (at, id) in ids.iter().enumerate() {
            let expected = if at == 30 { "other" } else { "after" };
            assert_eq!(data(&store, id).await.unwrap(), expected, "{at}");
        }
    }
}

/// With NULL and data as guards and as data, some of which do not hold.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guards_in_a_batch_are_bytewise_and_know_null() {
    if !MariaDb::available() {
        return;
    }
    let place = Place::shared().await;
    let store = place.open().await;
    let ids: Vec<SessionId> = (0..60).map(|_| new_id()).collect();
    for id in &ids {
        insert(&store, id, "Data").await.unwrap();
    }
    let even: Vec<String> =
        ids.iter().step_by(2).map(|id| format!("'{}'", id.private().as_str())).collect();
    let even = even.join(", ");
    for wrong in [None, Some(5), Some(6)] {
        place.run(&format!("UPDATE sessions SET data = NULL WHERE session_id IN ({even})")).await;
        let updates = ids.iter().enumerate().map(|(at, id)| {
            let was = match (at % 2, wrong == Some(at)) {
                (0, false) => None,
                (1, false) => Some("Data".into()),
                (0, true) => Some("".into()),
                (_, _) => Some("data".into()),
            };
            let update = Update::new(id.private().into()).data("Data");
            let update = Update { guard: Guard::Data(was), ..update };
            let (store, update) = (store.clone(), Save::Update(update));
            async move { store.save(&update).await.unwrap() }
        });
        for (at, (saved, _)) in together(updates).await.into_iter().enumerate() {
            let expected = if wrong == Some(at) { Saved::Conflict } else { Saved::Applied };
            assert_eq!(saved, expected, "{at}");
        }
        for (at, id) in ids.iter().enumerate() {
            let expected = (wrong != Some(at) || at % 2 == 1).then_some("Data");
            let found = data(&store, id).await;
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{at}");
        }
    }
}
