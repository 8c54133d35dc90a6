//! What metrics and the hook for guesses tell, and that they tell no id.

use metrics_exporter_prometheus::PrometheusBuilder;
use sqlbypass::{
    CookieChange, Json, ManagerOptions, SessionId, SessionManager, SqliteStore, UnknownIds,
};

/// A login, a visit, a guess and a logout.
async fn life_of_a_session() -> Vec<SessionId> {
    let store = SqliteStore::builder(":memory:").create(true).open().await.unwrap();
    let (unknown_ids, mut guesses) = UnknownIds::channel(8);
    let options = ManagerOptions { unknown_ids: Some(unknown_ids), ..ManagerOptions::default() };
    let manager = SessionManager::with_options(store, Json, options);
    let session = manager.session(None);
    session.insert("text", "sentinel of the data").unwrap();
    let CookieChange::Set(id) = session.commit().await.unwrap().cookie else { panic!("no id") };
    let session = manager.session(Some(id.clone()));
    assert!(session.get::<String>("text").await.unwrap().is_some());
    session.insert("n", 1).unwrap();
    session.commit().await.unwrap();
    let guessed = SessionId::generate().unwrap();
    assert!(manager.session(Some(guessed.clone())).get::<u64>("n").await.unwrap().is_none());
    assert_eq!(guesses.recv().await.unwrap().hash, manager.id_hash(&guessed));
    let session = manager.session(Some(id.clone()));
    session.destroy().unwrap();
    session.commit().await.unwrap();
    vec![id, guessed]
}

#[test]
fn metrics_tell_what_became_of_each_operation_and_no_id() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ids = metrics::with_local_recorder(&recorder, || runtime.block_on(life_of_a_session()));
    let text = handle.render();
    for (operation, outcome, count) in [
        ("find", "found", 1),
        ("find", "missing", 1),
        ("save", "applied", 2),
        ("destroy", "applied", 1),
    ] {
        let line = format!(
            "sqlbypass_operations_total{{database=\"sqlite\",operation=\"{operation}\",outcome=\"{outcome}\"}} {count}\n"
        );
        assert!(text.contains(&line), "{line}{text}");
    }
    for line in [
        "sqlbypass_session_events_total{event=\"created\"} 1\n",
        "sqlbypass_session_events_total{event=\"destroyed\"} 1\n",
        "sqlbypass_unknown_ids_total 1\n",
        "sqlbypass_data_bytes_count{database=\"sqlite\",direction=\"read\"} 1\n",
        "sqlbypass_data_bytes_count{database=\"sqlite\",direction=\"written\"} 2\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
    for id in ids {
        assert!(!text.contains(id.as_str()) && !text.contains(id.private().as_str()), "{text}");
    }
    assert!(!text.contains("sentinel"), "{text}");
}

/// The names in the docs are those in the code.
#[test]
fn the_docs_list_every_metric() {
    let names = |text: &str, before: &str| -> Vec<String> {
        let mut names: Vec<String> = text
            .split(before)
            .skip(1)
            .map(|rest| rest.split(|c: char| c != '_' && !c.is_ascii_lowercase()).next().unwrap())
            .map(|name| format!("sqlbypass{name}"))
            .collect();
        names.sort();
        names
    };
    let code = names(include_str!("../../src/observe/metrics.rs"), "\"sqlbypass");
    assert!(code.len() > 10, "{code:?}");
    assert_eq!(names(include_str!("../../docs/observability.md"), "| `sqlbypass"), code);
}
