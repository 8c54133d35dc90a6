//! `sqlbypass decode` and `encode`: the real program, on fixtures and on what no one should send.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::{Value as Json, json};
use sqlbypass::Serializer;

use super::fixtures::{name, rows};

fn run(arguments: &str, input: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sqlbypass"));
    command.args(arguments.split_whitespace());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // It may end before it has read everything.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// What it answers line by line, which is never a failure.
fn lines(arguments: &str, input: &[String]) -> Vec<Json> {
    let output = run(&format!("{arguments} --lines"), (input.join("\n") + "\n").as_bytes());
    assert!(output.status.success() && output.stderr.is_empty(), "{arguments}");
    let text = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), input.len(), "{arguments}");
    answers
}

fn quoted(text: &Json) -> String {
    assert!(text.is_string());
    text.to_string()
}

/// Whether two equal big integers are one object: a description does not say it.
const UNDETERMINED: &str = "arr_bignum_same_object";

#[test]
fn every_value_of_the_fixtures_goes_through_the_program_and_back() {
    let rows: Vec<Json> = rows("values.jsonl").into_iter().chain(rows("rails.jsonl")).collect();
    let texts: Vec<String> = rows.iter().map(|row| quoted(&row["base64"])).collect();
    let typed = lines("decode --typed", &texts);
    let plain = lines("decode --serializer marshal", &texts);
    let again = lines("encode --typed", &typed.iter().map(Json::to_string).collect::<Vec<_>>());
    for (at, row) in rows.iter().enumerate() {
        let stored = row["base64"].as_str().unwrap();
        let library = |typed| match Serializer::Marshal.to_json(stored.as_bytes(), typed) {
            Ok(json) => serde_json::from_str(&json).unwrap(),
            Err(error) => json!({"error": error.to_string()}),
        };
        assert_eq!(typed[at], library(true), "{}", name(row));
        assert_eq!(plain[at], library(false), "{}", name(row));
        if row["redump_equal"] == true && !row["value"].is_null() && name(row) != UNDETERMINED {
            assert_eq!(again[at], row["base64"], "{}", name(row));
        }
    }
    let failed: Vec<&str> = rows
        .iter()
        .zip(&typed)
        .filter(|(_, answer)| answer.get("error").is_some())
        .map(|(row, _)| name(row))
        .collect();
    assert!(failed.iter().all(|name| name.starts_with("deep")), "{failed:?}");
}

#[test]
fn every_json_text_of_the_fixtures_goes_through_the_program_and_back() {
    let all = rows("json.jsonl").into_iter().chain(rows("rails_json.jsonl"));
    let texts = all.flat_map(|row| {
        ["json_dump", "multi_json_dump"].map(|key| row[key].as_str().map(str::to_owned))
    });
    // A description nests twice as deep as its value, and serde_json reads 128 levels.
    let is_shallow = |text: &String| text.matches('[').count() < 60;
    let texts: Vec<String> = texts.flatten().filter(is_shallow).collect();
    assert!(texts.len() > 30, "{}", texts.len());
    let quoted: Vec<String> =
        texts.iter().map(|text| Json::from(text.as_str()).to_string()).collect();
    for serializer in ["json", "hybrid"] {
        let decode = format!("decode --serializer {serializer}");
        let answers = lines(&decode, &quoted);
        let typed = lines(&format!("{decode} --typed"), &quoted);
        for ((text, answer), typed) in texts.iter().zip(&answers).zip(&typed) {
            let Ok(whole) = serde_json::from_str::<Json>(text) else {
                assert!(answer["error"].is_string() && typed["error"].is_string(), "{text}");
                continue;
            };
            // serde_json rounds what has more digits than fit.
            if text.bytes().filter(u8::is_ascii_digit).nth(18).is_none() {
                assert_eq!(*answer, whole["value"], "{text}");
            }
            let encode = format!("encode --serializer {serializer}");
            let back = lines(&encode, &[answer.to_string()]);
            let same: Json = serde_json::from_str(back[0].as_str().unwrap()).unwrap();
            assert_eq!(same["value"], *answer, "{text}");
            let back = lines(&format!("{encode} --typed"), &[typed.to_string()]);
            let same: Json = serde_json::from_str(back[0].as_str().unwrap()).unwrap();
            assert_eq!(same["value"], *answer, "{text}");
        }
    }
}

#[test]
fn what_is_broken_is_answered_line_by_line() {
    let rows: Vec<Json> =
        rows("malformed.jsonl").into_iter().chain(rows("handmade.jsonl")).collect();
    let texts: Vec<String> = rows
        .iter()
        .map(|row| String::from_utf8(super::fixtures::base64(&super::fixtures::dump(row))).unwrap())
        .collect();
    for (answer, text) in lines("decode --typed", &texts).iter().zip(&texts) {
        match Serializer::Marshal.to_json(text.as_bytes(), true) {
            Ok(json) => assert_eq!(answer.to_string(), json),
            Err(error) => assert_eq!(*answer, json!({"error": error.to_string()})),
        }
    }
    let odd = ["", "\u{0}", "[", "{}", "\"", "null", "0", "é", "\"\\u0000\"", "\"\\ud800\""];
    for command in ["decode", "encode"] {
        for serializer in ["marshal", "json", "hybrid", "null"] {
            for typed in ["", "--typed"] {
                let arguments = format!("{command} --serializer {serializer} {typed}");
                lines(&arguments, &odd.map(String::from));
            }
        }
    }
}

#[test]
fn odd_input_ends_with_an_error_and_never_in_a_panic() {
    let deep = |open: &str, close: &str| [open.repeat(200_000), close.repeat(200_000)].concat();
    let inputs: [Vec<u8>; 9] = [
        Vec::new(),
        b"\n".to_vec(),
        b"\x00\xff\xfe".to_vec(),
        b"BAhb".to_vec(),
        b"{\"value\":{\"a\":\"\xff\"}}".to_vec(),
        deep("[", "]").into_bytes(),
        deep("{\"value\":", "}").into_bytes(),
        deep("{\"t\":\"array\",\"v\":[", "]}").into_bytes(),
        super::fixtures::base64(
            &[b"\x04\x08".to_vec(), b"[\x06".repeat(200_000), b"0".to_vec()].concat(),
        ),
    ];
    for command in ["decode", "encode"] {
        for serializer in ["marshal", "json", "hybrid", "null"] {
            for typed in ["", "--typed"] {
                for input in &inputs {
                    let output =
                        run(&format!("{command} --serializer {serializer} {typed}"), input);
                    let error = String::from_utf8(output.stderr).unwrap();
                    match output.status.code() {
                        Some(0) => assert!(error.is_empty(), "{error}"),
                        Some(1) => {
                            assert!(error.starts_with("sqlbypass: ") && output.stdout.is_empty());
                            assert!(error.ends_with('\n') && error.len() < 300, "{error}");
                        }
                        code => panic!("{code:?} {error}"),
                    }
                }
            }
        }
    }
    assert_eq!(run("decode --serializer yaml", b"").status.code(), Some(2));
    assert_eq!(run("decode --nothing", b"").status.code(), Some(2));
}

#[test]
fn a_text_of_many_megabytes_goes_through() {
    let large = json!({"text": "x".repeat(2 << 20), "list": vec![1; 1 << 17]}).to_string();
    for serializer in ["marshal", "json", "hybrid", "null"] {
        let stored = run(&format!("encode --serializer {serializer}"), large.as_bytes());
        assert!(stored.status.success(), "{serializer}");
        let shown = run(&format!("decode --serializer {serializer}"), &stored.stdout);
        assert!(shown.status.success(), "{serializer}");
        assert!(shown.stdout.strip_suffix(b"\n") == Some(large.as_bytes()), "{serializer}");
    }
}

/// The examples that the help gives and that need no database.
#[test]
fn the_help_has_examples_that_work() {
    for command in ["decode", "encode"] {
        let help = String::from_utf8(run(&format!("{command} --help"), b"").stdout).unwrap();
        let (_, examples) = help.split_once("Examples:\n").unwrap();
        let mut tried = 0;
        for line in examples.lines().filter(|line| line.trim_start().starts_with("echo ")) {
            let (input, command) = line.trim_start()["echo ".len()..].split_once(" | ").unwrap();
            let arguments = command.strip_prefix("sqlbypass ").unwrap();
            let input = input.trim_matches('\'').to_owned() + "\n";
            let (arguments, expected) = arguments.split_once("  # ").unwrap();
            let output = run(arguments, input.as_bytes());
            assert!(output.status.success(), "{line}");
            assert_eq!(String::from_utf8(output.stdout).unwrap().trim_end(), expected, "{line}");
            tried += 1;
        }
        assert!(tried > 0, "{help}");
    }
}
