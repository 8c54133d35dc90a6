//! The tasks on a large table, beside a service: `tests/long.sh operator`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sqlbypass::AnyStore;
use tokio::task::JoinHandle;

use super::place::{OLD, Place, now, private, raw, said};
use crate::promises::{data, insert, new_id, update};

crate::admin::everywhere!(a_large_table_is_worked_on_beside_a_service);

/// `{"a"=>1}`.
const MARSHAL: &str = "BAh7BkkiBmEGOgZFVGkG\n";
const JSON: &str = r#"{"value":{"a":1}}"#;
/// What the program may need, whatever the size of the table.
const MEMORY_KIB: u64 = 64 << 10;

/// How many rows: `SQLBYPASS_OPERATOR_ROWS`, or few.
fn wanted() -> usize {
    let rows = std::env::var("SQLBYPASS_OPERATOR_ROWS").ok();
    rows.map_or(2_000, |rows| rows.parse().unwrap())
}

/// One session after another, nine finds to a save, until it is told to stop; how long each took.
fn service(store: AnyStore, stop: Arc<AtomicBool>) -> JoinHandle<Vec<Duration>> {
    tokio::spawn(async move {
        let id = new_id();
        insert(&store, &id, r#"{"value":{}}"#).await.unwrap();
        let mut times = Vec::new();
        for round in 1_u32.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let begun = Instant::now();
            if round % 10 == 0 {
                let session = format!("{{\"value\":{{\"n\":{round}}}}}");
                update(&store, &id, session).await.unwrap();
            } else {
                assert!(data(&store, &id).await.is_some());
            }
            times.push(begun.elapsed());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        times
    })
}

/// The latency that one in a hundred exceeds, while `work` is under way.
async fn beside<T>(store: &AnyStore, work: impl Future<Output = T>) -> (T, Duration) {
    let stop = Arc::new(AtomicBool::new(false));
    let services: Vec<_> = (0..4).map(|_| service(store.clone(), Arc::clone(&stop))).collect();
    let done = work.await;
    stop.store(true, Ordering::Relaxed);
    let mut times = Vec::new();
    for service in services {
        times.extend(service.await.unwrap());
    }
    times.sort();
    let p99 = times[(times.len() * 99 / 100).min(times.len() - 1)];
    (done, p99)
}

/// Runs the program; the most memory that it had, in KiB.
async fn peak(place: &Place, arguments: &str) -> u64 {
    use std::process::Stdio;
    let mut command = place.command(arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id().unwrap());
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
        most = most.max(now.unwrap_or(0));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{arguments}: {}", said(&output));
    most
}

async fn a_large_table_is_worked_on_beside_a_service(place: Place) {
    let store = place.store().await;
    let (rows, now) = (wanted(), now());
    let (old, unsecured) = (rows * 9 / 10, rows / 10);
    for from in (0..rows).step_by(5_000) {
        let row = |at: usize| match at < old {
            true => (private(), MARSHAL, OLD, OLD),
            false => (raw(), MARSHAL, now.as_str(), now.as_str()),
        };
        place.put(&(from..rows.min(from + 5_000)).map(row).collect::<Vec<_>>()).await;
    }
    let ((), alone) = beside(&store, tokio::time::sleep(Duration::from_millis(300))).await;
    for (task, rows_left) in
        [("trim", unsecured), ("upgrade", unsecured), ("convert --to json", unsecured)]
    {
        let begun = Instant::now();
        let (memory, p99) = beside(&store, peak(&place, task)).await;
        eprintln!(
            "{rows} rows, {task}: {:?}, {} KiB, p99 of the service {p99:?}, alone {alone:?}",
            begun.elapsed(),
            memory,
        );
        assert!(memory < MEMORY_KIB, "{task} needed {memory} KiB");
        assert_eq!(
            place.count(&format!("data IN ('{MARSHAL}', '{JSON}')")).await,
            rows_left as u64
        );
    }
    let done = format!("session_id LIKE '2::%' AND data = '{JSON}'");
    assert_eq!(place.count(&done).await, unsecured as u64);
}
