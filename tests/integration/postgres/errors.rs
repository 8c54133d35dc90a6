//! What the server refuses, and what the store makes of it.

use sqlbypass::{Error, PostgresStore, Saved, Store, StoredId, Timeouts};

use super::{Place, data, insert, new_id, update};
use crate::servers::Postgres;

/// A table whose UPDATE fails as its data say: `fail 53100` with this SQLSTATE, and with a message,
/// a detail and a hint that quote a secret.
const FAILING: &str = "
    CREATE TABLE {schema}.sessions (session_id varchar UNIQUE, data text);
    CREATE FUNCTION {schema}.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.data LIKE 'fail %' THEN
            RAISE EXCEPTION USING ERRCODE = substr(NEW.data, 6), MESSAGE = 'sentinel',
                DETAIL = 'sentinel', HINT = 'sentinel';
        END IF;
        RETURN NEW; END $$;
    CREATE TRIGGER fail BEFORE UPDATE ON {schema}.sessions FOR EACH ROW
        EXECUTE FUNCTION {schema}.fail();";

type Is = fn(&Error) -> bool;

/// SQLSTATEs by what they mean to a caller. `None`: no answer, so the outcome is not known.
const CASES: &[(&str, Option<Is>)] = &[
    ("57014", Some(Error::is_timeout)),
    ("55P03", Some(Error::is_timeout)),
    ("40001", Some(Error::is_timeout)),
    ("40P01", Some(Error::is_timeout)),
    ("25006", Some(Error::is_read_only)),
    ("42501", Some(Error::is_config)),
    ("42P01", Some(Error::is_schema)),
    ("42703", Some(Error::is_schema)),
    ("42883", Some(Error::is_schema)),
    ("23502", Some(Error::is_schema)),
    ("0A000", Some(Error::is_schema)),
    ("53100", Some(Error::is_storage_full)),
    ("53200", Some(Error::is_overloaded)),
    ("53300", Some(Error::is_overloaded)),
    ("22021", Some(Error::is_value)),
    ("22P02", Some(Error::is_value)),
    ("22001", Some(Error::is_value)),
    ("23514", Some(|error| !kinds(error))),
    ("P0001", Some(|error| !kinds(error))),
    ("XX000", Some(|error| !kinds(error))),
    ("57P01", None),
    ("08006", None),
];

/// Whether any caller could do something about it.
fn kinds(error: &Error) -> bool {
    let all: [Is; 8] = [
        Error::is_timeout,
        Error::is_overloaded,
        Error::is_unavailable,
        Error::is_unknown_outcome,
        Error::is_read_only,
        Error::is_storage_full,
        Error::is_schema,
        Error::is_value,
    ];
    all.iter().any(|is| is(error))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_error_has_a_class_and_its_sqlstate_and_no_detail() {
    if !Postgres::available() {
        return;
    }
    let place = Place::on(Postgres::shared(), FAILING).await;
    for pooled in [false, true] {
        let url = Postgres::shared().socket_url("postgres");
        let deadline = std::time::Duration::from_millis(1_500);
        let builder = place.builder(&url).pgbouncer(pooled).deadline(deadline);
        let store = builder.open().await.unwrap();
        let id = new_id();
        insert(&store, &id, "before").await.unwrap();
        for (code, is_right) in CASES {
            let error = update(&store, &id, &format!("fail {code}")).await.unwrap_err();
            match is_right {
                Some(is_right) => {
                    assert!(is_right(&error), "{code}: {error}");
                    assert!(!error.is_unknown_outcome(), "{code}: {error}");
                    assert_eq!(error.code(), Some(*code), "{error}");
                }
                None => assert!(error.is_unknown_outcome(), "{code}: {error}"),
            }
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("sentinel") && !shown.contains(id.as_str()), "{shown}");
            assert!(std::error::Error::source(&error).is_none(), "{code}");
            // The connection is whole, and nothing was written.
            assert_eq!(data(&store, &id).await.unwrap(), "before");
        }
        works(&store).await;
    }
}

async fn works(store: &PostgresStore) {
    let id = new_id();
    assert_eq!(insert(store, &id, "one").await.unwrap(), Saved::Applied);
    assert_eq!(update(store, &id, "two").await.unwrap(), Saved::Applied);
    assert!(store.touch(&StoredId::from(id.private()), Timeouts::default()).await.unwrap());
}
