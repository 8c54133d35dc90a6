//! `decode` and `encode`: the text of a data column to JSON, and back.

use std::io::{self, BufRead, Read, Write};

use clap::Args;
use sqlbypass::{Error, Result, Serializer};

const DECODE_EXAMPLES: &str = r#"Examples:
  echo BAh7BkkiBmEGOgZFVGkG | sqlbypass decode  # {"a":1}
  echo '{"value":{"a":1}}' | sqlbypass decode --serializer json  # {"a":1}
  echo '"BAg6BmE="' | sqlbypass decode --typed --lines  # {"t":"sym","enc":"US-ASCII","hex":"61","v":"a"}

A whole table, one session a line; what cannot be read is answered as {"error":"…"}:
  psql -Atc 'SELECT to_json(data) FROM sessions' | sqlbypass decode --lines
  sqlite3 app.db 'SELECT json_quote(data) FROM sessions' | sqlbypass decode --lines

A json or jsonb column of Rails' default class holds JSON strings, which --lines takes as they are:
  psql -Atc 'SELECT data FROM sessions' | sqlbypass decode --serializer json --lines"#;

const ENCODE_EXAMPLES: &str = r#"Examples:
  echo '{"a":1}' | sqlbypass encode  # BAh7BkkiBmEGOgZFVGkG
  echo '{"a":1}' | sqlbypass encode --serializer json  # {"value":{"a":1}}
  echo '{"t":"sym","v":"a"}' | sqlbypass encode --typed  # BAg6BmE=

What `decode --typed` shows comes back as it was:
  sqlbypass decode --typed <data.txt | sqlbypass encode --typed"#;

/// Show the text of a data column, read from standard input, as JSON
#[derive(Args, Debug)]
#[command(after_help = DECODE_EXAMPLES)]
pub(crate) struct Decode {
    #[command(flatten)]
    options: Options,
}

/// Make the text of a data column of the JSON on standard input
#[derive(Args, Debug)]
#[command(after_help = ENCODE_EXAMPLES)]
pub(crate) struct Encode {
    #[command(flatten)]
    options: Options,
}

#[derive(Args, Debug)]
struct Options {
    /// What Rails calls the serializer: marshal, json, hybrid or null
    #[arg(long, default_value = "marshal")]
    serializer: Serializer,
    /// Describe every value with its kind, encoding, class and links
    #[arg(long)]
    typed: bool,
    /// Take one text a line, as a JSON string or bare, and answer one line each
    #[arg(long)]
    lines: bool,
}

/// Runs `decode` on standard input and output.
pub(crate) fn decode(args: &Decode) -> Result<()> {
    let Options { serializer, typed, lines } = args.options;
    run(lines, |text| {
        if !lines {
            return serializer.to_json(text, typed);
        }
        serializer.to_json(&unescaped(text), typed)
    })
}

/// Runs `encode` on standard input and output.
pub(crate) fn encode(args: &Encode) -> Result<()> {
    let Options { serializer, typed, lines } = args.options;
    run(lines, |json| {
        let json = std::str::from_utf8(json)
            .map_err(|error| Error::decode("JSON", Some(error.valid_up_to()), "expected UTF-8"))?;
        let text = String::from_utf8_lossy(&serializer.from_json(json, typed)?).into_owned();
        // A line's answer is a JSON string, because the text may have line breaks of its own.
        Ok(if lines { serde_json::Value::from(text).to_string() } else { text })
    })
}

/// All of the input at once, or line by line; then an error is an answer like any other.
fn run(lines: bool, convert: impl Fn(&[u8]) -> Result<String>) -> Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    if !lines {
        let mut input = Vec::new();
        io::stdin().lock().read_to_end(&mut input).map_err(failed)?;
        let answer = convert(&input)?;
        let end = if answer.ends_with('\n') { "" } else { "\n" };
        write!(out, "{answer}{end}").map_err(failed)?;
        return out.flush().map_err(failed);
    }
    for line in io::stdin().lock().split(b'\n') {
        let answer = convert(&line.map_err(failed)?)
            .unwrap_or_else(|error| serde_json::json!({"error": error.to_string()}).to_string());
        writeln!(out, "{answer}").map_err(failed)?;
    }
    out.flush().map_err(failed)
}

/// The text that a line stands for: a JSON string with or without its quotes, or the line itself.
fn unescaped(line: &[u8]) -> Vec<u8> {
    let quoted = [b"\"", line, b"\""].concat();
    let whole = serde_json::from_slice::<String>(line);
    match whole.or_else(|_| serde_json::from_slice(&quoted)) {
        Ok(text) => text.into_bytes(),
        Err(_) => line.to_vec(),
    }
}

fn failed(error: io::Error) -> Error {
    Error::unavailable("reading standard input and writing standard output", "a pipe failed")
        .caused_by(error)
}
