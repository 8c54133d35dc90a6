//! The command line: thin, one module for each command.

mod admin;
mod failure;
mod keys;
mod pages;
mod serve;
mod signals;
mod text;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use self::failure::Failure;

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
    Create(admin::create::Options),
    Trim(admin::trim::Options),
    Clear(admin::clear::Options),
    Upgrade(admin::upgrade::Options),
    Convert(admin::convert::Options),
    Stats(admin::stats::Options),
    List(admin::list::Options),
    Revoke(admin::revoke::Options),
    Backfill(admin::backfill::Options),
    Show(admin::show::Options),
    Doctor(admin::doctor::Options),
    Bench(admin::bench::Options),
    Completions(pages::Completions),
    Man(pages::Man),
    Decode(text::Decode),
    Encode(text::Encode),
}

/// Exits with 0, with 1 when the command failed, and with 2 when it was not understood.
fn main() -> ExitCode {
    let result: Result<(), Failure> = match Cli::parse().command {
        Command::Serve(options) => serve::run(options),
        Command::Create(options) => admin::create::run(&options),
        Command::Trim(options) => admin::trim::run(&options),
        Command::Clear(options) => admin::clear::run(&options),
        Command::Upgrade(options) => admin::upgrade::run(&options),
        Command::Convert(options) => admin::convert::run(&options),
        Command::Stats(options) => admin::stats::run(&options),
        Command::List(options) => admin::list::run(&options),
        Command::Revoke(options) => admin::revoke::run(&options),
        Command::Backfill(options) => admin::backfill::run(&options),
        Command::Show(options) => admin::show::run(&options),
        Command::Doctor(options) => admin::doctor::run(&options),
        Command::Bench(options) => admin::bench::run(&options),
        Command::Completions(options) => pages::completions(&options, Cli::command()),
        Command::Man(options) => pages::man(&options, Cli::command()),
        Command::Decode(options) => text::decode(&options).map_err(Failure::from),
        Command::Encode(options) => text::encode(&options).map_err(Failure::from),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(problem) = failure.problem() {
                complain(&problem);
            }
            failure.exit_code()
        }
    }
}

/// One line on standard error; unlike `eprintln!` it does not panic when nobody listens.
fn complain(problem: &impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "sqlbypass: {problem}");
}
