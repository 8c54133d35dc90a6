//! An application whose clock is wrong by five minutes: the database's clock decides, where it has
//! one.

use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use sqlbypass::{
    AnyStore, CookieChange, Json, Lookup, ManagerOptions, SessionId, SessionManager, Store, Table,
    Timeouts,
};

use super::everywhere;
use super::place::Place;

const TASK: &str = "SQLBYPASS_TEST_CLOCK";
const MINUTE: Duration = Duration::from_secs(60);
const TIMEOUTS: Timeouts =
    Timeouts { idle: Some(MINUTE.saturating_mul(3)), lifetime: Some(MINUTE.saturating_mul(4)) };
const MARK: &str = "<answer>";

everywhere! { the_databases_clock_decides }

/// Moves what the process takes for the time of day, and no other clock of it.
const SKEW: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t clock, struct timespec *time) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, time);
    const char *seconds = getenv("SKEW_SECONDS");
    if (result == 0 && clock == CLOCK_REALTIME && seconds) time->tv_sec += atoi(seconds);
    return result;
}
"#;

fn manager<S: Store>(store: S) -> SessionManager<S> {
    let options = ManagerOptions { timeouts: TIMEOUTS, ..ManagerOptions::default() };
    SessionManager::with_options(store, Json, options)
}

async fn reads<S: Store>(manager: &SessionManager<S>, id: &SessionId) -> bool {
    let session = manager.session(Some(id.clone()));
    let found = session.value("n").await.unwrap().is_some();
    session.commit().await.unwrap();
    found
}

async fn begun<S: Store>(manager: &SessionManager<S>) -> SessionId {
    let session = manager.session(None);
    session.insert("n", 1).unwrap();
    let CookieChange::Set(id) = session.commit().await.unwrap().cookie else { panic!("no id") };
    id
}

/// What the application with the other clock does.
#[tokio::test]
async fn is_an_application_with_another_clock_when_asked() {
    let Ok(task) = std::env::var(TASK) else { return };
    let task: Value = serde_json::from_str(&task).unwrap();
    let text = |key: &str| task[key].as_str().unwrap();
    let store = AnyStore::url(text("url")).unwrap().table(Table::new(text("table")).unwrap());
    let manager = manager(store.open().await.unwrap());
    let id = |key: &str| SessionId::parse(text(key).as_bytes()).unwrap();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let answer = json!({
        "now": now,
        "fresh": reads(&manager, &id("fresh")).await,
        "used": reads(&manager, &id("used")).await,
        "idle": reads(&manager, &id("idle")).await,
        "old": reads(&manager, &id("old")).await,
        "begun": begun(&manager).await.as_str(),
    });
    println!("{MARK}{answer}");
}

/// What it says with its clock so many seconds ahead or behind.
fn ask(skew: &std::path::Path, seconds: i64, task: &Value) -> Value {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let name = "life::clock::is_an_application_with_another_clock_when_asked";
    command.args(["--exact", name, "--nocapture"]).env(TASK, task.to_string());
    let output = command.env("LD_PRELOAD", skew).env("SKEW_SECONDS", seconds.to_string()).output();
    let output = String::from_utf8(output.unwrap().stdout).unwrap();
    let answer = output.lines().find_map(|line| line.split_once(MARK)).expect("an answer").1;
    serde_json::from_str(answer).unwrap()
}

async fn the_databases_clock_decides(place: &Place) {
    let folder = tempfile::tempdir().unwrap();
    let (source, skew) = (folder.path().join("skew.c"), folder.path().join("skew.so"));
    std::fs::write(&source, SKEW).unwrap();
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&skew)
        .arg(&source)
        .arg("-ldl")
        .status();
    assert!(compiled.unwrap().success());
    let (mut rails, honest) = (place.rails().await, manager(place.open().await));
    let about = |time: SystemTime, other: SystemTime| {
        time.duration_since(other).unwrap_or_else(|error| error.duration()) < MINUTE
    };
    for seconds in [300, -300, 0] {
        let [fresh, used, idle, old] = [
            begun(&honest).await,
            begun(&honest).await,
            begun(&honest).await,
            begun(&honest).await,
        ];
        place.age(&mut rails, &used, MINUTE * 2, MINUTE * 2).await;
        place.age(&mut rails, &idle, MINUTE * 7 / 2, MINUTE * 7 / 2).await;
        place.age(&mut rails, &old, MINUTE * 9 / 2, MINUTE / 2).await;
        let task = json!({
            "url": place.url, "table": place.table, "fresh": fresh.as_str(), "used": used.as_str(),
            "idle": idle.as_str(), "old": old.as_str(),
        });
        let answer = ask(&skew, seconds, &task);
        let now = SystemTime::now();
        let theirs = SystemTime::UNIX_EPOCH + Duration::from_secs(answer["now"].as_u64().unwrap());
        assert_eq!(about(theirs, now), seconds == 0, "the clock was not moved");
        let seen = ["fresh", "used", "idle", "old"].map(|key| answer[key].as_bool().unwrap());
        let begun = SessionId::parse(answer["begun"].as_str().unwrap().as_bytes()).unwrap();
        let find = async |id: &SessionId| {
            honest.store().find(&Lookup::new(id)).await.unwrap().expect("it is there")
        };
        let (begun, used) = (find(&begun).await, find(&used).await);
        if place.has_no_clock() && seconds != 0 {
            // Documented: SQLite's clock is the application's own, so each goes by its own.
            assert_eq!(seen, [seconds < 0; 4]);
            assert!(about(begun.created_at.unwrap(), theirs));
            continue;
        }
        assert_eq!(seen, [true, true, false, false]);
        assert!(about(begun.created_at.unwrap(), now) && about(begun.updated_at.unwrap(), now));
        // It was due for a touch, and the touch is of the database's time.
        assert!(about(used.updated_at.unwrap(), now) && !about(used.created_at.unwrap(), now));
        assert!(find(&fresh).await.updated_at.unwrap() < now);
    }
}
