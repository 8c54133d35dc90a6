//! Where keys come from: files, pipes and variables; and what is never shown of them.

use std::os::unix::fs::PermissionsExt;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::place::{Place, now, private, said};

const SECRET: &str = "6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b";
const BASE64: &str = "bGxsbGxsbGxsbGxsbGxsbGxsbGxsbGxsbGxsbGxsbGw=";

/// Every command that takes the options.
const COMMANDS: [&str; 13] = [
    "create --print",
    "trim",
    "clear --yes",
    "upgrade",
    "convert --to json",
    "stats",
    "list",
    "revoke --user 1 --all",
    "backfill --user-column user_id",
    "show --row 1",
    "doctor",
    "bench --rows 10 --seconds 0.01",
    "serve --listen 127.0.0.1:0",
];

async fn place() -> Place {
    let place = Place::sqlite().await.unwrap();
    place.store().await.close().await.unwrap();
    place
}

/// With this on its standard input.
async fn fed(mut command: Command, input: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    child.wait_with_output().await.unwrap()
}

#[tokio::test]
async fn keys_that_are_named_and_not_there_are_wrong_use_everywhere() {
    let place = place().await;
    std::fs::write(place.folder.path().join("bad"), format!("# ours\nk1:{}", &SECRET[..40]))
        .unwrap();
    for command in COMMANDS {
        for (option, told) in [
            ("--keys-file none", "none cannot be read"),
            ("--keys-file .", ". cannot be read"),
            ("--keys-file bad", "bad: reading keys: line 2"),
            ("--keys-env NONE_OF_THIS", "--keys-env takes the name of a variable"),
            ("--keys-env BAD", "the variable BAD: reading keys: line 1"),
        ] {
            let mut command = place.command(&format!("{command} {option}"));
            let output = command.env("BAD", SECRET).output().await.unwrap();
            let said = said(&output);
            assert_eq!(output.status.code(), Some(2), "{command:?}: {said}");
            assert!(said.contains(told) && !said.contains(&SECRET[..16]), "{command:?}: {said}");
            assert!(output.stdout.is_empty(), "{command:?}: {said}");
        }
    }
}

/// Keys where their place should be named.
#[tokio::test]
async fn keys_on_the_command_line_are_not_echoed() {
    let place = place().await;
    let keys = [
        SECRET.to_owned(),
        BASE64.to_owned(),
        format!("k1:{SECRET}"),
        format!("k1:{BASE64}"),
        format!("k1:{}", &SECRET[..60]),
        format!("k1:{SECRET}\nk2:{BASE64}"),
    ];
    for keys in &keys {
        for option in ["--keys-file", "--keys-env"] {
            let output = place.command("list").args([option, keys]).output().await.unwrap();
            let said = said(&output);
            assert_eq!(output.status.code(), Some(2), "{said}");
            assert!(!said.contains(&SECRET[..16]) && !said.contains(&BASE64[..16]), "{said}");
            assert!(said.contains("never the keys") || said.contains("must not stand"), "{said}");
        }
    }
    // Nor what is wholly out of place.
    let url = "postgres://app:sentinel@db/shop";
    for arguments in
        [&["list", url][..], &[url], &["list", "--format", url], &["list", "--key", "k1:sentinel"]]
    {
        let output = super::place::program("").args(arguments).output().await.unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(!said.contains("sentinel") && said.contains("--help"), "{said}");
    }
}

#[tokio::test]
async fn a_pipe_is_read_once_and_a_device_not_for_ever() {
    let place = place().await;
    let data = r#"{"value":{"warden.user.user.key":[[42],"$2a$11$abcdefghijklmnopqrstuu"]}}"#;
    place.put(&[(private(), data, &*now(), &*now())]).await;
    let keys = format!("k1:{SECRET}\n");
    for task in ["convert --encrypt", "list --user 42", "revoke --user 42 --all"] {
        let output = fed(place.command(&format!("{task} --keys-file /dev/stdin")), &keys).await;
        assert!(output.status.success() && output.stderr.is_empty(), "{task}: {}", said(&output));
    }
    assert_eq!(place.count("TRUE").await, 0);
    for large in ["/dev/zero", "large"] {
        std::fs::write(place.folder.path().join("large"), "#\n".repeat(40_000)).unwrap();
        let output = place.command(&format!("stats --keys-file {large}")).output();
        let output = tokio::time::timeout(Duration::from_secs(20), output).await.unwrap().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains("file too large"), "{}", said(&output));
    }
}

#[tokio::test]
async fn a_file_that_others_may_read_is_told() {
    let place = place().await;
    let file = place.folder.path().join("keys");
    std::fs::write(&file, format!("k1:{SECRET}")).unwrap();
    for (mode, is_told) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true)] {
        std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        let output = place.run("list --user 1 --keys-file keys").await;
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success());
        assert_eq!(
            told.contains(&format!(
                "warning: keys is open to others than its owner (mode {mode:o})"
            )),
            is_told,
            "{told}"
        );
        assert_eq!(told.lines().count(), usize::from(is_told), "{told}");
    }
}
