//! Ids are compared as bytes, whatever the column takes for equal, and by its index all the same.

use std::time::Duration;

use mysql_async::Row;
use mysql_async::prelude::Queryable as _;
use sqlbypass::{
    Filter, Lookup, Maintenance as _, MySqlStore, RowKey, Save, Saved, SessionId, Store, StoredId,
    Timeouts, Update,
};

use super::{Place, RAILS, data, insert, new_id, start, update};
use crate::promises::races::races;
use crate::servers::MariaDb;

/// Of what a column may be, those that take most for equal; and those that take nothing but bytes,
/// or trailing spaces alone.
const COLLATIONS: [&str; 6] = [
    "utf8mb4 COLLATE utf8mb4_general_ci",
    "utf8mb4 COLLATE utf8mb4_unicode_ci",
    "utf8mb4 COLLATE uca1400_ai_ci",
    "latin1 COLLATE latin1_swedish_ci",
    "utf8mb4 COLLATE utf8mb4_bin",
    "ascii COLLATE ascii_bin",
];

const HEX: &str = "0123456789abcdef0123456789abcdef";

/// What some collation takes for the same text.
fn look_alikes(text: &str) -> Vec<String> {
    let wide = |c: char| char::from_u32(c as u32 + 0xFEE0).unwrap();
    let rest = &text[1..];
    let mut all = vec![
        text.to_uppercase(),
        format!("{text} "),
        format!("{text}\t"),
        format!("\u{1}{text}"),
        format!("{text}\u{0}"),
        format!("\u{200b}{text}"),
        format!("{text}\u{ad}"),
        format!("{}{rest}", wide(text.chars().next().unwrap())),
        text.chars().map(wide).collect(),
        // An accent of its own, and a letter with one.
        format!("{text}\u{301}"),
        text.replacen('a', "\u{e1}", 1),
        text.replacen('e', "\u{c9}", 1),
    ];
    all.retain(|other| other != text);
    all
}

async fn on(collation: &str) -> (Place, MySqlStore) {
    let ddl = RAILS.replace("{id}", &format!("CHARACTER SET {collation}"));
    let place = Place::on(MariaDb::shared(), &ddl).await;
    let store = place.open().await;
    (place, store)
}

/// Nothing that can be asked with this id meets a row.
async fn meets_nothing(store: &MySqlStore, id: &SessionId) {
    let lookup = Lookup::with_legacy(id);
    assert!(store.find(&lookup).await.unwrap().is_none());
    assert!(!store.destroy(&lookup).await.unwrap());
    let mut stored = vec![StoredId::from(id.private())];
    stored.extend(id.legacy().map(StoredId::from));
    for stored in stored {
        assert!(!store.touch(&stored, Timeouts::default()).await.unwrap());
        for update in [
            Update::new(stored).data("stolen"),
            Update::new(stored).rekey(new_id().private()),
            Update::new(stored).data("stolen").rekey(new_id().private()),
        ] {
            let saved = store.save(&Save::Update(update)).await.unwrap();
            assert_eq!(saved, Saved::Gone);
        }
    }
}

/// With a leaked dump in hand: a cookie that the column takes for the stored id is no way in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cookie_that_looks_like_a_stored_id_finds_nothing() {
    if !MariaDb::available() {
        return;
    }
    for collation in COLLATIONS {
        let (place, store) = on(collation).await;
        let (id, legacy) = (new_id(), HEX);
        insert(&store, &id, "secret").await.unwrap();
        place.put(legacy, "secret").await;
        let private = id.private();
        let mut tried = 0;
        let cookies = look_alikes(private.as_str()).into_iter().chain(look_alikes(legacy));
        for cookie in cookies.chain([private.as_str().to_owned()]) {
            // What is refused before it is asked for finds nothing either.
            if let Some(candidate) = SessionId::parse(cookie.as_bytes()) {
                meets_nothing(&store, &candidate).await;
                tried += 1;
            }
        }
        assert!(tried >= 8, "{collation}: only {tried} reached the table");
        assert_eq!(data(&store, &id).await.unwrap(), "secret", "{collation}");
        let raw = Lookup::with_legacy(&SessionId::parse(legacy.as_bytes()).unwrap());
        let found = store.find(&raw).await.unwrap().unwrap();
        assert!(found.id.is_legacy() && found.data.unwrap() == "secret", "{collation}");
    }
}

/// Rows that the column takes for the session's, and that are not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_looks_like_the_session_is_not_it() {
    if !MariaDb::available() {
        return;
    }
    for collation in COLLATIONS.into_iter().filter(|collation| collation.contains("utf8mb4")) {
        let (place, store) = on(collation).await;
        let legacy = SessionId::parse(HEX.as_bytes()).unwrap();
        let id = new_id();
        for (asked, stored) in [(&id, id.private().as_str()), (&legacy, HEX)] {
            for row in look_alikes(stored) {
                place.put(&row, "another's").await;
                meets_nothing(&store, asked).await;
                let kept = "SELECT data FROM sessions WHERE CAST(session_id AS BINARY) = ?";
                assert_eq!(place.rows::<String>(kept, (row.as_bytes(),)).await, ["another's"]);
                place.run("DELETE FROM sessions").await;
            }
        }
    }
}

/// Both forms in one table, with the column's equal in between: the right one is met.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_rows_that_look_alike_the_right_one_is_met() {
    if !MariaDb::available() {
        return;
    }
    // Without a unique index both can be there, as in a table that was made by hand.
    let ddl = "CREATE TABLE sessions (
        session_id varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci NOT NULL,
        data text, INDEX (session_id))";
    let place = Place::on(MariaDb::shared(), ddl).await;
    let store = place.open().await;
    let id = new_id();
    for row in look_alikes(id.private().as_str()) {
        place.put(&row, "another's").await;
    }
    place.put(id.private().as_str(), "mine").await;
    assert_eq!(data(&store, &id).await.unwrap(), "mine");
    assert_eq!(update(&store, &id, "changed").await.unwrap(), Saved::Applied);
    let others = place.count().await - 1;
    assert_eq!(place.one("SELECT COUNT(*) FROM sessions WHERE data = 'another''s'").await, others);
    assert!(store.destroy(&Lookup::with_legacy(&id)).await.unwrap());
    assert_eq!(place.count().await, others);
}

/// Without a primary key a task names rows by their ids: of those that look alike the one that it means.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_deletes_the_row_that_it_names() {
    if !MariaDb::available() {
        return;
    }
    let ddl = "CREATE TABLE sessions (
        session_id varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci NOT NULL,
        data text, INDEX (session_id))";
    let place = Place::on(MariaDb::shared(), ddl).await;
    let store = place.open().await;
    let mine = new_id().private();
    let others = look_alikes(mine.as_str());
    for row in others.iter().map(String::as_str).chain([mine.as_str()]) {
        place.put(row, "x").await;
    }
    let rows = i64::try_from(others.len()).unwrap();
    let keys = [RowKey::Text(mine.as_str().into()), RowKey::Text("absent".into())];
    assert_eq!(store.delete(&keys, &Filter::default()).await.unwrap(), 1);
    let left = "SELECT COUNT(*) FROM sessions WHERE CAST(session_id AS BINARY) = ?";
    assert_eq!(place.rows::<i64>(left, (mine.as_bytes(),)).await, [0]);
    assert_eq!(place.count().await, rows);
    let keys: Vec<_> = others.iter().map(|row| RowKey::Text(row.as_str().into())).collect();
    assert_eq!(store.delete_alone(&keys, &Filter::default()).await.unwrap(), Some(rows as u64));
}

/// The store's own table knows nothing but bytes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stores_own_table_compares_bytes() {
    if !MariaDb::available() {
        return;
    }
    let place = Place::on(MariaDb::shared(), "").await;
    let url = |name: &str| MariaDb::shared().socket_url(name);
    let store = place.builder(url).create(true).open().await.unwrap();
    let collation: Vec<String> = place
        .rows(
            "SELECT collation_name FROM information_schema.columns
             WHERE table_schema = ? AND table_name = 'sessions' AND column_name = 'session_id'",
            (&place.database,),
        )
        .await;
    assert!(collation[0].ends_with("_bin"), "{collation:?}");
    let id = new_id();
    insert(&store, &id, "mine").await.unwrap();
    assert_eq!(data(&store, &id).await.unwrap(), "mine");
}

/// EXPLAIN of what the server was really sent: the index serves, with 20,000 rows beside; and no
/// statement has read a table from one end to the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_index_serves_on_every_collation() {
    if !MariaDb::available() {
        return;
    }
    let server = start(&["log_output = TABLE", "userstat = 1"]);
    for collation in COLLATIONS {
        let ddl = RAILS.replace("{id}", &format!("CHARACTER SET {collation}"));
        let place = Place::on(&server, &ddl).await;
        place
            .run(
                "INSERT INTO sessions (session_id, data, created_at, updated_at)
                   SELECT CONCAT('2::', SHA2(seq, 256)), 'x', UTC_TIMESTAMP(), UTC_TIMESTAMP()
                   FROM seq_1_to_20000;
                 ANALYZE TABLE sessions",
            )
            .await;
        let store = place.builder(|name| server.socket_url(name)).open().await.unwrap();
        let id = SessionId::parse(HEX.as_bytes()).unwrap();
        insert(&store, &id, "x").await.unwrap();
        place.run("TRUNCATE mysql.general_log; SET GLOBAL general_log = 1").await;
        let read = place.one(READ).await;
        operate(&store, &id).await;
        let read = place.one(READ).await - read;
        assert!(read < 100, "{collation}: {read} rows were read");
        place.run("SET GLOBAL general_log = 0").await;
        let sent: Vec<String> = place
            .rows(
                "SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log
                 WHERE command_type = 'Execute' AND argument LIKE '%session_id%'",
                (),
            )
            .await;
        assert!(sent.len() >= 6, "{sent:?}");
        for sql in sent.iter().filter(|sql| !sql.contains("mysql.general_log")) {
            explained(&place, sql, collation).await;
        }
    }
}

/// Rows of the table that were read so far.
const READ: &str = "SELECT CAST(COALESCE(SUM(rows_read), 0) AS signed)
                    FROM information_schema.table_statistics
                    WHERE table_schema = DATABASE() AND table_name = 'sessions'";

/// Each operation of the hot path, also with all conditions, on a row that is there.
async fn operate(store: &MySqlStore, id: &SessionId) {
    let hour = Some(Duration::from_secs(3_600));
    let timeouts = Timeouts { idle: hour, lifetime: hour };
    let lookup = Lookup::with_legacy(id).timeouts(timeouts);
    assert!(store.find(&Lookup::new(id)).await.unwrap().is_some());
    let record = store.find(&lookup).await.unwrap().unwrap();
    assert!(store.touch(&record.id, timeouts).await.unwrap());
    let guarded = Update::new(record.id).data("y").guarded_by(&record);
    assert_eq!(store.save(&Save::Update(guarded)).await.unwrap(), Saved::Applied);
    let stale = Update::new(record.id).data("z").guarded_by(&record);
    assert_eq!(store.save(&Save::Update(stale)).await.unwrap(), Saved::Conflict);
    assert_eq!(update(store, id, "z").await.unwrap(), Saved::Applied);
    assert!(store.destroy(&lookup).await.unwrap());
}

/// Asserts that the server reads every table of the statement by the unique index.
async fn explained(place: &Place, sql: &str, collation: &str) {
    if sql.trim_start().starts_with("INSERT") {
        return;
    }
    // Without the row there would be nothing to read, and so no plan.
    let private = SessionId::parse(HEX.as_bytes()).unwrap().private();
    if place.count().await == 20_000 {
        place.put(private.as_str(), "y").await;
    }
    let rows: Vec<Row> = place.raw.lock().await.query(format!("EXPLAIN {sql}")).await.unwrap();
    assert!(!rows.is_empty());
    for row in rows {
        let text = |name: &str| row.get::<Option<String>, _>(name).unwrap();
        // A row that was looked up while the plan was made and does not fit the rest.
        let Some(table) = text("table") else { continue };
        let (kind, key) = (text("type").unwrap_or_default(), text("key"));
        assert!(
            matches!(kind.as_str(), "const" | "eq_ref" | "ref" | "range"),
            "{collation}: {table} is read by {kind}: {sql}"
        );
        assert_eq!(key.as_deref(), Some("index_sessions_on_session_id"), "{collation}: {sql}");
    }
}

/// Logouts against the rest, where the column would take other rows for equal.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_is_final() {
    if !MariaDb::available() {
        return;
    }
    let place = Place::shared().await;
    let store = place.open().await;
    crate::promises::races::logouts(&store, races(500)).await;
    assert_eq!(place.count().await, 0);
}
