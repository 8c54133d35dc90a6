//! `sqlbypass completions` and `sqlbypass man`: by clap's own generators.

use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;
use sqlbypass::Error;

use crate::admin::output::print;
use crate::failure::Failure;

const NAME: &str = "sqlbypass";

/// Print completions for a shell
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  sqlbypass completions bash >/etc/bash_completion.d/sqlbypass
  sqlbypass completions zsh >~/.zfunc/_sqlbypass")]
pub(crate) struct Completions {
    /// Which shell
    shell: Shell,
}

/// Print the manual page, or write the pages of all commands into a folder
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  sqlbypass man | man -l -
  sqlbypass man --folder /usr/local/share/man/man1")]
pub(crate) struct Man {
    /// The folder; it is made where it is missing
    #[arg(long)]
    folder: Option<PathBuf>,
}

/// Prints completions.
pub(crate) fn completions(options: &Completions, mut command: Command) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(options.shell, &mut command, NAME, &mut text);
    print(&String::from_utf8_lossy(&text))
}

/// Prints or writes manual pages.
pub(crate) fn man(options: &Man, command: Command) -> Result<(), Failure> {
    let failed = |fault: std::io::Error| Error::config("writing the manual", fault.to_string());
    if let Some(folder) = &options.folder {
        let written = std::fs::create_dir_all(folder)
            .and_then(|()| clap_mangen::generate_to(command, folder));
        written.map_err(|fault| {
            let problem = format!("{}: {fault}", folder.display());
            Error::config("writing the manual", problem).advice("name a folder that can be written")
        })?;
        return print(&format!("wrote the pages of all commands into {}", folder.display()));
    }
    let mut text = Vec::new();
    clap_mangen::Man::new(command).render(&mut text).map_err(failed)?;
    print(&String::from_utf8_lossy(&text))
}
