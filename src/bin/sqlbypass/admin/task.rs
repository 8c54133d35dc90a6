//! A task under way: its pace, its progress, and Ctrl-C.

use std::future::Future;
use std::io::{IsTerminal as _, Write as _};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Map, Value as Json};
use sqlbypass::Error;
use sqlbypass::admin::{Ended, Pace, Progress};

use super::database::{Database, Format};
use super::output::counted;
use crate::failure::Failure;
use crate::signals::Signals;

/// At most one line of progress in this time.
const LINE_EVERY: Duration = Duration::from_secs(1);
/// As a shell has it for what Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// How to go over the table
#[derive(Args, Debug)]
#[command(next_help_heading = "Pace")]
pub(crate) struct PaceOptions {
    /// Rows at once, in one short transaction, which others may have to wait for: 25, and 20 on
    /// SQLite, where all who write wait for it
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    batch: Option<u32>,
    /// The part of the time in which rows are changed, which waiting for others' locks is part of; the
    /// rest belongs to the service. 100 where there is none: four times as fast
    #[arg(long, value_name = "PERCENT", default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=100))]
    share: u32,
    /// Rest between two batches at least so long, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pause: u64,
    /// Stop after this time: 90s, 10m, 2h, 1d, or a number of seconds. Where it is up before the end
    /// is reached, it exits with 0 and says that it is not finished (revoke exits with 1). Ctrl-C stops
    /// it after the batch that is under way, with 1; a second one ends it at once, with 130
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    at_most: Option<Duration>,
    /// Change nothing; say what would be done
    #[arg(long)]
    pub(super) dry_run: bool,
}

impl PaceOptions {
    /// For a task on this database.
    pub(super) fn pace(&self, database: &Database) -> Pace {
        let batch = if database.is_sqlite() { 20 } else { 25 };
        Pace {
            batch: self.batch.unwrap_or(batch),
            pause: Duration::from_millis(self.pause),
            share: self.share,
            at_most: self.at_most,
        }
    }
}

/// Whether ids may look like anything
#[derive(Args, Debug)]
pub(super) struct Shape {
    /// Take ids of any shape, also where most of the first ones have one that nobody generates: the
    /// table may hold something else than sessions
    #[arg(long)]
    pub(super) any_shape: bool,
}

const DURATION: &str = "write a whole number with s, m, h or d, or one of seconds";

/// Reads `90s`, `10m`, `2h`, `1d`, or a number of seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let seconds = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(DURATION.into()),
    };
    let number: u64 = number.parse().map_err(|_| DURATION)?;
    Ok(Duration::from_secs(number.saturating_mul(seconds)))
}

/// Runs a command on a runtime of its own.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|fault| Error::config("starting", fault.to_string()))?;
    runtime.block_on(work)
}

/// Shows progress: a bar on a terminal, lines elsewhere. Hears Ctrl-C.
pub(super) struct Watcher {
    /// What becomes of a row, for instance "deleted"; empty where rows are only read.
    verb: &'static str,
    dry_run: bool,
    format: Format,
    stop: Arc<AtomicBool>,
    bar: Option<ProgressBar>,
    /// What the task told last.
    told: Option<Progress>,
    /// When a line was written last, and of what.
    line: (Instant, Option<Line>),
}

/// What is shown of a progress.
#[derive(Debug, PartialEq)]
pub(super) struct Line {
    pub(super) seen: u64,
    pub(super) total: Option<u64>,
    /// What is counted, and what else there is to say of it: `rows, 20 deleted`.
    pub(super) of: String,
    /// The same for programs.
    pub(super) json: Json,
}

impl Watcher {
    /// Listens from now on, for a task that does this to rows. The first signal stops the task between
    /// two batches, a second one ends the program at once.
    pub(super) fn changing(
        verb: &'static str,
        dry_run: bool,
        format: Format,
    ) -> Result<Self, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut signals = Signals::listen()?;
        let bar = std::io::stderr().is_terminal().then(bar);
        let (flag, shown) = (Arc::clone(&stop), bar.clone());
        tokio::spawn(async move {
            signals.next().await;
            flag.store(true, Ordering::Relaxed);
            let tell = || crate::complain(&"stopping after this batch; once more ends it at once");
            shown.map_or_else(tell, |bar| bar.suspend(tell));
            signals.next().await;
            std::process::exit(INTERRUPTED);
        });
        let (told, line) = (None, (Instant::now(), None));
        Ok(Self { verb, dry_run, format, stop, bar, told, line })
    }

    /// The same for a task that changes nothing.
    pub(super) fn reading(format: Format) -> Result<Self, Failure> {
        Self::changing("", false, format)
    }

    /// For the task.
    pub(super) fn watch(&mut self) -> impl FnMut(&Progress) -> ControlFlow<()> + Send + '_ {
        |progress| {
            self.told = Some(*progress);
            let Progress { seen, changed, total } = *progress;
            let of = format!("rows{}", self.words(changed));
            self.show(Line { seen, total, of, json: known(progress).into() })
        }
    }

    /// The same for a task with a progress of its own.
    pub(super) fn watch_by<P>(
        &mut self,
        line: impl Fn(&P) -> Line + Send,
    ) -> impl FnMut(&P) -> ControlFlow<()> + Send {
        move |progress| self.show(line(progress))
    }

    /// Whether the task was told to stop.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Shows how far the task has come, and tells it whether to go on.
    fn show(&mut self, line: Line) -> ControlFlow<()> {
        match &self.bar {
            Some(bar) => draw(bar, &line),
            None => self.write(line),
        }
        match self.is_stopped() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    fn write(&mut self, line: Line) {
        // A task that rests has nothing new to say.
        if self.line.0.elapsed() < LINE_EVERY || self.line.1.as_ref() == Some(&line) {
            return;
        }
        let Line { seen, total, of, json } = &line;
        let text = match (self.format, *total) {
            (Format::Json, _) => json.to_string(),
            (Format::Text, Some(total)) => {
                let percent = (*seen.min(&total) * 100).checked_div(total).unwrap_or(100);
                format!("{percent} % ({seen} of {total} {of})")
            }
            (Format::Text, None) => format!("{seen} {of}"),
        };
        // Nobody may listen.
        let _ = writeln!(std::io::stderr(), "{text}");
        self.line = (Instant::now(), Some(line));
    }

    fn words(&self, changed: u64) -> String {
        match (self.verb, self.dry_run) {
            ("", _) => String::new(),
            (verb, false) => format!(", {changed} {verb}"),
            (verb, true) => format!(", {changed} to be {verb}"),
        }
    }

    /// Takes the bar away. Of a task that failed it says how far that had come.
    pub(super) fn end<T>(self, result: Result<T, impl Into<Failure>>) -> Result<T, Failure> {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        result.map_err(|failure| match (failure.into(), self.told) {
            (Failure::Failed(problem, _), Some(told)) if !self.verb.is_empty() => {
                let mut known = known(&told);
                known.insert("dry_run".into(), self.dry_run.into());
                Failure::Failed(problem + &self.before(&told), known)
            }
            (failure, _) => failure,
        })
    }

    /// What is done although the task failed.
    fn before(&self, told: &Progress) -> String {
        if self.dry_run || told.changed == 0 {
            return String::new();
        }
        let rows = counted(told.changed, "session");
        format!("; {rows} {} before the batch that failed, run it again to go on", self.verb)
    }
}

/// A progress for programs.
fn known(progress: &Progress) -> Map<String, Json> {
    let Progress { seen, changed, total } = *progress;
    let values = [("seen", seen.into()), ("changed", changed.into()), ("total", total.into())];
    values.into_iter().map(|(name, value): (&str, Json)| (name.to_owned(), value)).collect()
}

fn draw(bar: &ProgressBar, line: &Line) {
    if line.seen < bar.position() {
        // It counts something else now.
        bar.reset();
    }
    if let Some(total) = line.total {
        bar.set_length(total.max(line.seen));
    }
    bar.set_position(line.seen);
    bar.set_message(line.of.clone());
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let style = "{wide_bar} {percent} % of {human_len} {msg}, {eta} left";
    bar.set_style(
        ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar
}

/// A word on how a task ended, for people and for programs; empty for people when it is done.
pub(super) fn ending(ended: Ended) -> (&'static str, &'static str) {
    match ended {
        Ended::Done => ("", "done"),
        Ended::Stopped => ("; stopped half-way, run it again to go on", "stopped"),
        Ended::OutOfTime => {
            ("; not finished: the time is up, run it again to go on", "out_of_time")
        }
        Ended::Elsewhere => ("; another process is at it, which goes on", "elsewhere"),
        Ended::Failed => ("; failed half-way", "failed"),
    }
}

/// The report of a task for programs, with a word on how it ended, and how to go on where it is not
/// finished.
pub(super) fn ended(mut report: Json, ended: Ended) -> Json {
    report["ended"] = ending(ended).1.into();
    report["finished"] = (ended == Ended::Done).into();
    match ended {
        Ended::Stopped | Ended::OutOfTime => report["next"] = "run it again".into(),
        Ended::Done | Ended::Elsewhere | Ended::Failed => {}
    }
    report
}

/// A task that was stopped has not done what was asked.
pub(super) fn check(ended: Ended) -> Result<(), Failure> {
    if ended == Ended::Stopped { Err(Failure::Told) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        for (text, seconds) in
            [("90", 90), ("90s", 90), ("10m", 600), ("2h", 7_200), ("1d", 86_400)]
        {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)));
        }
        for text in ["", "m", "-1s", "1w", "1.5h", "99999999999999999999s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
