//! `sqlbypass serve`: a page and a JSON API on sessions in an embedded database.

mod answer;
mod api;
mod input;
mod listener;
mod page;
mod service;

use std::io::Write as _;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use sqlbypass::{
    CookieOptions, Error, Result, Serializer, SessionLayer, SessionManager, SqliteStore,
};

/// Start a small service with a page and a JSON API, to see sessions live
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Where the sessions are; the file and its table are made when missing
    #[arg(long, value_name = "URL", default_value = "sqlite://sessions.db")]
    database: String,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:3000")]
    listen: String,
    /// How session data is written
    #[arg(long, default_value = "json", value_parser = serializer())]
    serializer: Serializer,
    /// Name of the session cookie
    #[arg(long, value_name = "NAME", default_value = "_session_id", value_parser = CookieOptions::new)]
    cookie_name: CookieOptions,
}

/// Serves until it is told to stop; everything acknowledged is on disk then.
pub(crate) fn run(options: Options) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|fault| Error::config("starting the service", fault.to_string()))?;
    runtime.block_on(serve(options))
}

async fn serve(options: Options) -> Result<()> {
    // Heard from here on, so that a signal right after the ready line is not lost.
    let stop = listener::stop_signal()?;
    let listener = listener::bind(&options.listen).await?;
    let store = open(&options.database).await?;
    let manager = SessionManager::new(store.clone(), options.serializer.codec()?);
    let layer = SessionLayer::new(manager).cookie(options.cookie_name).report(true);
    announce(&listener)?;
    listener::serve(listener, service::service(&layer), stop).await;
    store.close().await
}

/// Opens the database and makes what is missing, unless the URL names a mode of its own.
async fn open(url: &str) -> Result<SqliteStore> {
    let names_mode = url.split_once('?').is_some_and(|(_, query)| query.contains("mode="));
    let builder = SqliteStore::url(url)?;
    let builder = if names_mode { builder } else { builder.create(true) };
    builder.open().await.map_err(|error| {
        let advice = "its folder has to exist and to be writable";
        Error::config("starting the service", format!("--database {url}: {error}; {advice}"))
    })
}

/// Tells whoever started the service that it is ready, and where.
fn announce(listener: &tokio::net::TcpListener) -> Result<()> {
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
