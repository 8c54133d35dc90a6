//! What is promised of statements: how few there are, that none tells a falsehood, that nothing is
//! shown.

use mysql_async::prelude::Queryable as _;
use sqlbypass::conformance::Counting;
use sqlbypass::{
    Json, Maintenance, MySqlStore, Save, Saved, SessionManager, Store, Timeouts, Update,
};

use super::{GEM, Place, RAILS, data, insert, new_id, start, update};
use crate::life::rails::Rails;
use crate::promises::races::{logouts, races, writers_beside_rails, writers_lose_nothing};
use crate::promises::secrets::Printed;
use crate::servers::MariaDb;

/// The server reports no changed rows for these unless it is asked for those that were found.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_that_changes_nothing_has_found_its_row() {
    if !MariaDb::available() {
        return;
    }
    for ddl in [RAILS, GEM] {
        let place = Place::on(MariaDb::shared(), ddl).await;
        let url = |name: &str| MariaDb::shared().socket_url(name);
        let pool = mysql_async::Pool::new(
            MariaDb::shared().opts().db_name(Some(&place.database)).client_found_rows(true),
        );
        let ours = place.builder(url).open().await.unwrap();
        for store in [ours, MySqlStore::pool(pool).open().await.unwrap()] {
            let id = new_id();
            insert(&store, &id, "same").await.unwrap();
            for _ in 0..20 {
                assert_eq!(update(&store, &id, "same").await.unwrap(), Saved::Applied);
                let record = store.find(&sqlbypass::Lookup::new(&id)).await.unwrap().unwrap();
                let guarded = Update::new(record.id).data("same").guarded_by(&record);
                let saved = store.save(&Save::Update(guarded)).await.unwrap();
                assert_eq!(saved, Saved::Applied);
                assert!(store.touch(&record.id, Timeouts::default()).await.unwrap());
            }
            assert_eq!(update(&store, &new_id(), "same").await.unwrap(), Saved::Gone);
            assert_eq!(data(&store, &id).await.unwrap(), "same");
        }
    }
}

/// The server's own log of what it was sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_are_as_few_as_promised() {
    if !MariaDb::available() {
        return;
    }
    let server = start(&["log_output = TABLE", "general_log = 1"]);
    let place = Place::on(&server, RAILS).await;
    let store = place.builder(|name| server.socket_url(name)).max_connections(1).open().await;
    let manager = SessionManager::new(Counting::new(store.unwrap()), Json);
    let mut seen = 0;
    let mut verbs = async || {
        let sql = "SELECT UPPER(SUBSTRING_INDEX(CONVERT(argument USING utf8mb4), ' ', 1))
                   FROM mysql.general_log WHERE command_type IN ('Execute', 'Query')
                   AND thread_id <> CONNECTION_ID() ORDER BY event_time";
        let all: Vec<String> = place.raw.lock().await.query(sql).await.unwrap();
        let new = all[seen..].iter().map(|verb| verb.trim().to_owned()).collect::<Vec<_>>();
        seen = all.len();
        new
    };
    verbs().await;
    let created = manager.session(None);
    created.insert("n", 1).unwrap();
    let commit = created.commit().await.unwrap();
    let sqlbypass::CookieChange::Set(id) = commit.cookie else { panic!("no cookie") };
    assert_eq!(verbs().await, ["INSERT"]);
    let changed = manager.session(Some(id.clone()));
    changed.insert("n", 2).unwrap();
    changed.commit().await.unwrap();
    assert_eq!(verbs().await, ["SELECT", "UPDATE"]);
    let read = manager.session(Some(id.clone()));
    assert_eq!(read.get("n").await.unwrap(), Some(2));
    read.commit().await.unwrap();
    assert_eq!(verbs().await, ["SELECT"]);
    manager.session(Some(id.clone())).commit().await.unwrap();
    assert!(verbs().await.is_empty(), "an untouched session");
    let ended = manager.session(Some(id));
    ended.destroy().unwrap();
    ended.commit().await.unwrap();
    assert_eq!(verbs().await, ["DELETE"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_ids_nor_data_nor_passwords_are_shown() {
    if !MariaDb::available() {
        return;
    }
    let (server, place) = (MariaDb::shared(), Place::shared().await);
    let store = place.open().await;
    let id = new_id();
    let mut printed = Printed::default();
    let text = "sentinel data";
    insert(&store, &id, text).await.unwrap();
    printed.debug(&(&store, store.find(&sqlbypass::Lookup::with_legacy(&id)).await.unwrap()));
    // What the server would quote: a check, and a trigger's own words.
    place.run("ALTER TABLE sessions ADD CONSTRAINT fits CHECK (data <> 'sentinel refused')").await;
    let trigger = "CREATE TRIGGER told BEFORE INSERT ON sessions FOR EACH ROW BEGIN
        IF NEW.data = 'sentinel raised' THEN
          SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'sentinel';
        END IF; END";
    place.raw.lock().await.query_drop(trigger).await.unwrap();
    let refused = update(&store, &id, "sentinel refused").await.unwrap_err();
    assert_eq!(refused.code(), Some("4025"));
    printed.error(&refused);
    printed.error(&insert(&store, &new_id(), "sentinel raised").await.unwrap_err());
    let change = "DROP TRIGGER told; ALTER TABLE sessions DROP CONSTRAINT fits;
                  ALTER TABLE sessions RENAME COLUMN data TO payload";
    place.run(change).await;
    printed.error(&update(&store, &id, text).await.unwrap_err());
    let overflow = MySqlStore::url(&server.socket_url(&place.database)).unwrap();
    let table = sqlbypass::Table::new("sessions").unwrap().data_column("payload").unwrap();
    let other = overflow.table(table).open().await.unwrap();
    printed.error(&update(&other, &id, text.repeat(10_000)).await.unwrap_err());
    store.close().await.unwrap();
    printed.error(&update(&store, &id, text).await.unwrap_err());

    let url = server.url(&place.database);
    printed.debug(&MySqlStore::url(&url).unwrap());
    printed.debug(&MySqlStore::builder().user("app").password(server.password()));
    for wrong in [
        url.replace("p%40ss", "sentinel"),
        url.replace("app:", "app:sentinel@"),
        url.replace("127.0.0.1", "sentinel%40127.0.0.1"),
        url.replace("%20%25", "%20%"),
        format!("{url}?ssl-mode=sentinel"),
        url.replace(&format!(":{}/", server.port()), ":1/"),
        url.replace(&format!(":{}/", server.port()), ":sentinel/"),
    ] {
        let error = MySqlStore::open(&wrong).await.unwrap_err();
        printed.error(&error);
    }
    printed.assert_clean(&[&id], &["sentinel data", "sentinel", "p@ss", "p%40ss"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn create_makes_the_table_that_rails_makes() {
    if !MariaDb::available() {
        return;
    }
    let place = Place::shared().await;
    let table = sqlbypass::Table::new("made").unwrap();
    let builder = || {
        let url = |name: &str| MariaDb::shared().socket_url(name);
        place.builder(url).table(table.clone())
    };
    assert!(builder().open().await.unwrap_err().is_schema());
    // Several services may start at the same time.
    let opened = (0..8).map(|_| tokio::spawn(builder().create(true).open()));
    for store in opened.collect::<Vec<_>>() {
        store.await.unwrap().unwrap();
    }
    let store = builder().open().await.unwrap();
    assert!(!store.create().await.unwrap());
    let columns = async |table: &str| -> Vec<(String, String, String)> {
        let sql = "SELECT column_name, column_type, is_nullable FROM information_schema.columns
                   WHERE table_schema = DATABASE() AND table_name = ? ORDER BY 1";
        place.rows(sql, (table,)).await
    };
    assert_eq!(columns("made").await, columns("sessions").await);
    let indexes = async |table: &str| -> Vec<(String, i64)> {
        let sql = "SELECT column_name, non_unique FROM information_schema.statistics
                   WHERE table_schema = DATABASE() AND table_name = ? ORDER BY 1, 2";
        place.rows(sql, (table,)).await
    };
    assert_eq!(indexes("made").await, indexes("sessions").await);
    let schema = store.inspect().await.unwrap();
    assert!(schema.unique_id);
    assert_eq!(schema.primary_key.as_deref(), Some("id"));
    let id = new_id();
    insert(&store, &id, "one").await.unwrap();
    assert_eq!(data(&store, &id).await.unwrap(), "one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_is_final() {
    if !MariaDb::available() {
        return;
    }
    let place = Place::on(MariaDb::shared(), GEM).await;
    logouts(&place.open().await, races(500)).await;
    assert_eq!(place.count().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_beside_rails_lose_only_what_rails_erases() {
    if !MariaDb::available() {
        return;
    }
    let place = Place::shared().await;
    for _ in 0..3 {
        let url = MariaDb::shared().socket_url(&place.database);
        let rails = Rails::start(&url, "sessions").await;
        writers_beside_rails(&place.open().await, rails).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_different_keys_lose_none() {
    if !MariaDb::available() {
        return;
    }
    let place = Place::shared().await;
    writers_lose_nothing(&[place.open().await, place.open().await]).await;
}

/// Settings of a server that other applications may want, and under which statements mean the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_settings_of_the_server_change_nothing() {
    if !MariaDb::available() {
        return;
    }
    for settings in [
        &["default_time_zone = '+05:30'", "sql_mode = ''"][..],
        &["sql_mode = 'ANSI,TRADITIONAL,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT'", "autocommit = 0"],
        &[
            "character_set_server = latin1",
            "collation_server = latin1_swedish_ci",
            "transaction_isolation = SERIALIZABLE",
        ],
    ] {
        let server = start(settings);
        let place = Place::on(&server, RAILS).await;
        let store = place.builder(|name| server.url(name)).open().await.unwrap();
        let id = new_id();
        let text = "o\\'ne \"two\" `three` \u{1f980}";
        let saved = insert(&store, &id, text).await;
        if settings[0].contains("latin1") {
            // A column of latin1 has no such character.
            assert!(saved.unwrap_err().is_value());
            insert(&store, &id, "caf\u{e9}").await.unwrap();
            assert_eq!(data(&store, &id).await.unwrap(), "caf\u{e9}");
        } else {
            saved.unwrap();
            assert_eq!(data(&store, &id).await.unwrap(), text);
        }
        crate::promises::works(&store, &id).await;
        // Others see it, and its times are UTC.
        place.run("ROLLBACK").await;
        let late = "SELECT COUNT(*) FROM sessions
                    WHERE data = 'changed' AND ABS(TIMESTAMPDIFF(SECOND, updated_at, UTC_TIMESTAMP(6))) < 300";
        assert_eq!(place.one(late).await, 1, "{settings:?}");
    }
}
