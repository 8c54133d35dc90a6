//! The rivals' programs.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use bench_kit::{Answer, Result};

use crate::plan::Rival;

/// Where they are.
pub(crate) struct Programs {
    /// The folder for builds.
    pub(crate) built: PathBuf,
    /// This folder: `rails/rails.rb`.
    pub(crate) scripts: PathBuf,
}

impl Programs {
    pub(crate) fn path(&self, program: &str) -> PathBuf {
        self.built.join("release").join(program)
    }

    /// Whether Ruby and what the script needs are installed; else Rails is left out.
    pub(crate) fn has_rails(&self) -> bool {
        let mut ruby = Command::new("ruby");
        ruby.args(["-e", "%w[active_record mysql2 pg sqlite3].each { |name| require name }"]);
        let status = ruby.stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    }

    /// Runs a rival's program to its end.
    pub(crate) fn run(&self, rival: &Rival, arguments: &[String]) -> Result<Answer> {
        let mut command = if rival.name == "rails" {
            let mut ruby = Command::new("ruby");
            ruby.arg(self.scripts.join("rails/rails.rb"));
            ruby
        } else {
            Command::new(self.path(rival.program))
        };
        let output = command
            .args(arguments)
            .output()
            .map_err(|error| format!("{}: {error}; run.sh builds it", rival.program))?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{} failed: {text}", rival.name).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}
