//! What Rails' two classes leave in json and jsonb columns: read in every shape, written in the
//! configured one's.

use std::sync::Arc;

use serde_json::{Value as Row, json};
use sqlbypass::{
    Codec, Hybrid, Json, JsonString, Lookup, Maintenance as _, Marshal, Null, Outcome,
    SessionManager, Store,
};

use super::{Place, new_id};
use crate::servers::Postgres;

fn table(kind: &str) -> String {
    format!(
        "CREATE TABLE {{schema}}.sessions (
            id bigserial PRIMARY KEY, session_id varchar NOT NULL UNIQUE, data {kind},
            created_at timestamp(6) NOT NULL, updated_at timestamp(6) NOT NULL);"
    )
}

/// Each codec, what it reads as `{"a": 1}`, and what it writes for `{"a": 2}`.
fn shapes() -> Vec<(Arc<dyn Codec>, Vec<Row>, Row)> {
    let wrapped = json!({"value": {"a": 1}});
    let json_text = json!(r#"{"value":{"a":1}}"#);
    let marshal_text = json!("BAh7BkkiBmEGOgZFVGkG\n");
    let (to_wrapped, to_text) = (json!({"value": {"a": 2}}), json!(r#"{"value":{"a":2}}"#));
    vec![
        // ActiveRecord's class with `null`, `json`, `hybrid`, `marshal`.
        (
            Arc::new(Null),
            vec![json!({"a": 1}), json_text.clone(), marshal_text.clone()],
            json!({"a": 2}),
        ),
        (Arc::new(JsonString(Json)), vec![json_text.clone(), wrapped.clone()], to_text.clone()),
        (
            Arc::new(JsonString(Hybrid::default())),
            vec![json_text.clone(), marshal_text.clone(), wrapped.clone()],
            to_text,
        ),
        (
            Arc::new(JsonString(Marshal)),
            vec![marshal_text.clone()],
            json!("BAh7BkkiBmEGOgZFVGkH\n"),
        ),
        // SqlBypass with `json` and `hybrid`.
        (Arc::new(Json), vec![wrapped.clone(), json_text.clone()], to_wrapped.clone()),
        (Arc::new(Hybrid::default()), vec![wrapped, json_text, marshal_text], to_wrapped),
    ]
}

async fn stored(place: &Place, id: &str) -> Row {
    let sql = format!("SELECT data::text FROM {} WHERE session_id = $1", place.table());
    let text: String = place.raw.query_one(&sql, &[&id]).await.unwrap().get(0);
    serde_json::from_str(&text).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_shape_is_read_and_the_configured_ones_is_written() {
    if !Postgres::available() {
        return;
    }
    for kind in ["json", "jsonb"] {
        let place = Place::on(Postgres::shared(), &table(kind)).await;
        let store = place.open().await;
        let put = format!(
            "INSERT INTO {} (session_id, data, created_at, updated_at)
             VALUES ($1, CAST($2::text AS {kind}), timezone('utc', now()), timezone('utc', now()))",
            place.table()
        );
        for (codec, readable, written) in shapes() {
            let manager = SessionManager::new(store.clone(), codec);
            for row in readable {
                let id = new_id();
                let private = id.private();
                place.raw.execute(&put, &[&private.as_str(), &row.to_string()]).await.unwrap();
                let session = manager.session(Some(id.clone()));
                assert_eq!(session.get::<i64>("a").await.unwrap(), Some(1), "{kind} {row}");
                session.insert("a", 1).unwrap();
                assert_eq!(session.commit().await.unwrap().outcome, Outcome::Unchanged);
                assert_eq!(stored(&place, private.as_str()).await, row, "{kind}: not changed");
                let session = manager.session(Some(id.clone()));
                session.insert("a", 2).unwrap();
                assert_eq!(session.commit().await.unwrap().outcome, Outcome::Saved);
                assert_eq!(stored(&place, private.as_str()).await, written, "{kind} {row}");
                let again = manager.session(Some(id.clone()));
                assert_eq!(again.get::<i64>("a").await.unwrap(), Some(2), "{kind} {row}");
                assert!(store.destroy(&Lookup::new(&id)).await.unwrap());
            }
            let session = manager.session(None);
            session.insert("a", 2).unwrap();
            assert_eq!(session.commit().await.unwrap().outcome, Outcome::Created);
            let sql = format!("SELECT session_id FROM {}", place.table());
            let id: String = place.raw.query_one(&sql, &[]).await.unwrap().get(0);
            assert_eq!(stored(&place, &id).await, written, "{kind}: a new session");
            place.run("DELETE FROM {table}").await;
        }
    }
}

/// A domain is what it is made of, however deep: its bytes are bytes and its limit is a limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_of_domains_are_those_of_their_types() {
    if !Postgres::available() {
        return;
    }
    for (domain, limit) in
        [("bytea", None), ("text", None), ("varchar(400)", Some(400)), ("jsonb", None)]
    {
        let place = Place::on(
            Postgres::shared(),
            &format!(
                "CREATE DOMAIN {{schema}}.of AS {domain};
                 CREATE DOMAIN {{schema}}.blobby AS {{schema}}.of CHECK (VALUE IS NOT NULL);
                 {}",
                table("{schema}.blobby")
            ),
        )
        .await;
        let store = place.open().await;
        let schema = store.inspect().await.unwrap();
        assert_eq!(schema.data_limit_chars, limit, "{domain}");
        assert!(domain.starts_with("varchar") || schema.data_type == domain, "{domain}");

        let manager = SessionManager::new(store.clone(), Json);
        let session = manager.session(None);
        session.insert("a", "é").unwrap();
        let commit = session.commit().await.unwrap();
        assert_eq!(commit.outcome, Outcome::Created, "{domain}");
        let id = session.id().await.unwrap();
        for value in ["b", "c"] {
            let session = manager.session(id.clone());
            session.insert("a", value).unwrap();
            assert_eq!(session.commit().await.unwrap().outcome, Outcome::Saved, "{domain}");
            let again = manager.session(id.clone());
            assert_eq!(again.get::<String>("a").await.unwrap().as_deref(), Some(value));
        }
        if limit.is_some() {
            let session = manager.session(id);
            session.insert("a", "x".repeat(500)).unwrap();
            assert!(session.commit().await.unwrap_err().is_overflow());
        }
    }
}
