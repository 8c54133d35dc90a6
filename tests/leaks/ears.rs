//! Hears what the whole process says, and looks for secrets in it.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::io::{self, Write};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use sqlbypass::{Error, SessionId};
use tracing_subscriber::fmt::format::FmtSpan;

static HEARD: Mutex<String> = Mutex::new(String::new());
static SECRETS: Mutex<BTreeSet<(&'static str, String)>> = Mutex::new(BTreeSet::new());

static EARS: LazyLock<PrometheusHandle> = LazyLock::new(|| {
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::level_filters::LevelFilter::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_ansi(false)
        .with_writer(|| Ear)
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    log::set_logger(&Ear).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        heard(&panic.to_string());
        hook(panic);
    }));
    PrometheusBuilder::new().install_recorder().unwrap()
});

struct Ear;

impl Write for Ear {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        heard(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl log::Log for Ear {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        heard(&format!("{} {}\n", record.target(), record.args()));
    }

    fn flush(&self) {}
}

fn lock<T>(mutex: &'static Mutex<T>) -> MutexGuard<'static, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From here on everything is heard.
pub(crate) fn installed() {
    LazyLock::force(&EARS);
}

/// This was said.
pub(crate) fn heard(text: &str) {
    let mut heard = lock(&HEARD);
    heard.push_str(text);
    heard.push('\n');
}

/// Nobody is to hear this from here on.
pub(crate) fn secret(kind: &'static str, word: &str) {
    lock(&SECRETS).insert((kind, word.to_owned()));
}

/// Nor this id, as the browser has it or as the row does.
pub(crate) fn secret_id(id: &SessionId) {
    secret("public id", id.as_str());
    secret("private id", id.private().as_str().trim_start_matches("2::"));
}

pub(crate) fn new_id() -> SessionId {
    let id = SessionId::generate().unwrap();
    secret_id(&id);
    id
}

/// An answer as whoever debugs prints it, and an error as whoever reports it does.
pub(crate) fn told<T: Debug>(result: Result<T, Error>) -> Option<T> {
    match result {
        Ok(answer) => {
            heard(&format!("{answer:?} {answer:#?}"));
            Some(answer)
        }
        Err(error) => {
            refused(&error);
            None
        }
    }
}

/// An error with all that stands behind it.
pub(crate) fn refused(error: &Error) {
    heard(&format!("{error} {error:#} {error:?} {error:#?} {:?}", error.code()));
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        heard(&format!("{cause} {cause:#} {cause:?} {cause:#?}"));
        source = cause.source();
    }
}

/// Everything that was said so far holds none of the secrets, in no spelling.
pub(crate) fn quiet_about_secrets() {
    let said = format!("{}\n{}", lock(&HEARD), EARS.render());
    for sound in ["session_store", "session_load", "sqlbypass_operations_total"] {
        assert!(said.contains(sound), "the ears are deaf: no {sound}");
    }
    clean(&said);
}

/// The same of one text.
pub(crate) fn clean(said: &str) {
    for (kind, word) in lock(&SECRETS).iter() {
        for (spelling, text) in spellings(word) {
            if let Some(at) = said.find(&text) {
                let start =
                    (0..=at.saturating_sub(300)).rev().find(|at| said.is_char_boundary(*at));
                panic!("a {kind} was told, {spelling}, behind: …{}", &said[start.unwrap_or(0)..at]);
            }
        }
    }
}

/// How a word may be written down.
fn spellings(word: &str) -> Vec<(&'static str, String)> {
    let hex: String = word.bytes().map(|byte| format!("{byte:02x}")).collect();
    let listed: Vec<_> = word.bytes().map(|byte| byte.to_string()).collect();
    let mut all = vec![
        ("as it is", word.to_owned()),
        ("in hex", hex.to_uppercase()),
        ("in hex", hex),
        ("as a list of bytes", listed.join(", ")),
    ];
    // Where in a text it begins decides which of three spellings it has; the first and the last
    // characters depend on its neighbours.
    for before in 0..3 {
        let padded = [&vec![b'x'; before][..], word.as_bytes()].concat();
        let text = STANDARD_NO_PAD.encode(padded);
        all.push(("in base64", text[(before * 8).div_ceil(6)..text.len() - 1].to_owned()));
    }
    all
}

/// What tokio-postgres says of an untyped call, and what all others would have said, is heard.
#[test]
fn whoever_tells_a_secret_is_heard() {
    for (_, text) in spellings("HEARD-8d1f") {
        let said = format!("some words {text} and more");
        secret("trial", "HEARD-8d1f");
        let caught = std::panic::catch_unwind(|| clean(&said));
        lock(&SECRETS).retain(|(kind, _)| *kind != "trial");
        assert!(caught.is_err(), "{text}");
    }
    installed();
    log::trace!("by log");
    tracing::trace!(word = "by tracing");
    let _ = std::panic::catch_unwind(|| panic!("by a panic"));
    for word in ["by log", "by tracing", "by a panic"] {
        assert!(lock(&HEARD).contains(word), "{word}");
    }
}
