//! The tasks on a large table, beside a service: `tests/long.sh operator`.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use sqlbypass::{AnyStore, SessionId};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::task::JoinHandle;

use super::place::{OLD, Place, now, private, raw};
use crate::promises::{data, insert, new_id, update};
use crate::random::Random;

crate::admin::everywhere!(a_large_table_is_worked_on_beside_a_service);

/// `{"a"=>1}`.
const MARSHAL: &str = "BAh7BkkiBmEGOgZFVGkG\n";
const JSON: &str = r#"{"value":{"a":1}}"#;
/// What the program may need, whatever the size of the table.
const MEMORY_KIB: u64 = 64 << 10;
/// One of the service's sessions for so many rows.
const EVERY: usize = 1_000;
const CLIENTS: u64 = 4;
/// From so many rows on there is time to watch the progress and the service.
const LARGE: usize = 100_000;

/// How many rows: `SQLBYPASS_OPERATOR_ROWS`, or few.
fn wanted() -> usize {
    let rows = std::env::var("SQLBYPASS_OPERATOR_ROWS").ok();
    rows.map_or(2_000, |rows| rows.parse().unwrap())
}

/// A client of the service: one session after another, nine finds to a save, until it is told to
/// stop; how long each took.
fn client(
    store: AnyStore,
    ids: Arc<[SessionId]>,
    number: u64,
    stop: Arc<AtomicBool>,
) -> JoinHandle<Vec<Duration>> {
    tokio::spawn(async move {
        let mut random = Random(number);
        let mut times = Vec::new();
        for round in 1_u32.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let id = &ids[random.below(ids.len())];
            let begun = Instant::now();
            if round % 10 == 0 {
                let session = format!("{{\"value\":{{\"n\":{round}}}}}");
                update(&store, id, session).await.unwrap();
            } else {
                assert!(data(&store, id).await.is_some());
            }
            times.push(begun.elapsed());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        times
    })
}

/// The latency that one in a hundred exceeds, while `work` is under way.
async fn beside<T>(
    store: &AnyStore,
    ids: &Arc<[SessionId]>,
    work: impl Future<Output = T>,
) -> (T, Duration) {
    let stop = Arc::new(AtomicBool::new(false));
    let client = |number| client(store.clone(), Arc::clone(ids), number, Arc::clone(&stop));
    let clients: Vec<_> = (0..CLIENTS).map(client).collect();
    let done = work.await;
    stop.store(true, Ordering::Relaxed);
    let mut times = Vec::new();
    for client in clients {
        times.extend(client.await.unwrap());
    }
    times.sort();
    let p99 = times[(times.len() * 99 / 100).min(times.len() - 1)];
    (done, p99)
}

/// A task, and which rows it has still to change. There are no others but the service's in front of
/// them, so that these tell how much of the table was seen.
struct Task {
    arguments: &'static str,
    to_do: String,
}

/// What was seen of a task under way.
struct Seen {
    /// The most memory that the program had, in KiB.
    memory: u64,
    /// How far its progress was from the truth at most, in parts of the table.
    error: f64,
    lines: usize,
    report: Json,
}

/// Runs a task to its end; what it tells of its progress is compared with the table.
async fn watched(place: &Place, task: &Task) -> Seen {
    let all = place.count(&task.to_do).await;
    let mut command = place.command(&format!("{} --format json", task.arguments));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let memory = tokio::spawn(peak(format!("/proc/{}/status", child.id().unwrap())));
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
    let (mut error, mut lines, mut last) = (0.0_f64, 0, Instant::now());
    while let Some(line) = told.next_line().await.unwrap() {
        let Ok(progress) = serde_json::from_str::<Json>(&line) else { continue };
        // Counting costs the server more than a batch; what came meanwhile is out of date.
        if last.elapsed() < Duration::from_secs(3) {
            continue;
        }
        let left = place.count(&task.to_do).await;
        if left > 0 {
            let total = progress["total"].as_f64().unwrap();
            for told in [&progress["seen"], &progress["changed"]] {
                let away = told.as_f64().unwrap() - (all - left) as f64;
                error = error.max(away.abs() / total);
            }
            lines += 1;
        }
        last = Instant::now();
    }
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{}", task.arguments);
    let report: Json = serde_json::from_slice(&output.stdout).unwrap();
    Seen { memory: memory.await.unwrap(), error, lines, report }
}

/// The most memory that a process had by its end, in KiB, by its status file.
async fn peak(status: String) -> u64 {
    let mut most = 0;
    loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
        let Some(now) = now else { return most };
        most = now;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Puts rows in, and now and then a session of the service.
async fn fill(
    place: &Place,
    store: &AnyStore,
    rows: usize,
    new: fn() -> String,
    time: &str,
) -> Vec<SessionId> {
    let mut ids = Vec::new();
    for from in (0..rows).step_by(EVERY) {
        let count = rows.min(from + EVERY) - from;
        let rows: Vec<_> = (0..count).map(|_| (new(), MARSHAL, time, time)).collect();
        place.put(&rows).await;
        let id = new_id();
        insert(store, &id, r#"{"value":{}}"#).await.unwrap();
        ids.push(id);
    }
    ids
}

async fn a_large_table_is_worked_on_beside_a_service(place: Place) {
    let store = place.store().await;
    let (rows, now) = (wanted(), now());
    let (old, unsecured) = (rows * 9 / 10, rows / 5);
    let mut ids = fill(&place, &store, old, private, OLD).await;
    ids.extend(fill(&place, &store, unsecured, raw, &now).await);
    let ids: Arc<[SessionId]> = ids.into();
    let is_large = rows >= LARGE;
    let quiet = Duration::from_millis(if is_large { 30_000 } else { 300 });
    let ((), alone) = beside(&store, &ids, tokio::time::sleep(quiet)).await;
    let tasks = [
        ("trim", "deleted", old, format!("created_at = '{OLD}'")),
        ("upgrade", "upgraded", unsecured, "session_id NOT LIKE '2::%'".to_owned()),
        ("convert --to json", "converted", unsecured, format!("data = '{MARSHAL}'")),
    ];
    for (arguments, done, wanted, to_do) in tasks {
        let begun = Instant::now();
        let task = Task { arguments, to_do };
        let (seen, p99) = beside(&store, &ids, watched(&place, &task)).await;
        eprintln!(
            "{arguments}: {wanted} rows in {:.1?}, {} MiB; p99 of the service {p99:.1?}, {:.2} of \
             the {alone:.1?} without; progress within {:.2} % at {} lines",
            begun.elapsed(),
            seen.memory >> 10,
            p99.as_secs_f64() / alone.as_secs_f64(),
            seen.error * 100.0,
            seen.lines,
        );
        assert_eq!(seen.report[done], wanted, "{arguments}: {}", seen.report);
        assert!(
            seen.memory > 0 && seen.memory < MEMORY_KIB,
            "{arguments} needed {} KiB",
            seen.memory
        );
        assert!(seen.error <= 0.01 && (seen.lines > 0 || !is_large), "{arguments}: its progress");
        assert_eq!(place.count(&task.to_do).await, 0, "{arguments}");
    }
    assert_eq!(
        place.count(&format!("session_id LIKE '2::%' AND data = '{JSON}'")).await,
        unsecured as u64
    );
    assert_eq!(place.count("TRUE").await, (unsecured + ids.len()) as u64);
}
