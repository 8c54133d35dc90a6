//! `sqlbypass serve`: a page and a JSON API on sessions in an embedded database.

mod answer;
mod api;
mod input;
mod listener;
mod page;
mod service;

use std::io::Write as _;
use std::sync::Arc;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use sqlbypass::{
    AnyStore, Codec, CookieOptions, Error, Result, Serializer, SessionLayer, SessionManager,
};

use crate::admin::is_sqlite;
use crate::failure::Failure;
use crate::keys::KeyOptions;
use crate::signals::Signals;

/// What `--help` says of the API; the whole is in `api.rs`.
const API: &str = "\
Examples:
  sqlbypass serve
  sqlbypass serve --listen 127.0.0.1:0 --database postgres://app@db/shop

The JSON API, with the session's cookie:
  GET    /api/session         the session's values      200
  PUT    /api/session/{key}   the JSON body is a value  204
  DELETE /api/session/{key}                             204
  GET    /api/life            times and size            200
  POST   /api/login           {\"name\": \"Ada\"}           204
  POST   /api/renew           a new id, the same values 204
  POST   /api/reset           a new id, no values       204
  POST   /api/logout          ends the session          204
What is refused answers 4xx, what fails 5xx, both with {\"error\": \"...\"}.";

/// Start a small service with a page and a JSON API, to see sessions live
#[derive(Args, Debug)]
#[command(after_help = API)]
pub(crate) struct Options {
    /// Where the sessions are: sqlite://FILE, or postgres:// or mysql://, then
    /// USER:PASSWORD@HOST/DATABASE; the table, and SQLite's file, are made when missing
    #[arg(
        long,
        value_name = "URL",
        env = "DATABASE_URL",
        hide_env_values = true,
        default_value = "sqlite://sessions.db"
    )]
    database: String,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:3000")]
    listen: String,
    /// How session data is written; with keys it is encrypted
    #[arg(long, default_value = "json", value_parser = serializer())]
    serializer: Serializer,
    /// Name of the session cookie
    #[arg(long, value_name = "NAME", default_value = "_session_id", value_parser = CookieOptions::new)]
    cookie_name: CookieOptions,
    #[command(flatten)]
    keys: KeyOptions,
}

/// Serves until it is told to stop; everything acknowledged is on disk then.
pub(crate) fn run(options: Options) -> Result<(), Failure> {
    let codec = options.keys.codec(options.serializer)?;
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|fault| Error::config("starting the service", fault.to_string()))?;
    runtime.block_on(serve(options, codec))
}

async fn serve(options: Options, codec: Arc<dyn Codec>) -> Result<(), Failure> {
    // Heard from here on, so that a signal right after the ready line is not lost.
    let signals = Signals::listen()?;
    let listener = listener::bind(&options.listen).await?;
    let store = open(&options.database).await?;
    let manager = SessionManager::new(store.clone(), codec);
    let layer = SessionLayer::new(manager).cookie(options.cookie_name)?.report(true);
    announce(&listener)?;
    listener::serve(listener, service::service(&layer), signals).await;
    Ok(store.close().await?)
}

/// Opens the database and makes what is missing, unless a SQLite URL names a mode of its own.
async fn open(url: &str) -> Result<AnyStore, Failure> {
    let is_file = is_sqlite(url);
    // A server's URL holds a password.
    let shown = if is_file { format!(" {url}") } else { String::new() };
    let told =
        |error: &Error, advice| format!("starting the service: --database{shown}: {error}{advice}");
    let names_mode =
        is_file && url.split_once('?').is_some_and(|(_, query)| query.contains("mode="));
    let store = AnyStore::url(url).map_err(|error| Failure::Usage(told(&error, "")))?;
    store.create(!names_mode).open().await.map_err(|error| {
        let is_place = is_file && (error.is_unavailable() || error.is_read_only());
        let advice = if is_place { "; its folder has to exist and to be writable" } else { "" };
        Failure::failed(told(&error, advice))
    })
}

/// Tells whoever started the service that it is ready, and where.
fn announce(listener: &tokio::net::TcpListener) -> Result<(), Failure> {
    let address = listener
        .local_addr()
        .map_err(|fault| Error::config("starting the service", fault.to_string()))?;
    let mut out = std::io::stdout();
    // A closed standard output is no reason not to serve.
    let _ = writeln!(out, "listening on http://{address}").and_then(|()| out.flush());
    Ok(())
}

/// Takes the names of those serializers whose codec is there.
fn serializer() -> impl TypedValueParser<Value = Serializer> {
    let is_there = |name: &&str| name.parse().and_then(Serializer::codec).is_ok();
    let names = ["marshal", "json", "hybrid", "null"].into_iter().filter(is_there);
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Serializer>())
}
