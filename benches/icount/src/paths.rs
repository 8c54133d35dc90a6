//! The hot paths, each many times over.

use std::convert::Infallible;
use std::future::Ready;
use std::hint::black_box;
use std::task::{Context, Poll};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Response};
use sqlbypass::internals::base64::{decode, encode};
use sqlbypass::{
    Changes, Codec, CookieChange, CookieOptions, Json, Lookup, Marshal, SessionId, SessionLayer,
    SessionManager, SqliteStore, Store,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tower_layer::Layer as _;
use tower_service::Service;

use crate::Failure;

#[path = "../../session.rs"]
mod session;

/// A hot path: its name, and what runs it so many times.
pub(crate) type HotPath = (&'static str, fn(&mut Bench, u64) -> Result<(), Failure>);

pub(crate) const PATHS: &[HotPath] = &[
    ("id/private", |bench, rounds| repeat(rounds, || black_box(&bench.id).private())),
    ("id/generate", |_, rounds| repeat(rounds, SessionId::generate)),
    ("cookie/find", |bench, rounds| {
        let header = format!("theme=dark; {}={}; lang=de", bench.cookie, bench.id.as_str());
        repeat(rounds, || bench.cookies.find([black_box(header.as_bytes())]))
    }),
    ("cookie/set", |bench, rounds| repeat(rounds, || bench.cookies.set(black_box(&bench.id)))),
    ("base64/decode 4 KiB", |bench, rounds| {
        let text = encode(&bench.noise);
        repeat(rounds, || decode(black_box(&text)))
    }),
    ("base64/encode 4 KiB", |bench, rounds| repeat(rounds, || encode(black_box(&bench.noise)))),
    ("marshal/get one key", |bench, rounds| get(&Marshal, &bench.marshal, rounds)),
    ("marshal/change one key", |bench, rounds| change(&Marshal, &bench.marshal, rounds)),
    ("json/get one key of 2 KiB", |bench, rounds| get(&Json, &bench.json, rounds)),
    ("json/change one key of 2 KiB", |bench, rounds| change(&Json, &bench.json, rounds)),
    ("sqlite/find", Bench::find),
    ("sqlite/find and get one key", Bench::find_and_get),
    ("sqlite/find, change, save", Bench::save),
    ("request/untouched", Bench::untouched),
];

/// What the paths work on.
pub(crate) struct Bench {
    id: SessionId,
    cookies: CookieOptions,
    cookie: &'static str,
    noise: Vec<u8>,
    marshal: Bytes,
    json: Bytes,
    runtime: Runtime,
    manager: SessionManager<SqliteStore>,
    _folder: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let json = Bytes::from(session::session());
        let (manager, id) = runtime.block_on(async {
            let path = folder.path().join("sessions.db");
            let store = SqliteStore::builder(path).create(true).open().await?;
            let manager = SessionManager::new(store, Json);
            let session = manager.session(None);
            session.insert("locale", "de")?;
            session.insert("text", "x".repeat(600))?;
            let CookieChange::Set(id) = session.commit().await?.cookie else {
                return Err(Failure::from("a new session has an id"));
            };
            Ok((manager, id))
        })?;
        let cookie = "_session_id";
        Ok(Self {
            id,
            cookies: CookieOptions::new(cookie)?,
            cookie,
            noise: (0..4_096_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect(),
            marshal: fixture("sess_600_bytes")?,
            json,
            runtime,
            manager,
            _folder: folder,
        })
    }

    fn find(&mut self, rounds: u64) -> Result<(), Failure> {
        let lookup = Lookup::with_legacy(&self.id);
        self.runtime.block_on(async {
            for _ in 0..rounds {
                black_box(self.manager.store().find(&lookup).await?.ok_or("no session")?);
            }
            Ok(())
        })
    }

    fn find_and_get(&mut self, rounds: u64) -> Result<(), Failure> {
        self.runtime.block_on(async {
            for _ in 0..rounds {
                let session = self.manager.session(Some(self.id.clone()));
                black_box(session.get::<String>("locale").await?.ok_or("no locale")?);
            }
            Ok(())
        })
    }

    fn save(&mut self, rounds: u64) -> Result<(), Failure> {
        self.runtime.block_on(async {
            for n in 0..rounds {
                let session = self.manager.session(Some(self.id.clone()));
                let visits = session.get::<u64>("visits").await?.unwrap_or(n) + 1;
                session.insert("visits", visits)?;
                black_box(session.commit().await?);
            }
            Ok(())
        })
    }

    /// Through the middleware, with a handler that looks at nothing.
    fn untouched(&mut self, rounds: u64) -> Result<(), Failure> {
        let layer = SessionLayer::new(self.manager.clone());
        let mut service = layer.layer(Handler);
        let cookie = format!("{}={}", self.cookie, self.id.as_str());
        self.runtime.block_on(async {
            for _ in 0..rounds {
                let request = Request::builder().header("cookie", &cookie).body(())?;
                black_box(service.call(request).await?);
            }
            Ok(())
        })
    }
}

#[derive(Clone)]
struct Handler;

impl Service<Request<()>> for Handler {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        std::future::ready(Ok(Response::new(())))
    }
}

fn repeat<T>(rounds: u64, mut work: impl FnMut() -> T) -> Result<(), Failure> {
    for _ in 0..rounds {
        black_box(work());
    }
    Ok(())
}

fn get(codec: &dyn Codec, data: &Bytes, rounds: u64) -> Result<(), Failure> {
    for _ in 0..rounds {
        let document = codec.open(Some(black_box(data).clone()))?;
        let value = document.get("locale")?.ok_or("no locale")?;
        black_box(value.deserialize::<String>()?);
    }
    Ok(())
}

fn change(codec: &dyn Codec, data: &Bytes, rounds: u64) -> Result<(), Failure> {
    let mut changes = Changes::new();
    changes.set("locale", "a new value".into());
    let document = codec.open(Some(data.clone()))?;
    for _ in 0..rounds {
        black_box(document.encode(black_box(&changes))?);
    }
    Ok(())
}

/// The data column of a row of the fixtures, in Marshal.
fn fixture(name: &str) -> Result<Bytes, Failure> {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/values.jsonl");
    let rows = std::fs::read_to_string(fixtures)?;
    let named = format!(r#""name":"{name}""#);
    let row = rows.lines().find(|row| row.contains(&named)).ok_or("no such fixture")?;
    let row: serde_json::Value = serde_json::from_str(row)?;
    let text = row["base64"].as_str().ok_or("a row without its text")?.to_owned();
    STANDARD.decode(text.replace('\n', ""))?;
    Ok(text.into())
}
