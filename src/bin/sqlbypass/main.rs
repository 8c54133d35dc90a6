//! The command line: thin, one module for each command.

mod admin;
mod discreet;
mod failure;
mod keys;
mod pages;
mod serve;
mod signals;
mod text;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use self::admin::Format;
use self::failure::Failure;

/// What holds for every command.
const ALL: &str = "\
Each command has examples in its --help. Where the sessions are may stand in DATABASE_URL.

Exit codes:
  0  done, or as much of it as --for leaves time for
  1  it failed or was stopped, or something is wrong; with --format json standard output says what
  2  wrong use, which standard error tells";

/// SQL sessions for Rust services, wire-compatible with Rails.
#[derive(Parser)]
#[command(name = "sqlbypass", version, after_help = ALL)]
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
    let given = command().try_get_matches().unwrap_or_else(|error| discreet::usage(error).exit());
    let format = format(&given);
    let command = match Cli::from_arg_matches(&given) {
        Ok(cli) => cli.command,
        Err(error) => discreet::usage(error).exit(),
    };
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.tell(format);
            failure.exit_code()
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
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
        Command::Completions(options) => pages::completions(&options, self::command()),
        Command::Man(options) => pages::man(&options, self::command()),
        Command::Decode(options) => text::decode(&options).map_err(Failure::from),
        Command::Encode(options) => text::encode(&options).map_err(Failure::from),
    }
}

/// The command line. `-5` is a number that is too small, and no option that nobody knows.
fn command() -> clap::Command {
    let signed = |arg: clap::Arg| match arg.get_action().takes_values() {
        true => arg.allow_negative_numbers(true),
        false => arg,
    };
    Cli::command().mut_subcommands(|command| command.mut_args(signed))
}

/// How whichever command was given is to answer.
fn format(given: &ArgMatches) -> Format {
    let format = given.subcommand().and_then(|(_, own)| own.try_get_one("format").ok().flatten());
    format.copied().unwrap_or(Format::Text)
}

/// One line on standard error; unlike `eprintln!` it does not panic when nobody listens.
fn complain(problem: &impl std::fmt::Display) {
    let problem = discreet::text(&problem.to_string());
    let _ = writeln!(std::io::stderr(), "sqlbypass: {problem}");
}
