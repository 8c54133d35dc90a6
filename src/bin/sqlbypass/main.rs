//! The command line: thin, one module for each command.

mod serve;
mod text;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// SQL sessions for Rust services, wire-compatible with Rails.
#[derive(Parser)]
#[command(name = "sqlbypass", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(serve::Options),
    Decode(text::Decode),
    Encode(text::Encode),
}

/// Exits with 0, with 1 when the command failed, and (by clap) with 2 when it was not understood.
fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve(options) => serve::run(options),
        Command::Decode(options) => text::decode(&options),
        Command::Encode(options) => text::encode(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// One line on standard error; unlike `eprintln!` it does not panic when nobody listens.
fn complain(error: &sqlbypass::Error) {
    let _ = writeln!(std::io::stderr(), "sqlbypass: {error}");
}
